// What no server would say does no harm, on any channel. (An empty body alone ends a reference server: only ours are here.)
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import notepack from 'notepack.io';
import { until } from '../harness.js';
import { allHear, settled, startNodes } from './nodes.js';
import { startRedis } from './redis.js';

/** Random numbers below a bound, always the same. */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const opts = { rooms: [], except: [], flags: {} };
const packet = { type: 2, data: ['junk', 1, { a: [Buffer.from('hi'), new Date(5)] }], nsp: '/' };
const uid = 'third1';

/** Messages that are as they should be; what is done to them makes them junk. */
const MESSAGES = [
  [uid, packet, opts],
  { uid, requestId: 'asked1', type: 7, packet, opts },
  { uid, requestId: 'asked2', type: 5, opts },
  { uid, requestId: 'asked3', type: 6, data: ['hello', 1] },
  { requestId: 'asked4', sockets: [{ id: 'x', handshake: {}, rooms: ['y'], data: {} }] },
  { type: 8, requestId: 'asked5', clientCount: 3 },
  { type: 3, uid, nsp: '/', data: { packet, opts } },
  { type: 3, uid, nsp: '/', data: { packet, opts, requestId: 'asked6' } },
  { type: 8, uid, nsp: '/', data: { requestId: 'asked7', sockets: [] } },
  { type: 9, uid, nsp: '/', data: { packet: ['hello', 1], requestId: 'asked8' } },
];

/** Bodies of foreign types: a list where an object should be, a number where a text should be. */
const FOREIGN = [
  null, 0, '', [], {}, [[]], [uid], [uid, packet], [uid, null, null], [1, 2, 3], [uid, [], {}], [uid, { ...packet, data: 'text' }, opts],
  [uid, { ...packet, data: [] }, opts], [uid, { ...packet, data: [7] }, opts], [uid, { ...packet, data: [null, 1] }, opts],
  [uid, { ...packet, type: 'event' }, opts], [uid, { ...packet, type: 99 }, opts], [uid, packet, { rooms: 'red' }],
  [uid, packet, { ...opts, rooms: [{}, [], null] }], [uid, packet, { ...opts, flags: [] }],
  { uid, type: 7 }, { uid, type: 99, requestId: 'x' }, { uid, type: '5', requestId: [] }, { uid, type: 2, opts: 7, rooms: 7 },
  { type: 3, uid: 7, nsp: '/', data: { packet, opts } }, { type: 3, uid, nsp: [], data: { packet, opts } }, { type: 3, uid, nsp: '/', data: [] },
  { type: 11, uid, nsp: '/', data: { requestId: 'x', clientCount: -1 } }, { type: 11, uid, nsp: '/', data: { requestId: 'x', clientCount: 2 ** 53 } },
  { type: 8, requestId: 'x', clientCount: 1e300 }, { type: -1, uid, nsp: '/', data: {} }, { type: 1.5, uid, nsp: '/', data: {} },
];

function bodies() {
  const random = numbers(7);
  const all = [Buffer.alloc(0)];
  for (let count = 0; count < 100; count += 1) all.push(Buffer.from(Array.from({ length: random(200) }, () => random(256))));
  // What begins as a message does.
  for (const begin of ['{', '[', '{"type":', '\x93\xa6', '\x83\xa4type', '\x84\xa4type\x03\xa4data']) {
    for (let count = 0; count < 15; count += 1) {
      all.push(Buffer.concat([Buffer.from(begin, 'latin1'), Buffer.from(Array.from({ length: random(60) }, () => random(256)))]));
    }
  }
  const encoded = MESSAGES.flatMap((message) => [notepack.encode(message), Buffer.from(JSON.stringify(message))]);
  // Cut off.
  for (const body of encoded) for (let end = 0; end < body.length; end += 1 + random(12)) all.push(body.subarray(0, end));
  // With a byte changed, but for the type, which might turn it into the order to disconnect all.
  for (const body of [encoded[0], encoded[1], encoded[12]]) {
    for (let count = 0; count < 80; count += 1) {
      const changed = Buffer.from(body);
      changed[random(body.length)] = random(256);
      all.push(changed);
    }
  }
  for (const value of FOREIGN) all.push(notepack.encode(value), Buffer.from(JSON.stringify(value)));
  // Deep, and with lengths that are not there.
  for (const [open, close] of [['[', ']'], ['{"a":', '}']]) all.push(Buffer.from(open.repeat(50_000)), Buffer.from(open.repeat(50_000) + close.repeat(50_000)));
  for (const byte of [0x91, 0x81, 0xc7]) all.push(Buffer.alloc(50_000, byte));
  for (const head of ['dd', 'df', 'db', 'c6', 'c9']) all.push(Buffer.from(`${head}ffffffff`, 'hex'), Buffer.from(`93${head}ffffffff`, 'hex'));
  return all;
}

/** Ten megabytes each. */
const huge = () => [
  Buffer.alloc(10 << 20, '['), Buffer.alloc(10 << 20, 0x91), Buffer.alloc(10 << 20, 0xc0), Buffer.alloc(10 << 20, 'x'),
  Buffer.concat([Buffer.from('dd00a00000', 'hex'), Buffer.alloc(10 << 20, 0x80)]),
  Buffer.concat([Buffer.from('93a6746869726431ddffffff00', 'hex'), Buffer.alloc(10 << 20, 0x90)]),
  Buffer.from(`{"type":3,"data":{"packet":[${'[],'.repeat(3 << 20)}[]]}}`),
];

const CHANNELS = {
  classic: ['socket.io#/#', 'socket.io#/#red#', 'socket.io#/#x#y#', 'socket.io#/#all', 'socket.io-request#/#', 'socket.io-response#/#', 'socket.io#/admin#', 'socket.io-request#/admin#'],
  sharded: ['socket.io#/#', 'socket.io#/#red#', 'socket.io#/admin#'],
  streams: ['socket.io#/#', 'socket.io#/admin#'],
};

for (const format of ['classic', 'sharded', 'streams']) {
  describe(format, { skip: Boolean(process.env.CLUSTER_OURS) }, () => {
    test('junk on all channels does no harm', async (t) => {
      const redis = await startRedis();
      const nodes = await startNodes(redis, format, ['echoroom', 'echoroom']);
      t.after(async () => {
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
      });
      const reds = await Promise.all(nodes.map((node) => node.enter('red')));
      await settled(redis, format, 'red', reds);
      let lost = 0;
      reds.forEach((red) => red.on('disconnect', () => { lost += 1; }));
      const channels = [...CHANNELS[format], ...await own(redis, format)];
      const all = bodies();
      // Each channel gets every second body.
      for (const [index, channel] of channels.entries()) {
        const some = all.filter((_, number) => (number + index) % 2 === 0);
        await Promise.all(some.map((body) => redis.publish(channel, body, format === 'sharded')));
      }
      if (format === 'streams') await appendJunk(redis, all);
      for (const [index, body] of huge().entries()) {
        await redis.publish(channels[index % channels.length], body, format === 'sharded');
        if (format === 'streams') await redis.client().sendCommand(['XADD', 'socket.io', '*', 'uid', uid, 'nsp', '/', 'type', '3', 'data', body]);
        // They have come to the end of it.
        await allHear(reds, () => reds[0].emit('to', 'red', `huge ${index}`), `huge ${index}`);
      }
      for (const red of reds) await until('the other server', async () => (await red.emitWithAck('who', 'red')).length === 2);
      for (const [index, red] of reds.entries()) {
        await allHear(reds, () => red.emit('to', 'red', `still here ${index}`, Buffer.from('b')), `still here ${index}`);
        assert.equal((await red.emitWithAck('who', 'red')).length, 2);
        assert.deepEqual(await red.emitWithAck('sse', 'hello', 'you'), ['rust you']);
        assert.equal((await red.emitWithAck('ask', 'red', 'why')).length, 2);
      }
      assert.equal(lost, 0);
      for (const node of nodes) {
        assert.equal(node.child.exitCode, null);
        assert.doesNotMatch(node.log(), /panic/);
      }
    });
  });
}

/** Channels of one server only. */
async function own(redis, format) {
  const [command, pattern] = format === 'sharded' ? ['SHARDCHANNELS', 'socket.io#/#*#'] : ['CHANNELS', 'socket.io*#/#?*#'];
  const found = await redis.ask('PUBSUB', command, pattern);
  assert.ok(found.length >= 2);
  return found.map(String);
}

/** Entries of a stream whose fields are junk, or some of them. */
async function appendJunk(redis, all) {
  const append = (...fields) => redis.client().sendCommand(['XADD', 'socket.io', 'MAXLEN', '~', '10000', '*', ...fields]);
  const heads = [['uid', uid, 'nsp', '/', 'type', '3', 'data'], ['uid', uid, 'nsp', '/', 'data'], ['data'], ['x']];
  await Promise.all(all.flatMap((body, index) => [
    append(...heads[index % heads.length], body),
    append('uid', uid, 'nsp', '/', 'type', '3', 'data', body.toString('base64')),
    ...(body.length < 1000 ? [append('uid', body, 'nsp', body, 'type', body, 'data', '{}')] : []),
  ]));
}
