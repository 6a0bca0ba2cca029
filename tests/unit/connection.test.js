// The page's connection: it comes back, and notices when its path is dead.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ChatClient } from '../../static/chat/client.js';
import { backoff } from '../../static/chat/connection.js';
import { FakeSocket, FakeTime } from './helpers.js';

const LIMITS = { ping_interval_ms: 3_000, ping_timeout_ms: 2_000, max_payload: 1_000 };
let time;
let sockets;
let states;
let client;

beforeEach(() => {
  time = new FakeTime();
  sockets = [];
  states = [];
  client = new ChatClient({
    recorder: { open: () => sockets[sockets.push(new FakeSocket()) - 1] },
    location: { protocol: 'http:', host: 'h', pathname: '/' },
    on: { state: (state, details) => states.push([state, details]), event: () => {} },
    limits: LIMITS,
    time,
    random: () => 0.5,
  });
});

const last = () => sockets.at(-1);
const state = () => states.at(-1)[0];

function logIn() {
  client.login({ username: 'ann' }, 'tea');
  answerLogin();
}

function answerLogin() {
  last().open();
  last().say('loginSuccess', { username: 'ann', room: 'tea', token: 't', epoch: 'e', offset: 0 });
}

const failure = (promise) => promise.then(() => 'done', ({ code }) => code);

test('a quiet connection is asked, and stays when it answers', async () => {
  logIn();
  for (let round = 1; round <= 3; round += 1) {
    await time.pass(3_000);
    const ping = last().asked('ping');
    assert.equal(last().sent.filter(({ event }) => event === 'ping').length, round);
    last().answer(ping.ack, { at: 1 });
  }
  await time.pass(2_900);
  assert.equal(sockets.length, 1);
  assert.equal(state(), 'connected');
});

test('a connection that hears something is not asked', async () => {
  logIn();
  for (let round = 0; round < 10; round += 1) {
    await time.pass(2_000);
    last().say('typing', { username: 'ben', typing: true });
  }
  assert.equal(last().asked('ping'), undefined);
});

test('a dead path is noticed within the ping interval and its timeout, and another one is tried', async () => {
  logIn();
  await time.pass(4_999);
  assert.equal(sockets.length, 1);
  await time.pass(1);
  assert.equal(sockets.length, 2);
  assert.ok(sockets[0].closed);
  assert.equal(state(), 'connecting');
  answerLogin();
  assert.equal(state(), 'connected');
  // What the dead one still says counts no more.
  sockets[0].end(1006);
  assert.equal(state(), 'connected');
});

test('a request that is not answered replaces the socket', async () => {
  logIn();
  const code = failure(client.request('sendMessage', { msg: 'hello' }, 1_000));
  await time.pass(1_000);
  assert.equal(await code, 'timeout');
  assert.equal(sockets.length, 2);
});

test('a login that is not answered replaces the socket, and one that is does not', async () => {
  client.login({ username: 'ann' }, 'tea');
  last().open();
  for (let round = 0; round < 5; round += 1) {
    await time.pass(2_900);
    last().say('typing', {});
  }
  await time.pass(500);
  assert.equal(sockets.length, 2);
  answerLogin();
  for (let round = 0; round < 10; round += 1) {
    await time.pass(2_900);
    last().say('typing', {});
  }
  assert.equal(sockets.length, 2);
});

test('a handshake that is not answered is tried again', async () => {
  client.login({ username: 'ann' }, 'tea');
  await time.pass(5_000);
  assert.equal(state(), 'waiting');
  await time.pass(250);
  assert.equal(sockets.length, 2);
});

test('the page that asks after an offline event notices without waiting for the interval', async () => {
  logIn();
  const isThere = client.check(500);
  await time.pass(500);
  assert.equal(await isThere, false);
  assert.equal(sockets.length, 2);
});

test('an answer of any kind says that there is a connection', async () => {
  logIn();
  const isThere = client.check(500);
  last().dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify({ ack: last().asked('ping').ack, error: { code: 'rate_limited' } }) }));
  assert.equal(await isThere, true);
});

test('leaving says so before it closes, and coming in again does not wait for the end of the old socket', async () => {
  logIn();
  client.logout();
  assert.ok(last().asked('logout'));
  assert.deepEqual(last().closed, { code: 1000 });
  assert.equal(state(), 'disconnecting');
  client.login({ username: 'ann' }, 'tea');
  assert.equal(sockets.length, 2);
  sockets[0].end(1000);
  assert.equal(state(), 'connecting');
  answerLogin();
  assert.equal(state(), 'connected');
  assert.equal(client.isLoggedIn, true);
  sockets[1].end(1006);
  assert.equal(state(), 'waiting', 'it comes back after the next drop, too');
});

test('who has left hears nothing more, and stays away', async () => {
  logIn();
  client.logout();
  last().end(1000);
  assert.deepEqual(states.at(-1), ['disconnected', { code: 1000, opened: true, asked: true }]);
  await time.pass(100_000);
  assert.equal(sockets.length, 1);
  assert.equal(time.pending, 0);
});

test('close 1009 fails the largest of what was under way as too large, and the page comes back', async () => {
  logIn();
  const [small, large] = [client.request('sendMessage', { msg: 'x' }), client.request('sendImage', { img: 'y'.repeat(500) })].map(failure);
  last().end(1009);
  assert.deepEqual([await small, await large], ['disconnected', 'too_large']);
  assert.equal(state(), 'waiting');
});

test('close 1009 without anything under way is no reason to come back', () => {
  logIn();
  last().end(1009);
  assert.equal(state(), 'disconnected');
});

test('what is over the payload of the server is not sent', async () => {
  logIn();
  assert.equal(await failure(client.request('sendImage', { img: '多'.repeat(400) })), 'too_large');
  assert.equal(last().asked('sendImage'), undefined);
});

test('it is known while another room is asked for, and when that ends', async () => {
  logIn();
  const joined = client.join('den');
  assert.equal(client.isJoining, true);
  last().answer(last().asked('joinRoom').ack, { room: 'den', epoch: 'f', offset: 0 });
  await joined;
  assert.deepEqual([client.isJoining, client.room], [false, 'den']);
  const failed = failure(client.join('nowhere'));
  last().end(1006);
  assert.equal(await failed, 'disconnected');
  assert.deepEqual([client.isJoining, client.room], [false, 'den']);
});

test('connections that were never open are counted until one is', async () => {
  client.login({ username: 'ann' }, 'tea');
  for (let failures = 1; failures <= 4; failures += 1) {
    last().end(1006);
    assert.equal(states.at(-1)[1].failures, failures);
    const { waitMs } = states.at(-1)[1];
    await time.pass(waitMs);
  }
  answerLogin();
  last().end(1006);
  assert.equal(states.at(-1)[1].failures, 0);
});

test('tries are spread, later ones further, and bounded', () => {
  assert.deepEqual([0, 1, 2, 10, 100].map((tries) => backoff(tries, () => 1)), [500, 1_000, 2_000, 15_000, 15_000]);
  assert.equal(backoff(3, () => 0), 0);
});

/** Lets the latest request of that name be rejected for want of a login. */
const reject = (event) => last().dispatchEvent(Object.assign(new Event('message'), {
  data: JSON.stringify({ ack: last().asked(event).ack, error: { code: 'not_logged_in' } }),
}));
const logins = () => sockets.flatMap(({ sent }) => sent).filter(({ event }) => event === 'login');

test('a request that is rejected for want of a login makes the page log in again, once for all of them', async () => {
  logIn();
  const requests = ['sendMessage', 'userList', 'history'].map((event) => failure(client.request(event, {})));
  for (const event of ['sendMessage', 'userList', 'history']) reject(event);
  assert.deepEqual(await Promise.all(requests), ['not_logged_in', 'not_logged_in', 'not_logged_in']);
  assert.equal(client.isLoggedIn, false);
  await time.pass(1);
  assert.equal(logins().length, 2);
  last().say('loginSuccess', { username: 'ann', room: 'tea', token: 't', epoch: 'e', offset: 0 });
  assert.equal(client.isLoggedIn, true);
  assert.equal(sockets.length, 1);
});

test('a login that does not help is made again once in a while, and not all the time', async () => {
  logIn();
  for (let round = 0; round < 30; round += 1) {
    if (client.isLoggedIn) {
      failure(client.request('sendMessage', {}));
      reject('sendMessage');
    }
    await time.pass(500);
    if (logins().length > round / 10) last().say('loginSuccess', { username: 'ann', room: 'tea', token: 't', epoch: 'e', offset: 0 });
  }
  assert.ok(logins().length <= 1 + 1 + 15_000 / 5_000, `${logins().length} logins in 15 s`);
});
