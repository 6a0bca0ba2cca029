// One line of the log as an element: a message, a private one, or a notice.
import { make, told } from '../dom.js';
import { locale, words } from '../i18n.js';
import { face } from './avatars.js';
import { linked } from './links.js';

const IS_PICTURE = /^data:image\/(png|jpeg|gif|webp);base64,/;

/** When, for people: the time alone, and all of it on hover. */
export function timeOf(at) {
  const date = new Date(at);
  const time = told('time', { className: 'time' }, () => date.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' }));
  time.dateTime = date.toISOString();
  time.title = date.toLocaleString(locale(), { dateStyle: 'full', timeStyle: 'medium' });
  return time;
}

/** The line between two days. */
export function dayLine(at) {
  const date = new Date(at);
  return make('li', { className: 'day' }, told('span', {}, () => date.toLocaleDateString(locale(), { dateStyle: 'full' })));
}

/** What happened, in words. */
export function noticeLine(teller, className = '') {
  return make('li', { className: `notice ${className}` }, told('span', {}, teller));
}

/** What somebody said. `isOurs` puts it to the right; `title`, if there is one, says to whom it was. */
export function messageLine({ username, avatar, msg, img, at, isAnother }, { isOurs, title = null, onPicture }) {
  const name = title ? told('span', { className: 'name' }, title) : make('span', { className: 'name', dir: 'auto' }, username);
  // The name has belonged to a user before this one.
  const mark = isAnother ? [told('span', { className: 'another' }, () => words('anotherUser'))] : [];
  const bubble = make('div', { className: 'bubble' }, img === undefined ? textOf(msg) : pictureOf(username, img, onPicture));
  const body = make('div', { className: 'body' }, make('div', { className: 'head' }, name, ...mark, timeOf(at)), bubble);
  const line = make('li', { className: 'message', dataset: { ours: String(isOurs) } }, face({ username, avatar }), body);
  if (title) line.classList.add('private');
  return line;
}

function textOf(msg) {
  return make('div', { className: 'said', dir: 'auto' }, ...linked(msg));
}

function pictureOf(username, img, onPicture) {
  const picture = make('img', { alt: '', loading: 'lazy', src: IS_PICTURE.test(img) ? img : '' });
  const button = make('button', { type: 'button', className: 'picture', on: { click: () => onPicture(username, img) } }, picture);
  button.setAttribute('aria-label', words('enlarge', username));
  return button;
}

/** Shows below a message of ours how far it is: `state` is a key of words, `code` says why. */
export function showState(line, { state, code, echo, onRetry, onDiscard }) {
  line.dataset.state = state;
  line.querySelector('.state')?.remove();
  const parts = [];
  if (echo !== undefined) {
    parts.push(told('span', { className: 'echo-label' }, () => words('echo')), ' ', make('span', { className: 'echo', dir: 'auto' }, echo), ' · ');
  }
  parts.push(told('span', { className: 'how' }, () => words(state) + (code ? `: ${codeInWords(code)}` : '')));
  if (state === 'failed') {
    parts.push(
      told('button', { type: 'button', className: 'quiet small', on: { click: onRetry } }, () => words('tryAgain')),
      told('button', { type: 'button', className: 'quiet small', on: { click: onDiscard } }, () => words('discard')),
    );
  }
  line.querySelector('.body').append(make('div', { className: 'state' }, ...parts));
}

const KNOWN_CODES = new Set([
  'bad_name', 'name_taken', 'bad_room', 'too_many_rooms', 'no_such_user', 'too_large', 'bad_image', 'rate_limited',
  'journal_unavailable', 'not_kept_yet', 'damaged', 'timeout', 'disconnected', 'ends_connection',
]);

/** An error code in words. */
export function codeInWords(code) {
  return KNOWN_CODES.has(code) ? words(`code_${code}`) : words('code_other', code);
}
