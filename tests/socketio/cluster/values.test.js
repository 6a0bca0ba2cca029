// Values of all kinds are what they are among servers of the official packages.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../harness.js';
import { OURS, allHear, settled, startNodes } from './nodes.js';
import { startRedis } from './redis.js';

const KINDS = [OURS, 'node-redis', 'ioredis'];

/** Code of values that a program in JavaScript may emit. */
const OF_JAVASCRIPT = [
  'undefined',
  '{ a: undefined, b: 1 }',
  '[undefined, null]',
  'new Date(0)',
  'new Date(1234567890123)',
  'new Date(-1)',
  '{ at: new Date(2 ** 42) }',
  'NaN',
  '[Infinity, -Infinity]',
  '-0',
  '2 ** 31',
  '2 ** 53 + 2',
  '-(2 ** 53) - 2',
  '2 ** 63',
  '2 ** 64 - 2048',
  '1e300',
  '[0.1, 1 / 3, 5e-324]',
  '[127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 31) - 1]',
  'new Set([1])',
  'new Map([[1, 2]])',
  '[true, false, null, "", [], {}]',
  '"ünï €uro 🚀 \\u0000 \\n"',
  '"x".repeat(70000)',
  'Array.from({ length: 70000 }, (_, index) => index)',
  'Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`key ${index}`, index]))',
  'JSON.parse("[".repeat(90) + "]".repeat(90))',
];

/** Code of values with bytes: the sender's format is another one then. */
const OF_BYTES = [
  'Buffer.from([0, 1, 2, 255])',
  'Buffer.alloc(0)',
  'new Uint8Array([1, 2])',
  '{ deep: [{ deeper: Buffer.from("hi") }, Buffer.from("ho")], text: "t" }',
  'Buffer.alloc(300, 7)',
  'Buffer.alloc(1 << 20, 9)',
  '{ bytes: Buffer.from("hi"), at: new Date(1234567890123), not: undefined, number: NaN, big: 2 ** 53 + 2, text: "🚀" }',
  'Array.from({ length: 10 }, (_, index) => Buffer.from([index]))',
];

/** Values that a client may send. */
const OF_CLIENTS = [
  null, true, 0, -1, 0.1, 2 ** 53 + 2, -(2 ** 53) - 2, 2 ** 63, 5e-324, '', 'ünï €uro 🚀 \0 \n',
  'x'.repeat(70_000), [], {}, [[], {}, [null]], { a: { b: [1, { c: 'd' }] } }, { '': 1, 7: 2 },
  Array.from({ length: 70_000 }, (_, index) => index),
  JSON.parse('['.repeat(90) + ']'.repeat(90)),
  { _placeholder: false, num: 0 },
  // Servers with notepack.io send these wrong.
  ...(OURS === 'echoroom' ? [2 ** 64, 1e300] : []),
];

const BYTES_OF_CLIENTS = [
  Buffer.from([0, 1, 2, 255]), Buffer.alloc(0), [Buffer.from('a'), { b: Buffer.from('b') }, 'c'], Buffer.alloc(100_000, 3),
  { first: Buffer.from('1'), text: 'ü', number: 1 / 3, second: [Buffer.from('2')] },
];

for (const format of ['classic', 'sharded', 'streams']) {
  describe(format, () => {
    let redis;
    let nodes;
    let reds;
    before(async () => {
      redis = await startRedis();
      nodes = await startNodes(redis, format, KINDS);
      reds = await Promise.all(nodes.map((node) => node.enter('red')));
      await settled(redis, format, 'red', reds);
    });
    after(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
    });

    for (const [index, code] of [...OF_JAVASCRIPT, ...OF_BYTES].entries()) {
      test(`${code.slice(0, 60)} of a server reaches our clients as it reaches those of other servers`, async () => {
        const name = `value ${index}`;
        const [ours, , reference] = await allHear(reds, () => nodes[1].run(`io.to("red").emit($0, ${code}, "end")`, name), name);
        assert.deepEqual(ours, reference);
        assert.equal(ours.at(-1), 'end');
      });
    }

    test('half of a surrogate pair of a server does no harm', async () => {
      for (const [name, more] of [['half', ''], ['half with bytes', ', Buffer.from("b")']]) {
        const heard = await allHear(reds, () => nodes[1].run(`io.to("red").emit($0, "a\\ud83db", { "\\udc00": 1 }, "end"${more})`, name), name);
        for (const [half, object, end] of heard) {
          assert.match(half, /^a./u);
          assert.deepEqual([Object.values(object), end], [[1], 'end']);
        }
      }
    });

    for (const [index, value] of [...OF_CLIENTS, ...BYTES_OF_CLIENTS].entries()) {
      const shown = `${JSON.stringify(value)}`.slice(0, 60);
      test(`${shown} of our client reaches the clients of other servers as it is`, async () => {
        const name = `client's ${index}`;
        const heard = await allHear(reds, () => reds[0].emit('to', 'red', name, value, { again: value }, 'end'), name);
        for (const args of heard) assert.deepEqual(args, [value, { again: value }, 'end']);
      });
    }

    test('half of a surrogate pair of our client does no harm', async () => {
      for (const [name, more] of [['our half', []], ['our half with bytes', [Buffer.from('b')]]]) {
        const event = [name, 'a\ud83db', { '\udc00': 1 }, 'end', ...more];
        const heard = await allHear(reds, () => reds[0].emit('to', 'red', ...event), name);
        for (const [half, object, end] of heard) {
          assert.match(half, /^a./u);
          assert.deepEqual([Object.values(object), end], [[1], 'end']);
        }
      }
    });

    KINDS.forEach((kind, index) => test(`${kind}: bytes are asked for and answered with`, async () => {
      for (const value of [...BYTES_OF_CLIENTS, { a: [1, null, 'ü'] }, 2 ** 53 + 2, null]) {
        const answers = await reds[index].emitWithAck('ask', 'red', value);
        assert.deepEqual(answers, reds.map(() => value));
      }
    }));

    test('a room with a number as its name is one of ours', async () => {
      await reds[0].emitWithAck('join', 42);
      await reds[1].emitWithAck('join', 42);
      if (format === 'sharded') await until('the channel', async () => (await redis.ask('PUBSUB', 'SHARDNUMSUB', 'socket.io#/#42#'))[1] === 2);
      const heard = await allHear(reds.slice(0, 2), () => nodes[2].run('io.to(42).emit("number", 1)'), 'number');
      assert.deepEqual(heard, [[1], [1]]);
      if (OURS === 'echoroom') await allHear([reds[0]], () => nodes[2].run('io.to("42").emit("digits")'), 'digits');
      await nodes[2].run('io.in(42).socketsLeave(42)');
      await settled(redis, format, 'red', reds);
      await until('an empty room', async () => (await reds[0].emitWithAck('who', 42)).length === 0);
    });
  });
}
