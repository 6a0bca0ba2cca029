// Servers for a test file, and the official client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import readline from 'node:readline';
import { io } from 'socket.io-client';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** The environment without what would set the server up: what is tested is what a test asks for. */
export const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(ECHOROOM_.*|PORT|RUST_LOG)$/.test(name)),
);

// The suites want 200 ms for the answer to a ping; a busy machine may take longer.
const PATIENCE = '10000';

/** Every way the client may take. */
export const WAYS = [['polling', 'websocket'], ['websocket'], ['polling']];

/** Starts the server on a free port. */
export async function startServer(...flags) {
  const rate = flags.includes('--rate') ? [] : ['--rate', '0'];
  // With Redis, the rooms are there.
  const journal = flags.includes('--redis') ? [] : ['--journal', 'memory'];
  const args = ['--bind', '127.0.0.1', '--port', '0', ...journal, ...rate, ...flags];
  const child = spawn(process.env.ECHOROOM_BINARY, args, {
    cwd: REPO,
    env: ENVIRONMENT,
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const url = await new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stderr }).on('line', (line) => {
      const found = line.match(/listening on (http\S+)/);
      if (found) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return { url, stop: () => stop(child) };
}

/** Starts the conformance fixture. */
export function startFixture() {
  return startExample('socketio_conformance', PATIENCE);
}

/** Starts an example, which takes its port as its first argument, on a free port. */
export async function startExample(name, ...flags) {
  const port = await freePort();
  const program = join(process.env.ECHOROOM_EXAMPLES, name);
  const child = spawn(program, [String(port), ...flags], { env: ENVIRONMENT, stdio: 'inherit' });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    try {
      await fetch(url);
      return { url, stop: () => stop(child) };
    } catch {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A port of loopback that nothing uses. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Ends a child, if it has not ended. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

const kept = new Set();
let isWatching = false;

/** Has a child end with this process, however that ends. */
export function endsWithUs(child) {
  if (!isWatching) {
    isWatching = true;
    process.on('exit', () => kept.forEach((one) => one.kill('SIGKILL')));
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  }
  kept.add(child);
  child.once('exit', () => kept.delete(child));
  return child;
}

/** A client of its own connection. */
export function connect(url, options) {
  return io(url, { forceNew: true, reconnectionDelay: 50, ...options });
}

/** After this time a test fails that waits. On a machine of any speed it is longer than what it waits for may take. */
const WAIT_MS = Number(process.env.TEST_WAIT_MS ?? 60_000);

/** The first argument of the next event of that name. */
export function next(socket, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${event}`)), WAIT_MS);
    socket.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args.length > 1 ? args : args[0]);
    });
  });
}

/** Waits until something holds: a test of it, or a promise of one. */
export async function until(what, holds) {
  const end = performance.now() + WAIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
