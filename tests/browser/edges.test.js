// What a browser itself checks: subprotocols that were offered, and the headers of CORS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { startServer, useWorld } from './harness.js';

const world = useWorld();

/** Opens a WebSocket in a page, and gives back the subprotocol that was chosen, or that there was no handshake. */
const choose = (page, url, offered) => page.evaluate(([address, protocols]) => new Promise((resolve) => {
  const socket = new WebSocket(address, protocols);
  socket.onopen = () => {
    resolve(socket.protocol);
    socket.close();
  };
  socket.onclose = () => resolve('refused');
}), [url, offered]);

test('a WebSocket that offers subprotocols opens at every door', async () => {
  const page = await world.open();
  const socket = world.server.url.replace('http', 'ws');
  const engine = '/socket.io/?EIO=4&transport=websocket';
  for (const door of ['/', '/ws', '/ws/', '/echo', engine, '/lesson/news', '/lesson/slow']) {
    assert.equal(await choose(page, socket + door, ['my-app', 'other']), 'my-app', door);
    assert.equal(await choose(page, socket + door, []), '', door);
  }
  assert.equal(await choose(page, `${socket}/chat`, ['other', 'chat.v1']), 'chat.v1');
  assert.equal(await choose(page, `${socket}/chat`, ['soap']), 'refused');
});

/** A page of another origin, which asks the server over polling, with cookies. */
async function openElsewhere(t, flags, brings) {
  const elsewhere = createServer((_, answer) => {
    answer.setHeader('Content-Type', 'text/html');
    answer.end('<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">');
  });
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const origin = `http://127.0.0.1:${elsewhere.address().port}`;
  const server = await startServer({ flags: flags(origin) });
  t.after(async () => {
    elsewhere.closeAllConnections();
    elsewhere.close();
    await server.stop();
  });
  const page = await world.open({ url: origin, brings });
  const ask = (credentials, query) => page.evaluate(([url, mode]) => fetch(url, { credentials: mode })
    .then((answer) => answer.text(), (error) => error.name), [`${server.url}/socket.io/?${query}`, credentials]);
  return { page, server, ask };
}

test('a page of a named origin talks over polling with its cookies', async (t) => {
  const { page, server, ask } = await openElsewhere(t, (origin) => ['--cors-origin', origin], /status of 400/);
  assert.match(await ask('include', 'EIO=4&transport=polling'), /^0{"sid"/);
  assert.match(await ask('include', 'EIO=3&transport=polling'), /"code":5/, 'it may read what is wrong');
  await page.addScriptTag({ url: `${server.url}/socket.io/socket.io.js` });
  const answer = await page.evaluate((url) => new Promise((resolve) => {
    const socket = globalThis.io(url, { transports: ['polling'], withCredentials: true });
    socket.on('connect', async () => {
      const told = await socket.emitWithAck('login', { username: 'ann' });
      socket.disconnect();
      resolve(told.username);
    });
    socket.on('connect_error', (error) => resolve(String(error)));
  }), server.url);
  assert.equal(answer, 'ann');
});

test('a page that may come because all may comes without its cookies', async (t) => {
  const { ask } = await openElsewhere(t, () => ['--cors-origin', '*'], /CORS policy|ERR_FAILED/);
  assert.match(await ask('omit', 'EIO=4&transport=polling'), /^0{"sid"/);
  assert.equal(await ask('include', 'EIO=4&transport=polling'), 'TypeError');
});
