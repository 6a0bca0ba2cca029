// The examples, by the official client: what each promises in its first lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, next, startExample } from './harness.js';

async function start(t, name) {
  const { url, stop } = await startExample(name);
  const sockets = [];
  // The server waits for its connections before it ends.
  t.after(() => {
    sockets.forEach((socket) => socket.disconnect());
    return stop();
  });
  const open = (options) => {
    sockets.push(connect(url, options));
    return sockets.at(-1);
  };
  return { url, open };
}

/** Sends an event, and resolves to the next event `answer` of a socket. */
function said(by, event, at, answer) {
  const heard = next(at, answer);
  by.emit(...event);
  return heard;
}

test('chat: users join by name, talk, type and leave, and are counted', async (t) => {
  const { url, open } = await start(t, 'chat');
  const [ada, bob] = [open(), open()];
  await next(bob, 'connect');
  assert.deepEqual(await said(ada, ['add user', ' Ada '], ada, 'login'), { numUsers: 1 });
  assert.deepEqual(await said(bob, ['add user', 'Bob'], ada, 'user joined'), { username: 'Bob', numUsers: 2 });
  // A second name is ignored, and a message that is no text.
  ada.emit('add user', 'Eve');
  ada.emit('new message', { not: 'a text' });
  const message = await said(ada, ['new message', 'hello'], bob, 'new message');
  assert.deepEqual(message, { username: 'Ada', message: 'hello' });
  assert.deepEqual(await said(ada, ['typing'], bob, 'typing'), { username: 'Ada' });
  assert.deepEqual(await said(ada, ['stop typing'], bob, 'stop typing'), { username: 'Ada' });
  const left = next(ada, 'user left');
  bob.disconnect();
  assert.deepEqual(await left, { username: 'Bob', numUsers: 1 });
  assert.match(await (await fetch(url)).text(), /socket\.io\.js/);
});

test('whiteboard: a line goes to the others, and what is no line does not', async (t) => {
  const { url, open } = await start(t, 'whiteboard');
  const [ada, bob] = [open(), open()];
  await Promise.all([next(ada, 'connect'), next(bob, 'connect')]);
  const line = { x0: 0, y0: 0.5, x1: 1, y1: 0.25, color: 'red' };
  ada.emit('drawing', { ...line, color: 'url(evil)' });
  assert.deepEqual(await said(ada, ['drawing', line], bob, 'drawing'), line);
  assert.match(await (await fetch(url)).text(), /socket\.io\.js/);
});

test('admission: a cookie of the login admits, and others are refused with data', async (t) => {
  const { url, open } = await start(t, 'admission');
  const login = await fetch(`${url}/login`, { method: 'POST', body: new URLSearchParams({ name: 'Ada' }) });
  const [cookie] = login.headers.get('set-cookie').split(';');
  for (const transports of [['polling'], ['websocket']]) {
    const ada = open({ transports, extraHeaders: { cookie } });
    assert.deepEqual(await ada.emitWithAck('whoami'), { name: 'Ada', logins: 1 });
    for (const [extraHeaders, message] of [[{}, 'not logged in'], [{ cookie: 'session=0' }, 'the session has ended']]) {
      const error = await next(open({ transports, extraHeaders }), 'connect_error');
      assert.deepEqual([error.message, error.data], [message, { login: '/login' }]);
    }
  }
});
