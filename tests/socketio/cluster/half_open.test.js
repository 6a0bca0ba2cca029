// A client comes back while its former server takes the former connection for alive.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, next, until } from '../harness.js';
import { startProxy } from '../proxy.js';
import { OURS, allHear, startNodes, withoutOffset } from './nodes.js';
import { startRedis } from './redis.js';
import { comeBack } from './wandering.js';

let redis;
let nodes;
before(async () => {
  redis = await startRedis();
  nodes = await startNodes(redis, 'streams', [OURS, OURS, 'node-redis']);
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
});

/** A client at a server by a way that can be made to swallow everything. */
async function enterBy(way, node, room) {
  const client = connect(`${way.url}/`, { query: { room }, transports: ['websocket'] });
  const heard = [];
  client.onAny((...event) => heard.push(event));
  await next(client, 'connect');
  await client.emitWithAck('join', 'all');
  return Object.assign(client, { heard, node });
}

for (const [to, place] of [[1, 'another server'], [0, 'its server']]) {
  test(`a client that comes back to ${place}, and whose former connection seems alive, is recovered`, { skip: OURS !== 'echoroom' }, async () => {
    const talkers = await Promise.all(nodes.map((node) => node.enter()));
    for (let round = 0; round < 3; round += 1) {
      const room = `half open ${to} ${round}`;
      const way = await startProxy(nodes[0].url);
      const client = await enterBy(way, nodes[0], room);
      await client.emitWithAck('set', { name: 'Ann' });
      const { id } = client;
      await allHear([client], () => talkers[0].emit('to', room, 'before', 1), 'before');
      const gone = next(client, 'disconnect');
      way.swallow();
      client.io.reconnection(false);
      client.io.engine.close();
      await gone;
      // Its server does not know that.
      const [alive, ...more] = await talkers[2].emitWithAck('who', id);
      assert.deepEqual([alive.id, more], [id, []]);
      assert.equal(await redis.ask('EXISTS', `sio:session:${client._pid}`), 0);
      for (const [index, talker] of talkers.entries()) {
        const mark = `mark ${room} ${index}`;
        talker.emit('to', room, 'missed', index);
        await allHear([talker], () => talker.emit('to', talker.id, mark), mark);
      }
      await comeBack(client, nodes[to]);
      assert.deepEqual([client.recovered, client.id], [true, id]);
      await allHear([client], () => talkers[2].emit('to', room, 'after'), 'after');
      const heard = client.heard.map(([event, ...args]) => [event, ...withoutOffset(client, args)]);
      assert.deepEqual(heard, [['before', 1], ['missed', 0], ['missed', 1], ['missed', 2], ['after']]);
      // The former socket has ended.
      await until('one socket', async () => (await talkers[2].emitWithAck('who', id)).length === 1);
      const [shown] = await talkers[2].emitWithAck('who', id);
      assert.deepEqual([[...shown.rooms].sort(), shown.data], [[id, 'all', room].sort(), { name: 'Ann' }]);
      client.disconnect();
      await until('no socket', async () => (await talkers[2].emitWithAck('who', id)).length === 0);
      way.stop();
    }
    talkers.forEach((talker) => talker.disconnect());
    // The official server has heard messages that it does not know.
    assert.deepEqual([nodes[2].log(), nodes[2].child.exitCode], ['', null]);
  });
}
