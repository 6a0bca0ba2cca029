// The events `join` and `to` of examples/socketio_cluster.rs on the reference server with an official adapter. Run as
// `node server.js PORT REDIS_URL FORMAT`: without an adapter if the URL is `none`; FORMAT is classic, sharded or streams.
const { createServer } = require('node:http');
const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');
const { createAdapter: createStreamsAdapter } = require('@socket.io/redis-streams-adapter');
const { createClient } = require('redis');
const { Server } = require('socket.io');

const [port, url, format] = process.argv.slice(2);

async function adapter() {
  const connection = () => createClient({ url }).connect();
  if (format === 'streams') return createStreamsAdapter(await connection());
  const create = format === 'sharded' ? createShardedAdapter : createAdapter;
  return create(await connection(), await connection());
}

async function main() {
  const http = createServer();
  const io = new Server(http, {
    ...(url !== 'none' && { adapter: await adapter() }),
    ...(format === 'streams' && { connectionStateRecovery: {} }),
  });
  io.on('connection', (socket) => {
    socket.on('join', async (room, ack) => ack(await socket.join(room)));
    socket.on('to', (room, ...event) => io.to(room).emit(...event));
  });
  http.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://localhost:${port}`));
}

main();
