// Writing: keys, input methods, emoji.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { bubbles, enter, useWorld } from './harness.js';

const world = useWorld();
let page;
let visits = 0;

beforeEach(async () => {
  page = await world.open();
  visits += 1;
  await enter(page, `Ann ${visits}`);
});


test('Enter sends, and Shift+Enter breaks the line', async () => {
  await page.fill('#text', 'first');
  await page.press('#text', 'Shift+Enter');
  await page.locator('#text').pressSequentially('second');
  assert.equal(await page.inputValue('#text'), 'first\nsecond');
  await page.press('#text', 'Enter');
  await bubbles(page, 'first').waitFor();
  assert.equal(await bubbles(page, 'first').innerText(), 'first\nsecond');
  assert.equal(await page.inputValue('#text'), '');
});

test('Enter that ends a composition sends nothing', async () => {
  await page.fill('#text', '你好');
  const press = (init) => page.locator('#text').evaluate((box, options) => {
    const event = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...options });
    box.dispatchEvent(event);
    return event.defaultPrevented;
  }, init);
  assert.equal(await press({ isComposing: true }), false);
  assert.equal(await press({ keyCode: 229 }), false);
  assert.equal(await page.inputValue('#text'), '你好');
  assert.equal(await press({}), true);
  await bubbles(page, '你好').waitFor();
  assert.equal(await bubbles(page, '你好').count(), 1);
});

test('nothing but white space is not sent', async () => {
  const before = await page.locator('#log .message').count();
  await page.fill('#text', ' \n ');
  await page.press('#text', 'Enter');
  await page.fill('#text', 'marker');
  await page.press('#text', 'Enter');
  await bubbles(page, 'marker').waitFor();
  assert.equal(await page.locator('#log .message').count(), before + 1);
});

test('emoji are picked by mouse and by keys', async () => {
  await page.fill('#text', 'so ');
  await page.click('#emoji');
  await page.locator('.emoji-panel button').nth(2).click();
  const picked = await page.locator('.emoji-panel button').nth(2).textContent();
  assert.equal(await page.inputValue('#text'), `so ${picked}`);
  assert.equal(await page.locator('.emoji-panel').isHidden(), true);
  await page.press('#emoji', 'Enter');
  await page.locator('.emoji-panel').waitFor();
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight']) await page.keyboard.press(key);
  await page.keyboard.press('Enter');
  const second = await page.locator('.emoji-panel button').nth(1).textContent();
  assert.equal(await page.inputValue('#text'), `so ${picked}${second}`);
  await page.press('#emoji', 'Enter');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.emoji-panel').isHidden(), true);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'emoji');
});
