// A way to a server that can be watched, cut, and made to swallow everything.
import { once } from 'node:events';
import net from 'node:net';

/**
 * A way to a server. It keeps the requests that go through it, can be cut, and can swallow what comes without closing
 * anything, as a path does that is dead.
 */
export async function startProxy(url) {
  const target = Number(new URL(url).port);
  const sockets = new Set();
  const sent = [];
  let isSwallowing = false;
  const server = net.createServer((near) => {
    const far = net.connect(target, '127.0.0.1');
    const index = sent.push('') - 1;
    near.on('data', (chunk) => { sent[index] += chunk.toString('latin1'); });
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on('data', (chunk) => isSwallowing || other.write(chunk));
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        if (!isSwallowing) other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    port: server.address().port,
    url: `http://127.0.0.1:${server.address().port}`,
    /** The requests until now: method, path with query, parameters, headers. */
    requests: () => sent.flatMap((text) => [...text.matchAll(/(GET|POST) (\S+) HTTP\/1\.1\r\n([^]*?)\r\n\r\n/g)]).map(readRequest),
    cut,
    swallow: () => { isSwallowing = true; },
    restore: () => {
      isSwallowing = false;
      cut();
    },
    stop: () => {
      isSwallowing = false;
      cut();
      server.close();
    },
  };
}

function readRequest([, method, target, head]) {
  const { pathname, searchParams } = new URL(target, 'http://x');
  const headers = Object.fromEntries(head.split('\r\n').map((line) => {
    const [name, ...value] = line.split(': ');
    return [name.toLowerCase(), value.join(': ')];
  }));
  return { method, path: pathname, query: Object.fromEntries(searchParams), headers };
}
