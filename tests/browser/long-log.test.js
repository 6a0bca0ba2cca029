// A log of thousands of messages: quick, bounded, and all of it within reach.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd, numbered } from './crowd.js';
import { bubbles, enter, eventually, startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--rate', '0', '--history', '6000', '--max-queue-bytes', '16m'] }));
const MOST = 1_000;

async function visit(username, room) {
  const page = await world.open({ path: `/?room=${room}` });
  await enter(page, username);
  return page;
}

/** Fills a room with messages of members who stay. */
async function filled(room, count) {
  const members = await crowd(world, room);
  await members.join(['Filler']);
  if (count > 0) await members.say('Filler', numbered(1, count));
  return members;
}

const shown = (page) => page.locator('#lines [data-offset] .said').evaluateAll((all) => all.map((each) => Number(each.textContent.slice(7))));
const isInOrder = (list) => list.every((number, at) => at === 0 || number === list[at - 1] + 1);

/** Scrolls in one direction until `isThere(numbers)`; gives all numbers that were shown on the way. */
async function scrollUntil(page, top, isThere) {
  const seen = new Set();
  for (;;) {
    const numbers = await shown(page);
    assert.ok(isInOrder(numbers), `in order, without gaps: ${numbers}`);
    assert.ok(numbers.length <= MOST, `${numbers.length} lines`);
    numbers.forEach((number) => seen.add(number));
    if (isThere(numbers)) return seen;
    await page.locator('#log').evaluate((log, to) => { log.scrollTop = to ?? log.scrollHeight; }, top);
    await page.waitForFunction(
      ([first, last]) => {
        const all = document.querySelectorAll('#lines [data-offset] .said');
        return all[0].textContent !== `number ${first}` || all[all.length - 1].textContent !== `number ${last}`;
      },
      [numbers[0], numbers.at(-1)],
    );
  }
}

test('all history can be read upwards and downwards again, and the log stays bounded', async () => {
  await filled('far', 1_500);
  const ann = await visit('Ann', 'far');
  await bubbles(ann, 'number 1500').waitFor();
  const up = await scrollUntil(ann, 0, (numbers) => numbers[0] === 1);
  assert.equal(up.size, 1_500);
  await ann.locator('#log-top').getByText('This is where the room begins').waitFor();
  const down = await scrollUntil(ann, null, (numbers) => numbers.at(-1) === 1_500);
  assert.equal(down.size, 1_500);
  await scrollUntil(ann, 0, (numbers) => numbers[0] < 1_000);
});

test('five thousand messages at once are shown, with the panel of the wire open', async () => {
  const members = await filled('at-once', 0);
  const ann = await visit('Ann', 'at-once');
  if (await ann.locator('#wire').isHidden()) await ann.click('#wire-toggle');
  await members.say('Filler', numbered(1, 5_000));
  await bubbles(ann, 'number 5000').waitFor();
  const numbers = await shown(ann);
  assert.ok(numbers.length <= MOST && isInOrder(numbers), `${numbers.length} lines`);
});

test('a line of the log has eight elements at most, and no drawing of its own', async () => {
  const members = await filled('elements', 0);
  await members.join(['Cem', 'Dan']);
  const ann = await visit('Ann', 'elements');
  for (const name of ['Filler', 'Cem', 'Dan']) await members.say(name, numbered(1, 3));
  await ann.waitForFunction(() => document.querySelectorAll('#lines .message').length === 9);
  const counts = await ann.locator('#lines .message').evaluateAll((all) => all.map((each) => each.querySelectorAll('*').length + 1));
  assert.ok(counts.every((count) => count <= 8), `${counts}`);
  assert.equal(await ann.locator('#lines svg, #people svg').count(), 0);
  const faces = await ann.locator('#lines .avatar, #people .avatar').evaluateAll((all) => all.map((face) => getComputedStyle(face).backgroundImage));
  assert.ok(faces.every((image) => image.startsWith('url("data:image/svg+xml')), 'each is drawn');
});

test('who is far above hears of what is new, and is at it with one click', async () => {
  const members = await filled('above', 700);
  const ann = await visit('Ann', 'above');
  await bubbles(ann, 'number 700').waitFor();
  await scrollUntil(ann, 0, (numbers) => numbers.at(-1) < 700);
  await members.say('Filler', numbered(701, 703));
  await ann.locator('#to-newest').getByText('3 new messages').waitFor();
  await ann.click('#to-newest');
  await bubbles(ann, 'number 703').waitFor();
  assert.ok(isInOrder(await shown(ann)));
});

test('a private message is still there when its reader comes back from far above', async () => {
  const members = await filled('private-above', 600);
  const ann = await visit('Ann', 'private-above');
  const ben = await visit('Ben', 'private-above');
  await bubbles(ann, 'number 600').waitFor();
  await ben.locator('#people').getByText('Ann').click();
  await ben.fill('#text', 'only you');
  await ben.press('#text', 'Enter');
  await ann.locator('.message.private').getByText('only you').waitFor();
  await members.say('Filler', numbered(601, 610));
  await bubbles(ann, 'number 610').waitFor();
  await ann.locator('#log').evaluate((log) => { log.scrollTop = 0; });
  await scrollUntil(ann, 0, (numbers) => numbers.at(-1) < 600);
  assert.equal(await ann.locator('.message.private').count(), 0);
  await scrollUntil(ann, null, (numbers) => numbers.at(-1) === 610);
  await eventually(() => ann.locator('.message.private').getByText('only you').count(), 1);
});

test('what is read stays in its place while more is loaded above and below', async () => {
  await filled('still', 900);
  const ann = await visit('Ann', 'still');
  await bubbles(ann, 'number 900').waitFor();
  for (const direction of ['up', 'up', 'up', 'down']) {
    const before = await ann.locator('#log').evaluate((log, to) => {
      log.scrollTop = to === 'up' ? 0 : log.scrollHeight;
      const top = log.getBoundingClientRect().top;
      const line = [...log.querySelectorAll('.message')].find((each) => each.getBoundingClientRect().bottom > top + 1);
      const all = log.querySelectorAll('[data-offset] .said');
      return { offset: line.dataset.offset, at: line.getBoundingClientRect().top, first: all[0].textContent, last: all[all.length - 1].textContent };
    }, direction);
    if (direction === 'down' && before.last === 'number 900') break;
    await ann.waitForFunction(({ first, last }) => {
      const all = document.querySelectorAll('#lines [data-offset] .said');
      return all[0].textContent !== first || all[all.length - 1].textContent !== last;
    }, before);
    const at = await ann.locator(`#lines [data-offset="${before.offset}"]`).evaluate((line) => line.getBoundingClientRect().top);
    assert.ok(Math.abs(at - before.at) < 60, `${direction}: ${before.at} became ${at}`);
  }
});
