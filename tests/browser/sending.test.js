// Nothing that was said is lost or said twice: offline, over a reload, and over a restart of the server.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { bubbles, enter, eventually, inside, say, startServer, useWorld, willLose } from './harness.js';

const folder = await mkdtemp(path.join(tmpdir(), 'echoroom-'));
const start = (port = 0) => startServer({ port, flags: ['--journal', 'sqlite', '--data-dir', folder] });
const world = useWorld(start);
after(() => rm(folder, { recursive: true }));

async function visit(username, room, prepare) {
  const page = await world.open({ path: `/?room=${room}`, prepare });
  await enter(page, username);
  return page;
}

/** What stands in the log, in order. */
const said = (page) => page.locator('#log .said').allTextContents();
const state = (page, text) => page.locator('#log .message').filter({ hasText: text }).getAttribute('data-state');

test('a message is shown at once, and says when it is kept', async () => {
  const ann = await visit('Ann', 'states');
  // Every state it is ever in.
  await ann.evaluate(() => {
    window.states = [];
    new MutationObserver((changes) => {
      for (const { target } of changes) window.states.push(target.dataset.state);
    }).observe(document.getElementById('log'), { subtree: true, attributeFilter: ['data-state'] });
  });
  await say(ann, 'hello');
  await ann.locator('#lines [data-state=sent]').getByText('HELLO!!!').waitFor();
  await eventually(() => ann.locator('#pending li').count(), 0);
  await eventually(() => ann.evaluate(() => window.states.at(-1)), 'sent');
});

test('a server that restarts in mid-conversation loses nothing and says nothing twice', async () => {
  const [ann, ben] = [await visit('Ann', 'restart'), await visit('Ben', 'restart')];
  await say(ann, 'one');
  await bubbles(ben, 'one').waitFor();
  const { port } = world.server;
  await willLose(ann, ben);
  await world.server.stop();
  for (const page of [ann, ben]) await page.locator('#state[data-state=waiting]').waitFor();
  await say(ann, 'two, while it is away');
  await say(ben, 'three, too');
  await eventually(() => state(ann, 'two'), 'waiting');
  world.server = await start(port);
  for (const page of [ann, ben]) {
    await inside(page);
    await bubbles(page, 'two').waitFor();
    await bubbles(page, 'three').waitFor();
  }
  await say(ann, 'last');
  await bubbles(ben, 'last').waitFor();
  await ann.locator('#lines [data-state=sent]').filter({ hasText: 'last' }).waitFor();
  const [annSaw, benSaw] = [await said(ann), await said(ben)];
  assert.deepEqual(annSaw, benSaw);
  assert.deepEqual([...annSaw].sort(), ['last', 'one', 'three, too', 'two, while it is away']);
  assert.equal(await ann.locator('.gap').count(), 0, 'all was recovered');
});

test('what waits to be sent survives a reload, and is sent once', async () => {
  const ben = await visit('Ben', 'unsent');
  let isOpen = true;
  const routes = new Set();
  const ann = await visit('Ann', 'unsent', (page) => page.routeWebSocket('**/chat', (route) => {
    if (!isOpen) return route.close();
    routes.add(route);
    return route.connectToServer();
  }));
  isOpen = false;
  for (const route of routes) await route.close({ code: 1012 });
  await ann.locator('#state:not([data-state=connected])').waitFor();
  for (const text of ['first', 'second', 'third']) await say(ann, text);
  await ann.locator('#pending [data-state=waiting]').nth(2).waitFor();
  await ann.reload();
  await ann.locator('#pending [data-state=waiting]').nth(2).waitFor();
  isOpen = true;
  // By an event: the button is not seen while the page tries by itself.
  await ann.locator('#connect').dispatchEvent('click');
  await ann.locator('#lines [data-state=sent]').nth(2).waitFor();
  await eventually(() => said(ann), ['first', 'second', 'third']);
  await bubbles(ben, 'third').waitFor();
  await say(ann, 'marker');
  await bubbles(ben, 'marker').waitFor();
  assert.deepEqual(await said(ben), ['first', 'second', 'third', 'marker']);
});

test('a message whose ack was lost is sent again, and said once', async () => {
  const ben = await visit('Ben', 'acks');
  let loses = false;
  const ann = await visit('Ann', 'acks', (page) => page.routeWebSocket('**/chat', (route) => {
    const upstream = route.connectToServer();
    upstream.onMessage((text) => {
      if (loses && /"ack"|receiveMessage/.test(text)) {
        loses = false;
        upstream.close();
        route.close({ code: 1012 });
      } else {
        route.send(text);
      }
    });
  }));
  loses = true;
  await say(ann, 'once');
  await bubbles(ben, 'once').waitFor();
  await ann.locator('#lines [data-state=sent]').getByText('ONCE!!!').waitFor();
  await say(ann, 'after');
  await bubbles(ben, 'after').waitFor();
  assert.deepEqual(await said(ben), ['once', 'after']);
  await eventually(() => said(ann), ['once', 'after']);
});

test('a message that the server refuses can be tried again or discarded', async () => {
  // The page believes that more is allowed than is.
  const limits = { max_message_size: 1_000_000 };
  const ann = await visit('Ann', 'refused', (page) => page.route('**/limits', (route) => route.fulfill({ json: limits })));
  await say(ann, `big ${'x'.repeat(70_000)}`);
  const failed = ann.locator('#pending [data-state=failed]');
  await failed.getByText('too large for this server').waitFor();
  await say(ann, 'small');
  await ann.locator('#lines [data-state=sent]').filter({ hasText: 'small' }).waitFor();
  await failed.getByText('Try again').click();
  await failed.getByText('too large for this server').waitFor();
  await failed.getByText('Discard').click();
  await failed.waitFor({ state: 'detached' });
});

test('a text over the limit is refused before it is sent, and stays', async () => {
  const ann = await visit('Ann', 'limit');
  await ann.fill('#text', '多'.repeat(30_000));
  await ann.press('#text', 'Enter');
  await ann.locator('#hint').getByText('at most 64 KiB; this one has 88 KiB').waitFor();
  await eventually(async () => (await ann.inputValue('#text')).length, 30_000);
});

test('an image that waits is sent when the connection is back', async () => {
  const [ann, ben] = [await visit('Ann', 'image'), await visit('Ben', 'image')];
  const { port } = world.server;
  await willLose(ann, ben);
  await world.server.stop();
  await ann.locator('#state[data-state=waiting]').waitFor();
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  await ann.setInputFiles('#file', { name: 'dot.png', mimeType: 'image/png', buffer: png });
  await ann.locator('#previews img').waitFor();
  await ann.click('#send');
  await ann.locator('#pending .picture').waitFor();
  world.server = await start(port);
  await ben.locator('#lines .picture').waitFor();
  await ann.locator('#lines .picture').waitFor();
  await say(ann, 'marker');
  await bubbles(ben, 'marker').waitFor();
  assert.equal(await ben.locator('.picture').count(), 1);
});

test('a page that comes online connects at once', async () => {
  // Each wait is nearly as long as it can be.
  const ann = await visit('Ann', 'online', (page) => page.addInitScript(() => { Math.random = () => 0.9; }));
  const { port } = world.server;
  await willLose(ann);
  await world.server.stop();
  // While the next try by itself is far away, it tries with the event.
  const state = await ann.waitForFunction(() => {
    const { dataset, textContent } = document.getElementById('state');
    if (!/in ([5-9]|1\d) s/.test(textContent)) return null;
    const before = dataset.state;
    dispatchEvent(new Event('online'));
    return `${before}, then ${dataset.state}`;
  });
  assert.equal(await state.jsonValue(), 'waiting, then connecting');
  world.server = await start(port);
  await ann.evaluate(() => dispatchEvent(new Event('online')));
  await inside(ann);
});
