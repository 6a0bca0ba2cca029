// Pictures that are not sent: as many as possible survive a reload, and the loss of the others is not silent.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Drafts } from '../../static/chat/drafts.js';
import { Outbox } from '../../static/chat/outbox.js';
import { UnsentPictures } from '../../static/chat/unsent-pictures.js';
import { keepMost } from '../../static/store.js';
import { FakeStore, FakeTime } from './helpers.js';

const room = { by: 'ann', room: 'tea', to: null };
let store;
let page;
let unsent;

beforeEach(() => {
  [store, page] = [new FakeStore(), new EventTarget()];
  unsent = new UnsentPictures({ store, page });
});

/** Whether the page warns its reader before it goes. */
function warns() {
  const event = new Event('beforeunload', { cancelable: true });
  page.dispatchEvent(event);
  return event.defaultPrevented;
}

/** A storage for values of at most so many characters. */
function holdsAtMost(chars) {
  const { set } = store;
  store.set = (key, value) => JSON.stringify(value).length <= chars && set.call(store, key, value);
}

test('the reader is warned while a picture is in preparation or unsent, and not before or after', () => {
  assert.equal(warns(), false);
  unsent.note('preparing', { unsent: 1, unkept: 1 });
  unsent.note('drafts', { unsent: 0, unkept: 0 });
  assert.equal(warns(), true);
  unsent.note('drafts', { unsent: 1, unkept: 0 });
  unsent.note('preparing', { unsent: 0, unkept: 0 });
  assert.equal(warns(), true);
  unsent.note('drafts', { unsent: 0, unkept: 0 });
  assert.equal(warns(), false);
});

test('after a reload it is known once how many pictures were lost, and kept ones are not among them', () => {
  unsent.note('preparing', { unsent: 2, unkept: 2 });
  unsent.note('drafts', { unsent: 3, unkept: 1 });
  unsent = new UnsentPictures({ store, page });
  unsent.note('drafts', { unsent: 2, unkept: 0 });
  assert.deepEqual([unsent.takeLost(), unsent.takeLost()], [3, 0]);
  assert.equal(new UnsentPictures({ store, page }).takeLost(), 0);
});

test('of pictures that are more than the storage takes, the first are kept, and every text', () => {
  holdsAtMost(60);
  const items = ['a', 'b', 'c', 'd'].flatMap((letter) => [{ img: letter.repeat(10) }, { msg: letter }]);
  const isPicture = ({ img }) => img !== undefined;
  assert.deepEqual(keepMost(store, 'key', items.slice(0, 2), isPicture), { unsent: 1, unkept: 0 });
  assert.deepEqual(keepMost(store, 'key', items, isPicture), { unsent: 4, unkept: 4 });
  assert.deepEqual(store.get('key').map(({ msg }) => msg), ['a', 'b', 'c', 'd']);
});

test('drafts keep as many pictures as there is place for, and say how many they do not keep', () => {
  const counts = [];
  const drafts = new Drafts({ store, onPictures: (count) => counts.push(count) });
  holdsAtMost(150);
  drafts.change(room, { text: 'look', pictures: ['x'.repeat(50)] });
  assert.deepEqual(counts.at(-1), { unsent: 1, unkept: 0 });
  drafts.change(room, { pictures: ['x', 'y'].map((letter) => letter.repeat(50)) });
  assert.deepEqual(counts.at(-1), { unsent: 2, unkept: 1 });
  assert.deepEqual(new Drafts({ store }).at(room), { text: 'look', pictures: ['x'.repeat(50)] });
  drafts.change(room, { pictures: [] });
  assert.deepEqual(counts.at(-1), { unsent: 0, unkept: 0 });
  assert.deepEqual(new Drafts({ store }).at(room).pictures, []);
});

test('a picture in the outbox counts as unsent until it is acked', async () => {
  const counts = [];
  const on = { changed: () => {}, sent: () => {}, pictures: (count) => counts.push(count) };
  let ack;
  const send = () => new Promise((resolve) => { ack = () => resolve({ offset: 1 }); });
  const outbox = new Outbox({ store, send, on, time: new FakeTime() });
  outbox.resume(room);
  outbox.add(room, { img: 'picture' });
  assert.deepEqual(counts.at(-1), { unsent: 1, unkept: 0 });
  ack();
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.deepEqual(counts.at(-1), { unsent: 0, unkept: 0 });
});
