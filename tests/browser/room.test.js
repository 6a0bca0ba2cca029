// People in a room: they see each other, talk, send pictures, write privately, and go elsewhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, notes, say, useWorld } from './harness.js';

const world = useWorld();

async function visit(username, room, options = {}) {
  const page = await world.open({ path: `/?room=${room}`, ...options });
  await enter(page, username, options.avatar);
  return page;
}

const names = (page) => page.locator('#people .name').allTextContents();
const line = (page, text) => page.locator('#lines .message').filter({ hasText: text });

test('two people see each other come, talk, and go', async () => {
  const ann = await visit('Ann', 'talk');
  const ben = await visit('Ben', 'talk', { avatar: 'panda' });
  await ann.getByText('Ben came in').waitFor();
  await ann.locator('#people-title').getByText('People (2)').waitFor();
  await ben.locator('#people-title').getByText('People (2)').waitFor();
  await eventually(() => names(ann), ['Ann', 'Ben']);
  await eventually(() => names(ben), ['Ben', 'Ann']);
  await say(ann, 'Good morning');
  await bubbles(ben, 'Good morning').waitFor();
  await line(ann, 'Good morning').getByText('GOOD MORNING!!!').waitFor();
  await eventually(() => line(ann, 'Good morning').getAttribute('data-ours'), 'true');
  await eventually(() => line(ben, 'Good morning').getAttribute('data-ours'), 'false');
  await eventually(
    () => Promise.all([ann, ben].map((page) => line(page, 'Good morning').boundingBox())),
    ([mine, theirs]) => mine.x > theirs.x,
    'own messages are on the right',
  );
  await ben.click('#logout');
  await ann.getByText('Ben left').waitFor();
  await eventually(() => names(ann), ['Ann']);
  await ben.locator('#username').waitFor();
});

test('a user who wears a picture is shown with it, and with the default once the server has let it go', async () => {
  // The picture that is gone is what the browser logs as an error.
  const ann = await visit('Ann', 'faces', { brings: /status of 404/ });
  const login = (avatar) => ann.evaluate((avatar) => new Promise((resolve) => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
    const say = (event, data) => socket.send(JSON.stringify({ event, data }));
    socket.onopen = () => say('login', { username: avatar.slice(0, 5), room: 'faces', avatar });
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).event === 'loginSuccess') resolve(say('sendMessage', { msg: `with ${avatar.slice(0, 5)}` }));
    };
  }), avatar);
  await login('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==');
  const picture = line(ann, 'with data:').locator('img.avatar');
  await picture.waitFor();
  await eventually(() => picture.getAttribute('src'), /^avatars\/[\w-]{22}$/);
  await eventually(() => picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 1);
  await ann.locator('#people img.avatar').waitFor();
  await login(`/avatars/${'A'.repeat(22)}`);
  await line(ann, 'with /avat').locator('svg.avatar').waitFor();
  await eventually(() => line(ann, 'with /avat').locator('img.avatar').count(), 0);
});

test('messages of one speaker are grouped, and know their day and time', async () => {
  // The server's clock is this one.
  const begun = Date.now();
  const ann = await visit('Ann', 'groups');
  const ben = await visit('Ben', 'groups');
  for (const text of ['one', 'two']) await say(ann, text);
  await bubbles(ben, 'two').waitFor();
  await say(ben, 'three');
  await bubbles(ann, 'three').waitFor();
  await eventually(
    () => ben.locator('#lines .message').evaluateAll((all) => all.map((each) => each.classList.contains('goes-on'))),
    [false, true, false],
  );
  await eventually(() => ben.locator('#lines .day').count(), 1);
  const time = line(ben, 'one').locator('time');
  await eventually(() => time.getAttribute('title'), /\d{4}.*\d\d:\d\d:\d\d/);
  const written = Date.parse(await time.getAttribute('datetime'));
  assert.ok(written >= begun && written <= Date.now(), `${written}`);
});

test('pictures are sent by button, paste and drop', async () => {
  const ann = await visit('Ann', 'pictures');
  const ben = await visit('Ben', 'pictures');
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  const send = async () => {
    await ann.locator('#previews img').waitFor();
    await ann.press('#text', 'Enter');
  };
  await ann.setInputFiles('#file', { name: 'dot.png', mimeType: 'image/png', buffer: png });
  await send();
  await ben.locator('#lines .picture img').waitFor();
  const give = ([kind, target, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], 'dot.png', { type: 'image/png' }));
    const event = kind === 'paste' ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true, cancelable: true })
      : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(target).dispatchEvent(event);
    return event.defaultPrevented;
  };
  assert.equal(await ann.evaluate(give, ['paste', '#text', [...png]]), true);
  await send();
  await ben.locator('#lines .picture').nth(1).waitFor();
  assert.equal(await ann.evaluate(give, ['dragover', '#log', [...png]]), true);
  assert.equal(await ann.evaluate(give, ['drop', '#log', [...png]]), true);
  await send();
  await ben.locator('#lines .picture').nth(2).waitFor();
  await ben.locator('#lines .picture').first().click();
  await ben.locator('#viewer[open] img').waitFor();
  await ben.keyboard.press('Escape');
  await ben.locator('#viewer').waitFor({ state: 'hidden' });
});

test('a large picture is made smaller, and what is none is refused with the reason', async () => {
  const ann = await visit('Ann', 'large');
  const ben = await visit('Ben', 'large');
  const noise = await ann.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 2400, height: 1200 });
    const context = canvas.getContext('2d');
    const pixels = context.createImageData(2400, 1200);
    for (let at = 0; at < pixels.data.length; at += 65_536) crypto.getRandomValues(pixels.data.subarray(at, at + 65_536));
    for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255;
    context.putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
    const data = new DataTransfer();
    data.items.add(new File([blob], 'noise.png', { type: 'image/png' }));
    document.getElementById('file').files = data.files;
    document.getElementById('file').dispatchEvent(new Event('change'));
    return blob.size;
  });
  assert.ok(noise > 1_000_000, `${noise} bytes`);
  // It need not be ready yet.
  await ann.press('#text', 'Enter');
  const picture = ben.locator('#lines .picture img');
  await picture.waitFor();
  const [length, ratio] = await picture.evaluate(async (img) => {
    await img.decode();
    return [img.src.length, img.naturalWidth / img.naturalHeight];
  });
  assert.ok(length <= 512 * 1024, `${length} characters`);
  assert.ok(Math.abs(ratio - 2) < 0.02, `${ratio}`);
  await ann.setInputFiles('#file', { name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await ann.locator('#hint').getByText('cannot show this file as a picture').waitFor();
});

test('typing is seen, and its end too', async () => {
  const ann = await visit('Ann', 'typing');
  const ben = await visit('Ben', 'typing');
  const typing = await notes(ben, '#typing');
  await ann.locator('#text').pressSequentially('hm');
  await eventually(typing, (texts) => texts.some((text) => text.includes('Ann is typing')));
  await ann.press('#text', 'Enter');
  await bubbles(ben, 'hm').waitFor();
  await eventually(() => ben.locator('#typing').textContent(), '');
});

test('a private message reaches one person, and its sender', async () => {
  const [ann, ben, eve] = [await visit('Ann', 'private'), await visit('Ben', 'private'), await visit('Eve', 'private')];
  await ann.locator('#people').getByText('Ben').click();
  await ann.locator('#private-bar').getByText('Private to Ben').waitFor();
  await say(ann, 'only you');
  await ben.locator('.message.private').getByText('only you').waitFor();
  await ben.locator('.message.private').getByText('Ann, to you alone').waitFor();
  await ann.locator('.message.private').getByText('You, to Ben alone').waitFor();
  await ann.press('#text', 'Escape');
  await ann.locator('#private-bar').waitFor({ state: 'hidden' });
  await say(ann, 'everybody');
  await bubbles(eve, 'everybody').waitFor();
  assert.equal(await bubbles(eve, 'only you').count(), 0);
  await ben.locator('#people').getByText('Eve').click();
  await eve.click('#logout');
  await ben.getByText('Eve left').waitFor();
  await say(ben, 'too late');
  await ben.locator('#hint').getByText('not in the room any more').waitFor();
});

test('open rooms are listed, and one goes there and back without a new connection', async () => {
  const ann = await visit('Ann', 'here');
  const ben = await visit('Ben', 'there');
  let connections = 0;
  ann.on('websocket', () => { connections += 1; });
  await say(ben, 'over here');
  await bubbles(ben, 'over here').waitFor();
  await ann.locator('#rooms').getByText('there').click();
  await bubbles(ann, 'over here').waitFor();
  await ben.getByText('Ann came in').waitFor();
  await eventually(() => new URL(ann.url()).search, '?room=there');
  await ann.goBack();
  await ann.locator('#room-title').getByText('here', { exact: true }).waitFor();
  await ben.getByText('Ann left').waitFor();
  await ann.fill('#other-room', 'a\u202eb');
  await ann.click('#room-form button');
  await ann.locator('#room-hint').getByText('not a room name').waitFor();
  await ann.fill('#other-room', 'third');
  await ann.click('#room-form button');
  await ann.locator('#room-title').getByText('third').waitFor();
  assert.equal(connections, 0);
});

test('two tabs are one user, who leaves with the last', async () => {
  const ann = await visit('Ann', 'tabs');
  const ben = await visit('Ben', 'tabs');
  const second = await world.open({ path: '/?room=tabs', context: ann.context() });
  await inside(second);
  await ben.locator('#people-title').getByText('People (2)').waitFor();
  await say(second, 'from the second tab');
  await bubbles(ann, 'from the second tab').waitFor();
  await eventually(() => line(ann, 'from the second tab').getAttribute('data-ours'), 'true');
  await second.close();
  await say(ann, 'still here');
  await bubbles(ben, 'still here').waitFor();
  // That a user left is told a while later: after that of one who leaves now it would have been.
  const cem = await visit('Cem', 'tabs');
  await ben.getByText('Cem came in').waitFor();
  await cem.click('#logout');
  await ben.getByText('Cem left').waitFor();
  assert.equal(await ben.getByText('Ann left').count(), 0);
});

test('who logs out in one tab is out in the others', async () => {
  const ann = await visit('Ann', 'tabs-out');
  const second = await world.open({ path: '/?room=tabs-out', context: ann.context() });
  await inside(second);
  await second.click('#logout');
  await ann.locator('#username').waitFor();
});

test('a name that another user has is refused in words, and another one is taken', async () => {
  await visit('Ann', 'names');
  const page = await world.open({ path: '/?room=names' });
  await page.fill('#username', 'ANN');
  await page.click('#enter');
  await page.locator('#login-hint').getByText('has that name').waitFor();
  await enter(page, 'Ann 2');
  await page.locator('#people-title').getByText('People (2)').waitFor();
});

test('a reload finds the same user in the same room', async () => {
  const ann = await visit('Ann', 'reload');
  await say(ann, 'before');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await ann.reload();
  await inside(ann);
  await say(ann, 'after');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await eventually(() => ann.locator('#log .said').allTextContents(), ['before', 'after']);
  await eventually(() => ann.locator('#room-title').textContent(), 'reload');
});
