// What may be tried again is what the server's table says, and not what the page thinks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox } from '../../static/chat/outbox.js';
import { mayReconnect } from '../../static/protocol.js';
import { FakeStore, FakeTime, settle } from './helpers.js';

/** The state of a message that was refused with that code, by a server with that table. */
async function stateAfter(code, retries) {
  const items = new Map();
  const outbox = new Outbox({
    store: new FakeStore(),
    time: new FakeTime(),
    send: () => Promise.reject(Object.assign(new Error(code), { code })),
    on: { changed: (item) => items.set(item.id, item.state), sent: () => {} },
    retries,
  });
  outbox.resume({ by: 'ann', room: 'tea' });
  const { id } = outbox.add({ by: 'ann', room: 'tea' }, { msg: 'm' });
  await settle();
  return items.get(id);
}

test('a message is sent again after the codes that the server names, and after no others', async () => {
  const retries = { overloaded: 'later', moved: 'at_once', stranger: 'after_login', rate_limited: 'never' };
  for (const code of ['overloaded', 'moved', 'stranger', 'timeout', 'disconnected']) {
    assert.equal(await stateAfter(code, retries), 'waiting', code);
  }
  for (const code of ['rate_limited', 'toString', undefined]) {
    assert.equal(await stateAfter(code, retries), 'failed', code);
  }
});

test('without a table a message is sent again only after what the server did not answer', async () => {
  assert.equal(await stateAfter('timeout'), 'waiting');
  assert.equal(await stateAfter('rate_limited'), 'failed');
});

test('a client comes back after the close codes that the server names', () => {
  const closes = { 1008: 'later', 1012: 'never', 4000: 'at_once' };
  assert.deepEqual([1008, 1012, 4000].map((code) => mayReconnect(code, closes)), [true, false, true]);
  // What the server does not name is as the standard has it.
  assert.deepEqual([1006, 1009].map((code) => mayReconnect(code, closes)), [true, false]);
  assert.deepEqual([1012, 1009].map((code) => mayReconnect(code)), [true, false]);
});
