// Who comes and goes is told in few notices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PresenceNotices } from '../../static/chat/presence-notices.js';
import { FakeTime } from './time.js';

/** A presence under a clock of its own, and the notices that a reader would see. */
function world() {
  const time = new FakeTime();
  const groups = [];
  const presence = new PresenceNotices(
    { changed: (group) => groups.includes(group) || groups.push(group) },
    { now: () => time.now, timers: time },
  );
  const notices = () => groups.filter((group) => !group.isEmpty).map(({ told: { came, left } }) => ({
    came: [...came.names, ...(came.others > 0 ? [came.others] : [])],
    left: [...left.names, ...(left.others > 0 ? [left.others] : [])],
  }));
  return { time, presence, notices };
}

test('three hundred who come in are one notice', () => {
  const { presence, notices } = world();
  for (let number = 1; number <= 300; number += 1) presence.came(`bot${number}`);
  assert.deepEqual(notices(), [{ came: ['bot1', 'bot2', 298], left: [] }]);
});

test('three are named, of four two', () => {
  const { presence, notices } = world();
  for (const name of ['ann', 'ben', 'cem']) presence.came(name);
  assert.deepEqual(notices(), [{ came: ['ann', 'ben', 'cem'], left: [] }]);
  presence.came('dan');
  assert.deepEqual(notices(), [{ came: ['ann', 'ben', 2], left: [] }]);
});

test('a return within two seconds leaves no trace', () => {
  const { time, presence, notices } = world();
  presence.left('ben');
  time.pass(1_900);
  presence.came('ben');
  time.pass(60_000);
  assert.deepEqual(notices(), []);
});

test('a departure is told after two seconds, and taken back by a return within half a minute', () => {
  const { time, presence, notices } = world();
  presence.left('ben');
  time.pass(2_000);
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }]);
  presence.close();
  time.pass(20_000);
  presence.came('ben');
  assert.deepEqual(notices(), []);
});

test('a return after that is told, and so is what came before it', () => {
  const { time, presence, notices } = world();
  presence.left('ben');
  time.pass(2_000);
  presence.close();
  time.pass(40_000);
  presence.came('ben');
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }, { came: ['ben'], left: [] }]);
});

test('who comes in, reloads and stays has come in', () => {
  const { time, presence, notices } = world();
  presence.came('ben');
  for (const away of [500, 5_000]) {
    presence.left('ben');
    time.pass(away);
    presence.came('ben');
    assert.deepEqual(notices(), [{ came: ['ben'], left: [] }]);
  }
});

test('who comes in and leaves has left', () => {
  const { time, presence, notices } = world();
  presence.came('ben');
  presence.left('ben');
  time.pass(2_000);
  assert.deepEqual(notices(), [{ came: [], left: ['ben'] }]);
});

test('what is said between them parts notices', () => {
  const { presence, notices } = world();
  presence.came('ann');
  presence.close();
  presence.came('ben');
  assert.deepEqual(notices(), [{ came: ['ann'], left: [] }, { came: ['ben'], left: [] }]);
});

test('another room begins without what waited to be told of the last one', () => {
  const { time, presence, notices } = world();
  presence.left('ben');
  presence.clear();
  time.pass(10_000);
  assert.deepEqual(notices(), []);
});
