// Starts the real server and a real browser for a test file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import readline from 'node:readline';
import { after, afterEach, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { chromium } from 'playwright-core';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** After this time a test fails that waits. On a machine of any speed it is longer than what it waits for may take. */
const PATIENCE_MS = 60_000;
const READ_EVERY_MS = 50;

/**
 * Races in tests show on another machine. `BROWSER_TEST_SLOWDOWN=8` makes each page eight times slower,
 * `BROWSER_TEST_SLOW_MO=50` lets 50 milliseconds pass after each step of a test.
 */
const { BROWSER_TEST_SLOWDOWN: SLOWDOWN = 1, BROWSER_TEST_SLOW_MO: SLOW_MO = 0 } = process.env;

/** The environment without what would set the server up: what is tested is what a test asks for. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(ECHOROOM_.*|PORT|RUST_LOG)$/.test(name)),
);

/** Starts the server on `port` (0: a free one) and gives back its address, and how to stop it or have it crash. */
export async function startServer({ port = 0, flags = [] } = {}) {
  const own = ['--port', String(port)];
  if (!flags.includes('--bind')) own.push('--bind', '127.0.0.1');
  if (!flags.includes('--journal') && !flags.includes('--redis')) own.push('--journal', 'memory');
  const child = spawn(process.env.ECHOROOM_BINARY, [...own, ...flags], {
    cwd: REPO,
    env: ENVIRONMENT,
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const lines = readline.createInterface({ input: child.stderr });
  const url = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = line.match(/listening on (http\S+)/);
      if (found) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return { url, port: Number(new URL(url).port), stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

/** A headless Chromium that makes no requests of its own. */
function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    slowMo: Number(SLOW_MO),
    timeout: PATIENCE_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-smooth-scrolling',
    ],
  });
}

/**
 * A server and a browser for the tests of a file: `start()` starts the server, `open(options)` opens a tab. After each
 * test its tabs are closed, and it fails if something went wrong in one of them.
 */
export function useWorld(start = startServer) {
  const world = { server: undefined, browser: undefined };
  const tabs = [];
  world.open = async (options) => {
    const tab = await openTab(world, options);
    tabs.push(tab);
    return tab;
  };
  before(async () => {
    world.server = await start();
    world.browser = await startBrowser();
  });
  afterEach(async () => {
    const closed = tabs.splice(0);
    await Promise.all(closed.map((tab) => tab.context().close()));
    assert.deepEqual(closed.flatMap(({ problems }) => problems), []);
  });
  after(async () => {
    await world.browser?.close();
    await world.server?.stop();
  });
  return world;
}

/**
 * A tab of its own browser profile, or one more of `context`. It keeps in `problems` what goes wrong in it, breaches of the
 * content security policy among them; a connection that cannot be had is none, nor is what the console says of something
 * that the test `brings` about, a regular expression. `prepare(page)` comes before the page does.
 */
async function openTab({ server, browser }, options = {}) {
  const { path = '/', url = server.url, locale = 'en-GB', context, brings, prepare, ...more } = options;
  const profile = context ?? await browser.newContext({ locale, viewport: { width: 1280, height: 800 }, ...more });
  profile.setDefaultTimeout(PATIENCE_MS);
  const page = await profile.newPage();
  if (SLOWDOWN > 1) await slowDown(page);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => {
    const isConnection = /WebSocket connection|net::ERR_(CONNECTION_\w+|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|INTERNET_DISCONNECTED)/.test(line.text());
    if (line.type() === 'error' && !isConnection && !brings?.test(line.text())) page.problems.push(line.text());
  });
  await prepare?.(page);
  await page.goto(url + path);
  return page;
}

async function slowDown(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: Number(SLOWDOWN) });
}

/**
 * Reads until what `read` gives is as `expected`, and gives it: equal to a value, matched by a regular expression, or such
 * that a function holds for it. A page shows things later than a step of a test returns: what may still change is read like
 * this. That something is not shown says nothing before another thing is that would have come after it.
 */
export async function eventually(read, expected, message) {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      const value = await read();
      compare(value, expected, message);
      return value;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(READ_EVERY_MS);
  }
}

function compare(value, expected, message) {
  if (expected instanceof RegExp) assert.match(value, expected, message);
  else if (typeof expected === 'function') assert.ok(expected(value), message ?? `not so: ${inspect(value)}`);
  else assert.deepEqual(value, expected, message);
}

/**
 * Notes from now on what an element says, or what its attribute says; gives a function that reads all of it. What shows for
 * a moment may be over before a test looks.
 */
export async function notes(page, selector, attribute = null) {
  const noted = await page.locator(selector).evaluateHandle((element, name) => {
    const says = () => (name ? element.getAttribute(name) : element.textContent);
    const all = [says()];
    new MutationObserver(() => says() !== all.at(-1) && all.push(says()))
      .observe(element, { attributes: true, childList: true, characterData: true, subtree: true });
    return all;
  }, attribute);
  return () => noted.jsonValue();
}

/** Logs in at the page's form, and waits until the server has let them in. */
export async function enter(page, username, avatar = 'fox') {
  await page.fill('#username', username);
  await page.check(`input[value=${avatar}]`, { force: true });
  await page.click('#enter');
  await inside(page);
}

/** Waits until the page is in its room. */
export async function inside(page) {
  await page.locator('#people .you:not([data-before])').waitFor({ state: 'attached' });
}

/** Waits until the page has all its parts. Those that it loads last could not be had without a connection. */
export async function loaded(page) {
  await page.locator('#wire .wire-tools').waitFor();
}

/**
 * To be called before the connection of pages is lost: `inside` then waits until the server has let them in anew. A page
 * without a connection goes on to show who was in its room.
 */
export async function willLose(...pages) {
  for (const page of pages) {
    await loaded(page);
    await page.locator('#people .you').evaluate((mark) => { mark.dataset.before = ''; });
  }
}

/**
 * Scrolls the log, to its `top` or that many pixels below it, until the page knows that its reader has left the end: what
 * came at that moment may have brought the end back into sight.
 */
export async function scrollUp(page, top = 0) {
  await eventually(async () => {
    await page.locator('#log').evaluate((log, to) => { log.scrollTop = to; }, top);
    return page.locator('#to-newest').isVisible();
  }, true);
}

/** Says something to the room. */
export async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

/** The bubbles of the log that hold this text, those that wait to be sent included. */
export const bubbles = (page, text) => page.locator('#log .said').filter({ hasText: text });
