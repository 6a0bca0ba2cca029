// What servers send to Redis, as Redis itself tells it (MONITOR).
import net from 'node:net';
import { once } from 'node:events';
import { until } from '../harness.js';

/** Watches a Redis from now on. */
export async function watch(redis) {
  const socket = net.connect(redis.port, '127.0.0.1');
  const seen = [];
  let rest = '';
  let marks = 0;
  socket.on('data', (chunk) => {
    const lines = (rest + chunk.toString('latin1')).split('\r\n');
    rest = lines.pop();
    lines.map(read).filter(Boolean).forEach((command) => seen.push(command));
  });
  socket.on('error', () => {});
  socket.write('MONITOR\r\n');
  await once(socket, 'data');
  return {
    seen,
    /** All commands until now: `{from, command}`. */
    async now() {
      const mark = `mark ${(marks += 1)}`;
      await redis.ask('ECHO', mark);
      await until('the mark', () => seen.some(({ command }) => command[1] === mark));
      return seen.filter(({ command }) => command[0].toUpperCase() !== 'ECHO');
    },
    /** Forgets what it has seen. */
    forget: () => { seen.length = 0; },
    stop: () => socket.destroy(),
  };
}

/** A line such as `+1.5 [0 127.0.0.1:7] "PUBLISH" "a" "\x93"`. Texts have a character for each byte. */
function read(line) {
  const found = line.match(/^\+[\d.]+ \[\d+ ([^\]]+)\] (.*)$/s);
  if (!found) return undefined;
  const command = [...found[2].matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map(([, text]) => unescape(text));
  return { from: found[1], command };
}

const ESCAPED = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };

function unescape(text) {
  return text.replace(/\\(x[0-9a-f]{2}|.)/gs, (_, code) => (
    code.length === 3 ? String.fromCharCode(parseInt(code.slice(1), 16)) : ESCAPED[code] ?? code));
}
