// Two nodes on one Redis, with nginx in front of them, as the files of `deploy/` set them up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from './harness.js';

const DEPLOY = new URL('../../deploy/', import.meta.url);

/** After this time a program has not started. */
const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 20;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether something listens on a port. */
async function listens(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Starts a program, and waits until it listens; gives back how to stop it. */
async function startProgram(command, args, port) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = once(child, 'exit').then(([code]) => new Error(`${command} ended with ${code}`));
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
  };
  const end = performance.now() + PATIENCE_MS;
  while (!(await listens(port))) {
    const error = await Promise.race([gone, sleep(LOOK_EVERY_MS)]);
    if (error) throw error;
    if (performance.now() > end) {
      await stop();
      throw new Error(`${command} does not listen on ${port}`);
    }
  }
  return stop;
}

/** Starts a Redis with the settings of `deploy/redis.conf`, except for where it is. */
async function startRedis(folder) {
  const port = await freePort();
  const file = path.join(folder, 'redis.conf');
  const own = `\nbind 127.0.0.1\nport ${port}\nlogfile ${folder}/redis.log\n`;
  const text = await readFile(new URL('redis.conf', DEPLOY), 'utf8');
  await writeFile(file, text.replace('dir /data', `dir ${folder}`) + own);
  return { port, stop: await startProgram('redis-server', [file], port) };
}

/** Starts nginx with `deploy/nginx.conf`, in which the addresses are replaced. */
async function startNginx(folder, one, two) {
  const port = await freePort();
  const text = await readFile(new URL('nginx.conf', DEPLOY), 'utf8');
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const temporary = kinds.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  const own = text
    .replaceAll('one1:3000', `127.0.0.1:${one}`)
    .replaceAll('two2:3000', `127.0.0.1:${two}`)
    .replace('listen 3000', `listen 127.0.0.1:${port}`)
    .replace('http {', `pid ${folder}/nginx.pid;\nhttp {\n    ${temporary}`);
  const file = path.join(folder, 'nginx.conf');
  await writeFile(file, own);
  const args = ['-p', folder, '-c', file, '-e', `${folder}/error.log`, '-g', 'daemon off;'];
  return { url: `http://127.0.0.1:${port}`, stop: await startProgram('nginx', args, port) };
}

/** Starts all of it. `url` is the address of nginx; `nodes` are the servers behind it, by their names. */
export async function startNodes(flags = []) {
  const folder = await mkdtemp(path.join(tmpdir(), 'nodes-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    const redis = await startRedis(folder);
    stops.push(redis.stop);
    const nodes = {};
    for (const name of ['one1', 'two2']) {
      const place = ['--redis', `redis://127.0.0.1:${redis.port}`, '--node', name, '--data-dir', path.join(folder, name)];
      nodes[name] = await startServer({ flags: [...place, '--trusted-proxy', '127.0.0.1', ...flags] });
      stops.push(nodes[name].stop);
    }
    const nginx = await startNginx(folder, nodes.one1.port, nodes.two2.port);
    stops.push(nginx.stop);
    return { url: nginx.url, nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
