// A client that was cut off from one server is recovered at another one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { next, until } from '../harness.js';
import { OURS, allHear, allHearVolatile, settled, startNode, startNodes, withoutOffset } from './nodes.js';
import { startRedis, untilServers } from './redis.js';
import { comeBack, cutOff } from './wandering.js';

const KINDS = [OURS, OURS, 'node-redis'];
const isOurs = OURS === 'echoroom';

let redis;
let nodes;
before(async () => {
  redis = await startRedis();
  nodes = await startNodes(redis, 'streams', KINDS);
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
});

/** What a client has heard, without offsets. */
const heardBy = (client) => client.heard.map(([event, ...args]) => [event, ...withoutOffset(client, args)]);

for (const [from, to] of [[0, 1], [0, 0], [0, 2], [2, 0], [2, 2]]) {
  test(`a client of ${KINDS[from]} ${from} is recovered by ${KINDS[to]} ${to}, with its id, rooms, data and what it missed`, async () => {
    const room = `room ${from} ${to}`;
    const talkers = await Promise.all(nodes.map((node) => node.enter()));
    const client = await nodes[from].enter(room);
    await client.emitWithAck('join', 'more');
    await client.emitWithAck('set', { name: 'Ann', list: [1, 'ü'] });
    const { id } = client;
    for (let round = 0; round < 3; round += 1) {
      client.heard.length = 0;
      await allHear([client], () => talkers[2].emit('to', room, 'before', round), 'before');
      await cutOff(redis, client);
      // Each server says something of its own, and something that is not for the client.
      const said = [];
      for (const [index, talker] of talkers.entries()) {
        for (const [target, event] of [[room, 'missed'], [id, 'for it'], ['elsewhere', 'not for it'], ['more', 'with bytes']]) {
          const args = [round, index, ...(event === 'with bytes' ? [{ bytes: Buffer.from([index, 255]) }] : [])];
          talker.emit('to', target, event, ...args);
          if (target !== 'elsewhere') said.push([event, ...args]);
        }
        // The next server's come behind them.
        await talker.emitWithAck('who', 'nowhere');
        await allHear([talker], () => talker.emit('to', talker.id, `mark ${room} ${round}`), `mark ${room} ${round}`);
      }
      await comeBack(client, nodes[round % 2 ? from : to]);
      assert.deepEqual([client.recovered, client.id], [true, id]);
      await allHear([client], () => talkers[0].emit('to', room, 'after', round), 'after');
      assert.deepEqual(heardBy(client), [['before', round], ...said, ['after', round]]);
      const [shown] = await talkers[1].emitWithAck('who', id);
      assert.deepEqual([...shown.rooms].sort(), [id, 'all', 'more', room].sort());
      assert.deepEqual(shown.data, { name: 'Ann', list: [1, 'ü'] });
    }
    [client, ...talkers].forEach((one) => one.disconnect());
  });
}

test('volatile events and events of one server only do not stand in the way', async () => {
  const client = await nodes[0].enter('quiet');
  const { id } = client;
  await settled(redis, 'streams', 'quiet', [client]);
  await allHear([client], () => nodes[2].run('io.to("quiet").emit("first", "a text")'), 'first');
  if (isOurs) await allHearVolatile([client], () => nodes[2].run('io.to("quiet").volatile.emit("vol", "a text")'), 'vol');
  await cutOff(redis, client);
  await comeBack(client, nodes[1]);
  assert.deepEqual([client.recovered, client.id], [true, id]);
  client.disconnect();
});

test('a client that has heard nothing yet is recovered by ours, also of an empty stream', { skip: !isOurs }, async (t) => {
  const empty = await startRedis();
  const two = await startNodes(empty, 'streams', [OURS, OURS]);
  t.after(async () => {
    await Promise.all(two.map((node) => node.stop()));
    await empty.stop();
  });
  for (let round = 0; round < 3; round += 1) {
    const client = await two[0].enter('silent');
    const { id } = client;
    await settled(empty, 'streams', 'silent', [client]);
    await cutOff(empty, client);
    const talker = await two[1].enter();
    await allHear([talker], () => talker.emit('all', 'missed', round), 'missed');
    await comeBack(client, two[1]);
    assert.deepEqual([client.recovered, client.id], [true, id]);
    await until('what it missed', () => client.heard.length === 1);
    assert.deepEqual(heardBy(client), [['missed', round]]);
    [client, talker].forEach((one) => one.disconnect());
  }
});

for (const to of [0, 2]) {
  test(`a session that is not known to ${KINDS[to]} begins anew`, async () => {
    const client = await nodes[0].enter('lost');
    const { id } = client;
    await settled(redis, 'streams', 'lost', [client]);
    await allHear([client], () => client.emit('to', 'lost', 'event'), 'event');
    await cutOff(redis, client);
    await redis.ask('DEL', `sio:session:${client._pid}`);
    await comeBack(client, nodes[to]);
    assert.equal(client.recovered, false);
    assert.notEqual(client.id, id);
    // It can be recovered again from now on.
    await client.emitWithAck('join', 'found');
    await settled(redis, 'streams', 'found', [client]);
    await allHear([client], () => client.emit('to', 'found', 'more'), 'more');
    await cutOff(redis, client);
    await comeBack(client, nodes[1]);
    assert.equal(client.recovered, true);
    client.disconnect();
  });
}

test('a client whose server is told to end is recovered by another one', { skip: !isOurs }, async () => {
  const ending = await startNode(redis, 'streams', OURS);
  await untilServers(redis, 'streams', 4);
  const clients = await Promise.all([0, 1, 2].map(() => ending.enter('leaving')));
  await settled(redis, 'streams', 'leaving', clients);
  const ids = clients.map(({ id }) => id);
  await allHear(clients, () => clients[0].emit('to', 'leaving', 'before', 1), 'before');
  clients.forEach((client) => client.io.reconnection(false));
  const gone = clients.map((client) => next(client, 'disconnect'));
  await ending.end();
  await Promise.all(gone);
  const talker = await nodes[2].enter();
  await allHear([talker], () => talker.emit('all', 'missed', 2), 'missed');
  for (const [index, client] of clients.entries()) {
    await comeBack(client, nodes[index]);
    assert.deepEqual([client.recovered, client.id], [true, ids[index]]);
  }
  await until('what they missed', () => clients.every(({ heard }) => heard.length === 2));
  for (const client of clients) assert.deepEqual(heardBy(client), [['before', 1], ['missed', 2]]);
  await settled(redis, 'streams', 'leaving', clients);
  [talker, ...clients].forEach((one) => one.disconnect());
  await untilServers(redis, 'streams', 3);
});

test('a client that is lost 40 times while 12,000 events pass hears each once, in the order of all', { skip: !isOurs }, async () => {
  const senders = await Promise.all([0, 1].map((index) => nodes[index].enter()));
  const [client, ...stayers] = await Promise.all([0, 0, 1].map((index) => nodes[index].enter('storm')));
  await settled(redis, 'streams', 'storm', [client, ...stayers]);
  const { id } = client;
  let drops = 0;
  const sending = (async () => {
    for (let number = 0; number < 6000;) {
      for (let count = 0; count < 15; count += 1, number += 1) senders.forEach((sender, from) => sender.emit('to', 'storm', 'event', from, number));
      // The storm does not end before the last drop.
      await until('the next drop', () => drops >= Math.min(40, Math.floor(number / 150)));
    }
  })();
  for (let index = 1; drops < 40; index += 1) {
    await cutOff(redis, client);
    await comeBack(client, nodes[index % 2]);
    assert.deepEqual([client.recovered, client.id], [true, id], `drop ${index}`);
    drops += 1;
  }
  await sending;
  const everyone = [client, ...stayers];
  await until('all events', () => everyone.every(({ heard }) => heard.length >= 12_000));
  const [heard, ...others] = everyone.map(heardBy);
  for (const from of [0, 1]) {
    const numbers = heard.filter(([, its]) => its === from).map(([, , number]) => number);
    assert.deepEqual(numbers, [...Array(6000).keys()]);
  }
  for (const other of others) assert.deepEqual(heard, other);
  [...senders, ...everyone].forEach((one) => one.disconnect());
});
