// Starts the real server and a real browser for a test file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import readline from 'node:readline';
import { after, afterEach, before } from 'node:test';
import { chromium } from 'playwright-core';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** The environment without what would set the server up: what is tested is what a test asks for. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(ECHOROOM_.*|PORT|RUST_LOG)$/.test(name)),
);

/** Starts the server on `port` (0: a free one) and gives back its address and how to stop it. */
export async function startServer({ port = 0, flags = [] } = {}) {
  const own = ['--port', String(port)];
  if (!flags.includes('--bind')) own.push('--bind', '127.0.0.1');
  if (!flags.includes('--journal')) own.push('--journal', 'memory');
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
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  return { url, port: Number(new URL(url).port), stop };
}

/** A headless Chromium that asks nobody for anything. */
function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
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
 * content security policy among them; a connection that cannot be had is none. `prepare(page)` comes before the page does.
 */
async function openTab({ server, browser }, options = {}) {
  const { path = '/', url = server.url, locale = 'en-GB', context, prepare, ...more } = options;
  const profile = context ?? await browser.newContext({ locale, viewport: { width: 1280, height: 800 }, ...more });
  const page = await profile.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => {
    const isConnection = /WebSocket connection|net::ERR_(CONNECTION_\w+|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE|INTERNET_DISCONNECTED)/.test(line.text());
    if (line.type() === 'error' && !isConnection) page.problems.push(line.text());
  });
  await prepare?.(page);
  await page.goto(url + path);
  return page;
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
  await page.locator('#people .you').waitFor({ state: 'attached' });
}

/** Says something to the room. */
export async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

/** The bubbles of the log that hold this text, those that wait to be sent included. */
export const bubbles = (page, text) => page.locator('#log .said').filter({ hasText: text });
