// One line of the log as an element: a message, a private one, or a notice.
import { localized, make } from '../dom.js';
import { locale, localize, words } from '../i18n.js';
import { avatarOf } from './avatars.js';
import { errorInWords } from './error-codes.js';
import { linked } from './links.js';

const IS_PICTURE = /^data:image\/(png|jpeg|gif|webp);base64,/;

/** Lines of text after which a message is shown only in part at first (the style sheet says how much of it). */
const LONG_LINES = 14;
/** Characters that a line has at least, but on the narrowest pages. */
const LINE_CHARS = 30;

const formats = new Map();

/** A format of dates in the language of the moment; they cost much to make. */
function format(name, options) {
  const key = `${locale()} ${name}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), options));
  return formats.get(key);
}

const timeInShort = (date) => format('short', { hour: '2-digit', minute: '2-digit' }).format(date);
const timeInFull = (date) => format('full', { dateStyle: 'full', timeStyle: 'medium' }).format(date);
const dayInWords = (date) => format('day', { dateStyle: 'full' }).format(date);

/** The day that was asked for last: most lines are of it, and dates cost much to make. */
let day = { from: 0, until: 0 };

/** When the day of a time began where the reader is. */
function beginOfDay(at) {
  if (at < day.from || at >= day.until) {
    const date = new Date(at);
    const midnight = (days) => new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime();
    day = { from: midnight(0), until: midnight(1) };
  }
  return day.from;
}

export const isSameDay = (a, b) => beginOfDay(a) === beginOfDay(b);

/** When, for people: the time alone, and all of it on hover. */
export function timeOf(at) {
  const date = new Date(at);
  const time = localized('time', { className: 'time', dateTime: date.toISOString() }, () => timeInShort(date));
  localize(time, () => timeInFull(date), 'title');
  return time;
}

/** The line between two days. */
export function dayLine(at) {
  const date = new Date(at);
  return make('li', { className: 'day' }, localized('span', {}, () => dayInWords(date)));
}

/** The line above what is new to the reader. */
export function newLine() {
  return make('li', { className: 'new' }, localized('span', {}, () => words('newLine')));
}

/** What happened, in words. */
export function noticeLine(phrase, className = '') {
  return make('li', { className: `notice ${className}` }, localized('span', {}, phrase));
}

/** Gives a notice another text. */
export function renewNotice(line, phrase) {
  localize(line.firstElementChild, phrase);
}

/** Stands beside a name that has belonged to another user before. */
export function anotherMark() {
  return localized('span', { className: 'another' }, () => words('anotherUser'));
}

/**
 * A message. `isOurs` puts it to the right; `title`, if there is one, says to whom it was; with `goesOn` it has
 * neither avatar nor name, since the line above has them.
 */
export function messageLine({ username, avatar, msg, img, at, isAnother }, { isOurs, title = null, goesOn = false, onPicture }) {
  const bubble = make('div', { className: 'bubble' }, ...(img === undefined ? textOf(msg) : [pictureOf(username, img, onPicture)]));
  const body = make('div', { className: 'body' }, bubble);
  const line = make('li', { className: 'message', dataset: { ours: String(isOurs) } }, body);
  if (goesOn) {
    line.classList.add('goes-on');
    return line;
  }
  const name = title ? localized('span', { className: 'name' }, title) : make('span', { className: 'name', dir: 'auto' }, username);
  body.prepend(make('div', { className: 'head' }, name, ...(isAnother ? [anotherMark()] : []), timeOf(at)));
  line.prepend(avatarOf({ username, avatar }));
  if (title) line.classList.add('private');
  return line;
}

/** More marks on one letter than any script has. */
const STACKED_MARKS = /\p{M}{5}/u;

/** The text; one that may be long has a button with it that shows the rest. */
function textOf(msg) {
  const said = make('div', { className: 'said', dir: 'auto' }, ...linked(msg));
  if (STACKED_MARKS.test(msg)) said.classList.add('stacked');
  if (!mayBeLong(msg)) return [said];
  said.classList.add('long');
  const more = make('button', { type: 'button', className: 'quiet small more', hidden: true, attributes: { 'aria-expanded': 'false' } });
  const isOpen = () => said.classList.contains('is-open');
  localize(more, () => words(isOpen() ? 'showLess' : 'showMore'));
  more.addEventListener('click', () => {
    said.classList.toggle('is-open');
    said.scrollTop = 0;
    // What scrolls can be reached by the keyboard.
    said.tabIndex = isOpen() ? 0 : -1;
    more.setAttribute('aria-expanded', String(isOpen()));
    more.textContent = words(isOpen() ? 'showLess' : 'showMore');
  });
  return [said, more];
}

function mayBeLong(text) {
  if (text.length > LONG_LINES * LINE_CHARS) return true;
  let breaks = 0;
  for (let at = text.indexOf('\n'); at !== -1 && breaks < LONG_LINES; at = text.indexOf('\n', at + 1)) breaks += 1;
  return breaks * LINE_CHARS + text.length > LONG_LINES * LINE_CHARS;
}

/** Shows the button that opens a message with those of `lines` that are longer than what is shown of them. */
export function cutIfLong(lines) {
  const long = [...lines].map((line) => line.querySelector('.said.long')).filter((said) => said !== null);
  // All are measured before one is changed, so that the page is laid out once.
  const isCut = long.map((said) => said.classList.contains('is-open') || said.scrollHeight > said.clientHeight + 1);
  long.forEach((said, at) => { said.nextElementSibling.hidden = !isCut[at]; });
}

function pictureOf(username, img, onPicture) {
  const picture = make('img', { alt: '', loading: 'lazy', src: IS_PICTURE.test(img) ? img : '' });
  const button = make('button', { type: 'button', className: 'picture', on: { click: () => onPicture(username, img) } }, picture);
  localize(button, () => words('enlarge', username), 'aria-label');
  return button;
}

/** Shows below a message of ours how far it is: `state` is a key of words, `code` says why. */
export function showState(line, { state, code, echo, onRetry, onDiscard }) {
  line.dataset.state = state;
  line.querySelector('.state')?.remove();
  const parts = [];
  if (echo !== undefined) {
    parts.push(localized('span', { className: 'echo-label' }, () => words('echo')), ' ', make('span', { className: 'echo', dir: 'auto' }, echo), ' · ');
  }
  parts.push(localized('span', { className: 'how' }, () => (code ? words('stateBecause', words(state), errorInWords(code)) : words(state))));
  if (state === 'failed') {
    parts.push(
      localized('button', { type: 'button', className: 'quiet small', on: { click: onRetry } }, () => words('tryAgain')),
      localized('button', { type: 'button', className: 'quiet small', on: { click: onDiscard } }, () => words('discard')),
    );
  }
  line.querySelector('.body').append(make('div', { className: 'state' }, ...parts));
}
