// Whatever the page is doing, the connection may go now and come back: nothing is lost, nothing reaches others than it was
// meant for, and the page goes on where it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, loaded, notes, say, scrollUp, startServer, useWorld, willLose } from './harness.js';
import { startProxy } from './proxy.js';

const world = useWorld(() => startServer({ flags: ['--rate', '0'] }));
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const FILE = { name: 'dot.png', mimeType: 'image/png', buffer: PNG };

const address = async (page, name) => {
  await page.locator('#people').getByText(name).click();
  await page.locator('#private-bar').getByText(`Private to ${name}`).waitFor();
};
const pictures = (page) => page.locator('#lines .picture').count();
/** By a message that comes after any that was sent by itself. */
const hasNoPictureYet = async ({ ben, cat }) => {
  await say(ben, 'marker');
  await bubbles(cat, 'marker').waitFor();
  assert.equal(await pictures(cat), 0);
};
const goTo = async (page, room) => {
  await page.fill('#other-room', room);
  await page.click('#room-form button');
};
const privately = (page, text) => page.locator('.message.private').getByText(text).waitFor();

/** Holds back what the page makes of pictures until `letGo` is called in it. */
const holdPictures = (page) => page.evaluate(() => {
  const create = globalThis.createImageBitmap;
  const gate = new Promise((resolve) => { globalThis.letGo = resolve; });
  globalThis.createImageBitmap = (...args) => gate.then(() => create(...args));
});

/**
 * By state: `before` brings the page of ann there; `without`, while there is no connection, and `after`, when it is back,
 * go on from there. `heard` is what cat, who is in the room, hears of it in the end, and `seen` how many pictures cat sees.
 * Ben is in the room, too.
 */
const STATES = {
  'a text half typed': {
    before: ({ ann }) => ann.locator('#text').pressSequentially('half a '),
    without: ({ ann }) => ann.locator('#text').pressSequentially('line'),
    after: ({ ann }) => ann.press('#text', 'Enter'),
    heard: ['half a line'],
  },
  'a private text half typed': {
    async before({ ann }) {
      await address(ann, 'Ben');
      await ann.locator('#text').pressSequentially('half a ');
    },
    async without({ ann }) {
      await ann.locator('#text').pressSequentially('secret');
      await ann.press('#text', 'Enter');
      await ann.locator('#hint').getByText('Private messages are not kept').waitFor();
    },
    async after({ ann, ben }) {
      await ann.locator('#private-bar').getByText('Private to Ben').waitFor();
      await ann.press('#text', 'Enter');
      await privately(ben, 'half a secret');
    },
    heard: [],
  },
  'a message that waits': {
    before: () => {},
    without: ({ ann }) => say(ann, 'waits'),
    after: ({ cat }) => bubbles(cat, 'waits').waitFor(),
    heard: ['waits'],
  },
  'a message on its way': {
    async before({ ann, line }) {
      line.swallow();
      await say(ann, 'on its way');
      await ann.locator('#pending [data-state=sending]').waitFor();
    },
    after: ({ cat }) => bubbles(cat, 'on its way').waitFor(),
    heard: ['on its way'],
  },
  'a private message on its way': {
    async before({ ann, line }) {
      await address(ann, 'Ben');
      line.swallow();
      await say(ann, 'a secret');
    },
    async without({ ann }) {
      await ann.locator('#hint').getByText('may have arrived or not').waitFor();
      await eventually(() => ann.inputValue('#text'), 'a secret');
    },
    async after({ ann, ben }) {
      await ann.press('#text', 'Enter');
      await privately(ben, 'a secret');
    },
    heard: [],
  },
  'a picture that is being prepared': {
    async before({ ann }) {
      await holdPictures(ann);
      await ann.setInputFiles('#file', FILE);
      await ann.locator('#previews').getByText('being prepared').waitFor();
    },
    without: ({ ann }) => ann.evaluate(() => globalThis.letGo()),
    async after({ ann, ben, cat }) {
      await ann.locator('#previews img').waitFor();
      await hasNoPictureYet({ ben, cat });
      await ann.press('#text', 'Enter');
      await cat.locator('#lines .picture').waitFor();
    },
    heard: ['marker'],
    seen: 1,
  },
  'a picture that is looked at': {
    async before({ ann }) {
      await ann.setInputFiles('#file', FILE);
      await ann.locator('#previews img').waitFor();
    },
    async after({ ann, ben, cat }) {
      await hasNoPictureYet({ ben, cat });
      await say(ann, 'a caption');
      await bubbles(cat, 'a caption').waitFor();
      assert.equal(await pictures(cat), 1);
    },
    heard: ['marker', 'a caption'],
    seen: 1,
  },
  'a private picture that is looked at': {
    async before({ ann }) {
      await address(ann, 'Ben');
      await ann.setInputFiles('#file', FILE);
      await ann.locator('#previews img').waitFor();
    },
    async without({ ann }) {
      await ann.press('#text', 'Enter');
      await ann.locator('#hint').getByText('Private messages are not kept').waitFor();
    },
    async after({ ann, ben }) {
      await ann.press('#text', 'Enter');
      await ben.locator('.message.private .picture').waitFor();
      await ann.locator('.message.private .picture').waitFor();
    },
    heard: [],
  },
  'typing that others see': {
    async before({ ann, ben }) {
      const typing = await notes(ben, '#typing');
      await ann.locator('#text').pressSequentially('h');
      await eventually(typing, (texts) => texts.some((text) => text.includes('Ann is typing')));
    },
    async after({ ann, ben }) {
      await ben.waitForFunction(() => document.getElementById('typing').textContent === '');
      await ann.press('#text', 'Enter');
    },
    heard: ['h'],
  },
  'a change of rooms under way': {
    async before({ ann, line }) {
      line.swallow();
      await goTo(ann, 'elsewhere');
      await say(ann, 'for the first room');
    },
    without: ({ ann }) => ann.locator('#room-hint').getByText('There is no connection now').waitFor(),
    async after({ ann, cat }) {
      await bubbles(cat, 'for the first room').waitFor();
      await goTo(ann, 'elsewhere');
      await ann.locator('#room-title').getByText('elsewhere').waitFor();
    },
    heard: ['for the first room'],
  },
  'the lessons': {
    async before({ ann }) {
      await ann.fill('#text', 'a draft');
      await ann.click('#views [data-view=lessons]');
      await ann.locator('#lessons h2').first().waitFor();
    },
    async after({ ann }) {
      await ann.click('#views [data-view=chat]');
      // A key that is pressed while the view is not yet shown goes elsewhere.
      await ann.locator('#text').waitFor();
      await ann.press('#text', 'Enter');
    },
    heard: ['a draft'],
  },
  'a picture that is seen large': {
    async before({ ann, cat }) {
      await cat.setInputFiles('#file', FILE);
      await cat.locator('#previews img').waitFor();
      await cat.press('#text', 'Enter');
      await ann.locator('#lines .picture').click();
      await ann.locator('#viewer[open]').waitFor();
    },
    async after({ ann }) {
      assert.equal(await ann.locator('#viewer[open]').count(), 1);
      await ann.keyboard.press('Escape');
      await ann.locator('#viewer').waitFor({ state: 'hidden' });
      await say(ann, 'seen');
    },
    heard: ['seen'],
    seen: 1,
  },
  'the choice of an emoji': {
    before: ({ ann }) => ann.click('#emoji'),
    async after({ ann }) {
      await ann.locator('.emoji-panel button').first().click();
      await ann.locator('#text').pressSequentially('picked');
      await ann.press('#text', 'Enter');
    },
    heard: [/picked$/],
  },
};

async function visit(username, room, url) {
  const page = await world.open({ path: `/?room=${room}`, url });
  await enter(page, username);
  await loaded(page);
  return page;
}

async function lineOf(t) {
  const line = await startProxy(world.server.port);
  t.after(() => line.stop());
  return line;
}

async function mend(page, line) {
  line.open();
  // It may be about to try by itself.
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await page.locator('#state[data-state=connected]').waitFor({ state: 'attached' });
}

for (const [number, [name, { before, without, after, heard, seen = 0 }]] of Object.entries(STATES).entries()) {
  test(`the connection goes and comes back during ${name}`, async (t) => {
    const room = `state-${number}`;
    const line = await lineOf(t);
    const ann = await visit('Ann', room, line.url);
    const [ben, cat] = await Promise.all([visit('Ben', room), visit('Cat', room)]);
    await ann.locator('#people-title').getByText('(3)').waitFor();
    const world = { ann, ben, cat, line };
    await before(world);
    await willLose(ann);
    line.cut();
    await ann.locator('#state[data-state=waiting]').waitFor({ state: 'attached' });
    await without?.(world);
    await mend(ann, line);
    await inside(ann);
    await after(world);
    await goTo(ann, room);
    await ann.locator('#room-title').getByText(room).waitFor();
    // Out of what is private.
    await ann.press('#text', 'Escape');
    await say(ann, 'the end');
    await bubbles(cat, 'the end').waitFor();
    const texts = await cat.locator('#log .said').allTextContents();
    assert.equal(texts.length, heard.length + 1, String(texts));
    for (const [at, text] of heard.entries()) assert.match(texts[at], text instanceof RegExp ? text : new RegExp(`^${text}$`));
    assert.equal(await pictures(cat), seen);
  });
}

test('the connection goes and comes back during a login', async (t) => {
  const line = await lineOf(t);
  const ann = await world.open({ path: '/?room=login', url: line.url });
  await ann.locator('#username').waitFor();
  await ann.fill('#username', 'Ann');
  await loaded(ann);
  line.swallow();
  await ann.click('#enter');
  await say(ann, 'written early');
  line.cut();
  await ann.locator('#state[data-state=waiting]').waitFor();
  await mend(ann, line);
  await inside(ann);
  await ann.locator('#lines [data-state=sent]').getByText('WRITTEN EARLY!!!').waitFor();
});

test('the connection goes and comes back while the page is not logged in', async (t) => {
  const line = await lineOf(t);
  const ann = await visit('Ann', 'out', line.url);
  await ann.click('#logout');
  line.cut();
  line.open();
  await enter(ann, 'Ann');
  await say(ann, 'back');
  await ann.locator('#lines [data-state=sent]').waitFor();
});

test('the connection goes and comes back while one reads far up, and what is read stays in its place', async (t) => {
  const line = await lineOf(t);
  const ben = await visit('Ben', 'far');
  for (let number = 1; number <= 60; number += 1) await say(ben, `number ${number}`);
  await ben.locator('#lines [data-state=sent]').filter({ hasText: 'number 60' }).waitFor();
  const ann = await visit('Ann', 'far', line.url);
  await bubbles(ann, 'number 60').waitFor();
  await scrollUp(ann, 400);
  const top = () => ann.evaluate(() => {
    const box = document.getElementById('log').getBoundingClientRect();
    return [...document.querySelectorAll('#log .said')].find((line) => line.getBoundingClientRect().top >= box.top)?.textContent;
  });
  const before = await top();
  await willLose(ann);
  line.cut();
  await ann.locator('#state[data-state=waiting]').waitFor();
  await say(ben, 'meanwhile');
  await mend(ann, line);
  await inside(ann);
  await say(ben, 'afterwards');
  await ann.locator('#to-newest').getByText('1 new message').waitFor();
  assert.equal(await top(), before);
  await ann.click('#to-newest');
  await bubbles(ann, 'meanwhile').waitFor();
});
