// A client that loses its connection and comes back, to this server or another one.
import { next, until } from '../harness.js';

/** Cuts a client off, and waits until its session is kept. */
export async function cutOff(redis, client) {
  const gone = next(client, 'disconnect');
  client.io.reconnection(false);
  client.io.engine.close();
  await gone;
  await until('its session', async () => (await redis.ask('EXISTS', `sio:session:${client._pid}`)) === 1);
}

/** Has it come back to a server. */
export async function comeBack(client, node) {
  const back = next(client, 'connect');
  client.io.uri = node.url;
  client.node = node;
  client.connect();
  await back;
}
