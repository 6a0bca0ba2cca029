// Secrets in the panel of the wire: nowhere to be read, searched or copied.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, startServer, useWorld } from './harness.js';
import { openPanel as openPanelIn } from './wire-panel.js';

const world = useWorld(() => startServer({ flags: ['--relay', 'on'] }));
const TOKEN = '0123456789abcdef0123456789abcdef';

const openPanel = (options) =>
  openPanelIn(world, { permissions: ['clipboard-read', 'clipboard-write'], ...options });

/** Opens a socket, sends the messages, and waits for the answer to the last one: the one with that text, or bytes. */
const talk = (page, { path, protocols = [], messages, last }) => page.evaluate((talked) => new Promise((resolve, reject) => {
  const socket = window.recorder.open(`${location.origin.replace('http', 'ws')}${talked.path}`, talked.protocols, talked.path);
  const isLast = (data) => typeof data !== 'string' || data.toLowerCase().includes(talked.last.toLowerCase());
  socket.addEventListener('open', () => talked.messages.forEach((one) => socket.send(Array.isArray(one) ? Uint8Array.from(one) : one)));
  socket.addEventListener('message', ({ data }) => isLast(data) && resolve());
  socket.addEventListener('close', () => reject(new Error('closed')));
}), { path, protocols, messages, last });

/** Waits until the list has a line for each thing that the recorder has kept. */
const allListed = (page) => page.waitForFunction(() =>
  document.querySelectorAll('.wire-list li').length === window.recorder.entries.length);

/** All that the panel shows, with each line opened, in texts, titles and fields, once what `isThere` waits for is there. */
async function allShown(page, isThere = () => allListed(page)) {
  await page.getByLabel('Heartbeats').check();
  await isThere();
  for (const line of await page.locator('.wire-list li > button').all()) {
    // By the keyboard: the list follows its end, so lines move under a pointer.
    await line.press('Enter');
    await line.locator('xpath=..').locator('.wire-details').waitFor();
  }
  // Bytes are written a moment later.
  await page.waitForFunction(() => [...document.querySelectorAll('.wire-details pre')].every((body) => body.textContent));
  return page.evaluate(() => {
    const panel = document.getElementById('wire');
    const attributes = [...panel.querySelectorAll('*')].flatMap((element) => [...element.attributes].map(({ value }) => value));
    return [panel.textContent, ...attributes].join('\n');
  });
}

/** The program that is copied for the chosen connection. */
async function copied(page) {
  // It says so for a moment only.
  await Promise.all([
    page.getByText('Copied', { exact: true }).waitFor(),
    page.getByRole('button', { name: 'Copy as JavaScript' }).click(),
  ]);
  return page.evaluate(() => navigator.clipboard.readText());
}

const bytesOf = (text) => [...Buffer.from(text)];
const CASES = [
  ['a login at the door of the chat', {
    path: '/chat', protocols: ['chat.v1'], last: 'loginSuccess',
    messages: [`{"event":"login","data":{"username":"ann","token":"${TOKEN}","room":"r1"}}`],
  }],
  ['a login with spaces and the token first', {
    path: '/chat', protocols: ['chat.v1'], last: 'loginSuccess',
    messages: [`{ "event": "login", "data": { "token" : "${TOKEN}", "username": "ben", "room": "r2" } }`],
  }],
  ['a login by Socket.IO, and the auth of its CONNECT', {
    path: '/socket.io/?EIO=4&transport=websocket', last: '430[',
    messages: [`40{"token":"${TOKEN}"}`, `420["login",{"username":"io","token":"${TOKEN}","room":"r3"}]`],
  }],
  ['an address with a token', { path: `/echo?token=${TOKEN}&sid=${TOKEN}`, messages: ['hello'], last: 'hello' }],
  ['JSON within JSON', {
    path: '/echo', messages: [JSON.stringify({ body: JSON.stringify({ token: TOKEN, a: 1 }) })], last: 'body',
  }],
  ['a token that is answered in upper case', {
    path: '/ws?room=r4', messages: [`{"token":"${TOKEN}"}`, `my token is ${TOKEN}`], last: 'MY TOKEN',
  }],
  ['other secrets', {
    path: '/echo', last: 'api_key',
    messages: [`{"password":"${TOKEN}"}`, `Authorization: Bearer ${TOKEN}`, `see ws://ann:${TOKEN}@example.org/`, `{"accessToken":"${TOKEN}"}`, `a=1&api_key=${TOKEN}`],
  }],
  ['bytes', { path: '/echo', messages: [bytesOf(`{"token":"${TOKEN}"}`)], last: '' }],
];

for (const [what, talked] of CASES) {
  test(`no secret is shown or copied: ${what}`, async () => {
    const page = await openPanel();
    await talk(page, talked);
    const shown = await allShown(page);
    // The dump of bytes has the token in hexadecimal, and eight characters a line.
    const hidden = [TOKEN, TOKEN.toUpperCase(), '30 31 32 33', '01234567', '34, 53, 54'];
    for (const secret of hidden) assert.equal(shown.includes(secret), false, `${secret} in ${shown}`);
    assert.match(shown, /\*\*\*/);
    assert.match(shown, /stands for a secret/);
    const program = await copied(page);
    for (const secret of [...hidden, bytesOf(TOKEN.slice(0, 6)).join(', ')]) assert.equal(program.includes(secret), false, program);
    assert.doesNotThrow(() => new Function(program), program);
    await page.getByLabel('Filter by text').fill(TOKEN.slice(0, 8));
    await page.getByText('Nothing to show.').waitFor();
  });
}

test('the token that the server gives, and the ids that Socket.IO goes by, are masked too', async () => {
  const page = await openPanel();
  await talk(page, { path: '/socket.io/?EIO=4&transport=websocket', messages: ['40', '420["login",{"username":"eve","room":"r5"}]'], last: '430[' });
  await talk(page, { path: '/socket.io/?EIO=4&transport=websocket', messages: ['40/relay,'], last: '40/relay,' });
  const secrets = await page.evaluate(async () => {
    const heard = [];
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`, 'chat.v1');
    socket.onopen = () => socket.send('{"event":"login","data":{"username":"raw","room":"r6"}}');
    await new Promise((resolve) => {
      socket.onmessage = ({ data }) => {
        heard.push(data);
        if (data.includes('loginSuccess')) resolve();
      };
    });
    return heard.join('').match(/"token":"([^"]+)"/)[1].length;
  });
  assert.ok(secrets >= 16);
  const shown = await allShown(page);
  for (const name of ['sid', 'pid', 'token']) {
    const values = [...shown.matchAll(new RegExp(`"${name}":\\s*"([^"]*)"`, 'g'))].map(([, value]) => value);
    assert.ok(values.length > 0, `${name} in ${shown}`);
    assert.deepEqual([...new Set(values)], ['***'], name);
  }
});

test('the login of the page itself shows no token, when it comes back neither', async () => {
  const page = await world.open();
  if (await page.locator('#wire').isHidden()) await page.click('#wire-toggle');
  await enter(page, 'fay');
  await page.reload();
  await page.locator('#people .you').waitFor({ state: 'attached' });
  const shown = await allShown(page, () => page.locator('.wire-list li').filter({ hasText: 'loginSuccess' }).waitFor());
  const token = await page.evaluate(() => JSON.stringify({ ...localStorage }).match(/token\\*":\\*"([^"\\]+)/)[1]);
  assert.equal(shown.includes(token), false);
  assert.match(shown, /"token": "\*\*\*"/);
});
