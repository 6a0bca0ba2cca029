// Messages that would take over the page do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd } from './crowd.js';
import { bubbles, enter, eventually, say, startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--rate', '0'] }));

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  return page;
}

const height = (locator) => locator.evaluate((element) => element.getBoundingClientRect().height);

for (const [what, text] of [
  ['of line breaks', `a${'\n'.repeat(60_000)}z`],
  ['of one word', 'x'.repeat(60_000)],
  ['of sentences', 'All work and no play. '.repeat(1_000)],
]) {
  test(`a long message ${what} is shown in part, and the rest on demand`, async () => {
    // A room of its own: the last message is the one that is said here.
    const room = what.replaceAll(' ', '-');
    const ann = await visit('Ann', room);
    const ben = await visit('Ben', room, { viewport: { width: 400, height: 700 } });
    const members = await crowd(world, room);
    await members.join(['Filler']);
    await members.say('Filler', [text]);
    await members.leave(['Filler']);
    for (const page of [ann, ben]) {
      const line = page.locator('#lines .message').last();
      await line.locator('.more').waitFor();
      await eventually(() => height(line), (pixels) => pixels < 500);
      await line.getByRole('button', { name: 'Show more' }).click();
      await eventually(() => line.locator('.more').getAttribute('aria-expanded'), 'true');
      await eventually(
        () => line.locator('.said').evaluate((said) => [said.clientHeight, said.scrollHeight]),
        ([seen, whole]) => seen > 300 && seen <= 700 && whole > seen,
      );
      await line.getByRole('button', { name: 'Show less' }).click();
      await eventually(() => height(line), (pixels) => pixels < 500);
    }
  });
}

test('a message of a few lines has no button', async () => {
  const ann = await visit('Ann', 'short');
  await say(ann, `${'A few words. '.repeat(40)}end`);
  await bubbles(ann, 'end').waitFor();
  await ann.locator('#lines [data-state=sent]').waitFor();
  assert.equal(await ann.locator('#lines .more:visible').count(), 0);
});

test('a message that waits to be sent is shown in part, too', async () => {
  const ann = await visit('Ann', 'waits', {
    prepare: (page) => page.addInitScript(() => {
      const { send } = WebSocket.prototype;
      WebSocket.prototype.send = function (data) {
        if (!String(data).includes('"sendMessage"')) send.call(this, data);
      };
    }),
  });
  await say(ann, 'line\n'.repeat(100));
  const line = ann.locator('#pending .message');
  await line.locator('.more').waitFor();
  await eventually(() => height(line), (pixels) => pixels < 500);
});

test('marks that combine without end stay in their message', async () => {
  const ann = await visit('Ann', 'marks');
  await say(ann, 'above');
  await bubbles(ann, 'above').waitFor();
  await say(ann, `Z${'\u0334\u0351\u0329'.repeat(1_000)}algo`);
  // Not the one that waits to be sent, which leaves the page when the server has answered.
  const said = ann.locator('#lines .said').filter({ hasText: 'algo' });
  await said.waitFor();
  await eventually(() => said.evaluate((element) => getComputedStyle(element).overflowY), /clip|hidden/);
  await eventually(() => height(said), (pixels) => pixels < 100);
});
