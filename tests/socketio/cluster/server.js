// A server of the official packages, with the events of examples/socketio_cluster.rs. Run as
// `node server.js PORT REDIS_URL FORMAT CLIENT [OPTIONS]`: FORMAT is classic, sharded or streams, CLIENT is node-redis or
// ioredis, OPTIONS is JSON for the adapter. Its parent may have code run in it.
import { createServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const [port, redis, format, client, options = '{}'] = process.argv.slice(2);

async function connection() {
  if (client === 'ioredis') return new Redis(redis).on('error', () => {});
  return createClient({ url: redis }).on('error', () => {}).connect();
}

async function adapter() {
  const one = await connection();
  if (format === 'streams') return createStreamsAdapter(one, JSON.parse(options));
  const create = format === 'sharded' ? createShardedAdapter : createAdapter;
  return create(one, await connection(), JSON.parse(options));
}

const http = createServer((_, response) => response.end());
const io = new Server(http, {
  adapter: await adapter(),
  maxHttpBufferSize: 16 << 20,
  ...(format === 'streams' && { connectionStateRecovery: {} }),
});

for (const name of ['/', '/admin']) {
  const namespace = io.of(name);
  namespace.on('hello', (...args) => typeof args.at(-1) === 'function' && args.at(-1)(`node ${args[0]}`));
  namespace.on('connection', (socket) => {
    const { room } = socket.handshake.query;
    if (room && !socket.recovered) socket.join(room);
    const on = (event, act) => socket.on(event, async (...args) => {
      const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
      try {
        ack(await act(...args));
      } catch (error) {
        ack({ error: error.message });
      }
    });
    on('join', (room) => socket.join(room));
    on('leave', (room) => socket.leave(room));
    on('to', (room, ...event) => void namespace.to(room).emit(...event));
    on('all', (...event) => void namespace.emit(...event));
    on('who', async (room) => {
      const sockets = await namespace.in(room).fetchSockets();
      return sockets.map(({ id, rooms, data }) => ({ id, rooms: [...rooms], data }));
    });
    on('ask', (room, question) => namespace.to(room).timeout(1000).emitWithAck('question', question));
    on('sse', (...event) => namespace.serverSideEmitWithAck(...event));
    on('set', (data) => { socket.data = data; });
    on('move', (from, to) => void namespace.in(from).socketsJoin(to));
    on('kick', (room) => void namespace.in(room).disconnectSockets());
  });
}

process.on('message', async ({ id, code, args }) => {
  const run = new Function('io', ...args.map((_, index) => `$${index}`), `return (async () => { ${code} })()`);
  try {
    process.send({ id, value: await run(io, ...args) });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});
process.on('disconnect', () => process.exit());

http.listen(Number(port), '127.0.0.1');
