// What the lessons say: in the reader's language, in the reader's terms, and only while it is true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, startServer, useWorld } from './harness.js';

const world = useWorld();

async function openLesson(name, options) {
  const page = await world.open({ path: `/#lessons/${name}`, ...options });
  await page.locator('.lesson h3').waitFor();
  return page;
}

const button = (page, name) => page.getByRole('button', { name, exact: true });

test('a room and the states of a socket are said in Chinese, too, and again in English', async () => {
  const page = await openLesson('socket', { locale: 'zh-CN' });
  await button(page, '运行').click();
  const log = page.locator('.lesson-log').first();
  await log.getByText('readyState 1（已打开）').waitFor();
  await page.click('#language');
  await log.getByText('readyState 1 OPEN').waitFor();
  await page.goto(`${world.server.url}/#lessons/doors`);
  await page.getByText(/^Room: lesson-/).waitFor();
  await page.click('#language');
  await page.getByText(/^房间：lesson-/).waitFor();
});

test('a normal end is not in the colour of errors, a broken one is', async () => {
  const page = await openLesson('break');
  const bad = await page.evaluate(() => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = 'var(--bad)';
    return getComputedStyle(probe).color;
  });
  for (const [title, isBad] of [['A normal close', false], ['A connection reset', true], ['A message too big', true]]) {
    await button(page, `Do it: ${title}`).click();
    const card = page.locator('.card').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
    const name = card.locator('[data-kind=close] code');
    await name.waitFor();
    await eventually(() => name.evaluate((element, colour) => getComputedStyle(element).color === colour, bad), isBad, title);
  }
});

test('that the server is busy is said no longer than until the next try', async (t) => {
  const busy = await startServer({ flags: ['--max-lessons', '1'] });
  t.after(() => busy.stop());
  const first = await openLesson('polling', { url: busy.url });
  await button(first, 'Start').click();
  await first.waitForFunction(() => document.querySelector('.wire-connections li[data-state=OPEN]')?.textContent.includes('/lesson/news'));
  const second = await openLesson('break', { url: busy.url });
  const said = second.getByText('as many lessons as it allows');
  await button(second, 'Do it: The server closes').click();
  await said.waitFor();
  await button(first, 'Stop').click();
  await first.waitForFunction(() => !document.querySelector('.wire-connections li[data-state=OPEN]'));
  // The server takes a moment to give the place back.
  await eventually(async () => {
    await second.locator('button[aria-label="Do it: The server closes"]:enabled').click();
    await second.locator('button[aria-label="Do it: The server closes"]:enabled').waitFor();
    return said.isVisible();
  }, false);
  await second.locator('.lesson-log').getByText(/^1012 server restarts/).waitFor();
});

test('the doors show no token and no session id of Engine.IO', async () => {
  for (const transport of ['websocket', 'polling']) {
    const page = await openLesson('doors');
    await page.getByLabel('Transport').selectOption(transport);
    await button(page, 'Open all three').click();
    await page.locator('.door[data-state=in]').nth(2).waitFor();
    const shown = async () => [...(await page.locator('.doors').textContent()).matchAll(/"(?:token|sid)":"([^"]*)"/g)]
      .map(([, value]) => value);
    const values = await eventually(shown, ({ length }) => length >= 5);
    assert.deepEqual([...new Set(values)], ['***']);
  }
});

test('the Chinese text has the terms of its readers', async () => {
  const page = await openLesson('socket', { locale: 'zh-CN' });
  const files = ['chat', 'emoji', 'lessons', 'lessons-polling-break', 'lessons-server', 'shell', 'wire', 'wire-details'];
  const words = await page.evaluate(async (names) => {
    const texts = await Promise.all(names.map(async (name) => (await fetch(`words/${name}.js`)).text()));
    return texts.map((text) => text.slice(text.indexOf('  zh: {'))).join('\n');
  }, files);
  const protocol = await page.evaluate(async () => (await fetch('protocol.js')).text());
  for (const wrong of [/套接字/, /道别/, /原始的门|原始 WebSocket/, /被告知/, /没有发出/, /放弃/, /关闭代码/, /'说'/, /扇门/]) {
    assert.doesNotMatch(words + protocol, wrong);
  }
  // 代码 is what one writes, 关闭码 is what a connection ends with.
  for (const [line] of (words + protocol).matchAll(/^.*代码.*$/gm)) assert.match(line, /执行你输入的代码/);
});

test('sizes are in the units of the limits', async () => {
  const page = await openLesson('break');
  await button(page, 'Do it: A message too big').click();
  await page.locator('.lesson-log').getByText('64 KiB, binary').waitFor();
  const sizes = await page.evaluate(async () => {
    const { bytes } = await import('/wire/format.js');
    return [0, 1023, 1024, 10_200, 65_536, 1_048_063, 1_048_575, 1_048_576, 20_000_000].map(bytes);
  });
  assert.deepEqual(sizes, ['0 B', '1023 B', '1.0 KiB', '10 KiB', '64 KiB', '1023 KiB', '1.0 MiB', '1.0 MiB', '19 MiB']);
});

test('the log of a lesson follows what comes in a window that gets narrower, until its reader scrolls', async () => {
  const page = await openLesson('socket');
  // In a narrow window the panel would lie over the lesson.
  if (await page.locator('#wire').isVisible()) await page.click('#wire-toggle');
  await button(page, 'Run').click();
  const log = page.locator('.lesson-log').first();
  await log.getByText('HELLO!!!').waitFor();
  const twoFrames = () => page.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  }));
  const sendMany = async (text) => {
    await page.getByLabel('Text to send').fill(`${text} ${'a longer text '.repeat(8)}`);
    for (let at = 0; at < 8; at += 1) await button(page, 'Send again').click();
    await page.waitForFunction((last) => [...document.querySelectorAll('.lesson-log [data-kind=message]')]
      .filter((line) => line.textContent.includes(last)).length === 8, text.toUpperCase());
    await twoFrames();
  };
  const distance = () => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  await sendMany('wide');
  await eventually(distance, (far) => far < 24);
  await page.setViewportSize({ width: 420, height: 800 });
  await sendMany('narrow');
  await eventually(distance, (far) => far < 24);
  await log.evaluate((box) => { box.scrollTop -= 200; });
  // The page hears of it with the next frame.
  await twoFrames();
  await sendMany('scrolled');
  assert.ok(await distance() > 100);
});
