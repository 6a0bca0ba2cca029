// A narrow page: rooms and people are a drawer, and the bar stays one line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, startServer, useWorld } from './harness.js';

const world = useWorld(startServer);
const phone = { viewport: { width: 390, height: 780 }, hasTouch: true };

async function visit(username, room, options = phone) {
  const page = await world.open({ path: `/?room=${encodeURIComponent(room)}`, ...options });
  await enter(page, username);
  return page;
}

test('the drawer closes by a tap outside, by Escape, by its button, and by a choice', async () => {
  const ann = await visit('Ann', 'drawer');
  const isOpen = () => ann.locator('#side').isVisible();
  const open = async () => {
    await ann.click('#side-toggle');
    await ann.locator('#side').waitFor({ state: 'visible' });
    assert.equal(await ann.locator('#side-toggle').getAttribute('aria-expanded'), 'true');
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
    assert.equal(await ann.locator('#side-toggle').getAttribute('aria-expanded'), 'false');
  }
  await open();
  await ann.focus('#other-room');
  await ann.keyboard.press('Escape');
  assert.equal(await isOpen(), false);
  assert.equal(await ann.evaluate(() => document.activeElement.id), 'side-toggle');
});

test('a room with a long name leaves the bar one line, in both languages', async () => {
  for (const locale of ['en-GB', 'zh-CN']) {
    const ann = await visit(`Ann ${locale}`, 'a very long name of a room that goes on and on and on and on', { ...phone, locale });
    const short = await visit(`Ben ${locale}`, 'short', { ...phone, locale });
    const heights = await Promise.all([ann, short].map((page) => page.locator('#bar').evaluate((bar) => bar.offsetHeight)));
    assert.equal(heights[0], heights[1]);
    assert.ok(heights[0] < 64, `${heights}`);
    assert.equal(await ann.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    assert.ok(await ann.locator('#leave').isVisible() && await ann.locator('#state').isVisible());
  }
});
