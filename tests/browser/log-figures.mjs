// Measures the log of a room; not a test. Prints the CPU time of the page's main thread for each message with 0, 300 and
// 1,000 messages said before and 300 members, the time until 5,000 said at once are shown with the panel of the wire open,
// and elements for each line. The figures are Chrome's own, of its Performance domain, by the clock of the thread. The
// members are sockets of this process: in the browser they would take more time of it than the page that is measured.
//
//   ECHOROOM_BINARY=../../target/release/echoroom node log-figures.mjs
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { chromium } from 'playwright-core';
import { enter, startServer } from './harness.js';

const MEMBERS = 300;
const SAID = 200;
const A_SECOND = 50;
const AT_ONCE = 5_000;
const SHOWN_WITHIN_MS = 120_000;
const AVATARS = ['fox', 'cat', 'dog', 'bear', 'panda', 'koala', 'owl', 'frog'];

const server = await startServer({ flags: ['--rate', '0', '--history', '6000', '--max-queue-bytes', '16m'] });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'],
});

/** A text frame of a client (RFC 6455, section 5.2), masked with zeros. */
function frame(text) {
  const payload = Buffer.from(text);
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xFF];
  return Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), payload]);
}

/** A member of `room`. It reads what it hears and does nothing with it. */
async function member(room, number) {
  const socket = createConnection(server.port, '127.0.0.1');
  socket.write(`GET /chat HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  const data = { username: `bot${number}`, avatar: AVATARS[number % AVATARS.length], room, presence: 'changes' };
  socket.write(frame(JSON.stringify({ event: 'login', data })));
  for (let heard = ''; !heard.includes('"loginSuccess"');) heard += (await once(socket, 'data'))[0].toString('latin1');
  socket.resume();
  return socket;
}

/** Members of `room`; `say` gives a promise that they have said so many messages, at once or so many a second. */
async function crowd(room) {
  const sockets = [];
  for (let number = 0; number < MEMBERS; number += 1) sockets.push(await member(room, number));
  let said = 0;
  const one = () => {
    said += 1;
    const msg = `number ${said} of what is said here`;
    sockets[Math.floor(said / 3) % MEMBERS].write(frame(JSON.stringify({ event: 'sendMessage', data: { msg } })));
  };
  const say = async (count, aSecond = 0) => {
    const start = performance.now();
    for (let done = 1; done <= count; done += 1) {
      one();
      const wait = aSecond === 0 ? 0 : start + done * 1000 / aSecond - performance.now();
      if (wait > 0) await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  };
  return { say, close: () => sockets.forEach((socket) => socket.destroy()) };
}

async function reader(room, wire) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
  await context.addInitScript((open) => localStorage.setItem('echoroom.wire', open), wire);
  const page = await context.newPage();
  await page.goto(`${server.url}/?room=${room}`);
  await enter(page, 'Ann');
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
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
  talkers.close();
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
  talkers.close();
}

for (const lines of [0, 300, 1000]) await eachMessage(lines);
await atOnce();
await browser.close();
await server.stop();
