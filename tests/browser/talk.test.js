// Two tabs talk; what is hostile stays text; a composition is not sent; a restart is survived.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser, startServer } from './harness.js';

let server;
let browser;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A tab in the given language, connected, that fails the test on any error of the page. */
async function openTab({ path = '/', locale = 'en-GB', ...options } = {}) {
  const context = await browser.newContext({ locale, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => {
    if (line.type() === 'error' && !line.text().includes('WebSocket connection')) page.problems.push(line.text());
  });
  await page.goto(server.url + path);
  await page.locator('#state[data-state=connected]').waitFor();
  return page;
}

const said = (page, from) => page.locator(`#log [data-from=${from}] .said`);

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

test('two tabs talk, and each is answered', async () => {
  const [ann, ben] = [await openTab(), await openTab()];
  await say(ann, 'hello 你好');
  await said(ann, 'server').getByText('HELLO 你好!!!', { exact: true }).waitFor();
  await said(ben, 'other').getByText('hello 你好', { exact: true }).waitFor();
  assert.equal(await said(ann, 'me').textContent(), 'hello 你好');
  assert.equal(await said(ann, 'other').count(), 0);
  assert.deepEqual(await ann.locator('#events .name').allTextContents(), ['open', 'send', 'message']);
  assert.deepEqual([...ann.problems, ...ben.problems], []);
});

test('a large text passes compressed, both ways', async () => {
  const [ann, ben] = [await openTab({ path: '/?room=large' }), await openTab({ path: '/?room=large' })];
  const large = 'all work and no play, 只工作不玩耍。'.repeat(400);
  await say(ann, large);
  await said(ann, 'server').getByText(`${large.toUpperCase()}!!!`, { exact: true }).waitFor();
  await said(ben, 'other').getByText(large, { exact: true }).waitFor();
  assert.deepEqual([...ann.problems, ...ben.problems], []);
});

test('hostile text is shown as text', async () => {
  const [ann, ben] = [await openTab({ path: '/?room=hostile' }), await openTab({ path: '/?room=hostile' })];
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await say(ann, hostile);
  await said(ben, 'other').getByText(hostile, { exact: true }).waitFor();
  assert.equal(await ben.title(), 'hostile · Echoroom');
  assert.deepEqual(ben.problems, []);
});

test('Enter that ends a composition does not send, Shift+Enter breaks the line', async () => {
  const page = await openTab({ path: '/?room=composing' });
  await page.fill('#text', 'ni hao');
  await page.locator('#text').dispatchEvent('keydown', { key: 'Enter', isComposing: true });
  await page.locator('#text').dispatchEvent('keydown', { key: 'Enter', keyCode: 229 });
  await page.press('#text', 'Shift+Enter');
  assert.equal(await page.inputValue('#text'), 'ni hao\n');
  assert.equal(await said(page, 'me').count(), 0);
  await page.press('#text', 'Enter');
  await said(page, 'server').getByText('NI HAO').waitFor();
});

test('the page speaks Chinese to Chinese browsers and can be switched', async () => {
  const page = await openTab({ locale: 'zh-CN' });
  assert.equal(await page.locator('#state').textContent(), '已连接');
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
  await page.click('#language');
  assert.equal(await page.locator('#state').textContent(), 'connected');
  await page.reload();
  await page.locator('#state[data-state=connected]').waitFor();
  assert.equal(await page.locator('#state').textContent(), 'connected');
  assert.deepEqual(page.problems, []);
});

test('disconnecting stays disconnected, and nothing typed is lost', async () => {
  const page = await openTab();
  await page.click('#toggle');
  await page.locator('#state[data-state=disconnected]').waitFor();
  await page.locator('#events').getByText('1000 normal closure').waitFor();
  await say(page, 'kept');
  assert.equal(await page.inputValue('#text'), 'kept');
  await page.locator('#hint').getByText('Not connected').waitFor();
  await page.click('#toggle');
  await page.locator('#state[data-state=connected]').waitFor();
  await page.click('#send');
  await said(page, 'server').getByText('KEPT!!!').waitFor();
});

test('a server that restarts is found again', async () => {
  const page = await openTab({ path: '/?room=restart' });
  const { port } = server;
  await server.stop();
  await page.locator('#events').getByText('1012 server restarts').waitFor();
  await page.locator('#log').getByText('The server restarts. This page comes back by itself.').waitFor();
  server = await startServer({ port });
  await page.locator('#state[data-state=connected]').waitFor();
  await say(page, 'still here');
  await said(page, 'server').getByText('STILL HERE!!!').waitFor();
});
