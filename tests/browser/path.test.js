// The path between the page and the server: it dies in silence, is slow, has a prefix, or is refused.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, loaded, notes, say, startServer, useWorld } from './harness.js';
import { startHttpProxy, startProxy } from './proxy.js';

const world = useWorld(() => startServer({ flags: ['--ping-interval', '2s', '--ping-timeout', '1s', '--rate', '0', '--max-payload', '100000', '--max-image-size', '70000'] }));

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  await loaded(page);
  return page;
}

async function lineOf(t, options) {
  const line = await startProxy(world.server.port, options);
  t.after(() => line.stop());
  return line;
}

const state = (page, name) => page.locator(`#state[data-state=${name}]`).waitFor();

test('a path that dies in silence is noticed without a word from the page, and what was missed comes over another one', async (t) => {
  const line = await lineOf(t);
  const ann = await visit('Ann', 'silent', { url: line.url });
  const ben = await visit('Ben', 'silent');
  await ann.locator('#people-title').getByText('(2)').waitFor();
  line.swallow();
  await say(ben, 'can you hear me?');
  await ann.locator('#state:not([data-state=connected])').waitFor();
  line.open();
  await state(ann, 'connected');
  await bubbles(ann, 'can you hear me?').waitFor();
});

test('what is said on a dead path is sent over another one, once', async (t) => {
  const line = await lineOf(t);
  const ann = await visit('Ann', 'dead', { url: line.url });
  const ben = await visit('Ben', 'dead');
  line.swallow();
  await say(ann, 'hello');
  await ann.locator('#state:not([data-state=connected])').waitFor();
  line.open();
  await bubbles(ben, 'hello').waitFor();
  await ann.locator('#lines [data-state=sent]').waitFor();
  await say(ann, 'marker');
  await bubbles(ben, 'marker').waitFor();
  assert.deepEqual(await ben.locator('#log .said').allTextContents(), ['hello', 'marker']);
});

test('the page asks at once when the browser says that its network is gone or has come', async (t) => {
  const line = await lineOf(t);
  const ann = await visit('Ann', 'network', { url: line.url });
  // A server on this machine can be reached without any network.
  const states = await notes(ann, '#state', 'data-state');
  await ann.evaluate(() => dispatchEvent(new Event('offline')));
  await eventually(states, ['connected', 'checking', 'connected']);
  line.swallow();
  await ann.evaluate(() => dispatchEvent(new Event('offline')));
  await eventually(async () => (await states())[3], 'checking');
  await ann.locator('#state:not([data-state=connected], [data-state=checking])').waitFor();
  line.open();
  await ann.evaluate(() => dispatchEvent(new Event('online')));
  await state(ann, 'connected');
  await inside(ann);
});

test('who leaves and enters at once over a slow path is in', async (t) => {
  const line = await lineOf(t, { delayMs: 100 });
  const ann = await visit('Ann', 'slow', { url: line.url });
  for (let round = 0; round < 3; round += 1) {
    await ann.click('#logout');
    await ann.click('#enter');
    await inside(ann);
    await state(ann, 'connected');
  }
  await say(ann, 'in');
  await ann.locator('#lines [data-state=sent]').waitFor();
});

test('who leaves on a dead path can enter as another user as soon as there is another path', async (t) => {
  const line = await lineOf(t);
  const page = await visit('Ann', 'dead-leave', { url: line.url });
  line.swallow();
  await page.click('#logout');
  await page.locator('#username').waitFor();
  line.open();
  await enter(page, 'Eve');
  await say(page, 'I am Eve');
  await page.locator('#lines [data-state=sent]').waitFor();
});

test('a picture that is too large for the server has failed, and can be tried again or discarded', async () => {
  // A page that was told more than the server takes.
  const prepare = (page) => page.route('**/limits', async (route) => {
    const limits = await (await route.fetch()).json();
    await route.fulfill({ json: { ...limits, max_payload: 10_000_000, max_image_size: 1_000_000 } });
  });
  const ann = await visit('Ann', 'large', { prepare });
  const noise = await ann.evaluate(async (seed) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 400, height: 300 });
    const context = canvas.getContext('2d');
    const pixels = context.createImageData(400, 300);
    for (let at = 0; at < pixels.data.length; at += 1) pixels.data[at] = at % 4 === 3 ? 255 : (seed[at % seed.length] * (at + 7)) % 251;
    context.putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, [...randomBytes(977)]);
  assert.ok(noise.length > 100_000, `${noise.length} bytes`);
  await ann.setInputFiles('#file', { name: 'noise.png', mimeType: 'image/png', buffer: Buffer.from(noise) });
  await ann.locator('#previews img').waitFor();
  await ann.press('#text', 'Enter');
  const failed = ann.locator('#pending [data-state=failed]');
  await failed.waitFor();
  await state(ann, 'connected');
  await say(ann, 'small');
  await ann.locator('#lines [data-state=sent]').getByText('SMALL!!!').waitFor();
  // The server ends that connection, too.
  await Promise.all([ann.waitForEvent('websocket'), failed.getByText('Try again').click()]);
  await state(ann, 'connected');
  await failed.waitFor();
  await ann.reload();
  await inside(ann);
  await failed.getByText('Discard').click();
  await failed.waitFor({ state: 'detached' });
  await say(ann, 'after');
  await ann.locator('#lines [data-state=sent]').getByText('AFTER!!!').waitFor();
});

test('the page works below a prefix of a proxy', async (t) => {
  const proxy = await startHttpProxy(world.server.port, { prefix: '/app' });
  t.after(() => proxy.stop());
  const ann = await visit('Ann', 'prefix', { url: `${proxy.url}/app` });
  const ben = await visit('Ben', 'prefix');
  await say(ann, 'from below');
  await bubbles(ben, 'from below').waitFor();
  await ann.locator('#rooms').getByText('prefix').waitFor();
  await ann.fill('#other-room', 'lobby');
  await ann.click('#room-form button');
  await ann.locator('#room-title').getByText('lobby').waitFor();
  await eventually(() => ann.url(), `${proxy.url}/app/`);
  await ann.reload();
  await inside(ann);
  await ann.goBack();
  await ann.locator('#room-title').getByText('prefix').waitFor();
  await inside(ann);
});

test('a page whose connection is refused says that the server is there, and where to look', async (t) => {
  const proxy = await startHttpProxy(world.server.port, { refusesSockets: true });
  t.after(() => proxy.stop());
  const page = await world.open({ url: proxy.url });
  await page.fill('#username', 'Ann');
  await page.click('#enter');
  await page.locator('#lines .gap').getByText('--allow-origin').waitFor();
  await page.click('#language');
  await page.locator('#lines .gap').getByText('拒绝了本页的连接').waitFor();
});

test('a name that has gone to another user is marked, live and in what was said before', async () => {
  const cat = await visit('Cat', 'uids');
  const first = await visit('Ann', 'uids');
  await say(first, 'the first Ann');
  await bubbles(cat, 'the first Ann').waitFor();
  await first.click('#logout');
  await cat.locator('#people-title').getByText('(1)').waitFor();
  const second = await visit('Ann', 'uids');
  await say(second, 'the second Ann');
  const marked = (page) => page.locator('#lines .message').filter({ has: page.locator('.another') }).locator('.said').allTextContents();
  await bubbles(cat, 'the second Ann').waitFor();
  await eventually(() => marked(cat), ['the second Ann']);
  await cat.locator('#lines .another').getByText('another user of this name').waitFor();
  await cat.reload();
  await bubbles(cat, 'the second Ann').waitFor();
  await eventually(() => marked(cat), ['the second Ann']);
  // The second Ann has not said what the first one said.
  const line = second.locator('#lines .message').filter({ hasText: 'the first Ann' });
  await eventually(() => line.getAttribute('data-ours'), 'false');
});
