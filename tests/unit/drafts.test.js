// What is being written, and private messages on their way: of one user, for one addressee, never lost.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Drafts } from '../../static/chat/drafts.js';
import { PrivateMessages } from '../../static/chat/private-messages.js';
import { FakeStore } from './helpers.js';

const room = { by: 'ann', room: 'tea', to: null };
const ben = { ...room, to: { username: 'ben', uid: 'B' } };
let store;
let drafts;

beforeEach(() => {
  store = new FakeStore();
  drafts = new Drafts({ store });
});

test('a draft is found again in its place only', () => {
  drafts.change(ben, { text: 'my salary is' });
  const others = [room, { ...ben, by: 'eve' }, { ...ben, room: 'den' }, { ...ben, to: { username: 'cat', uid: 'C' } }, { ...ben, to: { username: 'ben', uid: 'other' } }];
  for (const place of others) assert.equal(drafts.at(place).text, '', JSON.stringify(place));
  assert.equal(drafts.at(ben).text, 'my salary is');
});

test('drafts and addressees survive a reload', () => {
  drafts.address(room, ben.to);
  drafts.change(ben, { text: 'half a li', pictures: ['data:'] });
  drafts = new Drafts({ store });
  assert.deepEqual(drafts.addressee(room), ben.to);
  assert.deepEqual(drafts.at(ben), { text: 'half a li', pictures: ['data:'] });
});

test('a storage that takes no pictures keeps the texts', () => {
  const { set } = store;
  store.set = (key, value) => !JSON.stringify(value).includes('data:') && set.call(store, key, value);
  drafts.change(room, { text: 'look', pictures: ['data:'] });
  assert.deepEqual(new Drafts({ store }).at(room), { text: 'look', pictures: [] });
});

test('what comes back stands before what has been written since', () => {
  drafts.restore(ben, { msg: 'one' });
  assert.equal(drafts.at(ben).text, 'one');
  drafts.restore(ben, { msg: 'zero' });
  assert.equal(drafts.at(ben).text, 'zero\none');
});

test('drafts are let go with their user', () => {
  drafts.address(room, ben.to);
  drafts.change(ben, { text: 'x' });
  drafts.change({ ...room, by: 'eve' }, { text: 'y' });
  assert.deepEqual(drafts.users, ['ann', 'eve']);
  drafts.forget('ann');
  assert.deepEqual(drafts.users, ['eve']);
  assert.equal(drafts.addressee(room), null);
});

test('there is a bound, and the oldest go', () => {
  for (let number = 0; number < 300; number += 1) drafts.change({ ...room, room: `r${number}` }, { text: 'x' });
  assert.equal(drafts.at({ ...room, room: 'r0' }).text, '');
  assert.equal(drafts.at({ ...room, room: 'r299' }).text, 'x');
});

const sendingPrivately = (send) => {
  const back = [];
  const privateMessages = new PrivateMessages({ store, send, on: { back: (place, content, code) => back.push([place.to.username, content.msg ?? content.img, code]) } });
  return { privateMessages, back };
};

test('what is handed over does not come back', async () => {
  const { privateMessages, back } = sendingPrivately(async () => ({ delivered: true }));
  await privateMessages.send(ben, [{ msg: 'hello' }]);
  assert.deepEqual(back, []);
  assert.deepEqual(store.get('private-messages'), []);
});

for (const [what, send, code] of [
  ['was not delivered', async () => ({ delivered: false }), 'not_delivered'],
  ['the server refuses', async () => { throw { code: 'no_such_user' }; }, 'no_such_user'],
  ['the connection drops under', async () => { throw { code: 'disconnected' }; }, 'disconnected'],
]) {
  test(`what ${what} comes back, to the draft of its addressee`, async () => {
    const { privateMessages, back } = sendingPrivately(send);
    await privateMessages.send(ben, [{ img: 'picture' }, { msg: 'caption' }]);
    assert.deepEqual(back, [['ben', 'caption', code], ['ben', 'picture', code]]);
  });
}

test('what was on its way when the page went comes back', () => {
  sendingPrivately(() => new Promise(() => {})).privateMessages.send(ben, [{ msg: 'one' }, { msg: 'two' }]);
  const { privateMessages, back } = sendingPrivately(() => {});
  privateMessages.recover();
  assert.deepEqual(back, [['ben', 'two', 'unknown'], ['ben', 'one', 'unknown']]);
  assert.deepEqual(store.get('private-messages'), []);
});
