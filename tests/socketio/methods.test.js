// What sockets, managers and connections of the official client can do, those of our script can do.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { forBoth, ours, startProxy } from './clients.js';
import { next, startServer, until } from './harness.js';

let server;

before(async () => { server = await startServer('--relay', 'on'); });
after(() => server?.stop());

const idle = (io, url = server.url) => io(url, { forceNew: true, autoConnect: false });

async function connected(io, url, options) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 50, ...options });
  await next(socket, 'connect');
  return socket;
}

/** Two clients in a room of the relay. */
async function pair(io, room, ...options) {
  const sockets = [];
  for (const index of [0, 1]) {
    const socket = await connected(io, `${server.url}/relay`, options[index]);
    await socket.emitWithAck('join', room);
    sockets.push(socket);
  }
  return sockets;
}

/** The public members of a class, or of an interface, by its declarations. */
function declared(file, head) {
  const folder = new URL('node_modules/', import.meta.url);
  const text = readFileSync(new URL(file, folder), 'utf8').replace(/\/\*[^]*?\*\//g, '');
  const body = text.slice(text.indexOf(head)).split('\n}')[0].split('\n').slice(1);
  const names = body.map((line) => /^ {4}(?:readonly |get |set )?(\w+)[?<(:]/.exec(line)?.[1]);
  return [...new Set(names)].filter((name) => name && !/^(constructor|_.*)$/.test(name));
}

test('our script has every public member of the official declarations', async () => {
  const socket = await connected(ours, server.url);
  const emitter = declared('@socket.io/component-emitter/lib/esm/index.d.ts', 'export class Emitter');
  const all = [
    [socket, declared('socket.io-client/build/esm/socket.d.ts', 'export declare class Socket'), 'onAnyOutgoing'],
    [socket.io, declared('socket.io-client/build/esm/manager.d.ts', 'export declare class Manager'), 'reconnectionDelayMax'],
    [socket.io.engine, declared('engine.io-client/build/esm/socket.d.ts', 'export declare class Socket'), 'writeBuffer'],
  ];
  for (const [object, names, sample] of all) {
    assert.ok(names.includes(sample) && emitter.includes('hasListeners'), `${names} ${emitter}`);
    for (const name of [...names, ...emitter]) assert.ok(name in object, name);
  }
  for (const name of ['addEventListener', 'removeEventListener', 'removeListener', 'removeAllListeners']) assert.ok(name in socket, name);
  for (const name of ['io', 'connect', 'Manager', 'Socket']) assert.equal(typeof ours[name], 'function', name);
  assert.equal(ours.protocol, 5);
  socket.disconnect();
});

forBoth(test, 'listeners come and go under each of their names', (io) => {
  const { io: manager } = idle(io);
  for (const emitter of [manager, idle(io)]) {
    const heard = [];
    const one = () => heard.push('one');
    const two = () => heard.push('two');
    assert.deepEqual([emitter.hasListeners('x'), emitter.listeners('x')], [false, []]);
    assert.equal(emitter.on('x', one), emitter);
    assert.equal(emitter.addEventListener('x', two), emitter);
    emitter.on('x', one).once('x', two);
    assert.deepEqual([emitter.hasListeners('x'), emitter.listeners('x').length], [true, 4]);
    emitter.off('x', one);
    assert.deepEqual(emitter.listeners('x').slice(0, 2), [two, one], 'one at a time');
    emitter.removeListener('x', two).removeEventListener('x', two);
    assert.deepEqual(emitter.listeners('x'), [one], 'those of once, too');
    emitter.off('x').on('y', one).on('z', one).removeAllListeners('y');
    assert.deepEqual(['x', 'y', 'z'].map((name) => emitter.hasListeners(name)), [false, false, true]);
    emitter.off();
    assert.equal(emitter.hasListeners('z'), false);
  }
});

test('our script removes no listener for one that is undefined by mistake', () => {
  const socket = idle(ours).on('x', () => {});
  socket.off('x', undefined);
  assert.equal(socket.hasListeners('x'), true);
});

forBoth(test, 'a manager tells its own listeners, in order, those of once a single time', (io) => {
  const { io: manager } = idle(io);
  const heard = [];
  manager.on('x', (...args) => heard.push(args)).once('x', (...args) => heard.push(['once', ...args]));
  manager.emit('x', 1, 2);
  manager.emit('x', 3);
  assert.deepEqual(heard, [[1, 2], ['once', 1, 2], [3]]);
});

forBoth(test, 'listeners for every event stand in their order and can be listed', async (io) => {
  const [ann, ben] = await pair(io, 'any');
  const heard = [];
  const [one, two, never] = ['one', 'two', 'never'].map((name) => (event, number) => heard.push(`${name} ${event} ${number}`));
  assert.deepEqual(ann.listenersAny(), []);
  ann.onAny(two).prependAny(one).onAny(never).offAny(never);
  assert.deepEqual(ann.listenersAny(), [one, two]);
  ann.on('x', (number) => heard.push(`on x ${number}`));
  ben.emit('x', 1);
  await until('all', () => heard.length === 3);
  assert.deepEqual(heard, ['one x 1', 'two x 1', 'on x 1']);
  ann.offAny();
  assert.deepEqual(ann.listenersAny(), []);
  for (const socket of [ann, ben]) socket.disconnect();
});

forBoth(test, 'listeners for what goes out hear it when it is sent', async (io) => {
  const socket = idle(io);
  const heard = [];
  const [one, two] = ['one', 'two'].map((name) => (...event) => heard.push([name, ...event]));
  socket.onAnyOutgoing(two).prependAnyOutgoing(one);
  assert.deepEqual(socket.listenersAnyOutgoing(), [one, two]);
  socket.emit('early', 1);
  assert.deepEqual(heard, []);
  socket.connect();
  await next(socket, 'connect');
  await socket.emitWithAck('late', { a: 2 });
  socket.offAnyOutgoing(two).emit('x', () => {});
  socket.offAnyOutgoing();
  socket.emit('unheard');
  assert.deepEqual(heard.slice(0, 4), [['one', 'early', 1], ['two', 'early', 1], ['one', 'late', { a: 2 }], ['two', 'late', { a: 2 }]]);
  assert.deepEqual(heard.slice(4), [['one', 'x']]);
  assert.deepEqual(socket.listenersAnyOutgoing(), []);
  socket.disconnect();
});

forBoth(test, 'the settings of a manager are read and set by its methods', (io) => {
  const { io: manager } = idle(io);
  const usual = {
    reconnection: true, reconnectionAttempts: Infinity, reconnectionDelay: 1000, reconnectionDelayMax: 5000,
    randomizationFactor: 0.5, timeout: 20_000,
  };
  const other = {
    reconnection: false, reconnectionAttempts: 3, reconnectionDelay: 10, reconnectionDelayMax: 20,
    randomizationFactor: 0, timeout: false,
  };
  for (const name of Object.keys(usual)) {
    assert.equal(manager[name](), usual[name], name);
    assert.equal(manager[name](other[name]), manager, name);
    assert.equal(manager[name](), other[name], name);
  }
  const { io: given } = io(server.url, { forceNew: true, autoConnect: false, ...other });
  for (const name of Object.keys(usual)) assert.equal(given[name](), other[name], name);
});

forBoth(test, 'what a manager is set to holds for the next try', async (io) => {
  const proxy = await startProxy(server.url);
  const socket = await connected(io, proxy.url, { transports: ['websocket'], reconnectionDelay: 60_000 });
  socket.io.reconnectionDelay(10).reconnectionDelayMax(10).randomizationFactor(0);
  const attempts = [];
  socket.io.on('reconnect_attempt', (number) => attempts.push(number));
  proxy.cut();
  await next(socket, 'disconnect');
  await next(socket, 'connect');
  assert.equal(attempts[0], 1);
  socket.io.reconnection(false);
  const lost = next(socket, 'disconnect');
  proxy.cut();
  await lost;
  const again = next(socket, 'connect');
  socket.connect();
  await again;
  socket.disconnect();
  proxy.stop();
});

forBoth(test, 'a manager says by its callback whether it could open', async (io) => {
  const manager = new io.Manager(server.url, { autoConnect: false });
  for (const name of ['open', 'connect']) {
    assert.equal(await new Promise((resolve) => { manager[name](resolve); }), undefined);
    manager.disconnect();
  }
  const none = new io.Manager('http://127.0.0.1:9', { autoConnect: false });
  assert.ok((await new Promise((resolve) => { none.open(resolve); })) instanceof Error);
});

forBoth(test, 'a socket made by hand connects, and hears as others do', async (io) => {
  const manager = new io.Manager(server.url);
  const socket = new io.Socket(manager, '/relay', { auth: { recovery: false } });
  await next(socket, 'connect');
  assert.deepEqual(await socket.emitWithAck('join', 'by-hand'), { room: 'by-hand' });
  assert.equal(socket.nsp, '/relay');
  socket.disconnect();
});

forBoth(test, 'a manager tells of packets, pings, its opening and its closing', async (io) => {
  const quick = await startServer('--ping-interval', '200ms', '--ping-timeout', '10s');
  const manager = new io.Manager(quick.url, { transports: ['websocket'] });
  const packet = next(manager, 'packet');
  await next(manager, 'open');
  const socket = manager.socket('/');
  const { type, nsp, data } = await packet;
  assert.deepEqual([type, nsp, typeof data.sid], [0, '/', 'string']);
  await next(manager, 'ping');
  const closed = next(manager, 'close');
  socket.disconnect();
  assert.equal([await closed].flat()[0], 'forced close');
  await quick.stop();
});

forBoth(test, 'a connection tells of all that happens to it', async (io) => {
  const quick = await startServer('--ping-interval', '200ms', '--ping-timeout', '10s');
  const socket = io(quick.url, { forceNew: true });
  const { engine } = socket.io;
  const told = new Map();
  const names = [
    'open', 'handshake', 'packet', 'packetCreate', 'data', 'message', 'drain', 'flush', 'heartbeat', 'ping', 'pong', 'upgrading',
    'upgrade', 'close',
  ];
  for (const name of names) engine.on(name, (...args) => told.has(name) || told.set(name, args));
  await next(socket, 'connect');
  await until('an upgrade and a ping', () => ['upgrade', 'ping', 'drain'].every((name) => told.has(name)));
  assert.equal(engine.readyState, 'open');
  assert.equal(engine.writeBuffer.length, 0);
  const closed = next(engine, 'close');
  socket.disconnect();
  await closed;
  assert.deepEqual(names.filter((name) => !told.has(name)), []);
  assert.deepEqual([told.get('upgrade')[0].name, told.get('upgrading')[0].name], ['websocket', 'websocket']);
  assert.equal(typeof told.get('handshake')[0].pingInterval, 'number');
  const { type, data } = told.get('packetCreate')[0];
  assert.deepEqual([type, data, told.get('packet')[0].type], ['message', '0', 'open']);
  assert.match(told.get('data')[0], /^0\{"sid"/);
  assert.equal(told.get('close')[0], 'forced close');
  assert.equal(engine.readyState, 'closed');
  await quick.stop();
});

forBoth(test, 'a message can be written to a connection, which says when it is handed over', async (io) => {
  const socket = await connected(io, server.url);
  const { engine } = socket.io;
  await new Promise((resolve) => { engine.write('2["x"]', {}, resolve); });
  await new Promise((resolve) => { engine.send('2["x"]', resolve); });
  assert.equal(typeof await socket.emitWithAck('x'), 'object');
  socket.disconnect();
});

forBoth(test, 'a connection that an upgrade fails on says so and goes on', async (io) => {
  const socket = io(server.url, { forceNew: true, transportOptions: { websocket: { protocols: 'not a token' } } });
  const error = await next(socket.io.engine, 'upgradeError');
  assert.ok(error instanceof Error);
  assert.equal(error.transport, 'websocket');
  assert.equal(typeof await socket.emitWithAck('x'), 'object');
  assert.equal(socket.io.engine.transport.name, 'polling');
  socket.disconnect();
});

forBoth(test, 'volatile events are dropped without a connection and sent with one', async (io) => {
  const socket = idle(io, `${server.url}/relay`);
  const [ben, cat] = await pair(io, 'volatile');
  const heard = [];
  ben.onAny((name) => heard.push(name));
  socket.volatile.emit('early');
  socket.connect();
  await next(socket, 'connect');
  await socket.emitWithAck('join', 'volatile');
  // One at a time: what cannot be written at once is dropped.
  await until('a volatile one', () => {
    if (!heard.includes('late')) socket.volatile.emit('late');
    return heard.includes('late');
  });
  socket.emit('last');
  await until('the last', () => heard.includes('last'));
  assert.ok(!heard.includes('early'), String(heard));
  for (const each of [socket, ben, cat]) each.disconnect();
});

forBoth(test, 'flags hold for one event, and chain', async (io) => {
  const socket = await connected(io, server.url);
  assert.equal(socket.compress(true), socket);
  assert.equal(socket.timeout(60_000), socket);
  assert.equal(socket.volatile, socket);
  socket.emit('x');
  const plain = await new Promise((resolve) => { socket.emit('x', (...args) => resolve(args)); });
  assert.equal(plain.length, 1, 'no error comes first without a timeout');
  const timed = await new Promise((resolve) => { socket.compress(false).timeout(60_000).emit('x', (...args) => resolve(args)); });
  assert.deepEqual([timed.length, timed[0]], [2, null]);
  assert.equal(typeof await socket.timeout(60_000).emitWithAck('x'), 'object');
  socket.disconnect();
});

forBoth(test, 'what waits for a connection is in sendBuffer, and may be let go', async (io) => {
  const [ann, ben] = await pair(io, 'buffer');
  const heard = [];
  ben.on('x', (number) => heard.push(number));
  ann.disconnect();
  ann.emit('x', 1);
  ann.emit('x', 2);
  assert.deepEqual(ann.sendBuffer.map(({ data }) => data), [['x', 1], ['x', 2]]);
  ann.sendBuffer = [];
  assert.deepEqual(ann.receiveBuffer, []);
  ann.connect();
  await next(ann, 'connect');
  await ann.emitWithAck('join', 'buffer');
  ann.emit('x', 3);
  await until('the last', () => heard.length > 0);
  assert.deepEqual(heard, [3]);
  for (const socket of [ann, ben]) socket.disconnect();
});

forBoth(test, 'retries: events go one at a time, again if the connection was lost, in order and without a gap', async (io) => {
  const proxy = await startProxy(server.url);
  const [ben, cat] = await pair(io, 'retries');
  const heard = [];
  ben.on('line', (number) => heard.push(number));
  const ann = await connected(io, `${proxy.url}/relay`, { retries: 5, ackTimeout: 10_000, transports: ['websocket'] });
  // After a cut the relay puts the socket into its room again by recovery.
  assert.deepEqual(await ann.emitWithAck('join', 'retries'), { room: 'retries' });
  await new Promise((resolve) => { ann.emit('line', 0, resolve); });
  const answers = [];
  for (let number = 1; number <= 20; number += 1) ann.emit('line', number, (...args) => answers.push(args));
  proxy.cut();
  await next(ann, 'connect');
  await until('all acks', () => answers.length === 20);
  assert.deepEqual(answers, Array(20).fill([null, {}]));
  await until('the last', () => heard.at(-1) === 20);
  // An event whose ack was lost may come twice; none is missing, and none comes before one that was said earlier.
  assert.deepEqual([...new Set(heard)], [...Array(21).keys()]);
  assert.deepEqual(heard, heard.toSorted((one, other) => one - other));
  for (const socket of [ann, ben, cat]) socket.disconnect();
  proxy.stop();
});

forBoth(test, 'retries: an event that is not acked after them is an error, and the next one goes out', async (io) => {
  const proxy = await startProxy(server.url);
  const socket = await connected(io, proxy.url, { retries: 2, ackTimeout: 20, transports: ['websocket'] });
  const sent = [];
  socket.onAnyOutgoing((name) => sent.push(name));
  proxy.swallow();
  const [error] = await new Promise((resolve) => { socket.emit('first', (...args) => resolve(args)); });
  assert.match(error.message, /timed out/);
  assert.deepEqual(sent, ['first', 'first', 'first']);
  socket.emit('second');
  assert.equal(sent[3], 'second');
  socket.disconnect();
  proxy.stop();
});
