// Writing: keys, input methods, emoji.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { bubbles, enter, eventually, useWorld } from './harness.js';

const world = useWorld();
let page;
let visits = 0;

beforeEach(async () => {
  visits += 1;
  // A room of its own, without what was said before.
  page = await world.open({ path: `/?room=composing-${visits}` });
  await enter(page, 'Ann');
});

const text = () => page.inputValue('#text');
const said = () => page.locator('#log .said').allTextContents();

test('Enter sends, and Shift+Enter breaks the line', async () => {
  await page.fill('#text', 'first');
  await page.press('#text', 'Shift+Enter');
  await page.locator('#text').pressSequentially('second');
  await eventually(text, 'first\nsecond');
  await page.press('#text', 'Enter');
  await bubbles(page, 'first').waitFor();
  await eventually(() => bubbles(page, 'first').innerText(), 'first\nsecond');
  await eventually(text, '');
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
  assert.equal(await text(), '你好');
  assert.equal(await press({}), true);
  await bubbles(page, '你好').waitFor();
  await page.fill('#text', 'marker');
  await page.press('#text', 'Enter');
  await page.locator('#lines [data-state=sent]').nth(1).waitFor();
  assert.deepEqual(await said(), ['你好', 'marker']);
});

test('nothing but white space is not sent', async () => {
  await page.fill('#text', ' \n ');
  await page.press('#text', 'Enter');
  await page.fill('#text', 'marker');
  await page.press('#text', 'Enter');
  await page.locator('#lines [data-state=sent]').waitFor();
  assert.deepEqual(await said(), ['marker']);
});

test('emoji are picked by mouse and by keys', async () => {
  await page.fill('#text', 'so ');
  await page.click('#emoji');
  await page.locator('.emoji-panel button').nth(2).click();
  const picked = await page.locator('.emoji-panel button').nth(2).textContent();
  await eventually(text, `so ${picked}`);
  await page.locator('.emoji-panel').waitFor({ state: 'hidden' });
  await page.press('#emoji', 'Enter');
  await page.locator('.emoji-panel').waitFor();
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight']) await page.keyboard.press(key);
  await page.keyboard.press('Enter');
  const second = await page.locator('.emoji-panel button').nth(1).textContent();
  await eventually(text, `so ${picked}${second}`);
  await page.press('#emoji', 'Enter');
  await page.locator('.emoji-panel').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.emoji-panel').waitFor({ state: 'hidden' });
  await eventually(() => page.evaluate(() => document.activeElement.id), 'emoji');
});
