// Where the page comes from, and which pages of others the server lets in.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bubbles, enter, say, startServer, useWorld } from './harness.js';

const world = useWorld();

/** Opens a socket in a page, says something, and gives back what it hears in a while, or that it was refused. */
const converse = (page, url, words) => page.evaluate(([address, text]) => new Promise((resolve) => {
  const heard = [];
  const socket = new WebSocket(address);
  socket.onopen = () => socket.send(text);
  socket.onmessage = ({ data }) => {
    heard.push(data);
    if (data === `${text.toUpperCase()}!!!`) resolve(heard);
  };
  socket.onclose = () => resolve('refused');
}), [url, words]);

test('the page chats where it is reached by an address of IPv6', async (t) => {
  const server = await startServer({ flags: ['--bind', '::1'] });
  t.after(() => server.stop());
  const page = await world.open({ url: `http://[::1]:${server.port}` });
  await enter(page, 'ann');
  await say(page, 'six');
  await bubbles(page, 'six').waitFor();
});

test('a page opened from disk gets its answer, and hears and is heard in no room of others', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'echoroom-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'page.html'), '<title>A lesson</title>');
  const socket = world.server.url.replace('http', 'ws');
  const ours = await world.open();
  const heard = ours.evaluate((address) => new Promise((resolve) => {
    const lines = [];
    const member = new WebSocket(address);
    member.onopen = () => document.title = 'in';
    member.onmessage = ({ data }) => {
      lines.push(data);
      if (data === 'the end') resolve(lines);
    };
  }), `${socket}/ws?room=secret`);
  await ours.waitForFunction(() => document.title === 'in');
  const stranger = await world.open({ url: `file://${folder}`, path: '/page.html' });
  assert.deepEqual(await converse(stranger, `${socket}/ws?room=secret`, 'spam'), ['SPAM!!!']);
  assert.deepEqual(await converse(stranger, `${socket}/`, 'spam'), ['SPAM!!!']);
  assert.equal(await converse(stranger, `${socket}/chat`, 'spam'), 'refused');
  // A member's words come as those of the stranger would have come.
  assert.deepEqual(await converse(await world.open(), `${socket}/ws?room=secret`, 'the end'), ['THE END!!!']);
  assert.deepEqual(await heard, ['the end']);
});
