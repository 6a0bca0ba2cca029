// Our own client script (`static/socket.io.js`) by every way: against the conformance fixture, the chat, the reference
// server, and servers that do wrong.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { Server } from 'socket.io';
import WebSocket, { WebSocketServer } from 'ws';
import '../../static/socket.io.js';
import { WAYS, next, startFixture, startServer, until } from './harness.js';

// Node 20 has fetch, and no WebSocket yet.
globalThis.WebSocket = WebSocket;
const { io } = globalThis;
const bytes = (...numbers) => new Uint8Array(numbers);
const numbers = (buffer) => [...new Uint8Array(buffer)];

let fixture;
let chat;
let reference;

before(async () => {
  [fixture, chat, reference] = await Promise.all([startFixture(), startServer(), startReference()]);
});
after(async () => {
  await Promise.all([fixture?.stop(), chat?.stop(), reference?.stop()]);
});

/** A socket of its own connection. */
function open(url, options) {
  return io(url, { forceNew: true, reconnectionDelay: 20, ...options });
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** The reference server in this process: namespaces `/` and `/custom` echo, `/private` refuses. */
async function startReference(options) {
  const http = createServer();
  const server = new Server(http, { connectionStateRecovery: {}, ...options });
  const echo = (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => socket.emit('message-back', ...args));
    socket.on('message-with-ack', (...args) => args.pop()(...args));
    socket.on('leave', (whole) => socket.disconnect(whole));
  };
  server.on('connection', echo);
  server.of('/custom').on('connection', echo);
  server.of('/private').use((_, then) => then(Object.assign(new Error('members only'), { data: { code: 7 } })));
  const url = `http://127.0.0.1:${await listen(http)}`;
  const stop = () => {
    server.disconnectSockets(true);
    http.closeAllConnections();
    return server.close();
  };
  return { url, server, http, stop };
}

/** A way to a server that can be cut, and closed for a while. */
async function startProxy(url) {
  const target = Number(new URL(url).port);
  const sockets = new Set();
  let isOpen = true;
  const server = net.createServer((near) => {
    if (!isOpen) return near.destroy();
    const far = net.connect(target, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  const port = await listen(server);
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    shut: () => {
      isOpen = false;
      cut();
    },
    reopen: () => {
      isOpen = true;
    },
    stop: () => {
      cut();
      server.close();
    },
  };
}

/** A server on WebSockets that lets everybody into the main namespace and then does what `act(socket)` says. */
async function startFake(act, { pingInterval = 25_000, pingTimeout = 20_000, opening } = {}) {
  const http = createServer();
  const port = await listen(http);
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => {
    socket.heard = [];
    socket.send(opening ?? `0${JSON.stringify({ sid: 's', upgrades: [], pingInterval, pingTimeout, maxPayload: 1e6 })}`);
    socket.on('message', (data) => {
      socket.heard.push(String(data));
      if (String(data) !== '40') return;
      socket.send('40{"sid":"x"}');
      act?.(socket);
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    stop: () => {
      for (const socket of server.clients) socket.terminate();
      http.close();
    },
  };
}

/** What the listeners of the server's side hear: the socket of the next client. */
const nextClient = (server) => new Promise((resolve) => server.once('connection', resolve));

for (const transports of WAYS) {
  const way = transports.join(' and ');

  test(`${way}: the fixture gets the payload, and the last transport carries the session`, async () => {
    const socket = open(fixture.url, { transports, auth: { token: 'x' } });
    assert.deepEqual([socket.connected, socket.disconnected, socket.active], [false, true, true]);
    assert.deepEqual(await next(socket, 'auth'), { token: 'x' });
    assert.deepEqual([socket.connected, socket.disconnected, socket.recovered], [true, false, false]);
    assert.match(socket.id, /^\S{20}$/);
    if (transports.length > 1 && socket.io.engine.transport.name === 'polling') {
      assert.equal((await next(socket.io.engine, 'upgrade')).name, 'websocket');
    }
    assert.equal(socket.io.engine.transport.name, transports.at(-1));
    const gone = next(socket, 'disconnect');
    socket.disconnect();
    assert.equal((await gone)[0], 'io client disconnect');
    assert.deepEqual([socket.connected, socket.active, socket.id], [false, false, undefined]);
  });

  for (const kind of ['fixture', 'reference']) {
    const url = () => ({ fixture, reference })[kind].url;

    test(`${way}: events and acks carry nested binary to the ${kind} and back`, async () => {
      const socket = open(url(), { transports });
      const back = next(socket, 'message-back');
      const blob = new Blob([bytes(5, 6)]);
      socket.emit('message', 1, { a: [true, null, 'é'] }, bytes(1, 2, 3).buffer, { b: [{ c: Buffer.from([4]) }, blob] });
      const [one, nested, plain, deep] = await back;
      assert.deepEqual([one, nested], [1, { a: [true, null, 'é'] }]);
      assert.ok(plain instanceof ArrayBuffer);
      assert.deepEqual([numbers(plain), numbers(deep.b[0].c), numbers(deep.b[1])], [[1, 2, 3], [4], [5, 6]]);
      assert.equal(await socket.emitWithAck('message-with-ack', 'x'), 'x');
      assert.deepEqual(numbers(await socket.timeout(60_000).emitWithAck('message-with-ack', bytes(9).subarray(0))), [9]);
      const called = await new Promise((resolve) => { socket.emit('message-with-ack', 1, 2, (...args) => resolve(args)); });
      assert.deepEqual(called, [1, 2]);
      const timely = await new Promise((resolve) => { socket.timeout(60_000).emit('message-with-ack', 3, (...args) => resolve(args)); });
      assert.deepEqual(timely, [null, 3]);
      socket.disconnect();
    });

    test(`${way}: an event of 500 kB and a thousand in order pass the ${kind} both ways`, async () => {
      const socket = open(url(), { transports });
      const large = 'é'.repeat(250_000);
      const back = next(socket, 'message-back');
      socket.emit('message', large);
      // The reference adds the place in what it keeps for a recovery.
      assert.equal([await back].flat()[0], large);
      const heard = [];
      socket.on('message-back', (number, part) => heard.push([number, part ? numbers(part) : null]));
      const said = [];
      for (let number = 0; number < 1000; number += 1) {
        // Some have a binary part, which must not get between others.
        const part = number % 50 === 0 ? bytes(number / 50) : null;
        said.push([number, part ? [number / 50] : null]);
        socket.emit('message', number, part);
      }
      await until('a thousand', () => heard.length === 1000);
      assert.deepEqual(heard, said);
      socket.disconnect();
    });

    test(`${way}: an ack that does not come is an error in time at the ${kind}`, async () => {
      const socket = open(url(), { transports, ackTimeout: 50 });
      await next(socket, 'connect');
      await assert.rejects(socket.timeout(20).emitWithAck('nobody-answers', 1), /timed out/);
      const [error] = await new Promise((resolve) => { socket.emit('nobody-answers', (...args) => resolve(args)); });
      assert.match(error.message, /timed out/);
      socket.disconnect();
    });
  }

  test(`${way}: namespaces share a connection, are left, and are refused with the server's words`, async () => {
    // One that nobody has asked yet: connections are shared in the whole page.
    const server = await startReference();
    const custom = io(`${server.url}/custom`, { transports, auth: (then) => then({ a: way }), query: { way } });
    const main = io(server.url, { transports });
    assert.equal(main.io, custom.io);
    const [auth, ours] = await Promise.all([next(custom, 'auth'), next(main, 'auth')]);
    assert.deepEqual([auth[0] ?? auth, ours[0] ?? ours], [{ a: way }, {}]);
    const refused = io(`${server.url}/private`, { transports });
    const error = await next(refused, 'connect_error');
    assert.ok(error instanceof Error);
    assert.deepEqual([error.message, error.data, refused.active], ['members only', { code: 7 }, false]);
    const unknown = custom.io.socket('/random');
    assert.equal((await next(unknown, 'connect_error')).message, 'Invalid namespace');
    custom.disconnect();
    const back = next(main, 'message-back');
    main.emit('message', 'still here');
    assert.equal((await back)[0], 'still here');
    const again = next(custom, 'connect');
    custom.connect();
    await again;
    const closed = next(main.io.engine, 'close');
    main.disconnect();
    custom.disconnect();
    await closed;
    const other = io(`${server.url}/custom`, { transports, autoConnect: false });
    assert.notEqual(other.io, custom.io, 'a namespace in use gets a connection of its own');
    await server.stop();
  });

  test(`${way}: the reference asks for acks, once each`, async () => {
    const client = nextClient(reference.server);
    const socket = open(reference.url, { transports });
    const heard = [];
    socket.onAny((name) => heard.push(name));
    socket.on('question', (part, answer) => {
      answer('yes', { part });
      answer('twice');
    });
    const far = await client;
    const [yes, { part }] = await new Promise((resolve) => {
      far.emit('question', Buffer.from([1, 2]), (...args) => resolve(args));
    });
    assert.deepEqual([yes, numbers(part)], ['yes', [1, 2]]);
    assert.deepEqual(heard, ['auth', 'question']);
    socket.disconnect();
    assert.equal((await once(far, 'disconnect'))[0], 'client namespace disconnect');
  });

  test(`${way}: what is said before leaving arrives`, async () => {
    // The chat, because the reference drops events that arrive together with the leave.
    const [ann, ben] = [open(chat.url, { transports }), open(chat.url, { transports })];
    const heard = [];
    ben.on('receiveMessage', ({ msg }) => heard.push(msg));
    for (const [index, socket] of [ann, ben].entries()) {
      const welcome = next(socket, 'loginSuccess');
      socket.emit('login', { username: `p${index}`, room: `leaving-${transports.join('-')}` });
      await welcome;
    }
    for (let number = 0; number < 50; number += 1) ann.emit('sendMessage', { msg: String(number) });
    ann.disconnect();
    await until('all', () => heard.length === 50);
    assert.deepEqual(heard, [...Array(50).keys()].map(String));
    ben.disconnect();
  });

  test(`${way}: what is said offline waits and is sent once, volatile events are dropped`, async () => {
    const proxy = await startProxy(reference.url);
    const heard = [];
    const hear = (far) => far.on('said', (text) => heard.push(text));
    reference.server.on('connection', hear);
    const socket = open(proxy.url, { transports, autoConnect: false });
    socket.emit('said', 'before');
    socket.volatile.emit('said', 'volatile before');
    socket.connect();
    await until('what waited', () => heard.length === 1);
    let lost = next(socket, 'disconnect');
    proxy.shut();
    assert.match((await lost)[0], /^transport (close|error)$/);
    socket.emit('said', 'between');
    socket.volatile.emit('said', 'volatile between');
    const acked = socket.emitWithAck('message-with-ack', 'waits for its connection');
    await assert.rejects(socket.timeout(20).emitWithAck('said', 'given up'), /timed out/);
    proxy.reopen();
    assert.equal(await acked, 'waits for its connection');
    lost = next(socket, 'disconnect');
    proxy.cut();
    await lost;
    await next(socket, 'connect');
    socket.volatile.emit('said', 'volatile online');
    socket.emit('said', 'last');
    await until('the last', () => heard.at(-1) === 'last');
    assert.deepEqual(heard, ['before', 'between', 'volatile online', 'last']);
    reference.server.off('connection', hear);
    socket.disconnect();
    proxy.stop();
  });

  test(`${way}: a lost connection comes back, and acks of the old one are settled`, async () => {
    const proxy = await startProxy(fixture.url);
    const socket = open(proxy.url, { transports });
    await next(socket, 'auth');
    const { id } = socket;
    const rejected = assert.rejects(socket.emitWithAck('nobody-answers'), /disconnected/);
    const inTime = new Promise((resolve) => { socket.timeout(60_000).emit('nobody-answers', resolve); });
    let wasCalled = false;
    socket.emit('nobody-answers', () => { wasCalled = true; });
    const told = [];
    for (const name of ['reconnect_attempt', 'reconnect_error', 'reconnect']) {
      socket.io.on(name, (detail) => told.push([name, detail instanceof Error ? detail.message : detail]));
    }
    const errors = [];
    socket.on('connect_error', (error) => errors.push(error));
    const lost = next(socket, 'disconnect');
    proxy.shut();
    const [reason, error] = await lost;
    assert.match(reason, /^transport (close|error)$/);
    assert.ok(error instanceof Error);
    assert.equal(socket.active, true);
    await rejected;
    assert.match((await inTime).message, /disconnected/);
    await until('two tries in vain', () => errors.length >= 2);
    proxy.reopen();
    await next(socket, 'connect');
    assert.notEqual(socket.id, id);
    assert.equal(wasCalled, false);
    assert.deepEqual(told.slice(0, 3).map(([name]) => name), ['reconnect_attempt', 'reconnect_error', 'reconnect_attempt']);
    const tries = told.filter(([name]) => name === 'reconnect_attempt').length;
    assert.deepEqual(told.at(-1), ['reconnect', tries]);
    assert.equal(errors.length, tries - 1);
    assert.ok(errors.every((known) => known instanceof Error && known.type === 'TransportError'), String(errors));
    socket.disconnect();
    proxy.stop();
  });

  test(`${way}: the state is recovered: what was missed comes, in order, once`, async () => {
    const proxy = await startProxy(reference.url);
    const client = nextClient(reference.server);
    const socket = open(proxy.url, { transports });
    const heard = [];
    socket.on('news', (number) => heard.push(number));
    const far = await client;
    await next(socket, 'auth');
    const { id } = socket;
    reference.server.to(far.id).emit('news', 0);
    await until('the first', () => heard.length === 1);
    const left = once(far, 'disconnect');
    const lost = next(socket, 'disconnect');
    proxy.shut();
    await Promise.all([left, lost]);
    for (let number = 1; number <= 20; number += 1) {
      reference.server.to(far.id).emit('news', number % 4 ? number : { number, part: Buffer.from([number]) });
    }
    const back = next(socket, 'connect');
    proxy.reopen();
    await back;
    assert.deepEqual([socket.recovered, socket.id], [true, id]);
    reference.server.to(far.id).emit('news', 21);
    await until('all', () => heard.at(-1) === 21);
    assert.deepEqual(heard.map((known) => known.number ?? known), [...Array(22).keys()]);
    socket.disconnect();
    proxy.stop();
  });

  test(`${way}: who is sent away by the server stays away`, async () => {
    for (const whole of [false, true]) {
      const socket = open(reference.url, { transports });
      let tries = 0;
      socket.io.on('reconnect_attempt', () => { tries += 1; });
      await next(socket, 'auth');
      const { engine } = socket.io;
      const closed = next(engine, 'close');
      const gone = next(socket, 'disconnect');
      socket.emit('leave', whole);
      assert.equal((await gone)[0], 'io server disconnect');
      await closed;
      assert.equal(socket.active, false);
      const again = next(socket, 'connect');
      socket.connect();
      await again;
      assert.equal(tries, 0, 'only when it was asked to');
      socket.disconnect();
    }
  });

  test(`${way}: three people chat in a room`, async () => {
    const room = way.replaceAll(' ', '-');
    const people = [];
    for (const username of ['Ann', 'Ben', 'Cleo']) {
      const socket = open(chat.url, { transports });
      socket.heard = [];
      socket.on('receiveMessage', ({ msg }) => socket.heard.push(msg));
      const welcome = next(socket, 'loginSuccess');
      socket.emit('login', { username, room });
      assert.equal((await welcome).room, room);
      people.push(socket);
    }
    const receipt = await people[0].timeout(5000).emitWithAck('sendMessage', { msg: 'hello', id: 'm1' });
    assert.deepEqual([receipt.id, receipt.echo], ['m1', 'HELLO!!!']);
    assert.equal((await people[1].emitWithAck('jump', {})).error.code, 'unknown_event');
    for (let number = 0; number < 100; number += 1) people[1].emit('sendMessage', { msg: String(number) });
    for (const socket of people) {
      await until('all', () => socket.heard.length === 101);
      assert.deepEqual(socket.heard, ['hello', ...[...Array(100).keys()].map(String)]);
      socket.disconnect();
    }
  });

  test(`${way}: heartbeats keep the session`, async () => {
    const socket = open(fixture.url, { transports });
    await next(socket, 'auth');
    const { id } = socket;
    for (let count = 0; count < 3; count += 1) await next(socket.io, 'ping');
    assert.deepEqual([socket.connected, socket.id], [true, id]);
    socket.disconnect();
  });
}

test('the transports are tried in turn', async () => {
  const polls = await startReference({ transports: ['polling'] });
  const socket = open(polls.url, { transports: ['websocket', 'polling'] });
  await next(socket, 'connect');
  assert.equal(socket.io.engine.transport.name, 'polling');
  socket.disconnect();
  await polls.stop();
  const sockets = await startReference({ transports: ['websocket'] });
  const other = open(sockets.url);
  await next(other, 'connect');
  assert.equal(other.io.engine.transport.name, 'websocket');
  other.disconnect();
  await sockets.stop();
});

test('an upgrade that fails leaves the session polling', async () => {
  const server = await startReference();
  server.http.prependListener('upgrade', (_, connection) => connection.destroy());
  const socket = open(server.url);
  await next(socket, 'connect');
  for (let number = 0; number < 5; number += 1) {
    assert.equal(await socket.emitWithAck('message-with-ack', number), number);
  }
  assert.equal(socket.io.engine.transport.name, 'polling');
  socket.disconnect();
  await server.stop();
});

test('events said during the upgrade pass in order, both ways', async () => {
  const socket = open(reference.url);
  const heard = [];
  socket.on('message-back', (number) => heard.push(number));
  await next(socket, 'connect');
  let said = 0;
  const isUpgraded = () => socket.io.engine.transport.name === 'websocket';
  while (!isUpgraded() || said < 200) {
    socket.emit('message', said);
    said += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('all', () => heard.length === said);
  assert.deepEqual(heard, [...Array(said).keys()]);
  socket.disconnect();
});

test('posts keep to the limit of the server, one at a time', async () => {
  const server = await startReference({ maxHttpBufferSize: 2000 });
  const sizes = [];
  let underWay = 0;
  server.http.prependListener('request', (request, response) => {
    if (request.method !== 'POST') return;
    underWay += 1;
    assert.equal(underWay, 1);
    sizes.push(Number(request.headers['content-length']));
    response.once('close', () => { underWay -= 1; });
  });
  const socket = open(server.url, { transports: ['polling'] });
  const heard = [];
  socket.on('message-back', (number) => heard.push(number));
  for (let number = 0; number < 100; number += 1) socket.emit('message', number, number % 2 ? 'é'.repeat(50) : bytes(...Array(100).fill(1)));
  await until('a hundred', () => heard.length === 100);
  assert.deepEqual(heard, [...Array(100).keys()]);
  assert.ok(Math.max(...sizes) <= 2000 && Math.max(...sizes) > 1500, String(sizes));
  socket.disconnect();
  await server.stop();
});

test('what breaks the protocol ends the connection with a parse error', async () => {
  const bad = [
    ['4abc'], ['4'], [''], ['x'], ['9'], ['5'], ['0{}'], ['42'], ['42{}'], ['42[]'], ['42["connect"]'], ['42[{}]'], ['42-1["x"]'],
    ['421.5["x"]'], ['42abc["x"]'], ['42["x"'], ['43["x"]'], ['431{}'], ['41{}'], ['40'], ['40[]'], ['44[]'], ['47'],
    ['45["x"]'], ['450-["x"]'], ['421-["x"]'], [bytes(1)], ['451-["x",{"_placeholder":true,"num":0}]', '42["y"]'],
    ['451-["x",{"_placeholder":true,"num":1}]', bytes(1)], ['451-["x",{"_placeholder":true,"num":"length"}]', bytes(1)],
    ['451-["x"', bytes(1)],
  ];
  for (const frames of bad) {
    const fake = await startFake((socket) => frames.forEach((frame) => socket.send(frame)));
    const socket = open(fake.url, { transports: ['websocket'], reconnection: false });
    const heard = [];
    socket.onAny((...event) => heard.push(event));
    const [reason, error] = await next(socket, 'disconnect');
    assert.deepEqual([reason, heard], ['parse error', []], String(frames));
    assert.ok(error instanceof Error);
    fake.stop();
  }
  const broken = createServer((request, response) => {
    request.resume();
    if (request.method === 'POST') response.end('ok');
    else if (request.url.includes('sid=')) response.end('40{"sid":"x"}\x1eb***');
    else response.end('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}');
  });
  const socket = open(`http://127.0.0.1:${await listen(broken)}`, { reconnection: false });
  assert.equal((await next(socket, 'disconnect'))[0], 'parse error');
  broken.close();
});

test('what means nothing to us is passed over', async () => {
  const nothing = ['6', '3', '42/other,["x"]', '4399["x"]', '41/other,', '42["unheard"]'];
  const fake = await startFake((socket) => [...nothing, '42["last",{"_placeholder":true,"num":0}]'].forEach((frame) => socket.send(frame)));
  const socket = open(fake.url, { transports: ['websocket'] });
  assert.deepEqual(await next(socket, 'last'), { _placeholder: true, num: 0 });
  socket.disconnect();
  fake.stop();
});

test('a handshake that is none is a failed try', async () => {
  for (const opening of ['0{}', '4x', '0[', '{}', bytes(1), '0{"sid":"s","pingInterval":0,"pingTimeout":1}']) {
    const fake = await startFake(null, { opening });
    const socket = open(fake.url, { transports: ['websocket'], reconnectionAttempts: 1 });
    const failed = next(socket.io, 'reconnect_failed');
    assert.match((await next(socket, 'connect_error')).message, /open packet/, String(opening));
    await failed;
    fake.stop();
  }
});

test('a server that does not answer is given up, tried again, and then no more', async () => {
  const silent = net.createServer(() => {});
  const url = `http://127.0.0.1:${await listen(silent)}`;
  const socket = open(url, { timeout: 50, reconnectionAttempts: 3, randomizationFactor: 0 });
  const errors = [];
  const times = [];
  socket.on('connect_error', (error) => errors.push(error.message));
  socket.io.on('reconnect_attempt', () => times.push(performance.now()));
  await next(socket.io, 'reconnect_failed');
  assert.deepEqual(errors, Array(4).fill('timeout'));
  // 20 ms, then 40, then 80, and each time the 50 until it is given up.
  assert.ok(times[2] - times[1] >= 125, String(times));
  socket.disconnect();
  silent.close();
});

test('a refusal over polling says why', async () => {
  const refusing = createServer((request, response) => response.writeHead(403).end('not from here'));
  const socket = open(`http://127.0.0.1:${await listen(refusing)}`, { transports: ['polling'], reconnection: false });
  const error = await next(socket, 'connect_error');
  assert.match(error.message, /403.*not from here/);
  assert.equal(error.description, 403);
  refusing.close();
});

test('a server that falls silent is left when its ping is due', async () => {
  const fake = await startFake(null, { pingInterval: 500, pingTimeout: 500 });
  const start = performance.now();
  const socket = open(fake.url, { transports: ['websocket'], reconnection: false });
  await next(socket, 'connect');
  assert.equal((await next(socket, 'disconnect'))[0], 'ping timeout');
  const elapsed = performance.now() - start;
  assert.ok(elapsed >= 990, String(elapsed));
  fake.stop();
});

test('a server that pings once a month keeps its clients, whose timers cannot wait that long', async () => {
  let far;
  const fake = await startFake((socket) => { far = socket; }, { pingInterval: 30 * 24 * 3_600_000 });
  const socket = open(fake.url, { transports: ['websocket'], reconnection: false });
  await next(socket, 'connect');
  for (let count = 0; count < 20; count += 1) {
    socket.emit('x', count);
    await until('it', () => far.heard.includes(`42["x",${count}]`));
  }
  assert.equal(socket.connected, true);
  socket.disconnect();
  fake.stop();
});

/** As if the machine slept: nothing runs in this process. */
const sleep = (time) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);

test('a page that slept reads what came meanwhile before it judges', async () => {
  let far;
  const fake = await startFake((socket) => { far = socket; }, { pingInterval: 1000, pingTimeout: 1000 });
  const socket = open(fake.url, { transports: ['websocket'], reconnection: false });
  socket.on('disconnect', (reason) => assert.fail(reason));
  await next(socket, 'connect');
  far.send('2');
  sleep(2500);
  socket.emit('after');
  socket.emit('later');
  await until('both', () => far.heard.length >= 4);
  assert.deepEqual(far.heard.slice(1).toSorted(), ['3', '42["after"]', '42["later"]']);
  assert.equal(socket.connected, true);
  socket.off('disconnect');
  socket.disconnect();
  fake.stop();
});

test('a page that slept while its connection died says so by the clock, and keeps what is said', async () => {
  let far;
  const fake = await startFake((socket) => { far = socket; }, { pingInterval: 1000, pingTimeout: 1000 });
  const socket = open(fake.url, { transports: ['websocket'] });
  await next(socket, 'connect');
  const lost = next(socket, 'disconnect');
  const first = far;
  sleep(2500);
  socket.emit('kept');
  assert.equal((await lost)[0], 'ping timeout');
  await until('what was said', () => far.heard.includes('42["kept"]'));
  assert.deepEqual([first === far, first.heard], [false, ['40']]);
  socket.disconnect();
  fake.stop();
});

test('a listener that throws is reported and breaks nothing', async (context) => {
  const reported = [];
  context.mock.method(console, 'error', (error) => reported.push(error.message));
  const socket = open(reference.url, { auth: () => { throw new Error('auth'); } });
  await next(socket.io, 'open');
  socket.auth = {};
  socket.disconnect().connect();
  socket.onAny(() => { throw new Error('any'); });
  socket.on('message-back', () => { throw new Error('first'); });
  const heard = next(socket, 'message-back');
  socket.emit('message', 1);
  assert.equal((await heard)[0], 1);
  socket.emit('message-with-ack', () => { throw new Error('ack'); });
  assert.equal(await socket.emitWithAck('message-with-ack', 2), 2);
  assert.deepEqual(reported.filter((name) => name !== 'any'), ['auth', 'first', 'ack']);
  assert.equal(socket.connected, true);
  socket.disconnect();
});

test('names that mean something here are refused', () => {
  const socket = open(reference.url, { autoConnect: false });
  for (const name of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
    assert.throws(() => socket.emit(name), /reserved/);
  }
  assert.throws(() => socket.on('x'), TypeError);
  assert.throws(() => socket.emit('x', 1n), TypeError);
});

test('so many events wait for a connection and no more', async () => {
  const socket = open(reference.url, { autoConnect: false });
  for (let number = 0; number < 10_000; number += 1) socket.emit('x', number);
  assert.throws(() => socket.emit('x'), /10000 events wait/);
  assert.throws(() => socket.emit('x', () => {}), /10000 events wait/);
  await assert.rejects(socket.emitWithAck('x'), /10000 events wait/);
  const [error] = await new Promise((resolve) => { socket.timeout(60_000).emit('x', (...args) => resolve(args)); });
  assert.match(error.message, /10000 events wait/);
  socket.volatile.emit('x');
});

test('listeners come, go, and are called once if they said so', async () => {
  const socket = open(reference.url);
  const heard = [];
  const always = (number) => heard.push(`always ${number}`);
  const first = (number) => heard.push(`once ${number}`);
  const never = () => heard.push('never');
  const any = (name, number) => heard.push(`any ${name} ${number}`);
  socket.on('message-back', always).once('message-back', first).once('message-back', never).on('message-back', never);
  // One at a time, as the official client does.
  socket.off('message-back', never).off('message-back', never).onAny(any);
  await next(socket, 'auth');
  socket.emit('message', 1);
  socket.emit('message', 2);
  await until('both', () => heard.includes('always 2'));
  socket.offAny(any);
  socket.off('message-back');
  socket.on('message-back', (number) => heard.push(number)).send(3);
  await until('the last', () => heard.includes(3));
  const expected = ['any message-back 1', 'always 1', 'once 1', 'any message-back 2', 'always 2', 3];
  assert.deepEqual(heard.filter((line) => !String(line).startsWith('any auth')), expected);
  socket.disconnect();
});

test('an answer to a question of the last connection is not sent on the next one', async () => {
  const client = nextClient(reference.server);
  const socket = open(reference.url);
  const far = await client;
  let answer;
  socket.on('question', (then) => { answer = then; });
  far.emit('question', () => {});
  await until('the question', () => answer);
  const again = nextClient(reference.server);
  const lost = next(socket, 'disconnect');
  far.conn.close();
  await lost;
  const other = await again;
  const asked = new Promise((resolve) => { other.emit('question', resolve); });
  const late = answer;
  answer = null;
  await until('the other question', () => answer);
  late('wrong');
  answer('right');
  assert.equal(await asked, 'right');
  socket.disconnect();
});
