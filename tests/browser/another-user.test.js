// A name that has gone to another user is marked, in the list of people as in messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bubbles, enter, eventually, inside, say, useWorld } from './harness.js';

const world = useWorld();

/** Logs a user in from within a page, by one of the doors of the chat, and sends `msg`. */
const DOORS = {
  chat: async (page, username, room, msg) => page.evaluate(([name, wanted, text]) => new Promise((resolve) => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
    const send = (event, data) => socket.send(JSON.stringify({ event, data }));
    socket.onopen = () => send('login', { username: name, room: wanted });
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).event === 'loginSuccess') resolve(send('sendMessage', { msg: text }));
    };
  }), [username, room, msg]),
  'Socket.IO': async (page, username, room, msg) => page.evaluate(([name, wanted, text]) => new Promise((resolve) => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    socket.onmessage = ({ data }) => {
      if (data.startsWith('0')) socket.send('40');
      if (data.startsWith('40')) socket.send(`420${JSON.stringify(['login', { username: name, room: wanted }])}`);
      if (data === '2') socket.send('3');
      if (data.startsWith('430')) resolve(socket.send(`421${JSON.stringify(['sendMessage', { msg: text }])}`));
    };
  }), [username, room, msg]),
};

const listed = (page, name) => page.locator('#people .person').filter({ hasText: name });

for (const [door, login] of Object.entries(DOORS)) {
  test(`a name that another user has taken is marked in the list of people, in both languages (${door})`, async () => {
    const room = `taken-${door}`;
    const ann = await world.open({ path: `/?room=${room}` });
    await enter(ann, 'Ann');
    const ben = await world.open({ path: `/?room=${room}` });
    await enter(ben, 'Ben');
    await listed(ann, 'Ben').waitFor();
    assert.equal(await ann.locator('#people .another').count(), 0, 'the first user of a name has no mark');
    await ben.click('#logout');
    await eventually(() => listed(ann, 'Ben').count(), 0);
    await login(ann, 'Ben', room, 'I am new here');
    await listed(ann, 'Ben').getByText('another user of this name').waitFor();
    const message = ann.locator('#lines .message').filter({ hasText: 'I am new here' });
    await message.getByText('another user of this name').waitFor();
    await ann.click('#language');
    await listed(ann, 'Ben').getByText('另一个同名用户').waitFor();
    await message.getByText('另一个同名用户').waitFor();
  });
}

test('a listed name gets its mark when an earlier user of it is found in the history', async () => {
  const ben = await world.open({ path: '/?room=earlier' });
  await enter(ben, 'Ben');
  await say(ben, 'I was here first');
  await ben.locator('#lines [data-state=sent]').waitFor();
  await ben.click('#logout');
  const other = await world.open({ path: '/?room=earlier' });
  await enter(other, 'Ben');
  const ann = await world.open({ path: '/?room=earlier' });
  await enter(ann, 'Ann');
  await bubbles(ann, 'I was here first').waitFor();
  await listed(ann, 'Ben').getByText('another user of this name').waitFor();
  // A page does not mark its own user.
  await bubbles(other, 'I was here first').waitFor();
  await inside(other);
  assert.equal(await other.locator('#people .another').count(), 0);
});
