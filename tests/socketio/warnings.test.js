// What the official client does and our script does not, our script names in the console, once.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ours as io } from './clients.js';

const OPTIONS = { forceNew: true, autoConnect: false };
const ADDRESS = 'http://127.0.0.1:9';

/** What `act` writes to the console. */
function warnings(act) {
  const lines = [];
  const { warn } = console;
  console.warn = (...line) => lines.push(line.join(' '));
  try {
    act();
  } finally {
    console.warn = warn;
  }
  return lines;
}

/** The options that the official client declares. */
function declaredOptions() {
  const folder = new URL('node_modules/', import.meta.url);
  const all = [
    ['engine.io-client/build/esm/socket.d.ts', 'export interface SocketOptions'],
    ['socket.io-client/build/esm/manager.d.ts', 'export interface ManagerOptions'],
    ['socket.io-client/build/esm/socket.d.ts', 'export interface SocketOptions'],
  ].flatMap(([file, head]) => {
    const text = readFileSync(new URL(file, folder), 'utf8').replace(/\/\*[^]*?\*\//g, '');
    return text.slice(text.indexOf(head)).split('\n}')[0].split('\n').map((line) => /^ {4}(\w+)\??:/.exec(line)?.[1]).filter(Boolean);
  });
  return [...new Set(all)];
}

/** Options that our script follows; other tests say how. */
const FOLLOWED = new Set([
  'path', 'addTrailingSlash', 'transports', 'tryAllTransports', 'upgrade', 'rememberUpgrade', 'forceBase64', 'timestampParam',
  'timestampRequests', 'query', 'requestTimeout', 'transportOptions', 'extraHeaders', 'withCredentials', 'closeOnBeforeunload',
  'protocols', 'forceNew', 'multiplex', 'reconnection', 'reconnectionAttempts', 'reconnectionDelay', 'reconnectionDelayMax',
  'randomizationFactor', 'timeout', 'autoConnect', 'auth', 'ackTimeout', 'retries',
]);

/** A value that asks for something else than what happens without the option. */
const VALUES = { rejectUnauthorized: false, query: { a: 1 }, transports: ['polling'], transportOptions: {}, auth: {} };

test('every option of the official client is followed, or named once in the console', () => {
  const options = declaredOptions();
  assert.ok(options.includes('agent') && options.includes('parser') && options.includes('retries'), String(options));
  // In Node there are no cookies to send.
  for (const name of options.filter((known) => known !== 'withCredentials')) {
    const use = () => io(ADDRESS, { ...OPTIONS, [name]: VALUES[name] ?? OPTIONS[name] ?? 'x' });
    const lines = warnings(() => { use(); use(); });
    assert.equal(lines.length, FOLLOWED.has(name) ? 0 : 1, `${name}: ${lines}`);
    if (lines.length > 0) assert.match(lines[0], new RegExp(`^socket\\.io\\.js: the option "${name}" has no effect`));
  }
});

test('an option that asks for what happens anyway, or is not given, is not named', () => {
  const anyway = { agent: false, rejectUnauthorized: true, autoUnref: false, useNativeTimers: false, parser: undefined, pfx: null };
  assert.deepEqual(warnings(() => io(ADDRESS, { ...OPTIONS, ...anyway })), []);
});

test('an option that nobody knows, a slip of the pen among them, is named', () => {
  const [line] = warnings(() => io(ADDRESS, { ...OPTIONS, reconectionDelay: 5 }));
  assert.match(line, /"reconectionDelay" has no effect/);
  const [inner] = warnings(() => io(ADDRESS, { ...OPTIONS, transportOptions: { polling: { hedaers: {} } } }));
  assert.match(inner, /"hedaers" has no effect/);
});

test('options that another one or the place of their use makes void are named', () => {
  const uses = [
    [() => io(`${ADDRESS}/?a=1`, { ...OPTIONS, query: { b: 2 } }), /"query" has no effect beside an address with a query/],
    [() => new io.Manager(ADDRESS, { ...OPTIONS, auth: { a: 1 } }), /"auth" belongs to a socket/],
    [() => new io.Manager(ADDRESS, { ...OPTIONS, retries: 2 }), /"retries" belongs to a socket/],
    [() => io(ADDRESS, { ...OPTIONS, withCredentials: true }), /"withCredentials" keeps no cookies in Node/],
  ];
  for (const [use, expected] of uses) {
    const lines = warnings(() => { use(); use(); });
    assert.equal(lines.length, 1, String(lines));
    assert.match(lines[0], expected);
  }
});

test('options that a shared connection cannot follow any more are named, and those that it has are not', () => {
  const options = { autoConnect: false, query: { a: '1' }, transports: ['websocket'], auth: { a: 1 } };
  const lines = warnings(() => {
    io('http://127.0.0.1:9/a', options);
    io('http://127.0.0.1:9/b', { ...options, query: { a: '1' }, auth: { b: 2 }, retries: 3 });
    io('http://127.0.0.1:9/c');
    io('http://127.0.0.1:9/d', { autoConnect: false, multiplex: true, forceNew: false, reconnection: true, upgrade: null });
  });
  assert.deepEqual(lines, []);
  const [line] = warnings(() => io('http://127.0.0.1:9/e', { ...options, transports: ['polling'] }));
  assert.match(line, /"transports" differs from that of the connection which is shared/);
});

test('transports that are not there are named, by their name or their class', () => {
  class Own {}
  Own.prototype.name = 'pigeon';
  for (const [transport, name] of [['webtransport', 'webtransport'], [Own, 'pigeon'], ['carrier', 'carrier']]) {
    const lines = warnings(() => {
      for (let count = 0; count < 2; count += 1) io(ADDRESS, { forceNew: true, transports: [transport], reconnection: false });
    });
    assert.equal(lines.length, 1);
    assert.match(lines[0], new RegExp(`the transport "${name}" is not in this client`));
  }
});

test('calls that have no effect are named', () => {
  const socket = io(ADDRESS, { forceNew: true, transports: ['websocket'], extraHeaders: { a: 'b' }, autoConnect: false });
  const open = warnings(() => socket.connect());
  assert.match(open[0], /"extraHeaders" goes with polling only/);
  const { engine } = socket.io;
  const lines = warnings(() => {
    for (let count = 0; count < 2; count += 1) {
      socket.compress(true);
      engine.binaryType = 'blob';
      engine.binaryType = 'arraybuffer';
    }
  });
  assert.equal(lines.length, 2);
  assert.match(lines.join(), /socket\.compress\(\) has no effect.*engine\.binaryType/);
  socket.disconnect();
});
