// The list of the wire follows what comes, until its reader scrolls.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, eventually, say, startServer, useWorld } from './harness.js';
import { openPanel as openPanelIn } from './wire-panel.js';

const world = useWorld();

/** Makes `connection(texts)`: one that says so many texts and is gone, as before a reconnect. */
function makeConnections() {
  window.connection = (texts, name = '/echo') => new Promise((resolve) => {
    const socket = window.recorder.open(`${location.origin.replace('http', 'ws')}/echo`, [], name);
    let heard = 0;
    socket.addEventListener('open', () => texts.forEach((text) => socket.send(text)));
    socket.addEventListener('message', () => {
      heard += 1;
      if (heard === texts.length) socket.close(1000);
    });
    socket.addEventListener('close', () => resolve());
  });
}

const openPanel = (options) => openPanelIn(world, options, makeConnections);

/** Two frames: what has come is written with the next one, and laid out anew. */
const settled = (page) => page.evaluate(() => new Promise((resolve) => {
  requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}));

/** How far the end of the list is out of sight. */
async function distance(page) {
  await settled(page);
  return page.locator('.wire-list').evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
}

const isAtEnd = (far) => far < 24;
/** Waits until the list has been given what a connection said last. */
const listed = (page, text) => page.locator('.wire-list li').filter({ hasText: text }).last().waitFor({ state: 'attached' });

const texts = (word, count) => Array.from({ length: count }, (_, at) => `${word} ${at}`);
const scrollUp = async (page) => {
  await page.locator('.wire-list').hover();
  await page.mouse.wheel(0, -300);
  await page.waitForFunction(() => {
    const box = document.querySelector('.wire-list');
    return box.scrollHeight - box.scrollTop - box.clientHeight > 100;
  });
  await settled(page);
};

test('the list follows over any number of reconnects', async () => {
  const page = await openPanel();
  await page.evaluate((many) => window.connection(many), texts('first', 60));
  await listed(page, 'first 59');
  await eventually(() => distance(page), isAtEnd);
  for (let at = 0; at < 6; at += 1) {
    await page.evaluate((many) => window.connection(many, `again ${'with a long name '.repeat(4)}`), texts(`again ${at}`, 3));
    await listed(page, `again ${at} 2`);
    await eventually(() => distance(page), isAtEnd, `after ${at + 1} reconnects`);
  }
  await page.locator('.wire-end').waitFor({ state: 'hidden' });
});

test('who scrolls up stays there over a reconnect, and follows again from the end on', async () => {
  const page = await openPanel();
  await page.evaluate((many) => window.connection(many), texts('first', 60));
  await listed(page, 'first 59');
  await settled(page);
  await scrollUp(page);
  const before = await page.locator('.wire-list').evaluate((box) => box.scrollTop);
  await page.evaluate((many) => window.connection(many), texts('more', 20));
  await listed(page, 'more 19');
  await settled(page);
  assert.equal(await page.locator('.wire-list').evaluate((box) => box.scrollTop), before);
  await page.getByRole('button', { name: 'To the newest' }).click();
  await page.evaluate((many) => window.connection(many), texts('last', 20));
  await listed(page, 'last 19');
  await eventually(() => distance(page), isAtEnd);
});

test('the list follows where its box changes: a narrow window, a panel that was closed', async () => {
  const page = await openPanel();
  await page.evaluate((many) => window.connection(many), texts('first', 60));
  await listed(page, 'first 59');
  await page.setViewportSize({ width: 1100, height: 420 });
  await eventually(() => distance(page), isAtEnd);
  await page.evaluate(() => { document.getElementById('wire').hidden = true; });
  await page.evaluate((many) => window.connection(many), texts('unseen', 20));
  await listed(page, 'unseen 19');
  await page.evaluate(() => { document.getElementById('wire').hidden = false; });
  await eventually(() => distance(page), isAtEnd);
  await page.evaluate((many) => window.connection(many), texts('seen', 20));
  await page.locator('.wire-list .summary').getByText('seen 19', { exact: true }).last().waitFor();
  await eventually(() => distance(page), isAtEnd);
});

test('a line that is opened stays in sight while others come', async () => {
  const page = await openPanel();
  await page.evaluate((many) => window.connection(many), texts('first', 60));
  await listed(page, 'first 59');
  await settled(page);
  const middle = page.locator('.wire-list li').filter({ hasText: 'first 55' }).first().locator('button');
  await middle.click();
  await page.locator('.wire-details').waitFor();
  await page.evaluate((many) => window.connection(many), texts('more', 40));
  await listed(page, 'more 39');
  await settled(page);
  assert.equal(await middle.evaluate((element) => {
    const [line, box] = [element, element.closest('.wire-list')].map((one) => one.getBoundingClientRect());
    return line.top >= box.top - 1 && line.bottom <= box.bottom + 1;
  }), true);
});

test('without a connection there is no round trip, and none is asked for', async () => {
  const server = await startServer();
  try {
    const page = await world.open({ url: server.url });
    if (await page.locator('#wire').isHidden()) await page.click('#wire-toggle');
    const figure = page.locator('.wire-head output');
    await page.getByRole('button', { name: 'Ping' }).click();
    await figure.getByText('not connected').waitFor();
    await page.click('#language');
    await figure.getByText('未连接').waitFor();
    await page.click('#language');
    await enter(page, 'ann');
    await figure.getByText(/^[\d.]+ ms$/).waitFor();
    await say(page, 'here');
    await server.stop();
    await figure.getByText('not connected').waitFor();
  } finally {
    await server.stop();
  }
});

test('a normal end is no error, and a state is no count', async () => {
  const page = await openPanel();
  await page.evaluate(() => window.connection(['one']));
  const line = page.locator('.wire-list li').filter({ hasText: 'close 1000' });
  await line.waitFor();
  const colour = (locator) => locator.evaluate((element) => getComputedStyle(element).color);
  const bad = await page.evaluate(() => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = 'var(--bad)';
    return getComputedStyle(probe).color;
  });
  await eventually(() => colour(line.locator('.summary')), (it) => it !== bad);
  await page.locator('.wire-connections .end').getByText('1000').waitFor();
  await eventually(() => colour(page.locator('.wire-connections .end').first()), (it) => it !== bad);
  await page.locator('.wire-connections .state').getByText('readyState 3 CLOSED', { exact: true }).waitFor();
  await page.evaluate(() => new Promise((resolve) => {
    const socket = window.recorder.open(`${location.origin.replace('http', 'ws')}/lesson/break/reset`, [], 'reset');
    socket.addEventListener('open', () => socket.send('go on'));
    socket.addEventListener('close', resolve);
  }));
  const broken = page.locator('.wire-list li').filter({ hasText: 'close 1006' });
  await broken.waitFor();
  await eventually(() => colour(broken.locator('.summary')), bad);
  await eventually(() => page.getByLabel('Connection', { exact: true }).locator('option').allTextContents(), [
    'All connections', '#2 reset · closed', '#1 /echo · closed',
  ]);
  await page.click('#language');
  await page.locator('.wire-connections .state').getByText('readyState 3（已关闭）').first().waitFor();
});
