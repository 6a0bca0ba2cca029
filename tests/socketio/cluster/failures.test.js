// A server or Redis that fails costs what it must, and no more.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../harness.js';
import { watch } from './monitor.js';
import { GREETING, OURS, allHear, settled, startNode, startNodes } from './nodes.js';
import { startLink, startRedis, untilServers } from './redis.js';

const FORMATS = ['classic', 'sharded', 'streams'];

/** Longer than Redis may be silent for ours. */
const STOPPED_MS = 7000;

// A reference server throws away what came.
const isOurs = OURS === 'echoroom';

describe('while a server is stopped', { concurrency: true }, () => {
  for (const format of FORMATS) {
    test(`${format}: what the others answer is there, the number of missing servers is known, and then all is well`, { skip: !isOurs }, async (t) => {
      const redis = await startRedis();
      const nodes = await startNodes(redis, format, [OURS, 'node-redis', 'ioredis']);
      t.after(async () => {
        nodes[1].resume();
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
      });
      const reds = await Promise.all(nodes.map((node) => node.enter('red')));
      await settled(redis, format, 'red', reds);
      nodes[1].pause();
      const [found, answers, acks] = await Promise.all([
        reds[0].emitWithAck('who', 'red'),
        reds[0].emitWithAck('sse', 'hello', 'you'),
        reds[0].emitWithAck('ask', 'red', 'why'),
        allHear([reds[0], reds[2]], () => reds[0].emit('to', 'red', 'meanwhile'), 'meanwhile'),
      ]);
      assert.deepEqual(found.map(({ id }) => id).sort(), [reds[0].id, reds[2].id].sort());
      assert.deepEqual(answers, ['node you']);
      assert.deepEqual(acks.sort(), [`${OURS} ${reds[0].id} why`, `ioredis ${reds[2].id} why`].sort());
      await until('two lines of the log', () => nodes[0].log().match(/servers that did not answer: 1/g)?.length === 2);
      nodes[1].resume();
      await until('its clients', () => reds[1].heard.some(([event]) => event === 'meanwhile'));
      assert.equal((await reds[0].emitWithAck('who', 'red')).length, 3);
      assert.equal((await reds[0].emitWithAck('sse', 'hello', 'you')).length, 2);
      assert.equal((await reds[0].emitWithAck('ask', 'red', 'why')).length, 3);
    });

    test(`${format}: ours is stopped, and then all is well`, async (t) => {
      const redis = await startRedis();
      const nodes = await startNodes(redis, format, [OURS, 'node-redis']);
      t.after(async () => {
        nodes[0].resume();
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
      });
      const reds = await Promise.all(nodes.map((node) => node.enter('red')));
      await settled(redis, format, 'red', reds);
      nodes[0].pause();
      await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
      nodes[0].resume();
      await allHear(reds, () => reds[0].emit('to', 'red', 'back'), 'back');
      await allHear(reds, () => reds[1].emit('to', 'red', 'there'), 'there');
      for (const [index, red] of reds.entries()) {
        assert.equal((await red.emitWithAck('who', 'red')).length, 2);
        assert.equal((await red.emitWithAck('ask', 'red', 'why')).length, 2);
        assert.deepEqual(await red.emitWithAck('sse', 'hello', 'you'), [index ? `${GREETING[OURS]} you` : 'node you']);
      }
      if (isOurs) assert.doesNotMatch(nodes[0].log(), /not shared/);
    });
  }
});

for (const format of FORMATS) {
  test(`${format}: once a server is killed, nothing waits for it`, async (t) => {
    const redis = await startRedis();
    const nodes = await startNodes(redis, format, [OURS, 'node-redis', 'ioredis']);
    t.after(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
    });
    const reds = await Promise.all(nodes.map((node) => node.enter('red')));
    await settled(redis, format, 'red', reds);
    for (const last of [1, 0]) {
      await nodes[last + 1].kill();
      await untilServers(redis, format, last + 1);
      const left = reds.slice(0, last + 1);
      assert.deepEqual((await reds[0].emitWithAck('who', 'red')).map(({ id }) => id).sort(), left.map(({ id }) => id).sort());
      assert.equal((await reds[0].emitWithAck('sse', 'hello', 'you')).length, last);
      assert.equal((await reds[0].emitWithAck('ask', 'red', 'why')).length, last + 1);
      await allHear(left, () => reds[0].emit('to', 'red', `left ${last}`), `left ${last}`);
    }
    if (isOurs) assert.doesNotMatch(nodes[0].log(), /did not answer/);
  });

  test(`${format}: ours is killed, and nothing waits for it`, async (t) => {
    const redis = await startRedis();
    const nodes = await startNodes(redis, format, [OURS, 'node-redis']);
    t.after(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
    });
    const reds = await Promise.all(nodes.map((node) => node.enter('red')));
    await settled(redis, format, 'red', reds);
    await nodes[0].kill();
    await untilServers(redis, format, 1);
    assert.equal((await reds[1].emitWithAck('who', 'red')).length, 1);
    assert.deepEqual(await reds[1].emitWithAck('sse', 'hello', 'you'), []);
    assert.equal((await reds[1].emitWithAck('ask', 'red', 'why')).length, 1);
  });

  // A reference server waits for Redis, or sends before it hears.
  test(`${format}: while Redis is away ours serves its own, and then nothing is sent before it hears`, { skip: !isOurs }, async (t) => {
    const first = await startRedis();
    const link = await startLink(first);
    const own = await startLink(first);
    const [alone, node] = await Promise.all([startNode(own, format, OURS), startNode(link, format, 'node-redis')]);
    t.after(async () => {
      await Promise.all([alone.stop(), node.stop()]);
      link.stop();
      own.stop();
    });
    await untilServers(first, format, 2);
    const reds = await Promise.all([alone, alone, node].map((one) => one.enter('red')));
    await settled(first, format, 'red', reds);

    await first.kill();
    await until('the log', () => /not shared/.test(alone.log()));
    const mine = reds.slice(0, 2);
    for (let number = 0; number < 20; number += 1) await allHear(mine, () => reds[0].emit('to', 'red', `away ${number}`, number), `away ${number}`);
    assert.equal((await reds[0].emitWithAck('who', 'red')).length, 2);
    assert.equal((await reds[0].emitWithAck('ask', 'red', 'why')).length, 2);
    assert.deepEqual(await reds[0].emitWithAck('sse', 'hello', 'you'), []);

    const second = await startRedis();
    t.after(() => second.stop());
    const monitor = await watch(second);
    t.after(() => monitor.stop());
    // It talks all the time, from before it is back.
    let sent = 0;
    const talking = setInterval(() => reds[0].emit('to', 'red', 'back', (sent += 1)), 5);
    t.after(() => clearInterval(talking));
    for (const one of [link, own]) one.leadTo(second);
    await untilServers(second, format, 2);
    await until('an event at the other server', () => reds[2].heard.some(([event]) => event === 'back'));
    clearInterval(talking);
    const commands = (await monitor.now()).filter(({ from }) => own.isMine(from)).map(({ command: [name] }) => name.toUpperCase());
    const firstSaid = commands.findIndex((name) => /^(S?PUBLISH|XADD)$/.test(name));
    const lastHeard = commands.findLastIndex((name) => /^[PS]?SUBSCRIBE$/.test(name));
    assert.ok(lastHeard >= 0 && firstSaid > lastHeard, commands.slice(0, 40).join(' '));

    await settled(second, format, 'red', reds);
    await until('all of them', () => mine.every(({ heard }) => heard.filter(([event]) => event === 'back').length === sent));
    for (const { heard } of mine) assert.deepEqual(heard.filter(([event]) => event === 'back').map(([, number]) => number), [...Array(sent).keys()].map((number) => number + 1));
    for (const [index, red] of reds.entries()) {
      await allHear(reds, () => red.emit('to', 'red', `again ${index}`), `again ${index}`);
      assert.equal((await red.emitWithAck('ask', 'red', 'why')).length, 3);
    }
    const greetings = await reds[2].emitWithAck('sse', 'hello', 'you');
    assert.deepEqual(greetings, [`${GREETING[OURS]} you`]);
  });
}
