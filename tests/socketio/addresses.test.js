// Where a client connects to: whatever an address lacks is the page's, for the official client and for our script.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { forBoth, onPage, ours, startProxy } from './clients.js';
import { next, startServer } from './harness.js';

let server;
let proxy;

before(async () => {
  server = await startServer('--relay', 'on');
  proxy = await startProxy(server.url);
});
after(async () => {
  proxy?.stop();
  await server?.stop();
});

/** New ones each time: the official client writes into them. */
const options = () => ({ forceNew: true, transports: ['websocket'] });

/** Addresses on a page of the server, each with the namespace that it means. */
const ADDRESSES = [
  ['nothing', (io) => io(), '/'],
  ['undefined', (io) => io(undefined, options()), '/'],
  ['null', (io) => io(null), '/'],
  ['an empty text', (io) => io('', options()), '/'],
  ['options alone', (io) => io(options()), '/'],
  ['a slash', (io) => io('/', options()), '/'],
  ['a namespace', (io) => io('/relay', options()), '/relay'],
  ['a query alone', (io) => io('?a=1', options()), '/'],
  ['a namespace and a query', (io) => io('/relay?a=1', options()), '/relay'],
  ['a host', (io) => io(`127.0.0.1:${proxy.port}`, options()), '/'],
  ['a host and a namespace', (io) => io(`127.0.0.1:${proxy.port}/relay`, options()), '/relay'],
  ['a host behind two slashes', (io) => io(`//127.0.0.1:${proxy.port}/relay`, options()), '/relay'],
  ['http', (io) => io(`http://127.0.0.1:${proxy.port}`, options()), '/'],
  ['ws', (io) => io(`ws://127.0.0.1:${proxy.port}/relay`, options()), '/relay'],
  ['io.connect', (io) => io.connect('', options()), '/'],
  ['io.io', (io) => io.io('/relay', options()), '/relay'],
];

for (const [name, open, namespace] of ADDRESSES) {
  forBoth(test, `${name} leads to ${namespace} of the page's server`, async (io) => {
    await onPage(proxy.url, async () => {
      const socket = open(io);
      await next(socket, 'connect');
      assert.equal(socket.nsp, namespace);
      assert.ok(socket.io.engine.id);
      socket.disconnect();
      socket.io.disconnect();
    });
  });
}

/** Managers on a page of the server. */
const MANAGERS = [
  ['nothing', (io) => new io.Manager()],
  ['options', (io) => new io.Manager({ transports: ['websocket'] })],
  ['an empty text and options', (io) => new io.Manager('', { transports: ['websocket'] })],
  ['no address and options', (io) => new io.Manager(undefined, { transports: ['websocket'] })],
  ['the host among the options', (io) => new io.Manager({ hostname: '127.0.0.1', port: proxy.port, secure: false }), 'http://localhost:1'],
  ['the port among the options', (io) => new io.Manager({ port: proxy.port }), 'http://127.0.0.1:1'],
  ['an address', (io) => new io.Manager(proxy.url), 'http://localhost:1'],
  ['an address with a path, which is no namespace', (io) => new io.Manager(`${proxy.url}/relay?a=1`)],
];

for (const [name, make, page] of MANAGERS) {
  forBoth(test, `a manager made with ${name} connects by itself`, async (io) => {
    await onPage(page ?? proxy.url, async () => {
      const manager = make(io);
      await next(manager, 'open');
      const socket = manager.socket('/');
      await next(socket, 'connect');
      socket.disconnect();
    });
  });
}

forBoth(test, 'without a page, a manager takes the port of its options on this machine', async (io) => {
  const manager = new io.Manager({ port: proxy.port, hostname: '127.0.0.1' });
  await next(manager, 'open');
  manager.disconnect();
});

forBoth(test, 'the query of an address is sent, and that of the options without one', async (io) => {
  for (const [address, more, expected] of [
    ['?a=1%20b&c=1', {}, { a: '1 b', c: '1' }],
    ['?d=2', { query: { e: '2' } }, { d: '2' }],
    ['', { query: { f: 3, g: 'é' } }, { f: '3', g: 'é' }],
    ['', { query: 'h=4&i=5' }, { h: '4', i: '5' }],
  ]) {
    const socket = io(`${proxy.url}/relay${address}`, { ...options(), ...more });
    await next(socket, 'connect');
    socket.disconnect();
    // Sessions of tests before may still poll, or change over to a WebSocket.
    const { query } = proxy.requests().findLast((request) => request.query.transport === 'websocket' && !request.query.sid);
    assert.deepEqual(query, { ...expected, EIO: '4', transport: 'websocket' });
  }
});

test('our script takes URL objects, and namespaces as they are written', async () => {
  const socket = ours(new URL(`${proxy.url}/relay`), options());
  await next(socket, 'connect');
  socket.disconnect();
  for (const namespace of ['/100%', '/été', '/a%20b']) {
    assert.equal(ours(proxy.url + namespace, { ...options(), autoConnect: false }).nsp, namespace);
  }
});

test('our script opens nothing on a page without a server, and does not throw', async () => {
  for (const page of ['file:///tmp/page.html', 'about:blank', 'data:text/html,x']) {
    await onPage(page, async () => {
      for (const open of [() => ours(options()), () => ours('', options()), () => ours(null, options())]) {
        const socket = open();
        assert.ok((await next(socket, 'connect_error')) instanceof Error);
        socket.disconnect();
      }
    });
  }
});
