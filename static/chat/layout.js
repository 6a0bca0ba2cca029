// The chat's elements, before anything is in them. Each part of the chat is given its own, and looks for no others.
import { make } from '../dom.js';
import { localize, words } from '../i18n.js';

const text = (tag, key, properties = {}) => make(tag, { ...properties, dataset: { text: key, ...properties.dataset } });
const button = (id, properties) => make('button', { id, type: 'button', ...properties });
const label = (id, key, className = '') => text('label', key, { htmlFor: id, className });
const alertLine = (id) => make('p', { id, className: 'problem', attributes: { role: 'alert' } });

function login() {
  const parts = {
    username: make('input', { id: 'username', maxLength: 100, autocomplete: 'nickname', spellcheck: false, required: true }),
    avatars: make('div', { id: 'avatars' }),
    unsent: make('div', { id: 'unsent' }),
    hint: alertLine('login-hint'),
    enter: make('button', { id: 'enter' }),
  };
  parts.form = make('form', { id: 'login' },
    text('h2', 'welcome'),
    text('p', 'welcomeText', { className: 'soft' }),
    label('username', 'nickname'), parts.username,
    make('fieldset', {}, text('legend', 'avatar'), parts.avatars),
    parts.unsent, parts.hint, parts.enter);
  return parts;
}

function rooms() {
  const parts = {
    list: make('ul', { id: 'rooms', attributes: { 'aria-labelledby': 'rooms-title' } }),
    other: make('input', { id: 'other-room', maxLength: 64, autocomplete: 'off', spellcheck: false, dataset: { placeholder: 'otherRoom' } }),
    hint: alertLine('room-hint'),
  };
  parts.form = make('form', { id: 'room-form' }, label('other-room', 'otherRoom', 'hidden'), parts.other,
    text('button', 'go', { className: 'quiet' }), parts.hint);
  return parts;
}

function people() {
  return {
    title: make('h2', { id: 'people-title' }),
    list: make('ul', { id: 'people', attributes: { 'aria-labelledby': 'people-title' } }),
    typing: make('p', { id: 'typing' }),
  };
}

/** Rooms and people: beside the log, or in a drawer over it. */
function side(roomParts, peopleParts) {
  return make('div', { id: 'side' },
    make('section', {}, text('h2', 'rooms', { id: 'rooms-title' }), roomParts.list), roomParts.form,
    make('section', {}, peopleParts.title, peopleParts.list));
}

function status() {
  return {
    title: make('h2', { id: 'room-title', dir: 'auto' }),
    state: make('p', { id: 'state' }),
    stateSaid: make('p', { id: 'state-said', className: 'hidden', attributes: { role: 'status' } }),
    connect: text('button', 'connectNow', { id: 'connect', type: 'button', className: 'quiet', hidden: true }),
    me: make('span', { id: 'me' }),
    logout: text('button', 'logout', { id: 'logout', type: 'button', className: 'quiet' }),
  };
}

function sideToggle() {
  return button('side-toggle', {
    className: 'quiet icon', dataset: { label: 'sideToggle', title: 'sideToggle' }, attributes: { 'aria-controls': 'side', 'aria-expanded': 'false' },
  });
}

function log() {
  const parts = {
    top: make('p', { id: 'log-top', className: 'faint', hidden: true }),
    lines: make('ol', { id: 'lines' }),
    end: make('p', { id: 'log-end', className: 'faint', hidden: true }),
    pending: make('ol', { id: 'pending' }),
    toNewest: button('to-newest', { hidden: true }),
  };
  parts.content = make('div', {}, parts.top, parts.lines, parts.end, parts.pending);
  parts.box = make('div', { id: 'log', tabIndex: 0, attributes: { role: 'log', 'aria-live': 'off' } }, parts.content);
  return parts;
}

function composer(typing) {
  const parts = {
    text: make('textarea', { id: 'text', rows: 1 }),
    previews: make('ul', { id: 'previews', hidden: true }),
    privateTo: make('span', { id: 'private-to' }),
    privateStop: text('button', 'stopPrivate', { id: 'private-stop', type: 'button', className: 'quiet small' }),
    emoji: button('emoji', { className: 'quiet icon', textContent: '☺', dataset: { label: 'emoji', title: 'emoji' } }),
    image: button('image', { className: 'quiet icon', dataset: { label: 'addImage', title: 'addImage' } }),
    file: make('input', { id: 'file', type: 'file', accept: 'image/*', multiple: true, hidden: true }),
    hint: alertLine('hint'),
  };
  localize(parts.previews, () => words('previews'), 'aria-label');
  parts.privateBar = make('div', { id: 'private-bar', hidden: true }, parts.privateTo, parts.privateStop);
  const actions = make('div', { className: 'actions' }, make('span', { className: 'emoji-place' }, parts.emoji), parts.image,
    text('button', 'send', { id: 'send' }));
  parts.form = make('form', { id: 'composer' }, typing, parts.privateBar, label('text', 'message', 'hidden'), parts.previews, parts.text,
    actions, parts.file, parts.hint);
  return parts;
}

function viewer() {
  const picture = make('img', { id: 'viewer-picture' });
  const dialog = make('dialog', { id: 'viewer' }, picture, make('form', { method: 'dialog' }, text('button', 'closePicture')));
  return { dialog, picture };
}

/**
 * Puts the chat's elements into `root`, and gives those of each part by its name. `showRoom(isShown)` shows the room, or the
 * login form instead.
 */
export function layOut(root) {
  const parts = { login: login(), rooms: rooms(), people: people(), status: status(), log: log(), viewer: viewer() };
  parts.composer = composer(parts.people.typing);
  // Beside the log: what is new is read out once, and history is not.
  parts.announcer = make('div', { id: 'announcer', className: 'hidden', attributes: { 'aria-live': 'polite' } });
  const { title, state, stateSaid, connect, me, logout } = parts.status;
  const drawer = { side: side(parts.rooms, parts.people), toggle: sideToggle(), shade: make('div', { id: 'side-shade' }) };
  const bar = make('div', { id: 'bar' }, drawer.toggle, title, state, stateSaid, connect, me, logout);
  const frame = make('div', { id: 'log-frame' }, parts.log.box, parts.announcer, parts.log.toNewest);
  const room = make('section', { id: 'room', hidden: true }, drawer.side, drawer.shade,
    make('div', { id: 'talk' }, bar, frame, parts.composer.form),
    text('div', 'dropHere', { id: 'drop-sign', attributes: { 'aria-hidden': 'true' } }));
  const welcome = make('section', { id: 'welcome', hidden: true }, parts.login.form);
  root.append(welcome, room, parts.viewer.dialog);
  parts.drawer = { room, ...drawer };
  parts.composer.dropArea = room;
  const showRoom = (isShown) => {
    welcome.hidden = isShown;
    room.hidden = !isShown;
  };
  return { ...parts, showRoom };
}
