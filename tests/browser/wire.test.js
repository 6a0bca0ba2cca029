// The panel of the wire: what passed, what it means, and what can be done with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startServer, useWorld } from './harness.js';
import { openPanel as openPanelIn } from './wire-panel.js';

// Heartbeats come soon.
const world = useWorld(() => startServer({ flags: ['--ping-interval', '1s', '--rate', '0'] }));

/** Makes `opened(path)`, which opens a socket, and `heard(text)`, which waits for a message on it. */
function makeSockets() {
  window.opened = async (path, protocols = [], name = path) => {
    window.socket = window.recorder.open(`${location.origin.replace('http', 'ws')}${path}`, protocols, name);
    await new Promise((resolve) => { window.socket.addEventListener('open', resolve); });
  };
  // Resolves with the message that contains `text`.
  window.heard = (text) => new Promise((resolve) => {
    window.socket.addEventListener('message', ({ data }) => (typeof data !== 'string' || data.includes(text)) && resolve(data));
  });
}

const openPanel = (options) => openPanelIn(world, options, makeSockets);

// Lines are opened by the keyboard: the list follows its end, so they move under a pointer.
const lines = (page) => page.locator('.wire-list li');
const line = (page, text) => lines(page).filter({ hasText: text }).first();
const details = (page) => page.locator('.wire-details');

/** The summaries of all lines, in order. */
const summaries = async (page) => (await page.locator('.wire-list .summary').allTextContents()).map((text) => text.trim());

/** Says `texts` at `/echo`, and waits for the last of them. */
const echo = (page, ...texts) => page.evaluate(async (all) => {
  await window.opened('/echo');
  const last = window.heard(all.at(-1));
  all.forEach((text) => window.socket.send(text));
  await last;
}, texts);

/** Talks at `/chat`: a login, a message, a ping and its answer. */
const talk = (page, room) => page.evaluate(async (where) => {
  await window.opened('/chat', ['chat.v1'], 'chat');
  const say = (event, data, ack) => window.socket.send(JSON.stringify({ event, data, ack }));
  const last = window.heard('"ack":2');
  say('login', { username: 'ann', room: where, token: '0123456789abcdef0123456789abcdef' });
  say('sendMessage', { msg: 'Good <b>morning</b>', id: 'm1' }, 1);
  say('ping', {}, 2);
  await last;
}, room);

test('messages and events are listed in order, with direction, size and time', async () => {
  const page = await openPanel();
  await echo(page, 'hello');
  await eventually(() => summaries(page), ['create', 'open', 'hello', 'hello']);
  await eventually(() => page.locator('.wire-list .arrow').allTextContents(), ['●', '●', '↑', '↓']);
  await eventually(() => lines(page).nth(2).locator('.size').textContent(), '5 B');
  await eventually(() => lines(page).nth(2).locator('time').textContent(), /^\d\d:\d\d:\d\d\.\d{3}$/);
});

test('a connection shows its state, its agreement and its counts', async () => {
  const page = await openPanel();
  await talk(page, 'facts');
  const card = page.locator('.wire-connections li').first();
  await card.filter({ hasText: '1 OPEN' }).waitFor();
  await eventually(() => card.textContent(), /#1 chat.*\/chat.*in \d+ messages.*out 3 messages.*chat\.v1 · permessage-deflate/s);
  await page.evaluate(() => window.socket.close(4001, 'enough'));
  await card.filter({ hasText: '3 CLOSED' }).filter({ hasText: '4001 code of an application' }).waitFor();
  await line(page, 'close 4001').locator('button').press('Enter');
  await eventually(() => details(page).textContent(), /wasCleantrue/);
});

test('events of the chat are shown by name, their answers by what they answer, and as JSON on demand', async () => {
  const page = await openPanel();
  await talk(page, 'decoded');
  await line(page, 'sendMessage #1 Good <b>morning</b>').locator('button').press('Enter');
  await eventually(() => details(page).textContent(), /Asks for ack1/);
  await eventually(() => details(page).locator('pre').textContent(), /^\{\n {2}"event": "sendMessage",\n {2}"data": \{/);
  await line(page, 'ack #1 ← sendMessage').waitFor();
  assert.equal(await page.locator('.wire-list b').count(), 0);
});

test('packets of Engine.IO and Socket.IO are told in words', async () => {
  const page = await openPanel();
  await page.evaluate(async () => {
    await window.opened('/socket.io/?EIO=4&transport=websocket', [], 'socket.io');
    await window.heard('0{');
    const entered = window.heard('40{');
    window.socket.send('40');
    await entered;
    const answered = window.heard('431[');
    window.socket.send('420["login",{"username":"io","room":"packets"}]');
    window.socket.send('421["sendMessage",{"msg":"hello"}]');
    await answered;
  });
  await line(page, 'sendMessage #1 hello').locator('button').press('Enter');
  const told = () => details(page).textContent();
  await eventually(
    told,
    /Engine\.IO packet4 message: carries a Socket\.IO packetSocket\.IO packet2 EVENT: an event with its arguments/,
  );
  await eventually(told, /Namespace\/EventsendMessageAsks for ack1Arguments1/);
  await eventually(() => details(page).locator('pre').textContent(), '[\n  {\n    "msg": "hello"\n  }\n]');
  await line(page, 'ack #1 ← sendMessage').waitFor();
  await line(page, 'open {"sid"').waitFor();
});

test('bytes are shown as a bounded dump', async () => {
  const page = await openPanel();
  await page.evaluate(async () => {
    await window.opened('/echo');
    const back = window.heard('');
    window.socket.send(Uint8Array.from({ length: 300 }, (_, at) => at + 40));
    await back;
  });
  // After create, open and what went out.
  await lines(page).nth(3).locator('button').press('Enter');
  await details(page).locator('pre').filter({ hasText: '0000  28 29 2a' }).waitFor();
  const dump = (await details(page).locator('pre').textContent()).split('\n');
  assert.equal(dump[0], '0000  28 29 2a 2b 2c 2d 2e 2f  ()*+,-./');
  assert.equal(dump.length, 33);
  assert.equal(dump.at(-1), '…');
});

test('heartbeats are hidden unless asked for', async () => {
  const page = await openPanel();
  await talk(page, 'heartbeats');
  await page.evaluate(async () => {
    await window.opened('/socket.io/?EIO=4&transport=websocket', [], 'socket.io');
    await new Promise((resolve) => {
      window.socket.addEventListener('message', ({ data }) => data === '2' && resolve());
    });
    window.socket.send('3');
    const entered = window.heard('40{');
    window.socket.send('40');
    await entered;
  });
  const beats = async () => (await summaries(page)).filter((text) => /^(ping|pong|ack #2)/.test(text));
  // What was asked after them has been answered.
  await page.locator('.wire-list .summary').getByText('CONNECT', { exact: true }).nth(1).waitFor();
  assert.deepEqual(await beats(), []);
  await page.getByLabel('Heartbeats').check();
  await eventually(async () => (await beats()).slice(0, 4), ['ping #2', 'ack #2 ← ping', 'ping', 'pong']);
});

test('a filter takes a text, a connection, a direction', async () => {
  const page = await openPanel();
  await echo(page, 'apple', 'Pear');
  await echo(page, 'plum');
  await page.getByLabel('Filter by text').fill('pear');
  await eventually(() => summaries(page), ['Pear', 'Pear']);
  await page.getByLabel('Direction').selectOption('out');
  await eventually(() => summaries(page), ['Pear']);
  await page.getByLabel('Filter by text').fill('');
  await page.getByLabel('Connection', { exact: true }).selectOption('2');
  await eventually(() => summaries(page), ['plum']);
});

test('a pause holds the list, and clearing empties it', async () => {
  const page = await openPanel();
  await echo(page, 'before');
  await eventually(() => summaries(page), ['create', 'open', 'before', 'before']);
  await page.getByRole('button', { name: 'Pause' }).click();
  await echo(page, 'meanwhile');
  const goOn = page.getByRole('button', { name: 'Go on (4 new)' });
  await goOn.waitFor();
  assert.equal((await summaries(page)).includes('meanwhile'), false);
  await goOn.click();
  await line(page, 'meanwhile').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('Nothing to show.').waitFor();
  await eventually(() => summaries(page), []);
  await echo(page, 'after');
  await line(page, 'after').waitFor();
});

test('what is copied as JavaScript does the same elsewhere, without the token', async () => {
  const page = await openPanel({ permissions: ['clipboard-read', 'clipboard-write'] });
  await talk(page, 'copied');
  await page.evaluate(() => window.socket.close());
  await page.getByText('3 CLOSED').first().waitFor();
  await page.getByLabel('Connection', { exact: true }).selectOption('1');
  // It says so for a moment only.
  await Promise.all([
    page.getByText('Copied', { exact: true }).waitFor(),
    page.getByRole('button', { name: 'Copy as JavaScript' }).click(),
  ]);
  const program = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(program.includes('0123456789abcdef'), false);
  const elsewhere = await (await world.browser.newContext()).newPage();
  await elsewhere.goto(`${world.server.url}/health`);
  const answered = elsewhere.waitForEvent('console', (said) => said.text().includes('"ack":2'));
  // The room is another one, for the name is held in this one.
  await elsewhere.evaluate(program.replace('"room":"copied"', '"room":"elsewhere"'));
  await answered;
});

test('where there is no clipboard, the program is shown to be copied by hand', async () => {
  const page = await openPanel();
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  await echo(page, "it's <me>");
  await page.getByRole('button', { name: 'Copy as JavaScript' }).click();
  const shown = page.locator('.wire-fallback textarea');
  await shown.waitFor();
  await eventually(() => shown.inputValue(), /^const socket = new WebSocket\('ws:.*\/echo'\);\n.*\n {2}'it\\'s \\x3Cme>',\n/);
  const isSelected = () => getSelection().toString().length > 0 || document.activeElement.selectionEnd > 100;
  await eventually(() => page.evaluate(isSelected), true);
  await page.getByRole('button', { name: 'Done' }).click();
  await shown.waitFor({ state: 'detached' });
});

test('thousands of messages leave the list bounded, and it is written once a frame at most', async () => {
  const page = await openPanel();
  await page.evaluate(async () => {
    const work = { frames: 0, writes: 0, most: 0 };
    window.work = work;
    const count = () => {
      work.frames += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
    new MutationObserver((changes) => {
      work.writes += 1;
      work.most = Math.max(work.most, changes.reduce((sum, { addedNodes }) => sum + addedNodes.length, 0));
    }).observe(document.querySelector('.wire-list ol'), { childList: true });
    await window.opened('/echo');
    // Answers may come later than all messages; a socket that is closing hands out no more of them.
    const allHeard = new Promise((resolve) => {
      let heard = 0;
      window.socket.addEventListener('message', () => {
        heard += 1;
        if (heard === 6000) resolve();
      });
    });
    for (let frame = 0; frame < 30; frame += 1) {
      for (let at = 0; at < 200; at += 1) window.socket.send(`message ${frame} ${at}`);
      await new Promise(requestAnimationFrame);
    }
    await allHeard;
    window.socket.close();
  });
  await line(page, 'message 29 199').waitFor();
  assert.equal(await lines(page).count() <= 300, true);
  assert.equal(await page.evaluate(() => window.recorder.entries.length), 1000);
  const { frames, writes, most } = await page.evaluate(() => window.work);
  assert.ok(writes <= frames + 1 && most <= 300, `${writes} times in ${frames} frames, ${most} lines at once`);
});

test('the keyboard walks through the list, and opens a line', async () => {
  const page = await openPanel();
  await echo(page, 'one', 'two');
  await lines(page).nth(5).waitFor();
  await eventually(() => page.locator('.wire-list [tabindex="0"]').count(), 1);
  await page.locator('.wire-list [tabindex="0"]').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await eventually(() => page.evaluate(() => document.activeElement.textContent), /one/);
  await page.keyboard.press('Enter');
  await details(page).waitFor();
  await eventually(() => page.evaluate(() => document.activeElement.getAttribute('aria-expanded')), 'true');
  await page.keyboard.press('Enter');
  await details(page).waitFor({ state: 'detached' });
  assert.equal(await page.locator('.wire-list').getAttribute('role'), 'region');
  assert.equal(await page.locator('#wire [aria-live]:not([aria-live=off]), #wire [role=log]').count(), 0);
});

test('a ping shows the round trip, and everything is said in the other language at once', async () => {
  const page = await openPanel();
  await echo(page, 'hello');
  await page.getByRole('button', { name: 'Ping' }).click();
  await page.getByText('42 ms').waitFor();
  await page.evaluate(() => window.socket.close(1000));
  await line(page, 'close 1000 normal closure').waitFor();
  await page.click('#language');
  await line(page, 'close 1000 正常关闭').waitFor();
  await page.getByText('42 毫秒').waitFor();
  await page.locator('.wire-connections').getByText('收到 1 条消息').waitFor();
});
