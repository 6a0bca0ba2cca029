// A narrow page: rooms and people are a drawer, and the bar stays one line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, eventually, inside, startServer, useWorld } from './harness.js';

const world = useWorld(startServer);
const phone = { viewport: { width: 390, height: 780 }, hasTouch: true };

async function visit(username, room, options = phone) {
  const page = await world.open({ path: `/?room=${encodeURIComponent(room)}`, ...options });
  await enter(page, username);
  return page;
}

test('the drawer closes by a tap outside, by Escape, by its button, and by a choice', async () => {
  const ann = await visit('Ann', 'drawer');
  const expanded = () => ann.locator('#side-toggle').getAttribute('aria-expanded');
  const open = async () => {
    await ann.click('#side-toggle');
    await ann.locator('#side').waitFor({ state: 'visible' });
    await eventually(expanded, 'true');
  };
  for (const close of [
    () => ann.touchscreen.tap(380, 400),
    () => ann.keyboard.press('Escape'),
    () => ann.click('#side-toggle'),
    () => ann.locator('#rooms a', { hasText: 'lobby' }).click(),
  ]) {
    await open();
    await close();
    await ann.locator('#side').waitFor({ state: 'hidden' });
    await eventually(expanded, 'false');
  }
  // In a room one begins to write.
  await ann.locator('#room-title').getByText('lobby').waitFor();
  await inside(ann);
  await open();
  await ann.focus('#other-room');
  await ann.keyboard.press('Escape');
  await ann.locator('#side').waitFor({ state: 'hidden' });
  await eventually(() => ann.evaluate(() => document.activeElement.id), 'side-toggle');
});

test('a room with a long name leaves the bar one line, in both languages', async () => {
  for (const locale of ['en-GB', 'zh-CN']) {
    const ann = await visit(`Ann ${locale}`, 'a very long name of a room that goes on and on and on and on', { ...phone, locale });
    const short = await visit(`Ben ${locale}`, 'short', { ...phone, locale });
    const heights = () => Promise.all([ann, short].map((page) => page.locator('#bar').evaluate((bar) => bar.offsetHeight)));
    await eventually(heights, ([long, one]) => long === one && long < 64);
    await eventually(() => ann.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await ann.locator('#logout').waitFor();
    await ann.locator('#state').waitFor();
  }
});
