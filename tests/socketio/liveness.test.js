// A path that dies is noticed, whatever the clocks and the network do; both clients, each transport.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { forBoth, happens, ours, startProxy } from './clients.js';
import { WAYS, next, startServer, until } from './harness.js';

const INTERVAL = 1000;
/** A busy machine, too, answers a ping within it. */
const TIMEOUT = 3000;
const HOUR = 3_600_000;
let server;
let patient;

before(async () => {
  server = await startServer('--relay', 'on', '--ping-interval', `${INTERVAL}ms`, '--ping-timeout', `${TIMEOUT}ms`);
  patient = await startServer('--relay', 'on');
});
after(() => Promise.all([server?.stop(), patient?.stop()]));

/** A client on a way of its own. */
async function connected(io, url, options) {
  const proxy = await startProxy(url);
  const socket = io(proxy.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 50, ...options });
  await next(socket, 'connect');
  const { transports } = options ?? {};
  if (transports?.length > 1) await until('the upgrade', () => socket.io.engine.transport.name === 'websocket');
  const stop = () => {
    socket.disconnect();
    proxy.stop();
  };
  return { socket, proxy, stop };
}

/** The time of day is `by` ms ahead (or behind) from now on, until the test is over. */
function moveClock(context, by) {
  const { now } = Date;
  context.mock.method(Date, 'now', () => now.call(Date) + by);
}

for (const transports of WAYS) {
  const way = transports.join(' and ');

  for (const [what, by] of [['the clock is right', 0], ['the clock goes back an hour', -HOUR]]) {
    forBoth(test, `${way}, ${what}: a dead path is noticed when no ping comes, and what was said is sent later`, async (io, context) => {
      const { socket, proxy, stop } = await connected(io, server.url, { transports });
      if (by !== 0) moveClock(context, by);
      // A silence of some milliseconds past this is a busy machine; one of an hour is the fault.
      proxy.swallow();
      assert.equal([await next(socket, 'disconnect')].flat()[0], 'ping timeout');
      const answer = socket.emitWithAck('x');
      proxy.restore();
      assert.equal(typeof await answer, 'object');
      stop();
    });
  }

  test(`${way}: our script does not mind a clock that goes forward or back`, async (context) => {
    for (const by of [HOUR, -HOUR, 24 * HOUR]) {
      const { socket, stop } = await connected(ours, patient.url, { transports });
      let word = null;
      socket.on('disconnect', (reason) => { word = reason; });
      const { id } = socket;
      moveClock(context, by);
      // The next ping comes in 25 s: an event that waits for it is not answered in this test's time.
      assert.equal(typeof await socket.timeout(20_000).emitWithAck('x'), 'object');
      assert.deepEqual([word, socket.connected, socket.id], [null, true, id]);
      context.mock.restoreAll();
      socket.off('disconnect');
      stop();
    }
  });

  forBoth(test, `${way}: without a network the connection is over at once, and comes back by itself`, async (io) => {
    const { socket, stop } = await connected(io, patient.url, { transports });
    const lost = next(socket, 'disconnect');
    happens('offline');
    assert.equal([await lost].flat()[0], 'transport close');
    assert.equal(socket.active, true);
    const answer = socket.emitWithAck('x');
    await next(socket, 'connect');
    assert.equal(typeof await answer, 'object');
    stop();
  });
}

forBoth(test, 'a machine without a network still reaches itself by its name', async (io) => {
  const { socket, proxy, stop } = await connected(io, patient.url);
  const local = io(`http://localhost:${proxy.port}`, { forceNew: true, transports: ['websocket'] });
  const isUp = await new Promise((resolve) => {
    local.once('connect', () => resolve(true));
    // A machine without IPv4 for that name has nothing to show here.
    local.once('connect_error', () => resolve(false));
  });
  const { id } = local;
  happens('offline');
  assert.equal(typeof await socket.emitWithAck('x'), 'object');
  if (isUp) assert.deepEqual([typeof await local.emitWithAck('x'), local.id], ['object', id]);
  local.disconnect();
  stop();
});

test('our script tries again as soon as the network is back', async () => {
  const options = { reconnectionDelay: 60_000, reconnectionDelayMax: 60_000, randomizationFactor: 0 };
  const { socket, stop } = await connected(ours, patient.url, { transports: ['websocket'], ...options });
  for (let count = 0; count < 3; count += 1) {
    const lost = next(socket, 'disconnect');
    happens('offline');
    await lost;
    const attempted = next(socket.io, 'reconnect_attempt');
    const back = next(socket, 'connect');
    happens('online');
    assert.equal(await attempted, 1);
    await back;
  }
  const { id } = socket;
  happens('online');
  await socket.emitWithAck('x');
  assert.equal(socket.id, id, 'a connection that stands is left alone');
  const lost = next(socket, 'disconnect');
  happens('offline');
  await lost;
  socket.disconnect();
  happens('online');
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.equal(socket.active, false, 'nor does it come back when it was told to go');
  stop();
});
