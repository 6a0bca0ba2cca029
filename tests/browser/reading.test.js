// Reading: history, what is new, and what must stay text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, say, scrollUp, startServer, useWorld, willLose } from './harness.js';

const start = (port = 0) => startServer({ port, flags: ['--rate', '0'] });
const world = useWorld(start);

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  return page;
}

/** Says `from` to `to`, as a user who then leaves. */
async function fill(room, from, to) {
  const page = await world.browser.newPage();
  await page.goto(`${world.server.url}/health`);
  await page.evaluate(([...wanted]) => new Promise((resolve) => {
    const [name, first, last] = wanted;
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
    const send = (event, data, ack) => socket.send(JSON.stringify({ event, data, ack }));
    socket.onmessage = ({ data }) => data.includes(`"ack":${last}`) && resolve();
    socket.onopen = () => {
      send('login', { username: `Filler ${last}`, room: name });
      for (let number = first; number <= last; number += 1) send('sendMessage', { msg: `number ${number}` }, number);
    };
  }), [room, from, to]);
  await page.close();
}

const numbers = async (page) => (await page.locator('#log .said').allTextContents()).map((text) => Number(text.slice(7)));
const scrollTo = (page, top) => page.locator('#log').evaluate((log, to) => { log.scrollTop = to; }, top);

test('who comes sees the latest messages, and earlier ones on scrolling up', async () => {
  await fill('history', 1, 120);
  const ann = await visit('Ann', 'history');
  await bubbles(ann, 'number 120').waitFor();
  const [first] = await numbers(ann);
  assert.ok(first > 1, `begins at ${first}`);
  assert.equal((await numbers(ann)).at(-1), 120);
  await scrollTo(ann, 0);
  await ann.waitForFunction((count) => document.querySelectorAll('#log .said').length > count, 120 - first + 1);
  // What was read stays where it was.
  const read = bubbles(ann, `number ${first}`).first();
  await eventually(() => read.evaluate((one) => {
    const { top } = one.getBoundingClientRect();
    return top > 0 && top < 400;
  }), true);
  await ann.waitForFunction(() => {
    document.getElementById('log').scrollTop = 0;
    return document.getElementById('log-top').textContent.startsWith('This is where the room begins');
  });
  await eventually(() => numbers(ann), [...Array(120).keys()].map((index) => index + 1));
});

test('who reads up is not moved, and told what is new', async () => {
  await fill('up', 1, 60);
  const ann = await visit('Ann', 'up');
  await bubbles(ann, 'number 60').waitFor();
  await scrollUp(ann, 300);
  // Where the line is that is read: lines above it may still get their real heights, which scrolls by as much.
  const before = await ann.locator('#log').evaluate((log) => {
    const { top } = log.getBoundingClientRect();
    window.read = [...log.querySelectorAll('#lines > *')].find((line) => line.getBoundingClientRect().top >= top);
    return window.read.getBoundingClientRect().top;
  });
  await fill('up', 61, 63);
  await ann.locator('#to-newest').getByText('3 new messages').waitFor();
  const after = await ann.evaluate(() => window.read.getBoundingClientRect().top);
  assert.ok(Math.abs(after - before) < 100, `${before} became ${after}`);
  await ann.click('#to-newest');
  await ann.locator('#to-newest').waitFor({ state: 'hidden' });
  await bubbles(ann, 'number 63').waitFor();
});

test('the title counts the messages that came while the page was not in sight', async () => {
  const ann = await visit('Ann', 'unread');
  const ben = await visit('Ben', 'unread');
  await ann.evaluate(() => { document.hasFocus = () => false; });
  await say(ben, 'one');
  await say(ben, 'two');
  await ann.waitForFunction(() => document.title === '(2) unread · Echoroom');
  await ann.evaluate(() => dispatchEvent(new Event('focus')));
  await eventually(() => ann.title(), 'unread · Echoroom');
});

test('hostile names, rooms and messages are shown as text', async () => {
  const evil = '<img src=x onerror="document.title=1">';
  const ann = await visit('Ann', 'evil');
  const ben = await world.open({ path: '/?room=evil' });
  await enter(ben, '<b onclick=1>x</b>');
  await say(ben, evil);
  await bubbles(ann, evil).waitFor();
  await ann.locator('#people').getByText('<b onclick=1>x</b>').waitFor();
  assert.equal(await ann.locator('#log img, #log b, #people b').count(), 0);
  await ann.fill('#other-room', '<script>alert(1)</script>');
  await ann.click('#room-form button');
  await ann.locator('#room-title').getByText('<script>alert(1)</script>').waitFor();
});

test('web addresses become links, and nothing else does', async () => {
  const ann = await visit('Ann', 'links');
  await say(ann, 'see https://example.org/a_(b), (http://example.org/x?y=1&z) 或者 https://example.org/中 javascript:alert(1) data:text/html,x');
  const links = ann.locator('#lines .said a');
  await links.first().waitFor();
  await eventually(() => links.evaluateAll((all) => all.map(({ textContent, rel, target }) => [textContent, rel, target])), [
    'https://example.org/a_(b)', 'http://example.org/x?y=1&z', 'https://example.org/',
  ].map((address) => [address, 'noopener noreferrer nofollow', '_blank']));
});

test('screen readers are told what is new, not what is read again', async () => {
  await fill('spoken', 1, 60);
  const ann = await visit('Ann', 'spoken');
  await bubbles(ann, 'number 60').waitFor();
  const ben = await visit('Ben', 'spoken');
  await say(ben, 'hear this');
  await ann.locator('#announcer').getByText('Ben: hear this').waitFor();
  await scrollTo(ann, 0);
  await ann.locator('#log-top').getByText('This is where the room begins').waitFor();
  assert.equal(await ann.locator('#announcer p').count(), 1);
  assert.equal(await ann.locator('#log').getAttribute('role'), 'log');
});

test('what could not be recovered is said', async () => {
  const { port } = world.server;
  const ann = await visit('Ann', 'gap');
  await say(ann, 'kept in memory only');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await willLose(ann);
  await world.server.stop();
  world.server = await start(port);
  await ann.locator('#lines .gap').waitFor();
  await inside(ann);
});
