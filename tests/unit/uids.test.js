// A name that has gone to another user is known as such, in messages and in the list of people.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Uids } from '../../static/chat/uids.js';

const ben = { username: 'Ben', uid: 'A' };
const other = { username: 'Ben', uid: 'B' };
let uids;

beforeEach(() => {
  uids = new Uids();
  uids.enter('tea');
});

test('a user who comes after another one of that name has left is another', () => {
  uids.list([ben]);
  assert.equal(uids.isAnother(ben), false);
  uids.left(ben);
  uids.came(other);
  assert.deepEqual([uids.isAnother(ben), uids.isAnother(other)], [false, true]);
});

test('a user who is listed is another one as soon as a message of an earlier user of the name is read', () => {
  uids.list([other]);
  assert.equal(uids.isAnother(other), false, 'to be in the room says nothing of users before');
  uids.spoke(ben);
  assert.equal(uids.isAnother(other), true);
});

test('a user who took the name while the page was away is another', () => {
  uids.list([ben]);
  uids.enter('tea');
  uids.list([other]);
  assert.deepEqual([uids.isAnother(ben), uids.isAnother(other)], [false, true]);
});

test('what was known of one room says nothing of another', () => {
  uids.list([ben]);
  uids.enter('den');
  uids.list([other]);
  uids.spoke(other);
  assert.equal(uids.isAnother(other), false);
});

test('a guest has no uid, and is never another', () => {
  uids.spoke({ username: 'guest-1' });
  assert.equal(uids.isAnother({ username: 'guest-1' }), false);
});
