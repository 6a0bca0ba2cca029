// All servers of this crate have one order of events in namespaces that recover.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../harness.js';
import { settled, startNodes, withoutOffset } from './nodes.js';
import { startRedis } from './redis.js';

test('clients of both servers hear the events of both in one order, each once', { skip: Boolean(process.env.CLUSTER_OURS) }, async (t) => {
  const redis = await startRedis();
  const nodes = await startNodes(redis, 'streams', ['echoroom', 'echoroom']);
  t.after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await redis.stop();
  });
  const clients = await Promise.all([0, 0, 1, 1].map((index) => nodes[index].enter('red')));
  await settled(redis, 'streams', 'red', clients);
  for (let number = 0; number < 1000; number += 1) {
    clients.forEach((client, from) => client.emit(...(number % 2 ? ['to', 'red'] : ['all']), 'event', from, number));
    if (number % 20 === 0) await new Promise(setImmediate);
  }
  await until('all events', () => clients.every(({ heard }) => heard.length === 4000));
  const [first, ...others] = clients.map((client) => client.heard.map(([, ...args]) => withoutOffset(client, args)));
  for (const other of others) assert.deepEqual(other, first);
  for (const index of clients.keys()) {
    assert.deepEqual(first.filter(([from]) => from === index).map(([, number]) => number), [...Array(1000).keys()]);
  }
  // Offsets rise.
  const offsets = clients[0].heard.map((args) => args.at(-1).split('-').map(Number));
  assert.ok(offsets.every(([time, count], index) => index === 0 || time > offsets[index - 1][0] || count > offsets[index - 1][1]));
});
