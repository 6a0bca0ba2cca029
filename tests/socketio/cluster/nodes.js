// Servers of one cluster, ours and those of the official packages, and clients at them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENVIRONMENT, connect, freePort, next, stop, until } from '../harness.js';
import { untilServers } from './redis.js';

const SERVER = fileURLToPath(new URL('server.js', import.meta.url));

/** With this variable set to `node-redis` or `ioredis`, a reference server stands for ours: a test of the tests. */
export const OURS = process.env.CLUSTER_OURS ?? 'echoroom';

/** What a server's listener for `hello` puts before its answer. */
export const GREETING = { echoroom: 'rust', 'node-redis': 'node', ioredis: 'node' };

/** Starts a server: `kind` is `echoroom`, `node-redis` or `ioredis`. */
export async function startNode(redis, format, kind, options = {}) {
  const port = await freePort();
  const log = [];
  const ours = kind === 'echoroom';
  const child = ours
    ? spawn(join(process.env.ECHOROOM_EXAMPLES, 'socketio_cluster'), [String(port), redis.url, format], {
      env: { ...ENVIRONMENT, RUST_LOG: 'warn,echoroom=info' },
      stdio: ['ignore', 'inherit', 'pipe'],
    })
    : spawn(process.execPath, [SERVER, String(port), redis.url, format, kind, JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
  child.stderr.on('data', (text) => log.push(String(text)));
  const url = `http://127.0.0.1:${port}`;
  await until(`the server ${kind}`, async () => {
    if (child.exitCode !== null) throw new Error(`${kind} ended with ${child.exitCode}: ${log.join('')}`);
    return fetch(url).then(() => true, () => false);
  });
  const clients = new Set();
  const node = {
    kind,
    url,
    child,
    /** What it has logged. */
    log: () => log.join(''),
    /** A client at it, in a room. What it hears goes to `heard`, and it answers each question. */
    async enter(room, { namespace = '/', query = {}, ...more } = {}) {
      const client = connect(url + namespace, { query: { ...(room && { room }), ...query }, transports: ['websocket'], ...more });
      clients.add(client);
      const heard = [];
      client.onAny((...event) => {
        if (event[0] !== 'question') return heard.push(event);
        // A text is answered with one that says whose it is, any other value with itself.
        return event.at(-1)(typeof event[1] === 'string' ? `${kind} ${client.id} ${event[1]}` : event[1]);
      });
      await next(client, 'connect');
      // Its server has done what it does for a new client.
      await client.emitWithAck('join', 'all');
      return Object.assign(client, { heard, node });
    },
    /** Has code run in a reference server. Its arguments are `$0`, `$1` and so on. */
    run(code, ...args) {
      const id = Math.random();
      const value = new Promise((resolve, reject) => {
        child.on('message', function take(message) {
          if (message.id !== id) return;
          child.off('message', take);
          message.error ? reject(new Error(message.error)) : resolve(message.value);
        });
      });
      child.send({ id, code, args });
      return value;
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    /** Ends it, as an operator does. */
    end: () => stop(child),
    async stop() {
      clients.forEach((client) => client.disconnect());
      clients.clear();
      await (ours && child.exitCode === null ? stop(child) : node.kill());
    },
  };
  return node;
}

/** Starts servers of these kinds, and waits until each hears the others. */
export async function startNodes(redis, format, kinds, options) {
  const nodes = await Promise.all(kinds.map((kind) => startNode(redis, format, kind, options)));
  await untilServers(redis, format, kinds.length);
  return nodes;
}

/** Waits until each of the clients is in a room, as each server sees it; and, if need be, subscribed. */
export async function settled(redis, format, room, clients, namespace = '/') {
  const ids = clients.map((client) => client.id).sort();
  const servers = new Set(clients.map((client) => client.node)).size;
  for (const client of clients) {
    await until(`everybody in ${room}`, async () => {
      const found = await client.emitWithAck('who', room);
      return Array.isArray(found) && JSON.stringify(found.map(({ id }) => id).sort()) === JSON.stringify(ids);
    });
  }
  if (format !== 'sharded') return;
  await until(`the channel of ${room}`, async () => {
    const [, count] = await redis.ask('PUBSUB', 'SHARDNUMSUB', `socket.io#${namespace}#${room}#`);
    return count === servers;
  });
}

/** Waits until each client has heard an event with this name, which is emitted once; gives its arguments, without offset. */
export async function allHear(clients, emit, name) {
  await emit();
  await until(`${name} at all`, () => clients.every((client) => client.heard.some(([event]) => event === name)));
  return clients.map((client) => argsOf(client, name));
}

/** Emits a volatile event until each client has heard it: a client that is not writable at the moment does not get it. */
export async function allHearVolatile(clients, emit, name) {
  await until(`${name} at all`, async () => {
    await emit();
    return clients.every((client) => client.heard.some(([event]) => event === name));
  });
}

/** The arguments of the only event of that name that a client has heard, without an offset. */
export function argsOf(client, name) {
  const found = client.heard.filter(([event]) => event === name);
  if (found.length !== 1) throw new Error(`${client.node.kind} heard ${name} ${found.length} times`);
  return withoutOffset(client, found[0].slice(1));
}

/** Arguments without the offset that recovery adds. */
export function withoutOffset(client, args) {
  return client._pid && typeof args.at(-1) === 'string' && /^\d+-\d+$/.test(args.at(-1)) ? args.slice(0, -1) : args;
}
