// A message that the server rejects because the page is not logged in is sent after the next login, once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, notes, say, useWorld, willLose } from './harness.js';

const world = useWorld();

/** A page whose session is logged out by the server's side of the connection when `logOut` is called. */
async function visit(username, room, locale) {
  const sent = [];
  let upstream;
  const prepare = (page) => page.routeWebSocket('**/chat', (route) => {
    upstream = route.connectToServer();
    route.onMessage((text) => {
      sent.push(JSON.parse(text));
      upstream.send(text);
    });
  });
  const page = await world.open({ path: `/?room=${room}`, locale, prepare });
  await enter(page, username);
  const count = (event) => sent.filter((message) => message.event === event).length;
  return { page, count, logOut: () => upstream.send(JSON.stringify({ event: 'logout', data: {} })) };
}

for (const [locale, waits] of [['en-GB', 'waiting to be sent: you are not logged in'], ['zh-CN', '等待发送：你还没有登录']]) {
  test(`a message of a page that is no longer logged in is sent once when the page has logged in again (${locale})`, async () => {
    const { page: ann, count, logOut } = await visit('Ann', locale, locale);
    const ben = await world.open({ path: `/?room=${locale}` });
    await enter(ben, 'Ben');
    await ann.evaluate(() => {
      window.states = [];
      const note = () => window.states.push(document.querySelector('#pending .how')?.textContent);
      new MutationObserver(note).observe(document.getElementById('pending'), { subtree: true, childList: true });
    });
    logOut();
    await eventually(() => ben.locator('#people .name').allTextContents(), ['Ben']);
    await say(ann, 'am I still here?');
    await bubbles(ben, 'am I still here?').waitFor();
    await ann.locator('#lines [data-state=sent]').waitFor();
    await eventually(() => ben.locator('#people .name').allTextContents(), ['Ben', 'Ann']);
    assert.deepEqual([count('login'), count('sendMessage')], [2, 2], 'one more login, and the message once more after it');
    assert.ok((await ann.evaluate(() => window.states)).includes(waits), waits);
    await say(ann, 'marker');
    await bubbles(ben, 'marker').waitFor();
    assert.deepEqual(await ben.locator('#log .said').allTextContents(), ['am I still here?', 'marker']);
  });
}

test('a login that the server cannot take now is tried again, and the room stays in sight', async () => {
  let refusals = 1;
  let connection;
  const refusal = { event: 'loginError', data: { code: 'journal_unavailable', msg: 'messages cannot be stored' } };
  const prepare = (page) => page.routeWebSocket('**/chat', (route) => {
    connection = route;
    const upstream = route.connectToServer();
    route.onMessage((text) => {
      if (JSON.parse(text).event !== 'login' || refusals === 0) return upstream.send(text);
      refusals -= 1;
      return route.send(JSON.stringify(refusal));
    });
  });
  const ann = await world.open({ path: '/?room=full', prepare });
  const hints = await notes(ann, '#hint');
  await enter(ann, 'Ann');
  const told = 'the server cannot store messages now; the page tries again';
  assert.deepEqual(await hints(), ['', told, '']);
  await say(ann, 'one');
  await ann.locator('#lines [data-state=sent]').waitFor();
  await willLose(ann);
  // More than one, as an outage takes its time.
  refusals = 2;
  await connection.close({ code: 1012 });
  await eventually(() => ann.locator('#hint').textContent(), told);
  await bubbles(ann, 'one').waitFor();
  await say(ann, 'two');
  await inside(ann);
  await ann.locator('#lines [data-state=sent]').nth(1).waitFor();
  assert.equal(refusals, 0);
  assert.equal(await ann.locator('#hint').textContent(), '');
});
