// Both clients, for tests that hold for both: the official one, and the script that the server hands out.
import './page.js';
import { io as official } from 'socket.io-client';
import '../../static/socket.io.js';

export { happens, onPage } from './page.js';
export { startProxy } from './proxy.js';

const { io: ours } = globalThis;
export { ours };

/** `[name, io]` of each. */
export const CLIENTS = [['the official client', official], ['our script', ours]];

/** Declares a test for each client. */
export function forBoth(test, name, run) {
  for (const [client, io] of CLIENTS) test(`${client}: ${name}`, (context) => run(io, context));
}
