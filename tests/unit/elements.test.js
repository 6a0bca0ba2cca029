// A module of the page touches the elements that it made or was given, and looks for no others.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const STATIC = fileURLToPath(new URL('../../static/', import.meta.url));
/** The elements of index.html are this module's. */
const OWNER_OF_INDEX = 'main.js';
/** The client script is for other pages, and has no elements. */
const NO_MODULE = 'socket.io.js';

const read = (name) => readFileSync(STATIC + name, 'utf8');
const modules = readdirSync(STATIC, { recursive: true }).filter((name) => name.endsWith('.js') && name !== NO_MODULE);

/** The classes and ids in the selectors by which a text queries, as `.name` and `#name`. */
function queried(text) {
  const selectors = [...text.matchAll(/\.(?:querySelector(?:All)?|closest|matches)\(\s*(['"`])(.*?)\1/g)].map(([, , selector]) => selector);
  return selectors.flatMap((selector) => selector.match(/[.#][a-zA-Z][\w-]*/g) ?? []);
}

/** Whether a text gives that class or id to an element. */
function makes(text, [kind, ...letters]) {
  const name = letters.join('');
  if (kind === '#') return new RegExp(`\\bid(: |=)['"]${name}['"]`).test(text);
  const classLists = [
    ...text.matchAll(/\bclass(?:Name)?(?:: | = |=|', )['"`]([^'"`]*)['"`]/g),
    ...text.matchAll(/classList\.(?:add|toggle)\('([\w-]+)'/g),
  ];
  return classLists.some(([, names]) => names.split(/\s+/).includes(name));
}

test('no module queries a class or an id that another module makes', () => {
  let queries = 0;
  for (const name of modules) {
    const text = name === OWNER_OF_INDEX ? read(name) + read('index.html') : read(name);
    for (const selector of queried(text)) {
      queries += 1;
      assert.ok(makes(text, selector), `${name} queries ${selector}, which it does not make`);
    }
  }
  assert.ok(queries > 0, 'modules query in another way now');
});

test('only the owner of index.html looks for elements in the whole page', () => {
  for (const name of modules.filter((each) => each !== OWNER_OF_INDEX)) {
    assert.doesNotMatch(read(name), /getElement(s)?By|document\.(querySelector|body|forms)/, name);
  }
});

test('the check sees a foreign element', () => {
  const text = "root.querySelector('.mine .theirs, #other'); make('p', { className: 'faint mine' });";
  assert.deepEqual(queried(text).filter((selector) => !makes(text, selector)), ['.theirs', '#other']);
});
