// The server for the official client's own tests (`examples/client_suite.rs`), by every way: what those tests ask of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WAYS, connect, next, startExample } from './harness.js';

const BYTES = Buffer.from('asdfasdf');
const TEXTS = ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string'];
const MIXED = { hello: 'lol', message: BYTES, goodbye: 'gotcha' };
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What a client sends, the event that answers, and its arguments. */
const ANSWERED = [
  [['hi'], 'hi'],
  [['false'], 'false', false],
  [['doge'], 'doge', BYTES],
  [['getbin'], 'takebin', BYTES],
  [['buffa', BYTES], 'buffack'],
  [['blob', BYTES], 'back'],
  [['jsonbuff', MIXED], 'jsonbuff-ack'],
  [['jsonblob', MIXED], 'jsonblob-ack'],
];

/** The arguments of the next event. The last one is an offset: the server has connection state recovery. */
async function heard(socket, event) {
  return [await next(socket, event)].flat().slice(0, -1);
}

let server;

before(async () => {
  server = await startExample('client_suite');
});
after(async () => {
  await server?.stop();
});

for (const transports of WAYS) {
  const way = transports.join(' and ');

  const open = (t, namespace = '/', options) => {
    const socket = connect(`${server.url}${namespace}`, { transports, ...options });
    t.after(() => socket.disconnect());
    return socket;
  };

  test(`${way}: events are answered with nothing, a value, or bytes`, async (t) => {
    const socket = open(t);
    for (const [sent, name, ...expected] of ANSWERED) {
      const answer = heard(socket, name);
      socket.emit(...sent);
      assert.deepEqual(await answer, expected, name);
    }
  });

  test(`${way}: bytes and texts arrive in the order in which they were sent`, async (t) => {
    const socket = open(t);
    const [second, third] = [next(socket, 'abuff2-ack'), next(socket, 'blob3-ack')];
    socket.emit('abuff1', BYTES);
    socket.emit('abuff2', 'after the bytes');
    socket.emit('blob1', BYTES);
    socket.emit('blob2', 'second');
    socket.emit('blob3', BYTES);
    await Promise.all([second, third]);
  });

  test(`${way}: texts of many languages and times arrive as they are, and the ack behind them`, async (t) => {
    const socket = open(t);
    const texts = [];
    socket.on('takeUtf8', (text) => texts.push(text));
    socket.emit('getUtf8');
    assert.match(await socket.emitWithAck('getAckDate', { test: true }), ISO);
    assert.deepEqual(texts, TEXTS);
    const [date, object] = [heard(socket, 'takeDate'), heard(socket, 'takeDateObj')];
    socket.emit('getDate');
    socket.emit('getDateObj');
    assert.match((await date)[0], ISO);
    assert.ok(Math.abs(Date.parse((await object)[0].date) - Date.now()) < 60_000);
  });

  test(`${way}: acks go both ways`, async (t) => {
    const [socket, foo] = [open(t), open(t, '/foo')];
    for (const value of [123, 'text', BYTES, { nested: [BYTES, null] }]) {
      assert.deepEqual(await socket.emitWithAck('echo', value), value);
    }
    assert.equal(await socket.emitWithAck('getId'), socket.id);
    assert.equal(await foo.emitWithAck('getId'), foo.id);
    socket.on('ack', (answer) => answer(5, { test: true }));
    const right = next(socket, 'got it');
    socket.emit('ack');
    await right;
  });

  test(`${way}: the server knows the handshake: request, query and auth`, async (t) => {
    const query = { a: 'b', '&a': '&=?a' };
    const extraHeaders = { 'x-token': 'secret' };
    const socket = open(t, '/abc', { query, auth: { c: 'd' }, extraHeaders });
    const [handshake] = await heard(socket, 'handshake');
    // The official client adds a timestamp to polls.
    const { t: _, ...received } = handshake.query;
    assert.deepEqual(received, { ...query, EIO: '4', transport: transports[0] });
    assert.deepEqual(handshake.auth, { c: 'd' });
    assert.equal(handshake.headers['x-token'], 'secret');
    const { address, xdomain, secure } = handshake;
    assert.deepEqual({ address, xdomain, secure }, { address: '127.0.0.1', xdomain: false, secure: false });
    assert.ok(handshake.url.startsWith('/socket.io/?'), handshake.url);
    assert.match(handshake.time, ISO);
    const main = open(t, '/', { query: { e: 'f' } });
    assert.equal((await main.emitWithAck('getHandshake')).query.e, 'f');
  });

  test(`${way}: clients are refused by the query, and by the namespace`, async (t) => {
    const refusals = [
      ['/', { query: { fail: true } }, 'Auth failed (main namespace)'],
      ['/no', {}, 'Auth failed (custom namespace)'],
      ['/unknown', {}, 'Invalid namespace'],
    ];
    for (const [namespace, options, message] of refusals) {
      assert.equal((await next(open(t, namespace, options), 'connect_error')).message, message);
    }
    for (const namespace of ['/timeout_socket', '/valid', '/asd']) await next(open(t, namespace), 'connect');
  });

  test(`${way}: a lost client is recovered`, async (t) => {
    const socket = open(t);
    const hi = next(socket, 'hi');
    socket.emit('hi');
    await hi;
    const { id } = socket;
    const again = next(socket, 'connect');
    socket.io.engine.close();
    await again;
    assert.deepEqual([socket.id, socket.recovered], [id, true]);
  });
}
