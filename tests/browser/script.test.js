// A page that loads the server's own Socket.IO client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--relay', 'on'] }));

/** A page that names no icon is asked for one all the same. */
const hasIcon = (page) => page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));

/** A page of the server's, with `io`. */
async function openPage() {
  const page = await world.open({ path: '/health', prepare: hasIcon });
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
