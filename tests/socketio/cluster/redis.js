// A redis-server for a test file, and what may be asked of it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { endsWithUs, freePort, until } from '../harness.js';

/** Starts a redis-server that keeps nothing on disk. */
export async function startRedis() {
  const folder = await mkdtemp(join(tmpdir(), 'echoroom-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child;
  let client;
  const redis = {
    port,
    url,
    /** Asks it something: a command with its arguments. */
    ask: (...command) => client.sendCommand(command.map(String)),
    /** As `ask`, with bytes as they are; for commands with a body. */
    publish: (channel, body, sharded = false) =>
      client.sendCommand([sharded ? 'SPUBLISH' : 'PUBLISH', channel, Buffer.from(body)]),
    client: () => client,
    async start() {
      const flags = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
      child = endsWithUs(spawn('redis-server', flags.map(String), { stdio: 'ignore' }));
      child.on('error', (error) => { throw new Error(`redis-server (Debian package redis-server): ${error}`); });
      client = await connectTo(url);
    },
    /** Ends it as a crash does. */
    async kill() {
      client.destroy();
      await end(child, 'SIGKILL');
    },
    async stop() {
      client.destroy();
      await end(child, 'SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}

/** A client of Redis, connected. */
export async function connectTo(url) {
  let client;
  await until('redis-server', async () => {
    client = createClient({ url, socket: { reconnectStrategy: false } }).on('error', () => {});
    return client.connect().then(() => true, () => false);
  });
  return client;
}

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** Waits until that many servers have subscribed and read, in both namespaces. */
export async function untilServers(redis, format, count) {
  const key = format === 'classic' ? 'socket.io-request' : 'socket.io';
  const ask = format === 'sharded' ? 'SHARDNUMSUB' : 'NUMSUB';
  await until(`${count} servers`, async () => {
    const [, main, , admin] = await redis.ask('PUBSUB', ask, `${key}#/#`, `${key}#/admin#`);
    if (main !== count || admin !== count) return false;
    if (format !== 'streams') return true;
    const clients = await redis.ask('CLIENT', 'LIST');
    return clients.match(/ cmd=xread /g)?.length === count;
  });
}

/** A way to a Redis that can be cut, and then led to another one. */
export async function startLink(redis) {
  let target = redis.port;
  const sockets = new Set();
  const ports = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(target, '127.0.0.1', () => ports.add(far.localPort));
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('data', (chunk) => other.write(chunk));
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${server.address().port}`,
    /** Whether a connection that Redis names comes by this way. */
    isMine: (from) => ports.has(Number(from.split(':').at(-1))),
    leadTo(next) {
      target = next.port;
      sockets.forEach((socket) => socket.destroy());
    },
    stop() {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}
