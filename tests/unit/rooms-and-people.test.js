// The order of rooms and people, and what is unread.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byName, indexOf } from '../../static/chat/order.js';
import { inOrder, Visited } from '../../static/chat/visited.js';
import { FakeTime } from './time.js';

class Store {
  kept = null;

  get = (_, fallback) => (this.kept === null ? fallback : JSON.parse(this.kept));

  set = (_, value) => { this.kept = JSON.stringify(value); };
}

test('numbers in names are ordered by their value', () => {
  assert.deepEqual(['bot10', 'bot2', 'Ann', 'bot1', 'ann'].toSorted(byName).map(String), ['ann', 'Ann', 'bot1', 'bot2', 'bot10']);
  assert.deepEqual(['a', 'bot1', 'bot3', 'bot11', 'z'].map((name) => indexOf(name, ['bot1', 'bot2', 'bot10'])), [0, 0, 2, 3, 3]);
});

test('the lobby comes first, then rooms of one\'s own by name, then others, the largest first', () => {
  const listed = [['big', 9], ['mine 10', 1], ['b', 2], ['a', 2]].map(([room, sessions]) => ({ room, sessions }));
  assert.deepEqual(
    inOrder(['mine 10', 'mine 2'], listed).map(({ room, sessions }) => `${room}: ${sessions}`),
    ['lobby: 0', 'mine 2: 0', 'mine 10: 1', 'big: 9', 'a: 2', 'b: 2'],
  );
});

test('what came since a room was read is unread, and all of it if the room has begun anew', () => {
  const visited = new Visited(new Store(), new FakeTime());
  assert.equal(visited.enter('tea', 'e1'), null);
  visited.read('tea', 7);
  assert.equal(visited.unread('tea', { epoch: 'e1', offset: 10 }), 3);
  assert.equal(visited.unread('tea', { epoch: 'e1', offset: 7 }), 0);
  assert.equal(visited.unread('tea', { epoch: 'e2', offset: 4 }), 4);
  assert.equal(visited.unread('tea', {}), 0);
  assert.equal(visited.unread('elsewhere', { epoch: 'e1', offset: 10 }), 0);
  assert.equal(visited.enter('tea', 'e1'), 7);
});

test('what was read of a room stays read when it goes on in another epoch', () => {
  const visited = new Visited(new Store(), new FakeTime());
  visited.enter('tea', 'e1');
  visited.read('tea', 7);
  visited.goesOnIn('tea', 'e2');
  visited.goesOnIn('elsewhere', 'e2');
  assert.equal(visited.unread('tea', { epoch: 'e2', offset: 10 }), 3);
  assert.deepEqual(visited.names, ['tea']);
});

test('visited rooms are kept in the tab, twenty at most, until they are forgotten', () => {
  const [store, time] = [new Store(), new FakeTime()];
  const visited = new Visited(store, time);
  for (let number = 1; number <= 25; number += 1) visited.enter(`room ${number}`, 'e');
  visited.read('room 25', 3);
  time.pass(2_000);
  const again = new Visited(store, time);
  assert.deepEqual([again.names.length, again.names[0], again.enter('room 25', 'e')], [20, 'room 6', 3]);
  again.forget();
  assert.deepEqual(new Visited(store, time).names, []);
});
