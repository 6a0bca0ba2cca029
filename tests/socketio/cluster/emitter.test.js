// A program with the official emitter reaches the clients of all servers, ours too.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Emitter } from '@socket.io/redis-emitter';
import { until } from '../harness.js';
import { OURS, allHear, allHearVolatile, settled, startNodes } from './nodes.js';
import { startRedis } from './redis.js';

const KINDS = [OURS, 'node-redis', 'ioredis'];

let redis;
let nodes;
let emitter;
let reds;
let blues;
let admins;
before(async () => {
  redis = await startRedis();
  nodes = await startNodes(redis, 'classic', KINDS);
  emitter = new Emitter(redis.client());
  const inEach = (room, options) => Promise.all(nodes.map((node) => node.enter(room, options)));
  [reds, blues, admins] = [await inEach('red'), await inEach('blue'), await inEach('red', { namespace: '/admin' })];
  await settled(redis, 'classic', 'red', reds);
  await settled(redis, 'classic', 'blue', blues);
  await settled(redis, 'classic', 'red', admins, '/admin');
});
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
});

/** Whether any of them has heard an event. */
const anyHeard = (clients, name) => clients.some(({ heard }) => heard.some(([event]) => event === name));

test('an event reaches all sockets of the namespace', async () => {
  const heard = await allHear([...reds, ...blues], () => emitter.emit('all', 1, { a: ['ü'] }), 'all');
  heard.forEach((args) => assert.deepEqual(args, [1, { a: ['ü'] }]));
  assert.ok(!anyHeard(admins, 'all'));
});

test('an event reaches the sockets in rooms, except for those in others', async () => {
  await allHear(reds, () => emitter.to('red').emit('red'), 'red');
  await allHear([...reds, ...blues], () => emitter.to(['red', 'blue']).emit('both'), 'both');
  await allHear(blues, () => emitter.to('red').to('blue').except('red').emit('blues'), 'blues');
  await allHear([blues[0]], () => emitter.to(blues[0].id).emit('one'), 'one');
  await allHear([...reds, ...blues], () => emitter.emit('end'), 'end');
  assert.ok(!anyHeard(blues, 'red') && !anyHeard(reds, 'blues') && !anyHeard([...reds, ...blues.slice(1)], 'one'));
});

test('an event of another namespace reaches its sockets', async () => {
  await allHear(admins, () => emitter.of('/admin').to('red').emit('admins', 2), 'admins');
  assert.ok(!anyHeard(reds, 'admins'));
});

test('bytes, dates and flags are as with other servers', async () => {
  const args = [Buffer.from([0, 255]), { deep: [Buffer.from('hi')] }, new Date(5), undefined, NaN, 2 ** 53 + 2];
  const [ours, ...others] = await allHear(reds, () => emitter.to('red').compress(false).emit('values', ...args), 'values');
  others.forEach((other) => assert.deepEqual(ours, other));
  assert.deepEqual(ours.slice(0, 3), [args[0], args[1], '1970-01-01T00:00:00.005Z']);
  await allHearVolatile(reds, () => emitter.to('red').volatile.emit('volatile'), 'volatile');
});

test('sockets are put into a room and taken out of it', async () => {
  emitter.in('red').socketsJoin(['green', 'more']);
  await settled(redis, 'classic', 'green', reds);
  await settled(redis, 'classic', 'more', reds);
  await allHear(reds, () => emitter.to('green').emit('green'), 'green');
  emitter.in('green').except(reds[0].id).socketsLeave('green');
  await settled(redis, 'classic', 'green', [reds[0]]);
  emitter.in(reds[0].id).socketsLeave('green');
  await until('an empty room', async () => (await reds[1].emitWithAck('who', 'green')).length === 0);
});

test('an event for servers reaches them and needs no answer', async () => {
  await nodes[1].run('io.of("/").on("news", (...args) => { globalThis.news = args; })');
  emitter.serverSideEmit('hello', 'from the emitter');
  emitter.serverSideEmit('news', 1, 'x');
  await until('the news', () => nodes[1].run('return globalThis.news !== undefined'));
  assert.deepEqual(await nodes[1].run('return globalThis.news'), [1, 'x']);
  await allHear(reds, () => emitter.emit('after'), 'after');
});

test('sockets are disconnected', async () => {
  const gone = blues.map((blue) => new Promise((resolve) => blue.once('disconnect', resolve)));
  emitter.in('blue').disconnectSockets();
  assert.deepEqual(await Promise.all(gone), blues.map(() => 'io server disconnect'));
  const lost = admins.map((admin) => new Promise((resolve) => admin.once('disconnect', resolve)));
  emitter.of('/admin').in('red').disconnectSockets(true);
  for (const reason of await Promise.all(lost)) assert.match(reason, /^(transport close|io server disconnect)$/);
  await until('them to be gone', async () => (await reds[0].emitWithAck('who', 'blue')).length === 0);
  assert.equal((await reds[0].emitWithAck('who', 'red')).length, reds.length);
});
