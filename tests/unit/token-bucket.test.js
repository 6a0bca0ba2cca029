// What costs much is done a few times at once, and then once in a while.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBucket } from '../../static/chat/token-bucket.js';

/** How many of the calls, one each `everyMs`, need not wait. */
function doneOf(pace, calls, everyMs, from = 0) {
  let done = 0;
  for (let call = 0; call < calls; call += 1) {
    const now = from + call * everyMs;
    if (pace.wait(now) > 0) continue;
    pace.spend(now);
    done += 1;
  }
  return done;
}

test('after a rest it may be done a few times without waiting', () => {
  const pace = new TokenBucket({ restMs: 300, most: 4 });
  assert.equal(doneOf(pace, 10, 1), 4);
  assert.equal(doneOf(pace, 10, 1, 10_000), 4);
});

test('when it is wanted all the time it is done once in a while', () => {
  const pace = new TokenBucket({ restMs: 300, most: 4 });
  assert.equal(doneOf(pace, 500, 20), 4 + Math.floor(499 * 20 / 300));
});

test('it says how long to wait', () => {
  const pace = new TokenBucket({ restMs: 300, most: 1 });
  pace.spend(1_000);
  assert.deepEqual([1_000, 1_100, 1_300, 9_000].map((now) => Math.round(pace.wait(now))), [300, 200, 0, 0]);
});
