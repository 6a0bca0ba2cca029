// The programs that lessons show: what is read, is what runs when it is copied.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import vm from 'node:vm';
import { eventually, useWorld } from './harness.js';

const world = useWorld();

async function openLesson(name, options) {
  const page = await world.open({ path: `/#lessons/${name}`, permissions: ['clipboard-read', 'clipboard-write'], ...options });
  await page.locator('.lesson .snippet').first().waitFor();
  return page;
}

const shown = (page, at = 0) => page.locator('.snippet pre').nth(at).textContent();
const names = (page) => page.locator('.lesson-log').first().locator('li:not(.remark) code').allTextContents();

/** What the reader gets by the button, and by selecting the program. */
async function copies(page) {
  await page.locator('.snippet').getByRole('button', { name: 'Copy' }).first().click();
  await page.getByText('Copied', { exact: true }).waitFor();
  const byButton = await page.evaluate(() => navigator.clipboard.readText());
  const bySelection = await page.evaluate(() => {
    getSelection().selectAllChildren(document.querySelector('.snippet pre'));
    return getSelection().toString();
  });
  return [byButton, bySelection];
}

/** Runs the program in a page without the policy that forbids to evaluate texts. */
async function runHere(page, program, until) {
  const { port } = new URL(world.server.url);
  const bare = await page.context().newPage();
  // An answer of the server that carries no policy, on the same origin.
  await bare.goto(`http://127.0.0.1:${port}/health`);
  const printed = [];
  bare.on('console', (line) => line.type() === 'log' && printed.push(line.text()));
  const thrown = await bare.evaluate((text) => {
    try {
      new Function(text)();
      return null;
    } catch (error) {
      return error.name;
    }
  }, program);
  while (!thrown && !printed.some(until)) await bare.waitForEvent('console', { predicate: (line) => line.type() === 'log' });
  await bare.close();
  return { thrown, printed };
}

const VALUES = [
  { text: 'hello', answer: 'HELLO!!!' },
  { text: '', answer: '!!!' },
  { text: "it's a \"quote\" \\ and </script>", answer: "IT'S A \"QUOTE\" \\ AND </SCRIPT>!!!" },
  { text: '`${1 + 1}`', answer: '`${1 + 1}`!!!' },
  { text: '\u2028你好', answer: '\u2028你好!!!' },
];

for (const { text, answer } of VALUES) {
  test(`the program of the first lesson runs as it is shown, with the text ${JSON.stringify(text)}`, async () => {
    const page = await openLesson('socket');
    await page.getByLabel('Text to send').fill(text);
    const program = await shown(page);
    for (const copied of await copies(page)) assert.equal(copied.trim(), program.trim());
    const { thrown, printed } = await runHere(page, program, (line) => line.startsWith('message'));
    assert.equal(thrown, null);
    assert.deepEqual(printed.map((line) => line.trim()), ['open', `message ${answer}`.trim()]);
  });
}

test('no subprotocol is no argument, and one is', async () => {
  const page = await openLesson('socket');
  await eventually(() => shown(page), /new WebSocket\('ws:[^,]*'\);/);
  await page.getByLabel('Subprotocol, may be empty').fill('soap');
  await eventually(() => shown(page), /new WebSocket\('ws:[^,]*', 'soap'\);/);
});

for (const [attempt, expected] of [
  ['A bad address', { thrown: 'SyntaxError' }],
  ['A bad subprotocol', { thrown: 'SyntaxError' }],
  ['A subprotocol that the server does not speak', { ends: true }],
  ['An address where no server listens', { ends: true }],
]) {
  test(`what goes wrong in the lesson goes wrong with its program: ${attempt}`, async () => {
    const page = await openLesson('socket');
    await page.getByRole('button', { name: attempt, exact: true }).click();
    await page.locator('.lesson-log .remark').first().waitFor();
    const outcome = await runHere(page, await shown(page), (line) => line.startsWith('close'));
    if (expected.thrown) {
      assert.equal(outcome.thrown, expected.thrown);
      await eventually(() => names(page), [expected.thrown]);
    } else {
      assert.equal(outcome.thrown, null);
      await eventually(() => names(page), ['create', ...outcome.printed.map((line) => line.trim().split(' ')[0])]);
    }
  });
}

test('the program is the same in Chinese, but for its comments', async () => {
  const page = await openLesson('socket');
  await page.getByLabel('Text to send').fill('keep me');
  const english = await shown(page);
  await page.click('#language');
  const chinese = await eventually(() => shown(page), /创建：开始握手/);
  const code = (text) => text.split('\n').filter((line) => !line.startsWith('//'));
  assert.deepEqual(code(chinese), code(english));
});

for (const locale of ['en-GB', 'zh-CN']) {
  test(`the server of callbacks runs as it is shown (${locale})`, async () => {
    const page = await openLesson('server', { locale });
    const [sent, said, listened] = [[], [], []];
    const connection = { on: (event, listener) => { connection[event] = listener; }, sendText: (text) => sent.push(text) };
    const required = (name) => {
      assert.equal(name, 'nodejs-websocket');
      return { createServer: (serve) => ({ listen: (port) => { listened.push(port); serve(connection); } }) };
    };
    vm.runInNewContext(await shown(page, 0), { require: required, console: { log: (...parts) => said.push(parts.join(' ')) } });
    connection.text('straße');
    connection.error(new Error('ECONNRESET'));
    connection.close(1000);
    assert.deepEqual([sent, listened], [['STRASSE!!!'], [3000]]);
    assert.deepEqual(said, ['opened', 'sent a text of 6 characters', 'broken ECONNRESET', 'closed 1000']);
  });
}

test('the actor that is shown and copied is the example that is built, from its first use to its end', async () => {
  const example = await readFile(new URL('../../examples/upper_case.rs', import.meta.url), 'utf8');
  const program = example.slice(example.indexOf('use actix::'));
  const page = await openLesson('server');
  assert.equal(await shown(page, 1), program);
  await page.locator('.snippet').nth(1).getByRole('button', { name: 'Copy' }).click();
  await page.getByText('Copied', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), program);
});
