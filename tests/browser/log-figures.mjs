// Measures the log of a room; not a test. Prints main-thread time of the page for each message with 0, 300 and 1,000
// messages said before and 300 members, the time until 5,000 said at once are shown with the panel of the wire open, and
// elements for each line. The figures are Chrome's own, of its Performance domain.
//
//   ECHOROOM_BINARY=../../target/release/echoroom node log-figures.mjs
import { chromium } from 'playwright-core';
import { enter, startServer } from './harness.js';

const MEMBERS = 300;
const SAID = 200;
const A_SECOND = 50;
const AT_ONCE = 5_000;
const SHOWN_WITHIN_MS = 120_000;

const server = await startServer({ flags: ['--rate', '0', '--history', '6000', '--max-queue-bytes', '16m'] });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
});

/** Chromium has at most 255 WebSockets in a profile. */
const MEMBERS_OF_A_PAGE = 150;

/** Members of `room`, some in each of several pages; the first page speaks. */
async function crowd(room) {
  const pages = [];
  for (let from = 0; from < MEMBERS; from += MEMBERS_OF_A_PAGE) {
    pages.push(await members(room, from, Math.min(from + MEMBERS_OF_A_PAGE, MEMBERS)));
  }
  return { say: pages[0].say, close: () => Promise.all(pages.map((page) => page.close())) };
}

/** A page of a profile of its own (so of a process of its own) that has members in `room` and speaks for them. */
async function members(room, from, to) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/health`);
  await page.evaluate(async ([name, first, end]) => {
    const join = (number) => new Promise((resolve) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
      const avatars = ['fox', 'cat', 'dog', 'bear', 'panda', 'koala', 'owl', 'frog'];
      const data = { username: `bot${number}`, avatar: avatars[number % avatars.length], room: name, presence: 'changes' };
      socket.onopen = () => socket.send(JSON.stringify({ event: 'login', data }));
      socket.onmessage = ({ data: text }) => text.includes('"loginSuccess"') && resolve(socket);
    });
    globalThis.sockets = [];
    for (let number = first; number < end; number += 1) globalThis.sockets.push(await join(number));
    globalThis.said = 0;
    globalThis.say = (count, aSecond) => new Promise((resolve) => {
      const last = globalThis.said + count;
      const one = () => {
        globalThis.said += 1;
        const socket = globalThis.sockets[Math.floor(globalThis.said / 3) % globalThis.sockets.length];
        socket.send(JSON.stringify({ event: 'sendMessage', data: { msg: `number ${globalThis.said} of what is said here` } }));
      };
      if (aSecond === 0) {
        while (globalThis.said < last) one();
        resolve();
        return;
      }
      const timer = setInterval(() => {
        one();
        if (globalThis.said === last) resolve(clearInterval(timer));
      }, 1000 / aSecond);
    });
  }, [room, from, to]);
  return {
    say: (count, aSecond = 0) => page.evaluate(([many, often]) => globalThis.say(many, often), [count, aSecond]),
    close: () => page.context().close(),
  };
}

async function reader(room, wire) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
  await context.addInitScript((open) => localStorage.setItem('echoroom.wire', open), wire);
  const page = await context.newPage();
  await page.goto(`${server.url}/?room=${room}`);
  await enter(page, 'Ann');
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable');
  const metrics = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  return { page, metrics };
}

/** Waits until the message with this offset is the last one shown. */
const shows = (page, offset) => page.waitForFunction(
  (last) => [...document.querySelectorAll('#lines [data-offset]')].at(-1)?.dataset.offset === String(last),
  offset,
  { timeout: SHOWN_WITHIN_MS, polling: 100 },
);

const perMessage = (before, after) => ['TaskDuration', 'ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']
  .map((name) => `${name.replace('Duration', '').toLowerCase()} ${((after[name] - before[name]) * 1000 / SAID).toFixed(2)}`)
  .join(', ');

async function eachMessage(lines) {
  const room = `figures-${lines}`;
  const talkers = await crowd(room);
  const { page, metrics } = await reader(room, 'closed');
  if (lines > 0) {
    await talkers.say(lines, 200);
    await shows(page, lines);
  }
  await page.waitForTimeout(3000);
  const idle = await metrics();
  await page.waitForTimeout(1000 * SAID / A_SECOND);
  const before = await metrics();
  await talkers.say(SAID, A_SECOND);
  await shows(page, lines + SAID);
  const after = await metrics();
  const resting = (before.TaskDuration - idle.TaskDuration) * 1000 / SAID;
  console.log(`${lines} said before: ms a message: ${perMessage(before, after)} (an idle page for that long: task ${resting.toFixed(2)})`);
  const elements = await page.evaluate(() => {
    const shown = document.querySelectorAll('#lines > .message').length;
    return `${shown} lines in the page, ${(document.querySelectorAll('#lines *').length / shown).toFixed(1)} elements a line`;
  });
  console.log(`  ${elements}, ${after.Nodes} nodes`);
  await page.context().close();
  await talkers.close();
}

async function atOnce() {
  const talkers = await crowd('at-once');
  const { page, metrics } = await reader('at-once', 'open');
  await page.waitForTimeout(2000);
  const [start, before] = [performance.now(), await metrics()];
  await talkers.say(AT_ONCE);
  const saidMs = performance.now() - start;
  try {
    await shows(page, AT_ONCE);
    const after = await metrics();
    console.log(`${AT_ONCE} at once, panel open: shown after ${((performance.now() - start) / 1000).toFixed(1)} s `
      + `(handed to the network after ${(saidMs / 1000).toFixed(1)} s), task ${(after.TaskDuration - before.TaskDuration).toFixed(1)} s`);
  } catch {
    console.log(`${AT_ONCE} at once, panel open: not shown within ${SHOWN_WITHIN_MS / 1000} s`);
  }
  await page.context().close();
  await talkers.close();
}

for (const lines of [0, 300, 1000]) await eachMessage(lines);
await atOnce();
await browser.close();
await server.stop();
