// Who comes and goes is told in few notices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gathering } from '../../static/chat/gathering.js';
import { FakeTime } from './time.js';

/** A gathering under a clock of its own, and the notices that a reader would see. */
function world() {
  const time = new FakeTime();
  const groups = [];
  const gathering = new Gathering(
    { changed: (group) => groups.includes(group) || groups.push(group) },
    { now: () => time.now, timers: time },
  );
  const notices = () => groups.filter((group) => !group.isEmpty).map(({ told: { came, left } }) => ({
    came: [...came.names, ...(came.others > 0 ? [came.others] : [])],
    left: [...left.names, ...(left.others > 0 ? [left.others] : [])],
  }));
  return { time, gathering, notices };
}

test('three hundred who come in are one notice', () => {
  const { gathering, notices } = world();
  for (let number = 1; number <= 300; number += 1) gathering.came(`bot${number}`);
  assert.deepEqual(notices(), [{ came: ['bot1', 'bot2', 298], left: [] }]);
});

test('three are named, of four two', () => {
  const { gathering, notices } = world();
  for (const name of ['ann', 'ben', 'cem']) gathering.came(name);
  assert.deepEqual(notices(), [{ came: ['ann', 'ben', 'cem'], left: [] }]);
  gathering.came('dan');
  assert.deepEqual(notices(), [{ came: ['ann', 'ben', 2], left: [] }]);
});

test('a return within two seconds leaves no trace', () => {
  const { time, gathering, notices } = world();
  gathering.left('ben');
  time.pass(1_900);
  gathering.came('ben');
  time.pass(60_000);
  assert.deepEqual(notices(), []);
});

test('a departure is told after two seconds, and taken back by a return within half a minute', () => {
  const { time, gathering, notices } = world();
  gathering.left('ben');
  time.pass(2_000);
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }]);
  gathering.close();
  time.pass(20_000);
  gathering.came('ben');
  assert.deepEqual(notices(), []);
});

test('a return after that is told, and so is what came before it', () => {
  const { time, gathering, notices } = world();
  gathering.left('ben');
  time.pass(2_000);
  gathering.close();
  time.pass(40_000);
  gathering.came('ben');
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }, { came: ['ben'], left: [] }]);
});

test('who comes in, reloads and stays has come in', () => {
  const { time, gathering, notices } = world();
  gathering.came('ben');
  for (const away of [500, 5_000]) {
    gathering.left('ben');
    time.pass(away);
    gathering.came('ben');
    assert.deepEqual(notices(), [{ came: ['ben'], left: [] }]);
  }
});

test('who comes in and leaves has left', () => {
  const { time, gathering, notices } = world();
  gathering.came('ben');
  gathering.left('ben');
  time.pass(2_000);
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }]);
});

test('what is said between them parts notices', () => {
  const { gathering, notices } = world();
  gathering.came('ann');
  gathering.close();
  gathering.came('ben');
  assert.deepEqual(notices(), [{ came: ['ann'], left: [] }, { came: ['ben'], left: [] }]);
});

test('another room begins without what waited to be told of the last one', () => {
  const { time, gathering, notices } = world();
  gathering.left('ben');
  gathering.clear();
  time.pass(10_000);
  assert.deepEqual(notices(), []);
});
