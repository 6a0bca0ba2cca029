// What waits to be sent: in order, once, by the user who wrote it, in the room it was written in.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Outbox } from '../../static/chat/outbox.js';
import { FakeStore, FakeTime, settle } from './helpers.js';

const ann = { by: 'ann', room: 'tea' };
let time;
let store;
let sent;
let answers;
let outbox;

beforeEach(() => {
  [time, store, sent, answers] = [new FakeTime(), new FakeStore(), [], []];
  outbox = open();
});

/** A page with that storage; what it sends waits for `answer` or `refuse`. */
function open() {
  return new Outbox({
    store,
    time,
    send: (item) => new Promise((resolve, reject) => {
      sent.push([item.by, item.room, item.msg ?? item.img]);
      answers.push({ resolve, reject });
    }),
    on: { changed: () => {}, sent: () => {} },
    retries: { rate_limited: 'later', journal_unavailable: 'later', not_kept_yet: 'later', not_logged_in: 'after_login' },
  });
}

async function answer() {
  answers.shift().resolve({ offset: 1 });
  await settle();
}

async function refuse(error) {
  answers.shift().reject(error);
  await settle();
}

const texts = () => sent.map(([, , msg]) => msg);

test('messages go out in order, one at a time', async () => {
  outbox.resume(ann);
  for (const msg of ['one', 'two', 'three']) outbox.add(ann, { msg });
  assert.deepEqual(texts(), ['one']);
  await answer();
  await answer();
  assert.deepEqual(texts(), ['one', 'two', 'three']);
  await answer();
  assert.deepEqual(outbox.all, []);
});

test('what ann wrote is never said by eve, and is said when ann is back', async () => {
  outbox.add(ann, { msg: 'dear diary' });
  outbox.resume({ by: 'eve', room: 'tea' });
  outbox.add({ by: 'eve', room: 'tea' }, { msg: 'hello' });
  await answer();
  assert.deepEqual(sent, [['eve', 'tea', 'hello']]);
  outbox.pause();
  outbox.resume(ann);
  await answer();
  assert.deepEqual(sent.at(-1), ['ann', 'tea', 'dear diary']);
});

test('what was written in one room waits for that room', async () => {
  outbox.add(ann, { msg: 'for tea' });
  outbox.resume({ by: 'ann', room: 'den' });
  assert.deepEqual(sent, []);
  outbox.resume(ann);
  assert.deepEqual(texts(), ['for tea']);
});

test('what waits survives a reload, and what was on its way is sent again', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  outbox.add(ann, { msg: 'two' });
  const id = outbox.all[0].id;
  outbox = open();
  assert.deepEqual(outbox.all.map(({ state }) => state), ['waiting', 'waiting']);
  assert.equal(outbox.all[0].id, id);
  outbox.resume(ann);
  assert.deepEqual(texts(), ['one', 'one']);
});

test('a drop makes a message wait, and the next login goes on at once', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  outbox.pause();
  await refuse({ code: 'disconnected' });
  assert.equal(outbox.all[0].state, 'waiting');
  outbox.resume(ann);
  assert.deepEqual(texts(), ['one', 'one']);
});

test('a login that comes before the failure of the last connection has been told does not wait either', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  outbox.pause();
  outbox.resume(ann);
  await refuse({ code: 'timeout' });
  assert.deepEqual(texts(), ['one', 'one']);
});

test('without a connection it waits for a login, and does not try again and again', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  await refuse({ code: 'disconnected' });
  assert.equal(sent.length, 1);
  outbox.resume(ann);
  assert.equal(sent.length, 2);
});

test('what comes too fast is sent when the server says', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  await refuse({ code: 'rate_limited', retryAfterMs: 700 });
  await time.pass(699);
  assert.equal(sent.length, 1);
  await time.pass(1);
  assert.equal(sent.length, 2);
});

test('what the server refuses has failed, stops nothing, and can be tried again or discarded', async () => {
  outbox.resume(ann);
  const { id } = outbox.add(ann, { img: 'large' });
  outbox.add(ann, { msg: 'small' });
  await refuse({ code: 'too_large' });
  await answer();
  assert.deepEqual(outbox.all.map(({ state, code }) => [state, code]), [['failed', 'too_large']]);
  outbox.retry(id);
  assert.deepEqual(texts(), ['large', 'small', 'large']);
  await refuse({ code: 'too_large' });
  outbox.drop(id);
  assert.deepEqual(outbox.all, []);
});

test('a large message that ends the connection each time is not sent for ever', async () => {
  outbox.resume(ann);
  const { id } = outbox.add(ann, { img: 'x'.repeat(100_000) });
  outbox.add(ann, { msg: 'small' });
  for (let round = 0; round < 3; round += 1) {
    outbox.pause();
    await refuse({ code: 'disconnected' });
    outbox.resume(ann);
  }
  assert.deepEqual(outbox.all.map(({ state, code }) => [state, code]), [['failed', 'ends_connection'], ['sending', null]]);
  await answer();
  outbox.retry(id);
  outbox.pause();
  await refuse({ code: 'disconnected' });
  assert.equal(outbox.all[0].state, 'waiting', 'after "try again" it has as many tries as before');
});

test('a small message is sent again after any number of drops', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'small' });
  for (let round = 0; round < 10; round += 1) {
    outbox.pause();
    await refuse({ code: 'disconnected' });
    outbox.resume(ann);
  }
  assert.equal(sent.length, 11);
});

test('when pictures are more than the storage takes, texts are kept', () => {
  const { set } = store;
  store.set = (key, value) => !JSON.stringify(value).includes('picture') && set.call(store, key, value);
  outbox.add(ann, { img: 'picture' });
  outbox.add(ann, { msg: 'text' });
  assert.deepEqual(open().all.map(({ msg }) => msg), ['text']);
});

test('a message that is rejected for want of a login waits for the next login, and is sent once then', async () => {
  outbox.resume(ann);
  outbox.add(ann, { msg: 'one' });
  outbox.add(ann, { msg: 'two' });
  await refuse({ code: 'not_logged_in' });
  await time.pass(60_000);
  assert.deepEqual(texts(), ['one'], 'nothing is sent before the login');
  assert.deepEqual(outbox.all.map(({ state, code }) => [state, code]), [['waiting', 'not_logged_in'], ['waiting', undefined]]);
  outbox.resume(ann);
  assert.deepEqual(texts(), ['one', 'one']);
  await answer();
  await answer();
  assert.deepEqual(texts(), ['one', 'one', 'two']);
});

test('a message that is rejected for want of a login also after one has failed, and can be tried again', async () => {
  outbox.resume(ann);
  const { id } = outbox.add(ann, { msg: 'one' });
  await refuse({ code: 'not_logged_in' });
  outbox.resume(ann);
  await refuse({ code: 'not_logged_in' });
  assert.deepEqual(outbox.all.map(({ state, code }) => [state, code]), [['failed', 'rejected_after_login']]);
  outbox.resume(ann);
  assert.equal(sent.length, 2);
  outbox.retry(id);
  assert.equal(sent.length, 3);
  await answer();
  assert.deepEqual(outbox.all, []);
});
