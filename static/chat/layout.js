// The chat's elements, before anything is in them.
import { make } from '../dom.js';

const text = (tag, key, properties = {}) => make(tag, { ...properties, dataset: { text: key, ...properties.dataset } });
const button = (id, properties) => make('button', { id, type: 'button', ...properties });
const label = (id, key, className = '') => text('label', key, { htmlFor: id, className });

function welcome() {
  const form = make('form', { id: 'login' },
    text('h2', 'welcome'),
    text('p', 'welcomeText', { className: 'soft' }),
    label('username', 'nickname'),
    make('input', { id: 'username', maxLength: 100, autocomplete: 'nickname', spellcheck: false, required: true }),
    make('fieldset', {}, text('legend', 'avatar'), make('div', { id: 'avatars' })),
    make('p', { id: 'login-hint', className: 'problem', attributes: { role: 'alert' } }),
    make('button', { id: 'enter' }));
  return make('section', { id: 'welcome', hidden: true }, form);
}

function side() {
  const rooms = make('section', { id: 'rooms-part' }, text('h2', 'rooms', { id: 'rooms-title' }),
    make('ul', { id: 'rooms', attributes: { 'aria-labelledby': 'rooms-title' } }));
  const form = make('form', { id: 'room-form' }, label('other-room', 'otherRoom', 'hidden'),
    make('input', { id: 'other-room', maxLength: 64, autocomplete: 'off', spellcheck: false, dataset: { placeholder: 'otherRoom' } }),
    text('button', 'go', { className: 'quiet' }),
    make('p', { id: 'room-hint', className: 'problem', attributes: { role: 'alert' } }));
  const people = make('section', {}, make('h2', { id: 'people-title' }),
    make('ul', { id: 'people', attributes: { 'aria-labelledby': 'people-title' } }));
  return make('div', { id: 'side' }, rooms, form, people);
}

function bar() {
  return make('div', { id: 'bar' },
    button('side-toggle', { className: 'quiet icon', dataset: { label: 'sideToggle', title: 'sideToggle' }, attributes: { 'aria-controls': 'side', 'aria-expanded': 'false' } }),
    make('h2', { id: 'room-title', dir: 'auto' }),
    make('p', { id: 'state' }), make('p', { id: 'state-said', className: 'hidden', attributes: { role: 'status' } }),
    text('button', 'connectNow', { id: 'connect', type: 'button', className: 'quiet', hidden: true }),
    make('span', { id: 'me' }),
    text('button', 'logout', { id: 'logout', type: 'button', className: 'quiet' }));
}

function log() {
  const box = make('div', { id: 'log', tabIndex: 0, attributes: { role: 'log', 'aria-live': 'off' } },
    make('div', {}, make('p', { id: 'log-top', className: 'faint', hidden: true }),
      make('ol', { id: 'lines' }), make('p', { id: 'log-end', className: 'faint', hidden: true }), make('ol', { id: 'pending' })));
  // Beside the log: what is new is said once, and history that is read is not.
  const announcer = make('div', { id: 'announcer', className: 'hidden', attributes: { 'aria-live': 'polite' } });
  return make('div', { id: 'log-frame' }, box, announcer, button('to-newest', { hidden: true }));
}

function composer() {
  const privateBar = make('div', { id: 'private-bar', hidden: true }, make('span', { id: 'private-to' }),
    text('button', 'stopPrivate', { id: 'private-stop', type: 'button', className: 'quiet small' }));
  const emoji = button('emoji', { className: 'quiet icon', textContent: '☺', dataset: { label: 'emoji', title: 'emoji' } });
  const image = button('image', { className: 'quiet icon', dataset: { label: 'addImage', title: 'addImage' } });
  return make('form', { id: 'composer' },
    make('p', { id: 'typing' }), privateBar, label('text', 'message', 'hidden'),
    make('textarea', { id: 'text', rows: 1 }),
    make('div', { className: 'actions' }, make('span', { className: 'emoji-place' }, emoji), image, text('button', 'send', { id: 'send' })),
    make('input', { id: 'file', type: 'file', accept: 'image/*', multiple: true, hidden: true }),
    make('p', { id: 'hint', className: 'problem', attributes: { role: 'alert' } }));
}

function viewer() {
  return make('dialog', { id: 'viewer' }, make('img', { id: 'viewer-picture' }),
    make('form', { method: 'dialog' }, text('button', 'closePicture')));
}

/** Puts them into `root`. */
export function layOut(root) {
  const room = make('section', { id: 'room', hidden: true }, side(), make('div', { id: 'side-shade' }),
    make('div', { id: 'talk' }, bar(), log(), composer()),
    text('div', 'dropHere', { id: 'drop-sign', attributes: { 'aria-hidden': 'true' } }));
  root.append(welcome(), room, viewer());
}
