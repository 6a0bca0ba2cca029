// What the README says to paste into a console does what it says.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { useWorld } from './harness.js';

const world = useWorld();
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1]);

/** Pastes a snippet into the console of the page, and gives back what is logged, once all of `parts` have been. */
async function paste(snippet, ...parts) {
  const page = await world.open();
  const lines = [];
  const done = new Promise((resolve) => {
    page.on('console', (line) => {
      lines.push(line.text());
      if (parts.every((part) => lines.some((logged) => logged.includes(part)))) resolve();
    });
  });
  await page.evaluate(snippet.replaceAll('localhost:3000', new URL(world.server.url).host));
  await done;
  return lines;
}

test('the first snippet is answered in upper case', async () => {
  assert.equal(snippets.length, 2);
  assert.deepEqual(await paste(snippets[0], 'HELLO'), ['HELLO!!!']);
});

test('the second one logs in, says something, and reads it back', async () => {
  const lines = await paste(snippets[1], 'loginSuccess', 'receiveMessage', '"ack":1', '"ack":2');
  const events = lines.map((line) => JSON.parse(line));
  const welcome = events.find(({ event }) => event === 'loginSuccess').data;
  assert.equal(welcome.room, 'tea');
  const receipt = events.find(({ ack }) => ack === 1).data;
  assert.deepEqual([receipt.id, receipt.offset, receipt.echo], ['m1', 1, 'GOOD MORNING!!!']);
  const heard = events.find(({ event }) => event === 'receiveMessage').data;
  assert.deepEqual([heard.username, heard.msg], [welcome.username, 'Good morning']);
  const [message] = events.find(({ ack }) => ack === 2).data.messages;
  assert.deepEqual([message.kind, message.msg], ['message', 'Good morning']);
});
