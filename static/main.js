// Finds the elements and wires socket and view together.
import { Connection } from './connection.js';
import { language, switchLanguage, words } from './i18n.js';
import { Answers, MAX_MESSAGE_BYTES, closeCode, roomOf, socketUrl } from './protocol.js';
import { View } from './view.js';

const find = (id) => document.getElementById(id);
const view = new View();
const answers = new Answers();
const room = roomOf(location);
let shown = ['disconnected', 0];

const connection = new Connection({
  url: socketUrl(location, room),
  mayReturn: (code) => closeCode(code).reconnect,
  on: {
    state: showState,
    event: showEvent,
    text: (text) => view.message(answers.matches(text) ? 'server' : 'other', text),
  },
});

function showState(state, waitMs) {
  shown = [state, waitMs];
  if (state === 'connecting') answers.forget();
  if (state === 'connected') view.hint();
  view.state(state, waitMs, connection.isWanted);
}

function showEvent(event) {
  if (event.type === 'close') return view.closed(event);
  if (event.type !== 'message') return view.event(event.type, '');
  const bytes = typeof event.data === 'string' ? new Blob([event.data]).size : event.data.size;
  const kind = typeof event.data === 'string' ? '' : `, ${words('binary')}`;
  view.event('message', words('bytes', bytes) + kind);
}

function send() {
  const box = find('text');
  const text = box.value;
  if (!text) return;
  const bytes = new Blob([text]).size;
  if (bytes > MAX_MESSAGE_BYTES) return view.hint(words('tooBig', Math.ceil(bytes / 1024)));
  if (!connection.send(text)) return view.hint(words('notConnected'));
  answers.sent(text);
  view.event('send', words('bytes', bytes));
  view.message('me', text);
  view.hint();
  box.value = '';
}

function translate() {
  view.translate();
  view.state(...shown, connection.isWanted);
}

find('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
find('text').addEventListener('keydown', (event) => {
  // Enter that ends a composition belongs to the input method; 229 is how some browsers mark it.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
find('toggle').addEventListener('click', () => {
  if (connection.isWanted) connection.disconnect();
  else connection.connect();
});
find('clear').addEventListener('click', () => view.clearEvents());
find('language').addEventListener('click', () => {
  switchLanguage();
  translate();
});
find('room').value = room;
find('room-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const wanted = find('room').value.trim();
  location.search = wanted && wanted !== 'lobby' ? `?room=${encodeURIComponent(wanted)}` : '';
});
addEventListener('online', () => connection.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') connection.hurry();
});

view.snippet(socketUrl(location, room));
translate();
document.title = `${room} · Echoroom`;
document.documentElement.dataset.language = language();
connection.connect();
