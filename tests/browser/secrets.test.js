// What is meant for one user reaches that user alone, and what a user wrote is said by that user alone, where it was meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, say, startServer, useWorld, willLose } from './harness.js';
import { startProxy } from './proxy.js';

const start = (port = 0) => startServer({ port, flags: ['--rate', '0'] });
const world = useWorld(start);
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const FILE = { name: 'dot.png', mimeType: 'image/png', buffer: PNG };

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username);
  return page;
}

/** A page whose connection can be cut, and is not made again until it is mended. */
async function visitByLine(t, username, room) {
  const line = await startProxy(world.server.port);
  t.after(() => line.stop());
  const page = await visit(username, room, { url: line.url });
  const cut = async () => {
    await willLose(page);
    line.cut();
    await page.locator('#state[data-state=waiting]').waitFor();
  };
  const mend = async () => {
    line.open();
    // It may be about to try by itself.
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await page.locator('#state[data-state=connected]').waitFor();
    await inside(page);
  };
  return { page, line, cut, mend };
}

const address = async (page, name) => {
  await page.locator('#people').getByText(name).click();
  await page.locator('#private-bar').getByText(name).waitFor();
};

/** All that a page shows of the room, once what `marker` says has come. */
async function heard(page, from, marker) {
  await say(from, marker);
  await bubbles(page, marker).waitFor();
  return page.locator('#log .said').allTextContents();
}

const give = (page, kind, { files = [PNG], texts = {} } = {}) => page.evaluate(([what, blobs, strings]) => {
  const data = new DataTransfer();
  for (const bytes of blobs) data.items.add(new File([new Uint8Array(bytes)], 'dot.png', { type: 'image/png' }));
  for (const [type, text] of Object.entries(strings)) data.setData(type, text);
  const target = document.getElementById('text');
  const init = { bubbles: true, cancelable: true };
  const event = what === 'paste' ? new ClipboardEvent(what, { clipboardData: data, ...init }) : new DragEvent(what, { dataTransfer: data, ...init });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}, [kind, files.map((bytes) => [...bytes]), texts]);

test('a private text stays private when the connection is lost and found in the middle of it', async (t) => {
  const { page: ann, cut, mend } = await visitByLine(t, 'Ann', 'cut');
  const [ben, cat] = [await visit('Ben', 'cut'), await visit('Cat', 'cut')];
  await address(ann, 'Ben');
  await ann.locator('#text').pressSequentially('my salary is ');
  await cut();
  await mend();
  await ann.locator('#private-bar').getByText('Private to Ben').waitFor();
  await ann.locator('#text').pressSequentially('5000');
  await ann.press('#text', 'Enter');
  await ben.locator('.message.private').getByText('my salary is 5000').waitFor();
  assert.deepEqual(await heard(cat, ben, 'marker'), ['marker']);
});

test('a private text stays private over a restart of the server', async () => {
  const [ann, ben, cat] = [await visit('Ann', 'again'), await visit('Ben', 'again'), await visit('Cat', 'again')];
  await address(ann, 'Ben');
  await ann.locator('#text').pressSequentially('my salary is ');
  const { port } = world.server;
  await willLose(ann, ben, cat);
  await world.server.stop();
  await ann.locator('#state:not([data-state=connected])').waitFor();
  world.server = await start(port);
  for (const page of [ann, ben, cat]) {
    await inside(page);
    await page.locator('#people-title').getByText('(3)').waitFor();
  }
  await ann.locator('#text').pressSequentially('5000');
  await ann.press('#text', 'Enter');
  await ben.locator('.message.private').getByText('my salary is 5000').waitFor();
  assert.deepEqual(await heard(cat, ben, 'marker'), ['marker']);
});

test('a private message stays in the log when the room begins anew, and when its reader comes back to the room', async () => {
  const [ann, ben] = [await visit('Ann', 'kept'), await visit('Ben', 'kept')];
  await say(ann, 'to all');
  await bubbles(ben, 'to all').waitFor();
  await address(ann, 'Ben');
  await say(ann, 'keep this');
  const kept = ben.locator('.message.private').getByText('keep this');
  await kept.waitFor();
  const { port } = world.server;
  await willLose(ann, ben);
  await world.server.stop();
  await ben.locator('#state:not([data-state=connected])').waitFor();
  world.server = await start(port);
  await ben.locator('#lines .gap').waitFor();
  await kept.waitFor();
  await ben.fill('#other-room', 'away-from-kept');
  await ben.click('#room-form button');
  await ben.locator('#room-title').getByText('away-from-kept').waitFor();
  await eventually(() => kept.count(), 0);
  await ben.goBack();
  await kept.waitFor();
  await eventually(() => kept.count(), 1);
});

test('each room, and each user in it, has a draft of its own, and a reload keeps them', async () => {
  const ann = await visit('Ann', 'one');
  const ben = await visit('Ben', 'one');
  const cat = await visit('Cat', 'two');
  await ann.fill('#text', 'for all in one');
  await address(ann, 'Ben');
  await eventually(() => ann.inputValue('#text'), '');
  await ann.fill('#text', 'for Ben');
  await ann.fill('#other-room', 'two');
  await ann.click('#room-form button');
  await ann.locator('#room-title').getByText('two').waitFor();
  await eventually(() => ann.inputValue('#text'), '');
  await ann.locator('#private-bar').waitFor({ state: 'hidden' });
  await ann.fill('#text', 'for all in two');
  await ann.goBack();
  await ann.locator('#room-title').getByText('one').waitFor();
  await ann.locator('#private-bar').getByText('Private to Ben').waitFor();
  await eventually(() => ann.inputValue('#text'), 'for Ben');
  await ann.reload();
  await inside(ann);
  await ann.locator('#private-bar').getByText('Private to Ben').waitFor();
  await eventually(() => ann.inputValue('#text'), 'for Ben');
  await ann.press('#text', 'Escape');
  await eventually(() => ann.inputValue('#text'), 'for all in one');
  await ann.locator('#hint').getByText('What you have written to Ben is kept').waitFor();
  await ann.press('#text', 'Enter');
  await bubbles(ben, 'for all in one').waitFor();
  await address(ann, 'Ben');
  await ann.press('#text', 'Enter');
  await ben.locator('.message.private').getByText('for Ben').waitFor();
  await ann.goForward();
  await ann.locator('#room-title').getByText('two').waitFor();
  await ann.press('#text', 'Enter');
  await bubbles(cat, 'for all in two').waitFor();
});

test('what one user wrote is not said by the next one on the page, and is said when the first is back', async (t) => {
  const { page, line, cut } = await visitByLine(t, 'Ann', 'diary');
  const ben = await visit('Ben', 'diary');
  await cut();
  await say(page, 'dear diary');
  await page.locator('#pending [data-state=waiting]').waitFor();
  await page.fill('#text', 'a draft of Ann');
  await page.click('#logout');
  await page.locator('#unsent').getByText('2 messages of “ann” have not been sent').waitFor();
  line.open();
  await enter(page, 'Eve');
  await eventually(() => page.locator('#pending li').count(), 0);
  await eventually(() => page.inputValue('#text'), '');
  await say(page, 'I am Eve');
  await bubbles(ben, 'I am Eve').waitFor();
  assert.deepEqual(await heard(ben, page, 'marker'), ['I am Eve', 'marker']);
  await page.click('#logout');
  await enter(page, 'Ann');
  await bubbles(ben, 'dear diary').waitFor();
  await eventually(() => page.inputValue('#text'), 'a draft of Ann');
  const entry = ben.locator('#lines .message').filter({ hasText: 'dear diary' });
  await eventually(() => entry.locator('.name').textContent(), 'Ann');
});

test('what waits for a user who has left can be discarded', async (t) => {
  const { page, line, cut } = await visitByLine(t, 'Ann', 'discard');
  await cut();
  await say(page, 'never mind');
  await page.click('#logout');
  await page.locator('#unsent').getByText('Discard').click();
  line.open();
  await enter(page, 'Ann');
  await say(page, 'hello');
  await page.locator('#lines [data-state=sent]').waitFor();
  await eventually(() => page.locator('#log .said').allTextContents(), ['hello']);
});

test('a private message to a user who has dropped comes back with a word', async (t) => {
  const ann = await visit('Ann', 'away');
  const { page: ben, cut, mend } = await visitByLine(t, 'Ben', 'away');
  await address(ann, 'Ben');
  await cut();
  await ann.locator('#people-title').getByText('(1)').waitFor();
  await say(ann, 'are you there?');
  await ann.locator('#hint').getByText('Not sent to Ben').waitFor();
  await eventually(() => ann.inputValue('#text'), 'are you there?');
  await mend();
  await ann.press('#text', 'Enter');
  await ben.locator('.message.private').getByText('are you there?').waitFor();
});

test('a private message whose connection is lost under way comes back with a word, to its addressee', async () => {
  let swallows = false;
  const routes = [];
  const prepare = (page) => page.routeWebSocket('**/chat', (route) => {
    const upstream = route.connectToServer();
    routes.push(route);
    route.onMessage((text) => swallows && text.includes('sendPrivate') || upstream.send(text));
  });
  const ann = await visit('Ann', 'under', { prepare });
  const ben = await visit('Ben', 'under');
  await address(ann, 'Ben');
  swallows = true;
  await say(ann, 'psst');
  await ann.locator('#private-stop').click();
  await ann.fill('#text', 'for the room');
  swallows = false;
  await routes.at(-1).close({ code: 1012 });
  await ann.locator('#hint').getByText('it may have arrived or not').waitFor();
  await eventually(() => ann.inputValue('#text'), 'for the room');
  await address(ann, 'Ben');
  await eventually(() => ann.inputValue('#text'), 'psst');
  await inside(ben);
});

test('a private message never goes to another user who has taken the name', async () => {
  const ann = await visit('Ann', 'names');
  const ben = await visit('Ben', 'names');
  await address(ann, 'Ben');
  await ann.locator('#text').pressSequentially('only for you');
  await ben.click('#logout');
  await ann.locator('#people-title').getByText('(1)').waitFor();
  const other = await visit('Ben', 'names');
  await ann.locator('#people-title').getByText('(2)').waitFor();
  await ann.press('#text', 'Enter');
  await ann.locator('#hint').getByText('Another user is called Ben now').waitFor();
  await eventually(() => ann.inputValue('#text'), 'only for you');
  await address(ann, 'Ben');
  await say(ann, 'who are you?');
  await other.locator('.message.private').getByText('who are you?').waitFor();
  assert.equal(await other.getByText('only for you').count(), 0);
});

for (const kind of ['paste', 'drop', 'pick']) {
  test(`a picture that comes by ${kind} while one writes to one user never reaches the room`, async () => {
    const [ann, ben, cat] = await Promise.all(['Ann', 'Ben', 'Cat'].map((name) => visit(name, `picture-${kind}`)));
    await ann.locator('#people-title').getByText('(3)').waitFor();
    await address(ann, 'Ben');
    if (kind === 'pick') await ann.setInputFiles('#file', FILE);
    else await give(ann, kind);
    await ann.locator('#previews img, #hint:not(:empty)').first().waitFor();
    await ann.press('#text', 'Enter');
    await say(ann, 'private marker');
    await ben.locator('.message.private').getByText('private marker').waitFor();
    await ann.click('#private-stop');
    await eventually(() => ann.locator('#previews img').count(), 0);
    await heard(cat, ann, 'marker');
    assert.equal(await cat.locator('#log .picture').count(), 0);
  });
}

test('a picture is seen before it is sent, can be taken back, and takes a caption', async () => {
  const [ann, ben] = [await visit('Ann', 'preview'), await visit('Ben', 'preview')];
  await ann.setInputFiles('#file', FILE);
  await ann.locator('#previews img').waitFor();
  await ann.locator('#previews button').click();
  await ann.locator('#previews').waitFor({ state: 'hidden' });
  await give(ann, 'paste');
  await ann.locator('#previews img').waitFor();
  await ann.press('#text', 'Escape');
  await ann.locator('#previews').waitFor({ state: 'hidden' });
  await give(ann, 'drop');
  await ann.locator('#previews img').waitFor();
  await say(ann, 'a dot');
  await bubbles(ben, 'a dot').waitFor();
  assert.equal(await ben.locator('#lines .message').first().locator('.picture').count(), 1);
  assert.equal(await ben.locator('#lines .picture').count(), 1);
});

test('text wins over the picture that an office program puts beside it', async () => {
  const [ann, ben] = [await visit('Ann', 'office'), await visit('Ben', 'office')];
  const cells = { 'text/plain': '1\t2', 'text/html': '<table><tr><td>1</td><td>2</td></tr></table>' };
  assert.equal(await give(ann, 'paste', { texts: cells }), false, 'the browser pastes the text');
  await ann.locator('#previews').waitFor({ state: 'hidden' });
  assert.equal(await give(ann, 'paste', { texts: { 'text/html': '<img src="x">' } }), true, 'a picture copied from a page');
  await ann.locator('#previews img').waitFor();
  await ann.press('#text', 'Escape');
  assert.equal(await give(ann, 'paste', { texts: { 'text/plain': 'dot.png' } }), true, 'a file that was copied');
  await ann.locator('#previews img').waitFor();
  await ann.press('#text', 'Escape');
  await heard(ben, ann, 'marker');
  assert.equal(await ben.locator('#log .picture').count(), 0);
});

test('a picture that takes its time stays in the room it was given in', async () => {
  const [ann, ben, cat] = [await visit('Ann', 'here'), await visit('Ben', 'here'), await visit('Cat', 'there')];
  // Until it is let go.
  await ann.evaluate(() => {
    const create = globalThis.createImageBitmap;
    const gate = new Promise((resolve) => { globalThis.letGo = resolve; });
    globalThis.createImageBitmap = (...args) => gate.then(() => create(...args));
  });
  await ann.setInputFiles('#file', FILE);
  await ann.locator('#previews').getByText('being prepared').waitFor();
  await ann.press('#text', 'Enter');
  await ann.fill('#other-room', 'there');
  await ann.click('#room-form button');
  await ann.locator('#room-title').getByText('there').waitFor();
  await ann.evaluate(() => globalThis.letGo());
  await ann.goBack();
  await ann.locator('#previews img').waitFor();
  await ann.goForward();
  await ann.locator('#room-title').getByText('there').waitFor();
  await ann.locator('#previews').waitFor({ state: 'hidden' });
  await heard(cat, ann, 'marker');
  assert.equal(await cat.locator('#log .picture').count(), 0);
  await ann.goBack();
  await ann.locator('#previews img').waitFor();
  await ann.press('#text', 'Enter');
  await ben.locator('#lines .picture').waitFor();
});
