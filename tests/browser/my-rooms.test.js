// One's own rooms: they stay in the list, say how much is unread, and the log says where that begins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd, numbered } from './crowd.js';
import { bubbles, enter, eventually, inside, say, startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--rate', '0'] }));

async function visit(username, room) {
  const page = await world.open({ path: `/?room=${encodeURIComponent(room)}` });
  await enter(page, username);
  return page;
}

async function goTo(page, room) {
  await page.fill('#other-room', room);
  await page.click('#room-form button');
  await page.locator('#room-title').getByText(room, { exact: true }).waitFor();
  await inside(page);
}

const entry = (page, room) => page.locator(`#rooms a[data-room="${room}"]`);
const listed = (page) => page.locator('#rooms .name').allTextContents();
/** What was said, and the line above what is new. */
const marked = (page) => page.locator('#lines > .message .said, #lines > .new').allTextContents();

test('the lobby and the rooms that one was in stay in the list when they have no members', async () => {
  const ann = await visit('Ann', 'mine 10');
  await goTo(ann, 'mine 2');
  await goTo(ann, 'last');
  await entry(ann, 'mine 2').locator('.count').getByText('0', { exact: true }).waitFor();
  await entry(ann, 'mine 10').locator('.count').getByText('0', { exact: true }).waitFor();
  await eventually(async () => (await listed(ann)).slice(0, 4), ['lobby', 'last', 'mine 2', 'mine 10']);
  await ann.reload();
  await inside(ann);
  await eventually(async () => (await listed(ann)).slice(0, 4), ['lobby', 'last', 'mine 2', 'mine 10']);
  await entry(ann, 'mine 2').click();
  await ann.locator('#room-title').getByText('mine 2').waitFor();
});

test('a room says how many messages are unread there, and its log where they begin', async () => {
  const ann = await visit('Ann', 'news');
  const members = await crowd(world, 'news');
  await members.join(['Ben']);
  await members.say('Ben', numbered(1, 2));
  await bubbles(ann, 'number 2').waitFor();
  await entry(ann, 'news').locator('.count').getByText('2', { exact: true }).waitFor();
  await goTo(ann, 'quiet');
  await entry(ann, 'news').locator('.count').getByText('1', { exact: true }).waitFor();
  assert.equal(await entry(ann, 'news').locator('.unread').count(), 0);
  await members.say('Ben', numbered(3, 5));
  await entry(ann, 'news').locator('.unread').getByText('3 new').waitFor();
  // The room has no members any more, and what was said there is unread all the same.
  await members.leave(['Ben']);
  await entry(ann, 'news').locator('.count').getByText('0', { exact: true }).waitFor();
  await entry(ann, 'news').locator('.unread').getByText('3 new').waitFor();
  await entry(ann, 'news').click();
  await bubbles(ann, 'number 5').waitFor();
  await eventually(() => marked(ann), ['number 1', 'number 2', 'New', 'number 3', 'number 4', 'number 5']);
  await eventually(() => ann.locator('#rooms .unread').count(), 0);
});

test('messages that come while the page is not in sight begin with a line, until their reader answers', async () => {
  const ann = await visit('Ann', 'away');
  const ben = await visit('Ben', 'away');
  await say(ben, 'seen');
  await bubbles(ann, 'seen').waitFor();
  await ann.evaluate(() => { document.hasFocus = () => false; });
  await say(ben, 'first');
  await say(ben, 'second');
  await bubbles(ann, 'second').waitFor();
  await eventually(() => marked(ann), ['seen', 'New', 'first', 'second']);
  await ann.evaluate(() => { delete document.hasFocus; dispatchEvent(new Event('focus')); });
  await say(ann, 'here I am');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await eventually(() => marked(ann), ['seen', 'first', 'second', 'here I am']);
});

test('who logs out leaves no rooms of theirs to the next user', async () => {
  const ann = await visit('Ann', 'secret plans');
  await goTo(ann, 'cover');
  await ann.click('#logout');
  await enter(ann, 'Eve');
  await eventually(() => listed(ann), (rooms) => rooms.includes('cover') && !rooms.includes('secret plans'));
});
