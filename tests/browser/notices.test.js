// Who comes and goes: gathered in few notices, on the server's clock, and in a list that is told by changes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crowd } from './crowd.js';
import { bubbles, enter, eventually, inside, say, startServer, useWorld } from './harness.js';

const world = useWorld(() => startServer({ flags: ['--rate', '0'] }));

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  return page;
}

const notices = (page) => page.locator('#lines .notice').allTextContents();
const bots = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => `bot${first + at}`);

test('many who come in and leave are one notice each', async () => {
  const ann = await visit('Ann', 'many');
  const members = await crowd(world, 'many');
  await members.join(bots(1, 60));
  await ann.locator('#people-title').getByText('People (61)').waitFor();
  await ann.getByText(/^bot\d+, bot\d+ and 58 others came in$/).waitFor();
  assert.equal((await notices(ann)).length, 1);
  await say(ann, 'welcome');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await members.leave(bots(1, 60));
  await ann.getByText(/^bot\d+, bot\d+ and 58 others left$/).waitFor();
  assert.equal((await notices(ann)).length, 2);
});

test('the notice is in the language of the reader', async () => {
  const ann = await visit('Ann', 'chinese', { locale: 'zh-CN' });
  const members = await crowd(world, 'chinese');
  await members.join(bots(1, 4));
  await ann.getByText('bot1、bot2 和另外 2 人进入了房间').waitFor();
  await ann.click('#language');
  await ann.getByText('bot1, bot2 and 2 others came in').waitFor();
});

test('a reload is neither a departure nor an arrival', async () => {
  const ann = await visit('Ann', 'reload');
  const ben = await visit('Ben', 'reload');
  await ann.getByText('Ben came in').waitFor();
  await say(ann, 'one');
  await ann.locator('#lines [data-state=sent]').waitFor();
  for (let time = 0; time < 3; time += 1) {
    await ben.reload();
    await inside(ben);
  }
  await say(ben, 'back');
  await bubbles(ann, 'back').waitFor();
  // The notice of a user who really left comes after any that a short absence would have had.
  const cem = await visit('Cem', 'reload');
  await ann.getByText('Cem came in').waitFor();
  await cem.click('#logout');
  await ann.getByText('Cem left').waitFor();
  await eventually(() => notices(ann), ['Ben came in', 'Cem left']);
});

test('the member list is asked for by changes, whole, and in the order of numbers', async () => {
  const members = await crowd(world, 'list');
  await members.join(bots(1, 130));
  const logins = [];
  const ann = await visit('Ann', 'list', {
    prepare: (page) => page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
      if (String(payload).includes('"login"')) logins.push(JSON.parse(payload).data.presence);
    })),
  });
  await eventually(() => logins, ['changes']);
  await ann.locator('#people-title').getByText('People (131)').waitFor();
  await eventually(() => ann.locator('#people .name').allTextContents(), ['Ann', ...bots(1, 130)]);
  // A change touches the line of its member and no other.
  await ann.evaluate(() => { for (const line of document.getElementById('people').children) line.isOld = true; });
  await members.leave(['bot7']);
  await ann.locator('#people-title').getByText('People (130)').waitFor();
  await members.join(['bot7b']);
  await ann.locator('#people-title').getByText('People (131)').waitFor();
  const fresh = () => [...document.getElementById('people').children].filter(({ isOld }) => !isOld)
    .map(({ textContent }) => textContent);
  await eventually(() => ann.evaluate(fresh), ['bot7b']);
});

test('a reader whose clock is a day off sees one day', async () => {
  for (const hours of [-24, 24]) {
    const room = `clock${hours > 0 ? 'ahead' : 'behind'}`;
    const ann = await visit('Ann', room, {
      prepare: (page) => page.addInitScript((ms) => {
        const { now } = Date;
        const Real = Date;
        globalThis.Date = class extends Real {
          constructor(...args) {
            super(...(args.length > 0 ? args : [now() + ms]));
          }
          static now() {
            return now() + ms;
          }
        };
      }, hours * 3_600_000),
    });
    const members = await crowd(world, room);
    await members.join(['Ben']);
    await ann.getByText('Ben came in').waitFor();
    await members.say('Ben', ['one']);
    await bubbles(ann, 'one').waitFor();
    await members.join(['Cem']);
    await ann.getByText('Cem came in').waitFor();
    await members.say('Cem', ['two']);
    await say(ann, 'three');
    await ann.locator('#lines [data-state=sent]').waitFor();
    assert.equal(await ann.locator('#lines .day').count(), 1, `${hours} hours`);
    const stamps = await ann.locator('#lines time').evaluateAll((all) => all.map(({ dateTime }) => Date.parse(dateTime)));
    assert.ok(stamps.every((at) => Math.abs(at - Date.now()) < 600_000), `${stamps}`);
  }
});
