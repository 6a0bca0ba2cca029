// A page that loads the server's own Socket.IO client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProxy } from '../socketio/proxy.js';
import { eventually, startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--relay', 'on'] }));

/** A page that names no icon is asked for one all the same. */
const hasIcon = (page) => page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));

/** A page of the server's, with `io`. */
async function openPage(options) {
  const page = await world.open({ path: '/health', prepare: hasIcon, ...options });
  await page.addScriptTag({ url: '/socket.io/socket.io.js' });
  return page;
}

for (const transports of [['polling', 'websocket'], ['websocket'], ['polling']]) {
  test(`${transports.join(' to ')}: two pages chat`, async () => {
    const [ann, ben] = await Promise.all([openPage(), openPage()]);
    const room = transports.join('-');
    const join = ([username, options, wanted]) => {
      window.heard = [];
      window.socket = window.io(options);
      window.socket.on('receiveMessage', ({ msg }) => window.heard.push(msg));
      return window.socket.emitWithAck('login', { username, room: wanted });
    };
    assert.equal((await ann.evaluate(join, ['ann', { transports }, room])).username, 'ann');
    assert.equal((await ben.evaluate(join, ['ben', { transports }, room])).username, 'ben');
    const receipt = await ben.evaluate(() => window.socket.emitWithAck('sendMessage', { msg: '你好', id: 'm1' }));
    assert.equal(receipt.offset, 1);
    await ann.waitForFunction(() => window.heard.includes('你好'));
    const last = await ann.evaluate(async (name) => {
      const { engine } = window.socket.io;
      if (engine.transport.name !== name) await new Promise((resolve) => { engine.once('upgrade', resolve); });
      return engine.transport.name;
    }, transports.at(-1));
    assert.equal(last, transports.at(-1));
  });

  test(`${transports.join(' to ')}: bytes and blobs pass the relay`, async () => {
    const [ann, ben] = await Promise.all([openPage(), openPage()]);
    const join = (options) => {
      window.socket = window.io('/relay', options);
      window.drawn = new Promise((resolve) => {
        window.socket.on('draw', (...args) => resolve(args.slice(0, 2)));
      });
      return window.socket.emitWithAck('join', 'tea');
    };
    for (const page of [ann, ben]) assert.deepEqual(await page.evaluate(join, { transports }), { room: 'tea' });
    await ann.evaluate(() => window.socket.emitWithAck('draw', new Uint8Array([1, 2]), { blob: new Blob([new Uint8Array([3])]) }));
    const bytes = await ben.evaluate(async () => {
      const [direct, { blob }] = await window.drawn;
      return [...new Uint8Array(direct), ...new Uint8Array(blob)];
    });
    assert.deepEqual(bytes, [1, 2, 3]);
  });
}

test('whatever an address lacks is the page\'s', async () => {
  const page = await openPage();
  const opens = ['io()', "io('')", 'io(null)', "io('/')", 'io({ forceNew: true })', 'new io.Manager({}).socket("/")', "new io.Manager('').socket('/')"];
  for (const open of opens) {
    const answer = await page.evaluate(async (code) => {
      const socket = Function(`return ${code}`)();
      const { origin } = new URL(location.href);
      const given = await socket.emitWithAck('x');
      const polled = performance.getEntriesByType('resource').every(({ name }) => name.startsWith(origin));
      socket.disconnect();
      return [typeof given, polled];
    }, open).catch((error) => error.message);
    assert.deepEqual(answer, ['object', true], open);
  }
});

test('what has no effect is named in the console, once', async () => {
  const page = await openPage();
  const lines = [];
  page.on('console', (line) => { if (line.type() === 'warning') lines.push(line.text()); });
  await page.evaluate(() => {
    for (let count = 0; count < 2; count += 1) window.io({ parser: {}, withCredentials: true, forceNew: true }).compress(true).disconnect();
  });
  await page.evaluate(() => console.warn('the end'));
  await eventually(() => lines.at(-1), 'the end');
  assert.equal(lines.length, 3, String(lines));
  assert.match(lines[0], /^socket\.io\.js: the option "parser" has no effect/);
  assert.match(lines[1], /^socket\.io\.js: socket\.compress\(\) has no effect/);
});

for (const transports of [['polling', 'websocket'], ['websocket'], ['polling']]) {
  const way = transports.join(' to ');

  /** A page whose socket stands, and keeps why it was lost. */
  const connect = async (options) => {
    const page = await openPage(options);
    await page.evaluate(async (wanted) => {
      window.lost = [];
      window.socket = window.io({ transports: wanted, reconnectionDelay: 50 });
      window.socket.on('disconnect', (reason) => window.lost.push(reason));
      await window.socket.emitWithAck('x');
      const { engine } = window.socket.io;
      if (wanted.length > 1 && engine.transport.name === 'polling') await new Promise((resolve) => { engine.once('upgrade', resolve); });
    }, transports);
    return page;
  };

  test(`${way}: a page notices that its path is dead, also by a clock that was set back`, async () => {
    // A slow page, too, answers a ping within the timeout.
    const quick = await startServer({ flags: ['--ping-interval', '1s', '--ping-timeout', '4s'] });
    const proxy = await startProxy(quick.url);
    try {
      const page = await connect({ url: proxy.url });
      await page.evaluate(() => {
        const { now } = Date;
        Date.now = () => now.call(Date) - 3_600_000;
      });
      proxy.swallow();
      await page.waitForFunction(() => window.lost[0] === 'ping timeout');
      proxy.restore();
      assert.equal(await page.evaluate(async () => typeof await window.socket.emitWithAck('x')), 'object');
      await page.evaluate(() => { window.socket.disconnect(); });
    } finally {
      proxy.stop();
      await quick.stop();
    }
  });

  test(`${way}: a page does not mind a clock that is set forward or back`, async () => {
    const page = await connect();
    for (const by of [3_600_000, -3_600_000]) {
      const kind = await page.evaluate(async (ahead) => {
        const { now } = Date;
        Date.now = () => now.call(Date) + ahead;
        return typeof await window.socket.timeout(60_000).emitWithAck('x');
      }, by);
      assert.equal(kind, 'object');
    }
    assert.deepEqual(await page.evaluate(() => window.lost), []);
  });

  test(`${way}: a page without a network says so at once, and is back when that is`, async () => {
    // By its address: a connection to localhost needs no network, and stays.
    const page = await connect({ url: world.server.url.replace('localhost', '127.0.0.1') });
    await page.context().setOffline(true);
    await page.waitForFunction(() => window.lost.length > 0);
    await page.evaluate(() => { window.answer = window.socket.emitWithAck('x'); });
    await page.context().setOffline(false);
    assert.equal(await page.evaluate(async () => typeof await window.answer), 'object');
    assert.match(await page.evaluate(() => window.lost[0]), /^transport (close|error)$/);
  });
}
