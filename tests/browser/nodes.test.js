// Two nodes behind nginx are one server for those who use the page, also when one of the two dies.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, loaded, notes, say, useWorld, willLose } from './harness.js';
import { startNodes } from './nodes.js';

const world = useWorld(() => startNodes(['--rate', '0', '--node-lease', '3s']));

const visit = async (username, url = world.server.url) => {
  const page = await world.open({ path: '/?room=tea', url });
  await enter(page, username);
  await loaded(page);
  return page;
};
const names = async (page) => (await page.locator('#people .name').allTextContents()).sort();
const sessions = async (node) => (await (await fetch(`${node.url}/health`)).json()).sessions;

test('requests of a session that polls go to its node', async () => {
  const seen = new Set();
  const poll = (query, options) => fetch(`${world.server.url}/socket.io/?EIO=4&transport=polling${query}`, options);
  for (let number = 0; number < 12; number += 1) {
    const { sid } = JSON.parse((await (await poll('')).text()).slice(1));
    seen.add(sid.slice(0, 4));
    assert.equal(await (await poll(`&sid=${sid}`, { method: 'POST', body: '40' })).text(), 'ok');
    assert.match(await (await poll(`&sid=${sid}`)).text(), /^40\{"sid":/);
    assert.equal(await (await poll(`&sid=${sid}`, { method: 'POST', body: '1' })).text(), 'ok');
  }
  assert.deepEqual([...seen].sort(), ['one1', 'two2']);
});

test('the lesson that shows the log of a session opens that session at the node that tells its log', async () => {
  const page = await world.open({ path: '/#lessons/server' });
  for (let number = 0; number < 3; number += 1) {
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.locator('.lesson-log').nth(1).getByText('opened: plain session in room').waitFor();
    await page.getByRole('button', { name: 'Close', exact: true }).click();
    await page.locator('.lesson-log').nth(1).getByText('closed: closed by the peer with 1000').waitFor();
  }
});

test('a user whose node dies goes on at the other one, misses nothing, and is not seen leaving', async () => {
  const { one1, two2 } = world.server.nodes;
  const ann = await visit('Ann');
  const counts = () => Promise.all([one1, two2].map(sessions));
  const [atOne] = await eventually(counts, ([one, two]) => one + two === 1);
  const [hers, other] = atOne ? [one1, two2] : [two2, one1];
  const ben = await visit('Ben', other.url);
  const cat = await visit('Cat', hers.url);
  for (const page of [ann, ben, cat]) await eventually(() => names(page), ['Ann', 'Ben', 'Cat']);
  await say(ann, 'from one node');
  await bubbles(ben, 'from one node').waitFor();
  await say(ben, 'from the other');
  await bubbles(ann, 'from the other').waitFor();
  await willLose(ann);
  const people = await notes(ben, '#people');

  await hers.kill();
  await say(ben, 'meanwhile');
  await say(ann, 'written at once');
  await inside(ann);
  await bubbles(ann, 'meanwhile').waitFor();
  await bubbles(ben, 'written at once').waitFor();
  await eventually(() => sessions(other), 2);
  // The users of the node that have not come back are gone once its lease is over.
  await ben.getByText('Cat left').waitFor();
  await eventually(() => names(ben), ['Ann', 'Ben']);
  await eventually(() => names(ann), ['Ann', 'Ben']);
  assert.ok((await people()).every((text) => text.includes('Ann')), 'Ann was there all the time');
  assert.equal(await ben.getByText('Ann left').count(), 0);
  await say(ann, 'the end');
  await bubbles(ben, 'the end').waitFor();
  const [anns, bens] = await Promise.all([ann, ben].map((page) => page.locator('#log .said').allTextContents()));
  assert.deepEqual(anns, bens);
  assert.equal(new Set(bens).size, 5, String(bens));
});
