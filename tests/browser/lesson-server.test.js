// The lesson about the server's side: the log of the page's own session, beside the methods that write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startServer, useWorld } from './harness.js';

const world = useWorld();

async function openLesson(options) {
  const page = await world.open({ path: '/#lessons/server', ...options });
  await page.locator('.lesson .snippet').nth(1).waitFor();
  return page;
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const browser = (page) => page.locator('.lesson-log').nth(0);
const log = (page) => page.locator('.lesson-log').nth(1);
const methods = (page) => log(page).locator('li:not(.remark) code').allTextContents();
const session = async (page) => (await log(page).locator('li').first().textContent()).match(/s\d+ opened/)[0];
/** The lines of the programs that are marked. */
const marked = (page) => page.locator('.snippet').evaluateAll((all) =>
  all.map((one) => [...one.querySelectorAll('.part.marked')].map(({ textContent }) => textContent).join('')));

test('one sees what one’s own session writes to the log, and which method writes it', async () => {
  const page = await openLesson();
  await button(page, 'Connect').click();
  await log(page).getByText(/INFO s\d+ opened: plain session in room "lesson-[0-9a-f]{8}" from 127\.0\.0\.1/).waitFor();
  await eventually(async () => (await marked(page))[0], /createServer/);
  await eventually(async () => (await marked(page))[1], /fn started/);
  await page.getByLabel('Text to send').fill('你好 hello');
  await button(page, 'Send').click();
  await browser(page).getByText('你好 HELLO!!!').waitFor();
  await log(page).getByText(/DEBUG s\d+ sent a text of 12 bytes/).waitFor();
  await eventually(async () => (await marked(page))[1], /fn handle/);
  await button(page, 'Close').click();
  await log(page).getByText(/INFO s\d+ closed: closed by the peer with 1000, after [\d.]+ s and 1 messages/).waitFor();
  await eventually(async () => (await marked(page))[1], /fn stopped/);
  await browser(page).getByText('1000 normal closure').waitFor();
  await eventually(() => methods(page), ['started', 'handle', 'stopped']);
});

test('a rule that is broken ends the session, and its log says which', async () => {
  const page = await openLesson();
  await button(page, 'Connect').click();
  await button(page, 'Send too much').click();
  await log(page).getByText(/closed: .*\(1009\)/).waitFor();
  await browser(page).getByText('1009 message too big').waitFor();
  await eventually(() => button(page, 'Send').isDisabled(), true);
});

test('two pages see two sessions, each its own', async () => {
  const [one, other] = [await openLesson(), await openLesson()];
  for (const page of [one, other]) {
    await button(page, 'Connect').click();
    await log(page).getByText('opened: plain session').waitFor();
  }
  await one.getByLabel('Text to send').fill('one');
  await button(one, 'Send').click();
  await log(one).getByText('sent a text of 3 bytes').waitFor();
  await button(other, 'Close').click();
  await log(other).getByText('closed by the peer').waitFor();
  // A line of the other one would have come before this one.
  await button(one, 'Send').click();
  await log(one).getByText('sent a text of 3 bytes').nth(1).waitFor();
  assert.deepEqual(await methods(one), ['started', 'handle', 'handle']);
  assert.deepEqual(await methods(other), ['started', 'stopped']);
  assert.notEqual(await session(one), await session(other));
});

test('who connects again begins anew, and who leaves the lesson ends its session', async () => {
  const page = await openLesson();
  let before = null;
  for (let round = 0; round < 2; round += 1) {
    await button(page, 'Connect').click();
    const last = before;
    before = await eventually(() => session(page), (one) => one !== last);
    await eventually(() => methods(page), ['started']);
  }
  await page.goto(`${world.server.url}/#lessons/socket`);
  // Of each session its own connection, and the one that tells its log.
  await eventually(() => page.locator('.wire-connections li').filter({ hasText: '/lesson/' })
    .evaluateAll((all) => all.map(({ dataset }) => dataset.state)), Array(4).fill('CLOSED'));
});

test('a server without lessons is told in words', async (t) => {
  const without = await startServer({ flags: ['--lessons', 'off'] });
  t.after(() => without.stop());
  const page = await openLesson({ url: without.url });
  await page.getByText('switched off').waitFor();
  await eventually(() => button(page, 'Connect').isDisabled(), true);
});
