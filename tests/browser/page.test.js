// The page as a whole: languages, themes, sizes, weight.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, eventually, say, useWorld } from './harness.js';

const world = useWorld();

test('the page speaks the language of the browser, and the other one on request', async () => {
  const page = await world.open({ locale: 'zh-CN' });
  await enter(page, '小本');
  await say(page, '早');
  await page.locator('#lines [data-state=sent]').getByText('已发送').waitFor();
  await eventually(() => page.locator('html').getAttribute('lang'), 'zh-CN');
  await eventually(() => page.locator('#text').getAttribute('placeholder'), '回车发送，Shift+回车换行');
  await page.click('#language');
  await page.locator('#lines [data-state=sent]').getByText('sent', { exact: true }).waitFor();
  await page.locator('#people-title').getByText('People (1)').waitFor();
  await eventually(() => page.locator('html').getAttribute('lang'), 'en-GB');
  await page.reload();
  await page.locator('#people-title').getByText('People (1)').waitFor();
});

test('the theme is that of the system, until another one is asked for', async () => {
  const page = await world.open({ colorScheme: 'dark' });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.click('#theme');
  const light = await eventually(paper, (colour) => colour !== dark);
  await page.reload();
  await eventually(paper, light);
  await page.click('#theme');
  await eventually(paper, dark);
});

test('the first load takes less than 150 kB of the network, the panel of the wire included', async () => {
  // By address: the list of rooms is asked for again and again.
  const sizes = new Map();
  const bodies = new Map();
  const page = await world.open({
    prepare: (opened) => {
      opened.on('requestfinished', (request) => sizes.set(request.url(), request.sizes()));
      opened.on('response', (response) => bodies.set(response.url(), response.body()));
    },
  });
  await page.locator('#wire .wire-tools').waitFor();
  await enter(page, 'Ann');
  await eventually(() => sizes.size, (files) => files > 20);
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  // As it is sent: compressed, with the heads of the answers.
  const sent = sum((await Promise.all(sizes.values())).map(({ responseBodySize, responseHeadersSize }) => responseBodySize + responseHeadersSize));
  // As a browser has to read it.
  const read = sum((await Promise.all(bodies.values())).map(({ length }) => length));
  assert.ok(sent < 150_000, `${sent} bytes are sent`);
  assert.ok(read < 240_000, `${read} bytes are read`);
});

/** How far something is wider than the window. */
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const [what, viewport] of [['on a narrow phone', { width: 320, height: 640 }], ['at 200 % zoom', { width: 640, height: 400 }], ['on a wide screen', { width: 2560, height: 1300 }]]) {
  test(`everything can be reached ${what}`, async () => {
    const page = await world.open({ path: '/?room=a-room-with-a-rather-long-name-that-does-not-fit', viewport });
    await page.locator('#username').waitFor();
    await eventually(() => overflow(page), (pixels) => pixels <= 0);
    await enter(page, `Somebody ${what.slice(0, 12)}`);
    await say(page, `${'long'.repeat(100)} and some more`);
    await page.locator('#lines [data-state=sent]').waitFor();
    await eventually(() => overflow(page), (pixels) => pixels <= 0);
    for (const id of ['text', 'send', 'emoji', 'image', 'language', 'theme', 'wire-toggle', 'logout']) {
      await eventually(async () => [id, await page.locator(`#${id}`).boundingBox()], ([, box]) =>
        box && box.x >= 0 && box.x + box.width <= viewport.width + 1 && box.y + box.height <= viewport.height + 1);
    }
    await eventually(() => page.locator('#log').boundingBox(), ({ height }) => height > 60);
    if (await page.locator('#side-toggle').isVisible()) await page.click('#side-toggle');
    await page.locator('#people .you').waitFor();
    await page.locator('#other-room').waitFor();
  });
}

test('the keyboard is enough', async () => {
  const page = await world.open();
  await page.locator('#username').waitFor();
  await page.keyboard.type('Kay');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.locator('#people .you').waitFor();
  await eventually(() => page.evaluate(() => document.activeElement.id), 'text');
  await page.keyboard.type('hello');
  await page.keyboard.press('Enter');
  await page.locator('#lines [data-state=sent]').waitFor();
  const reached = new Set();
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id));
  }
  for (const id of ['emoji', 'image', 'send', 'logout', 'log', 'other-room', 'wire-toggle', 'language', 'theme']) assert.ok(reached.has(id), id);
});
