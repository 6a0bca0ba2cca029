// A picture that has not been sent is not lost without a word: the browser asks before the page goes, as many pictures as
// the tab's storage takes survive a reload, and the page tells how many did not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, say, useWorld } from './harness.js';

const world = useWorld();
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const FILE = { name: 'dot.png', mimeType: 'image/png', buffer: PNG };

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  return page;
}

/** Holds back what the page makes of pictures until `letGo` is called in it. */
const holdPictures = (page) => page.evaluate(() => {
  const create = globalThis.createImageBitmap;
  const gate = new Promise((resolve) => { globalThis.letGo = resolve; });
  globalThis.createImageBitmap = (...args) => gate.then(() => create(...args));
});

/** Closes the page as its reader would; the browser asks first, and the reader stays. */
async function staysWhenAsked(page) {
  const asked = page.waitForEvent('dialog');
  await page.close({ runBeforeUnload: true });
  const dialog = await asked;
  assert.equal(dialog.type(), 'beforeunload');
  await dialog.dismiss();
}

test('the browser asks before the page goes while a picture is being prepared, and while one is unsent', async () => {
  const ann = await visit('Ann', 'asks');
  await holdPictures(ann);
  await ann.setInputFiles('#file', FILE);
  await ann.locator('#previews').getByText('being prepared').waitFor();
  await staysWhenAsked(ann);
  await ann.evaluate(() => globalThis.letGo());
  await ann.locator('#previews img').waitFor();
  await staysWhenAsked(ann);
  await ann.press('#text', 'Enter');
  await ann.locator('#lines [data-state=sent]').waitFor();
  // Nothing is unsent any more, so that the browser does not ask.
  let dialogs = 0;
  ann.on('dialog', (dialog) => {
    dialogs += 1;
    dialog.accept();
  });
  await ann.reload();
  await inside(ann);
  assert.equal(dialogs, 0);
});

for (const [locale, what] of [['en-GB', /^2 pictures that were not sent were lost/], ['zh-CN', /^页面重新加载时丢失了 2 张未发送的图片/]]) {
  test(`after a reload the page tells how many pictures were lost in preparation, and has the others and the text (${locale})`, async () => {
    const ann = await visit('Ann', `lost-${locale}`, { locale });
    ann.on('dialog', (dialog) => dialog.accept());
    await ann.setInputFiles('#file', FILE);
    await ann.locator('#previews img').waitFor();
    await ann.fill('#text', 'a caption');
    await holdPictures(ann);
    await ann.setInputFiles('#file', [FILE, FILE]);
    await eventually(() => ann.locator('#previews li').count(), 3);
    await ann.reload();
    await inside(ann);
    await eventually(() => ann.locator('#hint').textContent(), what);
    await eventually(() => ann.locator('#previews img').count(), 1);
    await eventually(() => ann.inputValue('#text'), 'a caption');
    await ann.reload();
    await inside(ann);
    await ann.locator('#previews img').waitFor();
    assert.equal(await ann.locator('#hint').textContent(), '', 'it is told once');
  });
}

test('pictures that wait to be sent and are more than the storage takes are sent as far as they were kept', async () => {
  const ben = await visit('Ben', 'many');
  let isOpen = true;
  const routes = new Set();
  const prepare = (page) => page.routeWebSocket('**/chat', (route) => {
    if (!isOpen) return route.close();
    routes.add(route);
    return route.connectToServer();
  });
  const ann = await visit('Ann', 'many', { prepare });
  ann.on('dialog', (dialog) => dialog.accept());
  isOpen = false;
  for (const route of routes) await route.close({ code: 1012 });
  await ann.locator('#state:not([data-state=connected])').waitFor();
  // So much that what is left takes one of the two pictures.
  await ann.evaluate(() => {
    const { setItem } = Storage.prototype;
    Storage.prototype.setItem = function set(key, value) {
      if (key === 'echoroom.outbox' && JSON.parse(value).filter(({ img }) => img).length > 1) throw new DOMException('full', 'QuotaExceededError');
      return setItem.call(this, key, value);
    };
  });
  for (let number = 1; number <= 2; number += 1) {
    await ann.setInputFiles('#file', FILE);
    await ann.locator('#previews img').waitFor();
    await say(ann, `picture ${number}`);
  }
  await eventually(() => ann.locator('#pending .message').count(), 4);
  await ann.reload();
  await eventually(() => ann.locator('#hint').textContent(), /^1 picture that was not sent was lost/);
  isOpen = true;
  await ann.locator('#connect').dispatchEvent('click');
  await bubbles(ben, 'picture 2').waitFor();
  await eventually(() => ben.locator('#lines .picture').count(), 1);
});
