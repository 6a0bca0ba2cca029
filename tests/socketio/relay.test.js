// The relay and connection state recovery, with the official client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, next, startServer, until, WAYS } from './harness.js';

let server;
before(async () => { server = await startServer('--relay', 'on'); });
after(() => server.stop());

/** A client in a room of the relay; what it hears goes to `heard`. */
async function join(transports, room, options = {}, { url } = server) {
  const socket = connect(`${url}/relay`, { transports, ...options });
  const heard = [];
  socket.on('line', (...args) => heard.push(args));
  await next(socket, 'connect');
  assert.deepEqual(await socket.emitWithAck('join', room), { room });
  return Object.assign(socket, { heard });
}

for (const transports of WAYS) {
  const way = transports.join(' and ');

  test(`${way}: what one client emits the others in its room get as it is`, async () => {
    const [ann, ben] = [await join(transports, 'a'), await join(WAYS[1], 'a')];
    const far = await join(transports, 'b');
    const nested = { bytes: [new Uint8Array([1, 2, 3]), 'x', { more: new Uint8Array([0, 255]) }] };
    ben.emit('line', nested, 'text', null);
    assert.deepEqual(await ann.emitWithAck('line', 'from', 7), {});
    await until('both lines', () => ann.heard.length === 1 && ben.heard.length === 1);
    const [{ bytes }, text, nothing] = ann.heard[0];
    assert.deepEqual([...bytes[0]], [1, 2, 3]);
    assert.deepEqual([...bytes[2].more], [0, 255]);
    assert.deepEqual([bytes[1], text, nothing], ['x', 'text', null]);
    assert.deepEqual(ben.heard[0].slice(0, 2), ['from', 7]);
    assert.equal(far.heard.length, 0);
    for (const socket of [ann, ben, far]) socket.close();
  });

  test(`${way}: half of a surrogate pair is relayed, in a name and in arguments`, async () => {
    const [ann, ben] = [await join(transports, 'h'), await join(WAYS[1], 'h')];
    for (const [from, to] of [[ann, ben], [ben, ann]]) {
      const heard = [];
      to.on('\ud83d', (...args) => heard.push(args));
      assert.deepEqual(await from.emitWithAck('\ud83d', '\udc00', { '\ud83d': 'a\udfff' }), {});
      from.emit('\ud83d', '\udc00', new Uint8Array([1, 2]));
      await until('both', () => heard.length === 2);
      assert.deepEqual(heard[0].slice(0, 2), ['\udc00', { '\ud83d': 'a\udfff' }]);
      assert.deepEqual([heard[1][0], [...heard[1][1]]], ['\udc00', [1, 2]]);
    }
    for (const socket of [ann, ben]) socket.close();
  });

  test(`${way}: attachments pass as base64, too, for a client that is forced to that`, async () => {
    const [ann, ben] = [await join(transports, 'e', { forceBase64: true }), await join(WAYS[1], 'e')];
    await until('the upgrade', () => ann.io.engine.transport.name === transports.at(-1));
    for (let number = 0; number < 3; number += 1) {
      ann.emit('line', new Uint8Array([1, 2, number]), { more: new Uint8Array([0, 255]) });
      ben.emit('line', new Uint8Array([3, number]));
    }
    await until('all of them', () => ann.heard.length === 3 && ben.heard.length === 3);
    assert.deepEqual(ben.heard.map(([bytes, { more }]) => [...bytes, ...more]), [0, 1, 2].map((number) => [1, 2, number, 0, 255]));
    assert.deepEqual(ann.heard.map(([bytes]) => [...bytes]), [0, 1, 2].map((number) => [3, number]));
    for (const socket of [ann, ben]) socket.close();
  });

  test(`${way}: a thousand events arrive in order, both ways`, async () => {
    const [ann, ben] = [await join(transports, 'c'), await join(WAYS[1], 'c')];
    for (let number = 0; number < 1000; number += 1) {
      ann.emit('line', number);
      ben.emit('line', number);
    }
    await until('all of them', () => ann.heard.length === 1000 && ben.heard.length === 1000);
    const expected = Array.from({ length: 1000 }, (_, number) => number);
    for (const socket of [ann, ben]) {
      assert.deepEqual(socket.heard.map(([number]) => number), expected);
      socket.close();
    }
  });

  test(`${way}: a client that was cut off is recovered, with all that it missed and nothing twice`, async () => {
    const [ann, ben] = [await join(transports, 'd'), await join(WAYS[1], 'd')];
    ben.emit('line', 0);
    await until('the first line', () => ann.heard.length === 1);
    const { id } = ann;
    for (let round = 1; round <= 3; round += 1) {
      await cutOff(ann, async () => {
        for (let line = 0; line < 5; line += 1) await ben.emitWithAck('line', new Uint8Array([round, line]));
      });
      assert.equal(ann.recovered, true, `round ${round}`);
      assert.equal(ann.id, id);
      await until('what was missed', () => ann.heard.length === 1 + 5 * round);
    }
    const lines = ann.heard.slice(1).map(([bytes]) => [...bytes]);
    const expected = [1, 2, 3].flatMap((round) => [0, 1, 2, 3, 4].map((line) => [round, line]));
    assert.deepEqual(lines, expected);
    // It is in its room still.
    ann.emit('line', 'back');
    await until('the last line', () => ben.heard.length === 1);
    for (const socket of [ann, ben]) socket.close();
  });
}

/** Cuts a client off, does something meanwhile, however long that takes, and waits until it is connected again. */
async function cutOff(socket, meanwhile = async () => {}) {
  const gone = next(socket, 'disconnect');
  socket.io.reconnection(false);
  socket.io.engine.close();
  await gone;
  await meanwhile();
  const back = next(socket, 'connect');
  socket.io.reconnection(true);
  socket.connect();
  await back;
}

for (const transports of WAYS) {
  const way = transports.join(' and ');

  test(`${way}: a client that has heard nothing yet is recovered too`, async () => {
    const [ann, ben] = [await join(transports, 'quiet'), await join(WAYS[1], 'quiet')];
    await until('the upgrade', () => ann.io.engine.transport.name === transports.at(-1));
    const { id } = ann;
    await cutOff(ann);
    assert.deepEqual([ann.recovered, ann.id], [true, id]);
    await cutOff(ann, () => ben.emitWithAck('line', 'missed'));
    assert.deepEqual([ann.recovered, ann.id], [true, id]);
    ben.emit('line', 'live');
    await until('both lines', () => ann.heard.length === 2);
    assert.deepEqual(ann.heard.map(([line]) => line), ['missed', 'live']);
    for (const socket of [ann, ben]) socket.close();
  });

  test(`${way}: a client that wants no recovery hears events with the arguments that they were given`, async () => {
    const bare = { auth: { recovery: false } };
    const [ann, ben] = [await join(transports, 'bare', bare), await join(WAYS[1], 'bare')];
    ben.emit('line', 1);
    ben.emit('line', 'text', new Uint8Array([1]));
    ben.emit('line');
    await until('three lines', () => ann.heard.length === 3);
    assert.deepEqual([ann.heard[0], ann.heard[1].length, ann.heard[1][0], ann.heard[2]], [[1], 2, 'text', []]);
    ann.emit('line', 2);
    await until('a line', () => ben.heard.length === 1);
    assert.equal(ben.heard[0].length, 2, 'an offset behind it');
    await cutOff(ann);
    assert.equal(ann.recovered, undefined);
    for (const socket of [ann, ben]) socket.close();
  });
}

test('a client that was cut off gets twenty megabytes that it missed, once and in order, by each transport', async () => {
  const roomy = await startServer('--relay', 'on', '--recovery-bytes', '64m');
  try {
    const ben = await join(WAYS[1], 'much', {}, roomy);
    const filler = 'x'.repeat(50_000);
    for (const transports of WAYS) {
      const ann = await join(transports, 'much', {}, roomy);
      await until('the upgrade', () => ann.io.engine.transport.name === transports.at(-1));
      await cutOff(ann, async () => {
        for (let line = 0; line < 400; line += 1) await ben.emitWithAck('line', line, filler);
      });
      assert.equal(ann.recovered, true, `${transports}`);
      ben.emit('line', 400, 'live');
      await until('all lines', () => ann.heard.length === 401);
      assert.deepEqual(ann.heard.map(([line]) => line), [...Array(401).keys()], `${transports}`);
      ann.close();
    }
    ben.close();
  } finally {
    await roomy.stop();
  }
});

test('a quiet room is recovered though the window has gone by and others talk', async () => {
  const hasty = await startServer('--relay', 'on', '--recovery-window', '5s');
  try {
    const [ann, ben, far] = [await join(WAYS[1], 'q', {}, hasty), await join(WAYS[1], 'q', {}, hasty), await join(WAYS[1], 'r', {}, hasty)];
    await ben.emitWithAck('line', 1);
    await until('the line', () => ann.heard.length === 1);
    for (let tick = 0; tick < 12; tick += 1) {
      await far.emitWithAck('line', tick);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await cutOff(ann, () => ben.emitWithAck('line', 2));
    assert.equal(ann.recovered, true);
    await until('the missed line', () => ann.heard.length === 2);
    for (const socket of [ann, ben, far]) socket.close();
  } finally {
    await hasty.stop();
  }
});

test('a client that outlives a server is recovered by the next one, with the offset of the first or without', async () => {
  const servers = [await startServer('--relay', 'on'), await startServer('--relay', 'on')];
  try {
    const [ann, ben] = [await join(WAYS[1], 'a', {}, servers[0]), await join(WAYS[1], 'a', {}, servers[0])];
    for (let line = 0; line < 9; line += 1) await ben.emitWithAck('line', line);
    await until('the lines', () => ann.heard.length === 9);
    ann.io.uri = servers[1].url;
    await cutOff(ann);
    assert.equal(ann.recovered, false);
    await ann.emitWithAck('join', 'a');
    const cat = await join(WAYS[1], 'a', {}, servers[1]);
    await cutOff(ann, () => cat.emitWithAck('line', 'on the second'));
    assert.equal(ann.recovered, true);
    await until('the missed line', () => ann.heard.length === 10);
    for (const socket of [ann, ben, cat]) socket.close();
  } finally {
    await Promise.all(servers.map((one) => one.stop()));
  }
});

test('without a window there is no recovery, and nothing is added to events', async () => {
  const bare = await startServer('--relay', 'on', '--recovery-window', '0');
  try {
    const [ann, ben] = [await join(WAYS[0], 'a', {}, bare), await join(WAYS[1], 'a', {}, bare)];
    ben.emit('line', 1);
    await until('the line', () => ann.heard.length === 1);
    assert.deepEqual(ann.heard[0], [1]);
    await cutOff(ann);
    assert.ok(!ann.recovered);
    assert.match((await ann.emitWithAck('line', 1)).error.code, /not_in_room/);
    for (const socket of [ann, ben]) socket.close();
  } finally {
    await bare.stop();
  }
});

test('a client that says goodbye begins anew', async () => {
  const ann = await join(WAYS[1], 'e');
  const ben = await join(WAYS[1], 'e');
  ben.emit('line', 0);
  await until('the line', () => ann.heard.length === 1);
  ann.disconnect().connect();
  await next(ann, 'connect');
  assert.equal(ann.recovered, false);
  assert.match((await ann.emitWithAck('line', 1)).error.code, /not_in_room/);
  for (const socket of [ann, ben]) socket.close();
});

test('a flood of events is told to slow down', async () => {
  const slow = await startServer('--relay', 'on', '--rate', '1', '--rate-burst', '3');
  try {
    const socket = connect(`${slow.url}/relay`, { transports: ['websocket'] });
    await next(socket, 'connect');
    await socket.emitWithAck('join', 'a');
    const answers = await Promise.all([1, 2, 3, 4].map((line) => socket.emitWithAck('line', line)));
    assert.deepEqual(answers.slice(0, 2), [{}, {}]);
    assert.equal(answers[3].error.code, 'rate_limited');
    assert.ok(answers[3].error.retry_after_ms > 0);
    socket.close();
  } finally {
    await slow.stop();
  }
});
