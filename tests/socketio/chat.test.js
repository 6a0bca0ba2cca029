// The chat by the official client: three people, one of each transport, and a plain WebSocket in the same room.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { WAYS, connect, next, startServer, until } from './harness.js';

let server;

before(async () => {
  server = await startServer('--name-hold', '5s');
});
after(async () => {
  await server?.stop();
});

/** Somebody who has logged in, and remembers what is heard. */
async function person(username, room, options, login = {}) {
  const socket = connect(server.url, options);
  socket.heard = [];
  socket.on('receiveMessage', (message) => socket.heard.push(message));
  const welcome = next(socket, 'loginSuccess');
  socket.emit('login', { username, room, ...login });
  socket.welcome = await welcome;
  return socket;
}

const ask = (socket, event, data) => socket.timeout(60_000).emitWithAck(event, data);

test('three transports and a plain session talk in one room', async () => {
  const plain = new WebSocket(`${server.url.replace('http', 'ws')}/ws?room=tea`);
  const plainHeard = [];
  plain.on('message', (message) => plainHeard.push(String(message)));
  await next(plain, 'open');
  const people = [];
  for (const [index, transports] of WAYS.entries()) people.push(await person(`p${index}`, 'tea', { transports }));
  const [ann, ben, cleo] = people;

  const receipt = await ask(ann, 'sendMessage', { msg: 'hello', id: 'm1' });
  assert.deepEqual([receipt.id, receipt.offset, receipt.echo], ['m1', 1, 'HELLO!!!']);
  assert.equal((await ask(ann, 'sendMessage', { msg: 'hello', id: 'm1' })).offset, 1, 'known again');
  plain.send('from a guest');
  for (const socket of people) {
    await until('both', () => socket.heard.length === 2);
    assert.deepEqual(socket.heard.map(({ msg }) => msg), ['hello', 'from a guest']);
    assert.match(socket.heard[1].username, /^guest-\d+$/);
  }
  await until('both', () => plainHeard.length === 2);
  assert.deepEqual(plainHeard, ['hello', 'FROM A GUEST!!!']);

  const whispered = next(cleo, 'receivePrivate');
  assert.equal((await ask(ben, 'sendPrivate', { to: 'P2', msg: 'psst' })).delivered, true);
  assert.deepEqual([(await whispered).username, (await whispered).msg], ['p1', 'psst']);
  assert.equal((await ask(ben, 'sendPrivate', { to: 'zoe', msg: 'x' })).error.code, 'no_such_user');

  const typing = next(cleo, 'typing');
  // A client that is between two polls does without.
  const again = setInterval(() => ann.emit('typing', { typing: true }), 50);
  assert.deepEqual(await typing, { username: 'p0', typing: true });
  clearInterval(again);

  for (let number = 0; number < 300; number += 1) ben.emit('sendMessage', { msg: String(number) });
  for (const socket of people) {
    await until('all', () => socket.heard.length === 302);
    assert.deepEqual(socket.heard.map(({ offset }) => offset), [...Array(302).keys()].map((index) => index + 1));
  }
  const page = await ask(cleo, 'history', { limit: 2 });
  assert.deepEqual(page.messages.map(({ offset }) => offset), [301, 302]);

  const left = next(ben, 'delUser');
  cleo.disconnect();
  assert.equal((await left).username, 'p2');
  // The name is held for the bearer of the token, who gets what was missed.
  const missed = await ask(ann, 'sendMessage', { msg: 'while you were away' });
  const { token, epoch } = cleo.welcome;
  const back = await person('p2', 'tea', { transports: ['polling'] }, { token, epoch, offset: 302 });
  assert.equal(back.welcome.recovered, true);
  await until('what was missed', () => back.heard.length === 1);
  assert.deepEqual([back.heard[0].offset, back.heard[0].replay], [missed.offset, true]);
  for (const socket of [ann, ben, back]) socket.disconnect();
  plain.close();
});

test('a reader that is idle hears every volatile event, also behind a message', async () => {
  const ben = await person('typist', 'coffee', { transports: ['websocket'] });
  for (const transports of WAYS) {
    const ann = await person(`reader${transports.join('')}`, 'coffee', { transports });
    await until('the upgrade', () => ann.io.engine.transport.name === transports.at(-1));
    const polls = transports.at(-1) === 'polling';
    const heard = [];
    ann.on('typing', ({ typing }) => heard.push(typing));
    for (let round = 0; round < 3; round += 1) {
      for (const typing of [true, false]) {
        const before = heard.length;
        ben.emit('typing', { typing });
        // A client that is between two polls is told again.
        const again = polls && setInterval(() => ben.emit('typing', { typing }), 200);
        await until(`typing: ${typing} by ${transports}, round ${round}`, () => heard.slice(before).includes(typing));
        clearInterval(again);
      }
      const { length } = ann.heard;
      ben.emit('sendMessage', { msg: 'hello' });
      await until('the message', () => ann.heard.length > length);
    }
    if (!polls) assert.deepEqual(heard, [true, false, true, false, true, false]);
    ann.disconnect();
  }
  ben.disconnect();
});

test('what is wrong is said, and the connection stays', async () => {
  const ann = await person('Ann', 'milk', {});
  const error = next(ann, 'error');
  ann.emit('sendMessage', { msg: 5 });
  assert.equal((await error).code, 'bad_field');
  assert.equal((await ask(ann, 'jump', {})).error.code, 'unknown_event');
  assert.equal((await ask(ann, 'sendMessage', Buffer.from([1]))).error.code, 'bad_field');
  const refused = connect(server.url, {});
  const loginError = next(refused, 'loginError');
  refused.emit('login', { username: 'ann', room: 'milk' });
  assert.equal((await loginError).code, 'name_taken');
  assert.equal((await ask(ann, 'sendMessage', { msg: 'still here' })).offset, 1);
  ann.disconnect();
  refused.disconnect();
});

test('a page that logs in with each connection comes back after a picture that is too large', async () => {
  for (const transports of WAYS) {
    const socket = connect(server.url, { transports });
    const answers = [];
    socket.on('connect', () => socket.emit('login', { username: `photographer${transports.length}`, room: 'lemonade' }));
    socket.on('loginSuccess', () => answers.push('in'));
    socket.on('loginError', ({ code }) => answers.push(code));
    await until('the login', () => answers.length === 1);
    await until('the upgrade', () => socket.io.engine.transport.name === transports.at(-1));
    socket.emit('sendImage', { img: `data:image/png;base64,${'A'.repeat(3_000_000)}` });
    await until('another login', () => answers.length === 2);
    assert.deepEqual(answers, ['in', 'in'], `${transports}`);
    // As course pages do.
    socket.disconnect().connect();
    await until('a third login', () => answers.length === 3);
    assert.equal(answers[2], 'in', `${transports}`);
    socket.disconnect();
  }
});

test('what follows a login at once is said by who logged in', async () => {
  for (const transports of WAYS) {
    const socket = connect(server.url, { transports });
    socket.emit('login', { username: `hasty${transports.length}${transports[0]}`, room: 'cocoa' });
    const receipt = await ask(socket, 'sendMessage', { msg: 'one' });
    assert.ok(receipt.offset > 0, JSON.stringify(receipt));
    socket.disconnect();
  }
});

test('a client that vanishes is gone from the health of the server', async () => {
  const sockets = WAYS.map((transports) => connect(server.url, { transports }));
  await Promise.all(sockets.map((socket) => next(socket, 'connect')));
  for (const socket of sockets) socket.disconnect();
  let sessions;
  await until('the sessions to be gone', () => {
    fetch(`${server.url}/health`).then(async (answer) => { ({ sessions } = await answer.json()); });
    return sessions === 0;
  });
});

test('a server that stops says so', async () => {
  const other = await startServer();
  const sockets = WAYS.map((transports) => connect(other.url, { transports, reconnection: false }));
  await Promise.all(sockets.map((socket) => next(socket, 'connect')));
  const gone = Promise.all(sockets.map((socket) => next(socket, 'disconnect')));
  await other.stop();
  await gone;
});
