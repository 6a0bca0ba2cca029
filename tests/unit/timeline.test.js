// The window of the log: bounded, following the reader, and able to reach all of a room's messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline } from '../../static/chat/timeline.js';

const message = (offset, img) => ({ offset, at: offset, username: 'ann', ...(img ? { img } : { msg: `number ${offset}` }) });
const range = (first, last) => Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => message(first + index));
const offsets = (timeline) => timeline.lines().filter(({ offset }) => offset !== undefined).map(({ offset }) => offset);
const isWithoutGaps = (list) => list.every((offset, at) => at === 0 || offset === list[at - 1] + 1);

/** A timeline of a room with `count` messages that all came while its reader was at the end. */
function filled(count) {
  const timeline = new Timeline();
  timeline.begin(count);
  range(1, count).forEach((each) => timeline.add(each, true));
  return timeline;
}

/** The server's page of history before an offset. */
const page = (before, head, limit = 50) => range(Math.max(1, Math.min(before, head + 1) - limit), Math.min(before - 1, head));

test('five thousand messages leave a bounded window at the newest', () => {
  const timeline = filled(5_000);
  const shown = offsets(timeline);
  assert.equal(shown.at(-1), 5_000);
  assert.ok(shown.length >= 100 && shown.length <= 500, `${shown.length}`);
  assert.ok(isWithoutGaps(shown) && timeline.hasOlder && timeline.isAtHead);
});

test('all history can be read upwards, and downwards again, in a window that stays bounded', () => {
  const timeline = filled(5_000);
  const seen = new Set(offsets(timeline));
  while (timeline.hasOlder) {
    timeline.older(page(timeline.first, 5_000), timeline.first > 51);
    const shown = offsets(timeline);
    assert.ok(shown.length <= 500 && isWithoutGaps(shown));
    shown.forEach((offset) => seen.add(offset));
  }
  assert.deepEqual([timeline.first, seen.size, timeline.isAtHead], [1, 5_000, false]);
  const again = new Set(offsets(timeline));
  while (!timeline.isAtHead) {
    timeline.newer(page(timeline.last + 51, 5_000));
    const shown = offsets(timeline);
    assert.ok(shown.length <= 500 && isWithoutGaps(shown));
    shown.forEach((offset) => again.add(offset));
  }
  assert.deepEqual([timeline.last, again.size, timeline.hasOlder], [5_000, 5_000, true]);
});

test('what is said while the reader is far above is there on the way down, and nothing is missing or twice', () => {
  const timeline = filled(1_000);
  while (timeline.hasOlder) timeline.older(page(timeline.first, 1_000), timeline.first > 51);
  range(1_001, 1_200).forEach((each) => timeline.add(each, false));
  assert.equal(timeline.isAtHead, false);
  while (!timeline.isAtHead) timeline.newer(page(timeline.last + 51, 1_200));
  assert.equal(offsets(timeline).at(-1), 1_200);
  assert.ok(isWithoutGaps(offsets(timeline)));
});

test('a reader who is a little above the end keeps the lines in view, and they are bounded all the same', () => {
  const timeline = filled(200);
  range(201, 3_000).forEach((each) => timeline.add(each, false));
  const shown = offsets(timeline);
  assert.equal(shown[0], 1);
  assert.ok(shown.length <= 500 && isWithoutGaps(shown), `${shown.length}`);
  assert.equal(timeline.head, 3_000);
});

test('the way back to the newest needs no request', () => {
  const timeline = filled(1_000);
  while (timeline.hasOlder) timeline.older(page(timeline.first, 1_000), timeline.first > 51);
  timeline.toHead();
  const shown = offsets(timeline);
  assert.deepEqual([shown.at(-1), timeline.isAtHead, timeline.hasOlder], [1_000, true, true]);
  assert.ok(shown.length >= 50 && isWithoutGaps(shown));
});

test('large pictures make the window smaller, and never empty', () => {
  const timeline = new Timeline();
  timeline.begin(0);
  const picture = 'x'.repeat(512 * 1024);
  for (let offset = 1; offset <= 100; offset += 1) timeline.add(message(offset, picture), true);
  const shown = offsets(timeline);
  assert.equal(shown.at(-1), 100);
  assert.ok(shown.length >= 8 && shown.length <= 40, `${shown.length}`);
});

test('private messages stay between the messages that they came between, as often as these go and come back', () => {
  const timeline = filled(500);
  const secret = { at: 500, username: 'ben', msg: 'only you' };
  timeline.addAside(secret);
  range(501, 1_200).forEach((each) => timeline.add(each, true));
  assert.ok(!timeline.lines().includes(secret));
  while (timeline.first > 500) timeline.older(page(timeline.first, 1_200), true);
  const lines = timeline.lines();
  const at = lines.indexOf(secret);
  assert.deepEqual([lines[at - 1].offset, lines[at + 1].offset], [500, 501]);
});

test('of very many notices and private messages, notices go first', () => {
  const timeline = filled(1);
  const secret = { at: 1, msg: 'only you' };
  timeline.addAside(secret);
  for (let number = 0; number < 1_000; number += 1) timeline.addAside({ isNotice: true });
  const lines = timeline.lines();
  assert.ok(lines.length <= 400 && lines.includes(secret), `${lines.length}`);
});

test('a message that came already is not new', () => {
  const timeline = filled(3);
  assert.equal(timeline.add(message(3), true), false);
  assert.deepEqual(offsets(timeline), [1, 2, 3]);
});

test('what is learnt of a message of the tail shows where the window has it from history', () => {
  const timeline = filled(1_000);
  while (timeline.hasOlder) timeline.older(page(timeline.first, 1_000), timeline.first > 51);
  while (!timeline.isAtHead) timeline.newer(page(timeline.last + 51, 1_000));
  assert.ok(timeline.lines().includes(timeline.find(990)));
});

test('what is said of a room before its messages come stands above them', () => {
  const timeline = new Timeline();
  timeline.begin(100);
  const notice = { isNotice: true };
  timeline.addAside(notice);
  assert.deepEqual(timeline.lines(), [notice]);
  range(51, 100).forEach((each) => timeline.add(each, true));
  assert.equal(timeline.lines()[0], notice);
});
