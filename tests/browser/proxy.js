// Proxies in front of the server: one of TCP whose path can be cut, be slow, or die in silence, and one of HTTP.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

/** Passes connections on to `port`, and bytes `delayMs` later. */
export async function startProxy(port, { delayMs = 0 } = {}) {
  const pairs = new Set();
  let mode = 'open';
  const later = (act) => (delayMs ? setTimeout(act, delayMs) : act());
  const server = net.createServer((client) => {
    client.on('error', () => {});
    if (mode === 'cut') return client.destroy();
    const upstream = net.connect(port, '127.0.0.1');
    const pair = { client, upstream };
    pairs.add(pair);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.on('error', () => {});
      // What is swallowed is read, so that neither side notices.
      from.on('data', (bytes) => {
        if (mode !== 'swallow' && !pair.isDead) later(() => to.write(bytes));
      });
      from.on('close', () => {
        pairs.delete(pair);
        if (!pair.isDead) later(() => to.destroy());
      });
    }
    return undefined;
  });
  const url = await listen(server);
  const destroy = () => {
    for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.destroy();
  };
  return {
    url,
    /** Ends all connections, and each new one, until it is open again. */
    cut() {
      mode = 'cut';
      destroy();
    },
    /** Passes nothing on any more, and ends nothing. */
    swallow() {
      mode = 'swallow';
    },
    /** Passes new connections on; those that were swallowed stay dead. */
    open() {
      if (mode === 'swallow') for (const pair of pairs) pair.isDead = true;
      mode = 'open';
    },
    stop() {
      destroy();
      server.close();
    },
  };
}

/**
 * Passes requests below `prefix` on to `port`, without the prefix; or answers handshakes with 403, as a server does that does
 * not know the origin.
 */
export async function startHttpProxy(port, { prefix = '', refusesSockets = false } = {}) {
  const inner = (url) => (url.startsWith(`${prefix}/`) ? url.slice(prefix.length) : null);
  const server = http.createServer((request, response) => {
    const path = inner(request.url);
    if (path === null) return response.writeHead(404).end();
    const upstream = http.request({ port, path, method: request.method, headers: request.headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    return request.pipe(upstream);
  });
  const sockets = new Set();
  server.on('upgrade', (request, client, head) => {
    const path = inner(request.url);
    if (refusesSockets || path === null) return client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    const upstream = net.connect(port, '127.0.0.1', () => {
      const lines = request.rawHeaders.flatMap((name, at, all) => (at % 2 ? [] : [`${name}: ${all[at + 1]}`]));
      upstream.write([`GET ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    return undefined;
  });
  const url = await listen(server);
  return {
    url,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}
