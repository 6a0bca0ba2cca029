// The client script is one file in layers: each layer uses those above it only.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SCRIPT = readFileSync(fileURLToPath(new URL('../../static/socket.io.js', import.meta.url)), 'utf8');

/** The layers of a script: `{ title, code }`, without comments. */
function layersOf(script) {
  const [, ...parts] = script.split(/^ *\/\/ =+ (\d\. .*?) =+$/m);
  return parts.flatMap((title, at) => (at % 2 === 0 ? [{ title, code: parts[at + 1].replace(/^\s*(\/\/|\/?\*).*$/gm, '') }] : []));
}

/** What a layer declares. */
function namesIn(code) {
  const names = [...code.matchAll(/^ {2}(?:const|class|(?:async )?function) (\w+|\[[\w, ]+\])/gm)];
  return names.flatMap(([, name]) => name.match(/\w+/g));
}

/** Whether code uses a name, and not a property of that name. */
const uses = (code, name) => new RegExp(`(?<![.#\\w'"\`-])${name}\\b(?!['"\`:])`).test(code);

/** The names that a layer uses of a layer below it, each with its title. */
function usesOfLayersBelow(script) {
  const layers = layersOf(script);
  return layers.flatMap(({ title, code }, at) => layers.slice(at + 1).flatMap((below) => namesIn(below.code))
    .filter((name) => uses(code, name)).map((name) => `${title}: ${name}`));
}

test('the client script has its layers, and none uses one below it', () => {
  assert.deepEqual(layersOf(SCRIPT).map(({ title }) => title), [
    '1. Basics', '2. Engine.IO', '3. Socket.IO packets', '4. Socket', '5. Manager', '6. `io`',
  ]);
  for (const { title, code } of layersOf(SCRIPT)) assert.ok(namesIn(code).length > 0, title);
  assert.deepEqual(usesOfLayersBelow(SCRIPT), []);
});

test('the check sees a use of a layer below', () => {
  assert.deepEqual(usesOfLayersBelow(SCRIPT.replace('  const warned = new Set();', '  const warned = new Manager();')), ['1. Basics: Manager']);
});
