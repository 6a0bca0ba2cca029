// Every text of the page is there in both languages.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const STATIC = fileURLToPath(new URL('../../static/', import.meta.url));
const files = readdirSync(STATIC, { recursive: true }).filter((name) => name.endsWith('.js') && name !== 'socket.io.js');
const read = (name) => readFileSync(STATIC + name, 'utf8');

/** The keys of a file of words, in the part of one language. */
function keysOf(text, language) {
  const [, part] = text.split(new RegExp(`^  ${language}: \\{$`, 'm'));
  return [...part.split(/^  \},$/m)[0].matchAll(/^    (\w+):/gm)].map(([, key]) => key);
}

test('every text is there in English and in Chinese', () => {
  const words = files.filter((name) => name.startsWith('words/'));
  assert.ok(words.length > 5);
  for (const name of words) {
    assert.deepEqual(keysOf(read(name), 'zh').sort(), keysOf(read(name), 'en').sort(), name);
  }
});
