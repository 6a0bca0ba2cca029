// The official client against the conformance fixture, by every way.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WAYS, connect, next, startFixture, until } from './harness.js';

let fixture;

before(async () => {
  fixture = await startFixture();
});
after(async () => {
  await fixture?.stop();
});

for (const transports of WAYS) {
  const way = transports.join(' and ');

  test(`${way}: connects with its payload, and is carried by the last transport`, async () => {
    const socket = connect(fixture.url, { transports, auth: { token: 'x' } });
    assert.deepEqual(await next(socket, 'auth'), { token: 'x' });
    await until('the upgrade', () => socket.io.engine.transport.name === transports.at(-1));
    socket.disconnect();
  });

  test(`${way}: events and acks carry nested binary`, async () => {
    const socket = connect(fixture.url, { transports });
    const back = next(socket, 'message-back');
    socket.emit('message', 1, { a: [true, null, 'é'] }, Buffer.from([1, 2, 3]), { b: { c: Buffer.from([4]) } });
    const [one, nested, bytes, deep] = await back;
    assert.deepEqual([one, nested, [...bytes], [...deep.b.c]], [1, { a: [true, null, 'é'] }, [1, 2, 3], [4]]);
    assert.equal(await socket.timeout(60_000).emitWithAck('message-with-ack', 'x'), 'x');
    const acked = await socket.timeout(60_000).emitWithAck('message-with-ack', Buffer.from([9]));
    assert.deepEqual([...acked], [9]);
    await assert.rejects(socket.timeout(200).emitWithAck('nobody-answers', 1), /timed out/);
    socket.disconnect();
  });

  test(`${way}: an event of 500 kB and a thousand in order, both ways`, async () => {
    const socket = connect(fixture.url, { transports });
    const large = 'x'.repeat(500_000);
    const back = next(socket, 'message-back');
    socket.emit('message', large);
    assert.equal(await back, large);
    const heard = [];
    socket.on('message-back', (number) => heard.push(number));
    for (let number = 0; number < 1000; number += 1) socket.emit('message', number);
    await until('a thousand', () => heard.length === 1000);
    assert.deepEqual(heard, [...Array(1000).keys()]);
    socket.disconnect();
  });

  test(`${way}: namespaces are joined, left and refused`, async () => {
    const custom = connect(`${fixture.url}/custom`, { transports, auth: { a: 1 } });
    assert.deepEqual(await next(custom, 'auth'), { a: 1 });
    const unknown = custom.io.socket('/random');
    assert.equal((await next(unknown, 'connect_error')).message, 'Invalid namespace');
    const main = custom.io.socket('/');
    await next(main, 'auth');
    custom.disconnect();
    const back = next(main, 'message-back');
    main.emit('message', 'still here');
    assert.equal(await back, 'still here');
    main.disconnect();
  });

  test(`${way}: a heartbeat keeps the session, and a lost connection comes back`, async () => {
    const socket = connect(fixture.url, { transports });
    await next(socket, 'auth');
    const { id } = socket;
    for (let count = 0; count < 3; count += 1) await next(socket.io, 'ping');
    assert.deepEqual([socket.connected, socket.id], [true, id]);
    const gone = next(socket, 'disconnect');
    const again = next(socket, 'connect');
    socket.io.engine.close();
    await gone;
    await again;
    assert.notEqual(socket.id, id);
    socket.disconnect();
  });
}
