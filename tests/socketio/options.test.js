// The options of the official client mean in our script what they mean there.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { forBoth, happens, startProxy } from './clients.js';
import { next, startServer, until } from './harness.js';

let server;

before(async () => { server = await startServer('--relay', 'on'); });
after(() => server?.stop());

/** Runs `act(url, requests)` with a way of its own to the server. */
async function onWay(act, url = server.url) {
  const proxy = await startProxy(url);
  try {
    await act(proxy.url, proxy.requests, proxy);
  } finally {
    proxy.stop();
  }
}

const connected = async (io, url, options) => {
  const socket = io(url, { forceNew: true, reconnectionDelay: 50, ...options });
  await next(socket, 'connect');
  return socket;
};

const upgraded = (socket) => until('the upgrade', () => socket.io.engine.transport.name === 'websocket');

/** Options of which the requests of a client tell: what they are, and what must be in its requests. */
const SEEN = {
  'path, with a slash added': [{ path: '/socket.io' }, ({ path }) => path === '/socket.io/'],
  'an empty path is the usual one': [{ path: '' }, ({ path }) => path === '/socket.io/'],
  'addTrailingSlash: false': [{ addTrailingSlash: false }, ({ path }) => path === '/socket.io'],
  'query as an object': [{ query: { a: 1, b: 'x y' } }, ({ query }) => query.a === '1' && query.b === 'x y'],
  'query as a text': [{ query: 'a=1&b=x%20y' }, ({ query }) => query.a === '1' && query.b === 'x y'],
  'a mark of the time for every poll': [{}, ({ query }) => (query.transport === 'polling') === 't' in query],
  'timestampRequests: false': [{ timestampRequests: false }, ({ query }) => !('t' in query)],
  'timestampRequests: true': [{ timestampRequests: true }, ({ query }) => 't' in query],
  timestampParam: [{ timestampParam: 'time' }, ({ query }) => (query.transport === 'polling') === 'time' in query && !('t' in query)],
  forceBase64: [{ forceBase64: true }, ({ query }) => ('sid' in query && query.transport === 'polling') || query.b64 === '1'],
  'transports: websocket': [{ transports: ['websocket'] }, ({ query }) => query.transport === 'websocket'],
  'transports: polling': [{ transports: ['polling'] }, ({ query }) => query.transport === 'polling'],
  'upgrade: false': [{ upgrade: false }, ({ query }) => query.transport === 'polling'],
  extraHeaders: [{ extraHeaders: { 'x-mine': 'yes' }, transports: ['polling'] }, ({ headers }) => headers['x-mine'] === 'yes'],
  'transportOptions of polling': [
    { transportOptions: { polling: { extraHeaders: { 'x-mine': 'yes' } } } },
    ({ query, headers }) => (query.transport === 'polling') === ('x-mine' in headers),
  ],
  'no option': [
    {
      path: undefined, transports: undefined, query: undefined, protocols: undefined, auth: undefined,
      timeout: undefined, reconnection: undefined, reconnectionDelayMax: undefined, autoConnect: undefined, extraHeaders: undefined,
    },
    ({ path }) => path === '/socket.io/',
  ],
};

for (const [name, [options, holds]] of Object.entries(SEEN)) {
  forBoth(test, `${name}: every request is made so, and the session works`, (io) => onWay(async (url, requests) => {
    const socket = await connected(io, `${url}/relay`, { ...options });
    const mayUpgrade = options.upgrade !== false && !['polling', 'websocket'].includes(String(options.transports));
    if (mayUpgrade) await upgraded(socket);
    assert.deepEqual(await socket.emitWithAck('join', 'tea'), { room: 'tea' });
    socket.disconnect();
    const seen = requests();
    assert.ok(seen.length > 0);
    for (const request of seen) assert.ok(holds(request), JSON.stringify(request));
  }));
}

const AUTH = {
  nothing: [undefined, true],
  null: [null, true],
  'an empty object': [{}, true],
  'an object': [{ recovery: false }, false],
  'a function that gives an object': [(then) => then({ recovery: false }), false],
  'a function that gives one later': [(then) => setTimeout(then, 5, { recovery: false }), false],
  'a function that gives nothing': [(then) => then(), true],
  'a function that gives null': [(then) => then(null), true],
  'an object with bytes in it': [{ recovery: false, bytes: new Uint8Array([1]) }, false],
};

for (const [name, [auth, recovers]] of Object.entries(AUTH)) {
  for (const transports of [['polling'], ['websocket']]) {
    forBoth(test, `auth is ${name}, by ${transports}: the namespace gets it`, async (io) => {
      const [ann, ben] = [
        await connected(io, `${server.url}/relay`, { auth, transports }),
        await connected(io, `${server.url}/relay`, { transports }),
      ];
      for (const socket of [ann, ben]) await socket.emitWithAck('join', `auth-${name}`);
      const heard = next(ann, 'x');
      ben.emit('x', 1);
      // Without `recovery: false` an offset follows.
      assert.equal(Array.isArray(await heard), recovers);
      for (const socket of [ann, ben]) socket.disconnect();
    });
  }
}

forBoth(test, 'auth belongs to its socket, not to the others of its manager', async (io) => {
  const ann = new io.Manager(server.url, { auth: { recovery: false } }).socket('/relay');
  await next(ann, 'connect');
  const ben = await connected(io, `${server.url}/relay`);
  for (const socket of [ann, ben]) await socket.emitWithAck('join', 'auth-of-a-manager');
  const heard = next(ann, 'x');
  ben.emit('x', 1);
  assert.equal((await heard).length, 2);
  for (const socket of [ann, ben]) socket.disconnect();
});

forBoth(test, 'auth may be set later, also to null', async (io) => {
  const socket = io(server.url, { forceNew: true, autoConnect: false, auth: 'x' });
  socket.auth = null;
  socket.connect();
  await next(socket, 'connect');
  socket.disconnect();
});

forBoth(test, 'rememberUpgrade: a WebSocket that worked is the first one tried', (io) => onWay(async (url, requests) => {
  const first = await connected(io, url);
  await upgraded(first);
  first.disconnect();
  const seen = requests().length;
  const second = await connected(io, url, { rememberUpgrade: true });
  assert.equal(second.io.engine.transport.name, 'websocket');
  second.disconnect();
  assert.deepEqual(requests().slice(seen).map(({ query }) => query.transport), ['websocket']);
  const third = await connected(io, url);
  third.disconnect();
  assert.equal(requests()[seen + 1].query.transport, 'polling', 'only when it is asked for');
}));

/** A server of WebSockets that keeps its frames and the protocols it was asked for, and lets every client in. */
async function startFrames() {
  const http = createServer();
  const frames = [];
  const asked = [];
  new WebSocketServer({ server: http }).on('connection', (socket, request) => {
    asked.push(request.headers['sec-websocket-protocol']);
    socket.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}');
    socket.on('message', (data, isBinary) => {
      frames.push(isBinary ? [...data] : String(data));
      if (String(data) === '40') ['40{"sid":"x"}', '451-["m",{"_placeholder":true,"num":0}]', 'bAQID'].forEach((frame) => socket.send(frame));
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { url: `http://127.0.0.1:${http.address().port}`, frames, asked, stop: () => http.close() };
}

forBoth(test, 'protocols: the server is asked for them', async (io) => {
  const { url, asked, stop } = await startFrames();
  const all = [{ protocols: 'a' }, { protocols: ['a', 'b'] }, { transportOptions: { websocket: { protocols: 'c' } } }, {}];
  for (const options of all) {
    const socket = await connected(io, url, { transports: ['websocket'], ...options });
    socket.disconnect();
  }
  assert.deepEqual(asked, ['a', 'a,b', 'c', undefined]);
  stop();
});

forBoth(test, 'forceBase64: bytes are texts over a WebSocket, in order, and texts of others are bytes', async (io) => {
  for (const forceBase64 of [true, false]) {
    const { url, frames, stop } = await startFrames();
    const socket = io(url, { forceNew: true, transports: ['websocket'], forceBase64 });
    assert.deepEqual([...new Uint8Array(await next(socket, 'm'))], [1, 2, 3]);
    socket.emit('a', new Uint8Array([4]));
    socket.emit('b');
    await until('both', () => frames.includes('42["b"]'));
    const placeholder = '{"_placeholder":true,"num":0}';
    assert.deepEqual(frames, ['40', `451-["a",${placeholder}]`, forceBase64 ? 'bBA==' : [4], '42["b"]']);
    socket.disconnect();
    stop();
  }
});

for (const transports of [['polling', 'websocket'], ['websocket']]) {
  forBoth(test, `forceBase64 with ${transports.join(' and ')}: bytes pass the relay whole and in order`, async (io) => {
    const [ann, ben] = await Promise.all([true, false].map((forceBase64) => connected(io, `${server.url}/relay`, { transports, forceBase64 })));
    const heard = [];
    for (const socket of [ann, ben]) {
      await socket.emitWithAck('join', `base64-${transports}`);
      await upgraded(socket);
    }
    ben.on('line', (number, bytes) => heard.push([number, ...new Uint8Array(bytes)]));
    for (let number = 0; number < 50; number += 1) ann.emit('line', number, new Uint8Array([number, 255]));
    await until('all', () => heard.length === 50);
    assert.deepEqual(heard, [...Array(50).keys()].map((number) => [number, number, 255]));
    for (const socket of [ann, ben]) socket.disconnect();
  });
}

forBoth(test, 'tryAllTransports: true goes on to the next transport, false does not', async (io) => {
  const polls = createServer((request, response) => {
    request.resume();
    if (request.method === 'POST') response.end('ok');
    else if (request.url.includes('sid=')) setTimeout(() => response.end('40{"sid":"x"}'), 5);
    else response.end('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}');
  });
  polls.listen(0, '127.0.0.1');
  await once(polls, 'listening');
  const url = `http://127.0.0.1:${polls.address().port}`;
  const transports = ['websocket', 'polling'];
  const socket = await connected(io, url, { transports: [...transports], tryAllTransports: true });
  assert.equal(socket.io.engine.transport.name, 'polling');
  socket.disconnect();
  const other = io(url, { forceNew: true, transports: [...transports], tryAllTransports: false, reconnection: false });
  assert.equal((await next(other, 'connect_error')).type, 'TransportError');
  polls.closeAllConnections();
  polls.close();
});

forBoth(test, 'requestTimeout: a poll that is not answered in time ends the connection', async (io) => {
  const silent = createServer(() => {});
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `http://127.0.0.1:${silent.address().port}`;
  const socket = io(url, { forceNew: true, transports: ['polling'], reconnection: false, requestTimeout: 20, timeout: false });
  // The official client has it in browsers only.
  const isOurs = io === globalThis.io;
  if (isOurs) assert.match((await next(socket, 'connect_error')).message, /no answer within 20 ms/);
  socket.disconnect();
  silent.closeAllConnections();
  silent.close();
});

forBoth(test, 'timeout: a connection that does not open in time is given up', async (io) => {
  const held = [];
  const silent = net.createServer((far) => held.push(far)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const socket = io(`http://127.0.0.1:${silent.address().port}`, { forceNew: true, timeout: 20, reconnection: false });
  assert.equal((await next(socket, 'connect_error')).message, 'timeout');
  socket.disconnect();
  for (const far of held) far.destroy();
  silent.close();
});

forBoth(test, 'no transport to try is an error that listeners hear of', async (io) => {
  const socket = io(server.url, { forceNew: true, transports: [], reconnection: false });
  assert.ok(await next(socket, 'connect_error'));
  socket.disconnect();
});

forBoth(test, 'zero is no number of attempts and no delay: the usual ones are taken', async (io) => {
  const zeros = { reconnectionAttempts: 0, reconnectionDelay: 0, reconnectionDelayMax: 0, path: '' };
  for (const options of [zeros, Object.fromEntries(Object.keys(zeros).map((name) => [name, null]))]) {
    const manager = new io.Manager(server.url, { autoConnect: false, ...options });
    const got = [manager.reconnectionAttempts(), manager.reconnectionDelay(), manager.reconnectionDelayMax()];
    assert.deepEqual(got, [Infinity, 1000, 5000]);
  }
});

forBoth(test, 'forceNew, multiplex and a namespace in use make a connection of their own', async (io) => onWay(async (url) => {
  const more = { autoConnect: false };
  const first = io(url, { ...more });
  assert.equal(io(`${url}/relay`, { ...more }).io, first.io);
  const others = [
    io(url, { ...more }),
    io(`${url}/a`, { ...more, forceNew: true }),
    io(`${url}/b`, { ...more, 'force new connection': true }),
    io(`${url}/c`, { ...more, multiplex: false }),
    io(`${url}/d`, { ...more, path: '/other' }),
  ];
  assert.equal(new Set([first, ...others].map((socket) => socket.io)).size, 6);
  assert.equal(io(`${url}/e`, { ...more }).io, first.io);
}));

forBoth(test, 'multiplex: false alone is not shared with later ones', async (io) => onWay(async (url) => {
  const alone = io(`${url}/a`, { autoConnect: false, multiplex: false });
  assert.notEqual(io(`${url}/b`, { autoConnect: false }).io, alone.io);
}));

forBoth(test, 'autoConnect: false waits to be asked, the manager too', async (io) => {
  const socket = io(server.url, { forceNew: true, autoConnect: false });
  assert.deepEqual([socket.active, socket.connected], [false, false]);
  socket.connect();
  await next(socket, 'connect');
  socket.disconnect();
  const manager = new io.Manager(server.url, { autoConnect: false });
  const other = manager.socket('/');
  assert.equal(other.active, false);
  assert.equal(await new Promise((resolve) => { manager.open(resolve); }), undefined);
  manager.disconnect();
});

forBoth(test, 'ackTimeout: an ack that does not come is an error, and one that comes follows null', async (io) => {
  const socket = await connected(io, server.url, { ackTimeout: 20 });
  // This namespace is refused, so nothing is answered there.
  const silent = socket.io.socket('/nowhere', { ackTimeout: 20 });
  const [error] = await new Promise((resolve) => { silent.emit('x', (...args) => resolve(args)); });
  assert.match(error.message, /timed out/);
  const [none, answer] = await new Promise((resolve) => { socket.timeout(60_000).emit('x', (...args) => resolve(args)); });
  assert.deepEqual([none, typeof answer], [null, 'object']);
  for (const each of [silent, socket]) each.disconnect();
});

forBoth(test, 'closeOnBeforeunload: the connection goes when the page may, without a word to listeners', async (io) => {
  // The official client waits for a ping in vain before it lets go.
  const quick = await startServer('--ping-interval', '1s', '--ping-timeout', '3s');
  for (const transports of [['websocket'], ['polling']]) {
    const room = `unload-${transports}-${io === globalThis.io}`;
    const log = async (username, options) => {
      const socket = await connected(io, quick.url, { transports, reconnection: false, ...options });
      await socket.emitWithAck('login', { username, room });
      return socket;
    };
    const [ann, ben] = [await log('ann', { closeOnBeforeunload: true }), await log('ben')];
    ann.on('disconnect', () => assert.fail('a word'));
    const gone = next(ben, 'delUser');
    happens('beforeunload');
    assert.equal((await gone).username, 'ann');
    ann.off('disconnect');
    for (const socket of [ann, ben]) socket.disconnect();
  }
  await quick.stop();
});
