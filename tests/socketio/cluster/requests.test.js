// What a third server, or an old one, asks of the servers in the classic format: requests as they were published ever since.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import notepack from 'notepack.io';
import { until } from '../harness.js';
import { OURS, allHear, settled, startNode, startNodes } from './nodes.js';
import { connectTo, startRedis, untilServers } from './redis.js';

let redis;
let nodes;
let reds;
let ear;
const answers = [];
before(async () => {
  redis = await startRedis();
  nodes = await startNodes(redis, 'classic', [OURS, 'node-redis']);
  reds = await Promise.all(nodes.map((node) => node.enter('red')));
  await settled(redis, 'classic', 'red', reds);
  ear = await connectTo(redis.url);
  await ear.pSubscribe('socket.io-response#/#*', (body, channel) => answers.push({ body, channel: String(channel) }), true);
});
after(async () => {
  ear.destroy();
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
});

let requests = 0;

/** Publishes a request, and waits for that many answers to it: ours and that of the reference. */
async function ask(request, count = 2) {
  const requestId = `asked${(requests += 1)}`;
  const body = { uid: 'third1', requestId, ...request };
  await redis.publish('socket.io-request#/#', request.packet ? notepack.encode(body) : JSON.stringify(body));
  const mine = () => answers.map(({ body: answer }) => read(answer)).filter((answer) => answer?.requestId === requestId);
  await until(`answers to ${JSON.stringify(request)}`, () => mine().length >= count);
  return mine();
}

const read = (body) => (body[0] === 0x7b ? JSON.parse(body) : notepack.decode(body));

test('sids are listed', async () => {
  const listed = await ask({ type: 0, rooms: ['red'] });
  assert.deepEqual(listed.flatMap(({ sockets }) => sockets).sort(), reds.map(({ id }) => id).sort());
  assert.deepEqual((await ask({ type: 0, rooms: [] })).flatMap(({ sockets }) => sockets).length, 2);
  assert.deepEqual((await ask({ type: 0, rooms: ['nowhere'] })).flatMap(({ sockets }) => sockets), []);
});

test('rooms are listed', async () => {
  for (const { rooms } of await ask({ type: 1 })) assert.ok(rooms.includes('red') && rooms.includes('all'), `${rooms}`);
  const all = (await ask({ type: 1 })).flatMap(({ rooms }) => rooms);
  for (const { id } of reds) assert.ok(all.includes(id), id);
});

test('sockets are listed as the reference lists them', async () => {
  const found = (await ask({ type: 5, opts: { rooms: ['red'], except: [] } })).flatMap(({ sockets }) => sockets);
  const [ours, reference] = reds.map((red) => found.find(({ id }) => id === red.id));
  assert.deepEqual(Object.keys(ours), Object.keys(reference));
  assert.deepEqual(Object.keys(ours.handshake).sort(), Object.keys(reference.handshake).sort());
  for (const field of ['address', 'xdomain', 'secure', 'auth', 'query', 'url']) {
    const without = (value) => JSON.parse(JSON.stringify(value).replaceAll(/"t":"[^"]*",?|[?&]t=[^&"]*/g, ''));
    assert.deepEqual(without(ours.handshake[field]), without(reference.handshake[field]), field);
  }
  for (const field of ['time', 'issued']) assert.equal(typeof ours.handshake[field], typeof reference.handshake[field], field);
  assert.match(ours.handshake.time, /^\w{3} \w{3} \d\d 20\d\d \d\d:\d\d:\d\d GMT\+\d{4} \(.+\)$/);
  assert.deepEqual([...ours.rooms].sort(), [reds[0].id, 'all', 'red'].sort());
  const others = await ask({ type: 5, opts: { rooms: [], except: ['red'] } });
  assert.deepEqual(others.map(({ sockets }) => sockets), [[], []]);
});

test('a socket is put into a room, taken out of it and disconnected by its sid, and that is answered', async () => {
  const guests = await Promise.all(nodes.map((node) => node.enter('guests')));
  for (const guest of guests) {
    assert.equal((await ask({ type: 2, sid: guest.id, room: 'green' }, 1)).length, 1);
    assert.deepEqual((await reds[0].emitWithAck('who', 'green')).map(({ id }) => id), [guest.id]);
    await ask({ type: 3, sid: guest.id, room: 'green' }, 1);
    assert.deepEqual(await reds[0].emitWithAck('who', 'green'), []);
    const gone = new Promise((resolve) => guest.once('disconnect', resolve));
    await ask({ type: 4, sid: guest.id, close: false }, 1);
    assert.equal(await gone, 'io server disconnect');
  }
});

test('an event for servers is answered with one value', async () => {
  const answered = await ask({ type: 6, data: ['hello', 'third'] });
  const greeting = OURS === 'echoroom' ? 'rust' : 'node';
  assert.deepEqual(answered.map(({ data }) => data).sort(), ['node third', `${greeting} third`].sort());
  for (const answer of answered) assert.deepEqual([Object.keys(answer), answer.type], [['type', 'requestId', 'data'], 6]);
});

test('sockets are asked for acks, and their number is told first', async () => {
  const packet = { type: 2, data: ['question', { give: Buffer.from([1, 2]) }], nsp: '/' };
  const opts = { rooms: ['red'], except: [], flags: { timeout: 1000 } };
  const told = await ask({ type: 7, packet, opts }, 4);
  assert.deepEqual(told.filter(({ type }) => type === 8).map(({ clientCount }) => clientCount), [1, 1]);
  const acks = told.filter(({ type }) => type === 9).map((ack) => ack.packet);
  assert.deepEqual(acks.map(({ give }) => [...give]), [[1, 2], [1, 2]]);
  const none = await ask({ type: 7, packet, opts: { ...opts, rooms: ['nowhere'] } });
  assert.deepEqual(none.map(({ type, clientCount }) => [type, clientCount]), [[8, 0], [8, 0]]);
});

test('a server that wants answers on a channel of its own gets them, and gives them there', async () => {
  const node = await startNode(redis, 'classic', 'node-redis', { publishOnSpecificResponseChannel: true });
  await untilServers(redis, 'classic', 3);
  const blue = await node.enter('red');
  try {
    await settled(redis, 'classic', 'red', [...reds, blue]);
    for (const client of [...reds, blue]) {
      assert.equal((await client.emitWithAck('ask', 'red', 'why')).length, 3);
      assert.equal((await client.emitWithAck('sse', 'hello', 'x')).length, 2);
    }
    const before = answers.length;
    await reds[0].emitWithAck('who', 'red');
    await until('its answer', () => answers.slice(before).some(({ channel }) => /^socket\.io-response#\/#[\w-]{6}#$/.test(channel)));
  } finally {
    await node.stop();
  }
  await untilServers(redis, 'classic', 2);
});

test('events of another server for rooms, from its bare message', async () => {
  const opts = { rooms: ['red'], flags: {}, except: [] };
  const say = (name, more = {}) => redis.publish('socket.io#/#red#', notepack.encode(['third1', { type: 2, data: [name, 1], ...more }, opts]));
  await allHear(reds, () => say('with a namespace', { nsp: '/' }), 'with a namespace');
  await allHear(reds, () => say('without a namespace'), 'without a namespace');
  await say('of another namespace', { nsp: '/other' });
  await allHear(reds, () => say('last'), 'last');
  assert.ok(reds.every(({ heard }) => !heard.some(([name]) => name === 'of another namespace')));
});
