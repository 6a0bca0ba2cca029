// Our server sends Redis what a Node server sends for like calls, byte by byte but for ids.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../harness.js';
import { watch } from './monitor.js';
import { OURS, allHear, settled, startNodes } from './nodes.js';
import { startRedis } from './redis.js';

for (const format of ['classic', 'sharded', 'streams']) {
  describe(format, () => {
    let redis;
    let nodes;
    let reds;
    let monitor;
    before(async () => {
      redis = await startRedis();
      nodes = await startNodes(redis, format, [OURS, 'node-redis']);
      reds = await Promise.all(nodes.map((node) => node.enter('red')));
      await settled(redis, format, 'red', reds);
      monitor = await watch(redis);
    });
    after(async () => {
      monitor.stop();
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
    });

    /** What is sent while each of the two does something, the other servers' answers included. */
    async function sentByEach(act) {
      const sent = [];
      for (const [index, client] of reds.entries()) {
        monitor.forget();
        await act(client, index);
        sent.push((await monitor.now()).map(({ command }) => command).filter(isSaid).map(withoutIds));
      }
      return sent;
    }

    const untilSaid = () => until('a message', async () => (await monitor.now()).some(({ command }) => isSaid(command)));

    /** Commands that say something to other servers. */
    const isSaid = ([name]) => /^(PUBLISH|SPUBLISH|XADD)$/i.test(name);

    /** Replaces what differs from server to server and from call to call. */
    function withoutIds([name, ...args]) {
      const known = reds.map(({ id }) => id);
      const neutral = (text) => known.reduce((all, id) => all.replaceAll(id, 'S'.repeat(id.length)), text)
        .replace(/"(rust|node) 1"/, '"KIND 1"').replace(/\xa6(rust|node) 1/, '\xa6KIND 1')
        // What each call is given for itself.
        .replace(/<\d>/g, '<N>')
        .replace(/((?:^\x93|uid)\xa6)[\w-]{6}/g, '$1IIIIII')
        .replace(/(uid\xb0)[0-9a-f]{16}/g, '$1IIIIIIIIIIIIIIII')
        .replace(/requestId(?:\xa6[\w-]{6}|\xa7[\w-]{7}|\xb0[\w-]{16}|\xb1[\w-]{17})/g, 'requestId(a text)')
        .replace(/("(?:uid|requestId)":")[\w-]+/g, '$1ID')
        .replace(/#[0-9a-f]{16}#$/, '#ID#')
        .replace(/^[0-9a-f]{16}$/, 'UID');
      const isBase64 = (text) => name.toUpperCase() === 'XADD' && /^g[\w+/]+=*$/.test(text);
      return [name.toUpperCase(), ...args.map((arg) => neutral(isBase64(arg) ? Buffer.from(arg, 'base64').toString('latin1') : arg))];
    }

    /** What both send is alike, and it is that many messages. */
    async function alike(count, act) {
      const [ours, reference] = await sentByEach(act);
      assert.deepEqual(ours, reference);
      assert.equal(ours.length, count);
    }

    const EVENTS = {
      'to all': ['all', 'EVENT', 1, { a: 'x' }, null],
      'to a room': ['to', 'red', 'EVENT', 'ünï'],
      'with bytes': ['to', 'red', 'EVENT', Buffer.from([0, 1, 255]), { deep: [Buffer.from('hi')] }],
      'with numbers': ['to', 'red', 'EVENT', 0, 127, 128, 255, 256, 65535, 65536, 2 ** 32, -1, -32, -33, -128, -129, -32768, -(2 ** 31), 0.5],
      'with long values': ['to', 'red', 'EVENT', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(300), 'x'.repeat(70_000), Array(20).fill(0)],
      'with bytes and long values': ['to', 'red', 'EVENT', Buffer.alloc(300), Buffer.alloc(70_000), 'x'.repeat(300), Array(20).fill({ a: true })],
    };
    for (const [what, event] of Object.entries(EVENTS)) {
      test(`an event ${what}`, async () => {
        await alike(1, (client, index) => {
          const name = `${what} <${index}>`;
          return allHear(reds, () => client.emit(...event.map((arg) => (arg === 'EVENT' ? name : arg))), name);
        });
      });
    }

    test('an event to the id of a socket of the other server', () => alike(1, (client, index) => {
      const name = `one <${index}>`;
      const other = reds[1 - index];
      return allHear([other], () => client.emit('to', other.id, name), name);
    }));

    test('a question to a room, and its answers', () => alike(3, (client) => client.emitWithAck('ask', 'red', 0)));

    test('a question for servers, and its answer', () => alike(2, (client) => client.emitWithAck('sse', 'hello', 1, { a: [] })));

    test('rooms that sockets are put into', () => alike(1, (client, index) => {
      client.emit('move', `nowhere <${index}>`, `elsewhere <${index}>`);
      return untilSaid();
    }));

    test('sockets that are disconnected', () => alike(1, (client, index) => {
      client.emit('kick', `nowhere <${index}>`);
      return untilSaid();
    }));

    test('sockets that are looked for', async () => {
      const [ours, reference] = await sentByEach((client) => client.emitWithAck('who', 'red'));
      assert.deepEqual([ours[0], ours.length], [reference[0], 2]);
      assert.deepEqual(ours[1].slice(0, 2), reference[1].slice(0, 2));
    });
  });
}
