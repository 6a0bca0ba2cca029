// Finds the elements and wires socket and view together.
import { Connection } from './connection.js';
import { switchLanguage } from './i18n.js';
import { Answers, MAX_MESSAGE_BYTES, closeCode, isRoomName, roomOf, socketUrl } from './protocol.js';
import { View } from './view.js';

const find = (id) => document.getElementById(id);
const room = roomOf(location);
const view = new View(room);
const answers = new Answers();
const state = { name: 'disconnected', until: 0, ticking: 0 };

const connection = new Connection({
  url: socketUrl(location, room),
  mayReturn: (code) => closeCode(code).reconnect,
  on: { state: changeState, event: showEvent, text: showText },
});

function changeState(name, { waitMs = 0, code, opened, asked } = {}) {
  state.name = name;
  state.until = performance.now() + waitMs;
  clearInterval(state.ticking);
  if (name === 'waiting') state.ticking = setInterval(showState, 1000);
  if (name === 'connected') view.hint();
  if (name === 'waiting' || name === 'disconnected') {
    for (const item of answers.forget()) view.unanswered(item);
    // Tries that fail one after the other are told by the state and the events, not in the log each time.
    if (name === 'waiting' && opened) view.ended(code, code === 1012 ? 'restarting' : 'willReturn');
    if (name === 'disconnected' && !asked) view.ended(code, 'staysAway');
  }
  showState();
}

function showState() {
  const seconds = Math.max(1, Math.ceil((state.until - performance.now()) / 1000));
  view.state(state.name, seconds, connection.isWanted);
}

function showEvent(event) {
  if (event.type === 'close') return view.closed(event);
  if (event.type === 'error') return view.event('error', 'errorSaysNothing');
  if (event.type === 'open') return view.event('open');
  const isText = typeof event.data === 'string';
  view.event('message', isText ? 'received' : 'receivedBinary', bytesOf(event.data));
}

function showText(text) {
  const asked = answers.take(text);
  view.message(asked ? 'server' : 'other', text);
  if (asked) asked.dataset.answered = '';
}

function bytesOf(data) {
  return new Blob([data]).size;
}

function send() {
  const box = find('text');
  const text = box.value;
  if (!text) return;
  const bytes = bytesOf(text);
  if (bytes > MAX_MESSAGE_BYTES) return view.hint('tooBig', Math.ceil(bytes / 1024));
  if (!connection.send(text)) return view.hint('notConnected');
  view.event('send', 'sent', bytes);
  answers.sent(text, view.message('me', text));
  view.hint();
  box.value = '';
  box.focus();
}

function enterRoom(wanted) {
  if (wanted && !isRoomName(wanted)) return view.hint('badRoom');
  location.search = wanted && wanted !== 'lobby' ? `?room=${encodeURIComponent(wanted)}` : '';
}

function listen() {
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
    view.translate();
    showState();
  });
  find('room-form').addEventListener('submit', (event) => {
    event.preventDefault();
    enterRoom(find('room').value.trim());
  });
  addEventListener('online', () => connection.hurry());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') connection.hurry();
  });
}

document.title = `${room} · Echoroom`;
find('room').value = room;
view.snippet(socketUrl(location, room));
view.translate();
listen();
showState();
if (isRoomName(room)) connection.connect();
else view.hint('badRoom');
