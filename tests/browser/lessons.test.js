// The lessons run, against the server as it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startServer, useWorld } from './harness.js';

const world = useWorld();

/** A page with a lesson. */
async function openLesson(name, options) {
  const page = await world.open({ path: `/#lessons/${name}`, ...options });
  await page.locator('.lesson h3').waitFor();
  return page;
}

const log = (page) => page.locator('.lesson-log').first();
const names = (page) => log(page).locator('code').allTextContents();
const button = (page, name) => page.getByRole('button', { name, exact: true });
const card = (page, title) => page.locator('.card').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
const does = (page, title) => button(page, `Do it: ${title}`).click();

/** The sockets of the page that are open, by name. */
const openSockets = (page) => page.evaluate(async () => {
  await new Promise(requestAnimationFrame);
  return [...document.querySelectorAll('.wire-connections li[data-state=OPEN] b')].map((name) => name.textContent.replace(/#\d+ /, ''));
});

test('the three steps run: create, open, send, and the answer in capitals', async () => {
  const page = await openLesson('socket');
  await page.getByLabel('Text to send').fill('hello straße 你好');
  await button(page, 'Run').click();
  await log(page).getByText('HELLO STRASSE 你好!!!').waitFor();
  await eventually(() => names(page), ['create', 'open', 'send', 'message']);
  await button(page, 'Send again').click();
  await log(page).locator('li').nth(5).waitFor();
  await button(page, 'Close').click();
  await log(page).getByText('1000 normal closure · wasClean true').waitFor();
  await eventually(() => button(page, 'Send again').isDisabled(), true);
});

test('a bad address and a bad subprotocol are refused by the constructor, with its words and ours', async () => {
  const page = await openLesson('socket');
  // By what the browser says of each: the log may still have the one before.
  for (const [wrong, words] of [['A bad address', /'ftp'/], ['A bad subprotocol', /'two words'/]]) {
    await button(page, wrong).click();
    await log(page).getByText(words).waitFor();
    await eventually(() => names(page), ['SyntaxError']);
    await log(page).getByText('The constructor threw, so there is no WebSocket').waitFor();
  }
});

test('a subprotocol that the server does not speak and an address where no server listens fail in the handshake', async () => {
  const page = await openLesson('socket');
  for (const [wrong, address] of [
    ['A subprotocol that the server does not speak', /^ws:.*\/chat$/],
    ['An address where no server listens', /^ws:\/\/[^/]+\/$/],
  ]) {
    await button(page, wrong).click();
    // The address comes with an empty log: before, it has what came of the other one.
    await eventually(() => page.getByLabel('Address of the server').inputValue(), address);
    await log(page).getByText('The handshake failed').waitFor();
    await eventually(() => names(page), ['create', 'error', 'close']);
  }
});

for (const transport of ['websocket', 'polling']) {
  test(`three doors lead to one room, Socket.IO over ${transport}`, async () => {
    const page = await openLesson('doors');
    await page.getByLabel('Transport').selectOption(transport);
    await button(page, 'Open all three').click();
    const doors = page.locator('.door');
    for (const at of [0, 1, 2]) await doors.nth(at).and(page.locator('[data-state=in]')).waitFor();
    for (const [at, text] of ['one 一', 'two "2"', 'three'].entries()) {
      await doors.nth(at).getByRole('textbox').fill(text);
      await doors.nth(at).getByRole('textbox').press('Enter');
      const inJson = JSON.stringify(text).slice(1, -1);
      await doors.nth(0).locator('.marked', { hasText: text }).first().waitFor();
      await doors.nth(1).locator('.marked', { hasText: `"event":"receiveMessage"` }).filter({ hasText: inJson }).waitFor();
      await doors.nth(2).locator('.marked', { hasText: '42["receiveMessage"' }).filter({ hasText: inJson }).waitFor();
    }
    await doors.nth(0).getByText('ONE 一!!!').waitFor();
    await button(page, 'Leave').click();
    await page.locator('.door[data-state=out]').nth(2).waitFor();
  });
}

test('the third door is where the server has Socket.IO', async () => {
  const moved = await startServer({ flags: ['--socketio-path', '/elsewhere'] });
  try {
    const page = await openLesson('doors', { url: moved.url });
    await button(page, 'Open all three').click();
    await page.locator('.door').nth(2).and(page.locator('[data-state=in]')).waitFor();
    await eventually(() => openSockets(page), (open) => open.includes('/elsewhere/'));
    await page.close();
  } finally {
    await moved.stop();
  }
});

test('polling and push get the same news, and polling pays more and hears later', async () => {
  const page = await openLesson('polling');
  // The answer to the first request is held until three news have been pushed: no speed of a machine changes which is first.
  let letGo;
  const gate = new Promise((resolve) => { letGo = resolve; });
  await page.route(/\/lesson\/news\?after=/, (route) => gate.then(() => route.continue()));
  await page.getByLabel('Ask every').fill('3');
  await button(page, 'Start').click();
  const cells = (row) => page.getByRole('row', { name: row }).getByRole('cell').allTextContents();
  const [polled] = await eventually(() => cells('News'), ([, pushed]) => Number(pushed) >= 3);
  assert.equal(polled, '0', 'polling hears later');
  await eventually(() => page.locator('.drawing path.push').count(), (count) => count >= 3);
  letGo();
  await eventually(() => cells('News'), ([byPolling]) => Number(byPolling) >= 3);
  await eventually(() => cells('Requests'), ([asked]) => Number.parseFloat(asked) >= 2);
  await button(page, 'Stop').click();
  assert.equal((await cells('Requests'))[1], '1', 'the WebSocket takes one request');
  for (const delay of await cells('Mean delay')) assert.match(delay, /^[\d.]+ m?s$/);
  await eventually(
    () => page.locator('.lesson .summary').textContent(),
    /polling took \d+ requests.*The WebSocket took one request/,
  );
  await eventually(async () => (await openSockets(page)).filter((name) => name.includes('lesson')), []);
});

test('asking often is mostly for nothing, and shown as such', async () => {
  const page = await openLesson('polling');
  await page.getByLabel('Ask every').fill('0.5');
  await button(page, 'Start').click();
  await page.getByRole('row', { name: 'Requests' }).getByText(/for nothing/).waitFor();
  await page.locator('.drawing .empty').first().waitFor();
});

test('closing with a code is answered with it, and with another code it throws', async () => {
  const page = await openLesson('break');
  await does(page, 'A normal close');
  await card(page, 'A normal close').getByText(/^4001 .*wasClean true/).waitFor();
  await card(page, 'A normal close').getByLabel('Code').fill('1001');
  await does(page, 'A normal close');
  await card(page, 'A normal close').getByText('InvalidAccessError').waitFor();
});

test('a message too big ends its connection with 1009, one of the limit comes back', async () => {
  const page = await openLesson('break');
  await does(page, 'A message too big');
  const ours = card(page, 'A message too big');
  await ours.getByText(/^1009 message too big/).waitFor();
  await ours.getByText('64 KiB, binary').waitFor();
});

test('a flood waits in the page, and ends with 1008, or 1006 when it breaks first', async () => {
  const page = await openLesson('break');
  await does(page, 'A flood');
  await card(page, 'A flood').getByText(/bufferedAmount [1-9]/).waitFor();
  await card(page, 'A flood').getByText(/^100[68] /).waitFor();
  await eventually(() => card(page, 'A flood').getByRole('progressbar').getAttribute('value'), (passed) => Number(passed) > 0);
});

for (const [title, expected] of [
  ['Text that is no text', /^1006 /],
  ['A masked frame', /^1006 /],
  ['A reserved opcode', /^1006 /],
  ['A connection reset', /^1006 .*wasClean false/],
  ['The server closes', /^1012 server restarts.*wasClean true/],
]) {
  test(`on request the server does it: ${title}`, async () => {
    const page = await openLesson('break');
    await does(page, title);
    await card(page, title).getByText(expected).waitFor();
    await card(page, title).getByRole('button').and(page.locator(':enabled')).waitFor();
  });
}

test("a slow client's queue grows to its bound, and the client is evicted", async () => {
  const page = await openLesson('break');
  await does(page, 'A client that is too slow');
  const ours = card(page, 'A client that is too slow');
  await ours.getByText(/waiting \d+ KiB of at most 1\.0 MiB/).waitFor();
  await ours.getByText(/1013 .*slow consumer|did not even take the close frame/).waitFor();
  await ours.locator('.drawing .cross').waitFor();
});

test('leaving a lesson closes its sockets, and coming back begins anew', async () => {
  const page = await openLesson('doors');
  await button(page, 'Open all three').click();
  await page.locator('.door[data-state=in]').nth(2).waitFor();
  await eventually(
    async () => (await openSockets(page)).filter((name) => name.startsWith('/')).sort(),
    ['/chat', '/socket.io/', '/ws'],
  );
  await page.getByRole('link', { name: 'Chat', exact: true }).click();
  await page.waitForFunction(() => !document.querySelector('.wire-connections')?.textContent.match(/\/(ws|socket\.io).*OPEN/));
  await page.waitForFunction(() => [...document.querySelectorAll('.wire-connections li')]
    .filter((one) => /#\d+ \//.test(one.textContent)).every((one) => one.dataset.state === 'CLOSED'));
  await page.getByRole('link', { name: 'Lessons', exact: true }).click();
  await page.getByRole('heading', { name: 'One WebSocket, four events' }).waitFor();
});

test('a server without lessons is told in words, and what needs no help still runs', async () => {
  const without = await startServer({ flags: ['--lessons', 'off'] });
  try {
    const page = await openLesson('break', { url: without.url });
    await page.getByText('switched off').waitFor();
    await eventually(() => button(page, 'Do it: A connection reset').isDisabled(), true);
    await does(page, 'A normal close');
    await card(page, 'A normal close').getByText(/^4001 /).waitFor();
    await page.goto(`${without.url}/#lessons/polling`);
    await eventually(() => button(page, 'Start').isDisabled(), true);
    await page.getByText('switched off').waitFor();
  } finally {
    await without.stop();
  }
});

test('when too many lessons run, the page says so', async () => {
  const busy = await startServer({ flags: ['--max-lessons', '1'] });
  try {
    const first = await openLesson('polling', { url: busy.url });
    await button(first, 'Start').click();
    await first.waitForFunction(() => document.querySelector('.wire-connections')?.textContent.includes('/lesson/news')
      && document.querySelector('.wire-connections li[data-state=OPEN]'));
    const second = await openLesson('break', { url: busy.url });
    await does(second, 'A connection reset');
    await second.getByText('as many lessons as it allows').waitFor();
  } finally {
    await busy.stop();
  }
});

test('the lessons speak Chinese, and change the language in mid-lesson', async () => {
  const page = await openLesson('socket', { locale: 'zh-CN' });
  await button(page, '运行').click();
  await log(page).getByText('HELLO!!!').waitFor();
  await button(page, '关闭').click();
  await log(page).getByText('1000 正常关闭').waitFor();
  await page.click('#language');
  await log(page).getByText('1000 normal closure').waitFor();
  await button(page, 'Run').waitFor();
});

test('no lesson is wider than a phone, in either language', async () => {
  for (const locale of ['en-GB', 'zh-CN']) {
    const page = await openLesson('socket', { locale, viewport: { width: 320, height: 640 } });
    for (const name of ['socket', 'doors', 'polling', 'break', 'server']) {
      await page.goto(`${world.server.url}/#lessons/${name}`);
      await page.locator(`a[href="#lessons/${name}"][aria-current]`).waitFor();
      const [wide, room] = await page.locator('#lessons').evaluate((view) => [view.scrollWidth, view.clientWidth]);
      assert.equal(wide <= room, true, `${name}: ${wide} px in ${room}`);
    }
  }
});
