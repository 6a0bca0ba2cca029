// Draws. Text goes in by textContent only; nothing here knows a socket.
import { language, words } from './i18n.js';
import { closeCode } from './protocol.js';

const KEPT = 500;

export class View {
  #find = (id) => document.getElementById(id);
  #room;

  constructor(room) {
    this.#room = room;
  }

  /** Fills in all words of the page, those of past entries too. */
  translate() {
    document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
    for (const element of document.querySelectorAll('[data-text]')) {
      element.textContent = words(element.dataset.text, this.#room);
    }
    for (const element of document.querySelectorAll('[data-placeholder]')) {
      element.placeholder = words(element.dataset.placeholder);
    }
    for (const element of document.querySelectorAll('[data-told]')) element.textContent = tellers.get(element)();
    this.#find('language').textContent = words('language');
  }

  snippet(url) {
    this.#find('snippet').textContent = `const socket = new WebSocket('${url}')`;
  }

  /** The state in words, and what the button would do. Says it to screen readers once, not at every tick. */
  state(state, seconds, wanted) {
    const text = words(state, seconds);
    const element = this.#find('state');
    if (element.dataset.state !== state || state !== 'waiting') this.#find('state-said').textContent = text;
    element.dataset.state = state;
    element.textContent = text;
    this.#find('toggle').textContent = words(wanted ? 'disconnect' : 'connect');
  }

  /** What stands in the way of sending; nothing without `key`. */
  hint(key, value) {
    const hint = this.#find('hint');
    tell(hint, () => (key ? words(key, value) : ''));
    hint.dataset.hint = key ?? '';
  }

  /** Adds what was said; `from`: me, server or other. Gives back the entry. */
  message(from, text) {
    const item = entry('message');
    item.dataset.from = from;
    const who = part('div', 'who');
    who.append(told('span', 'name', () => words(from)), ' · ', now());
    const said = part('div', 'said', text);
    said.dir = 'auto';
    item.append(who, said);
    append(this.#find('log'), item);
    return item;
  }

  /** Marks an entry of `message` whose answer can no longer come. */
  unanswered(item) {
    item.dataset.unanswered = '';
    item.append(told('div', 'doubt', () => words('unanswered')));
  }

  /** Says in the log that a connection ended; `key`: restarting, willReturn or staysAway. */
  ended(code, key) {
    const item = entry('message');
    item.dataset.from = 'notice';
    item.append(told('div', 'said', () => words(key, codeInWords(code))));
    append(this.#find('log'), item);
  }

  /** One of the four events of the socket, or a `send`; `key` and `value` name the words beside it. */
  event(name, key, value) {
    this.#event(name, () => (key ? words(key, value) : ''));
  }

  closed({ code, reason }) {
    this.#event('close', () => codeInWords(code) + (reason ? ` (${reason})` : ''));
  }

  #event(name, teller) {
    const item = entry('event');
    item.dataset.event = name;
    item.append(now(), part('span', 'name', name), told('span', 'detail', teller));
    append(this.#find('events'), item);
  }

  clearEvents() {
    this.#find('events').firstElementChild.replaceChildren();
  }
}

/** How to say again, in another language, what an element says. Let go with the element. */
const tellers = new WeakMap();

function tell(element, teller) {
  tellers.set(element, teller);
  element.dataset.told = '';
  element.textContent = teller();
}

function told(tag, className, teller) {
  const element = part(tag, className);
  tell(element, teller);
  return element;
}

function codeInWords(code) {
  return `${code} ${closeCode(code)[language()]}`;
}

function entry(className) {
  return part('li', className);
}

function part(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function now() {
  const time = document.createElement('time');
  const date = new Date();
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString('en-GB');
  return time;
}

/** Adds at the end of the list in `box`; follows it only if the reader was there. */
function append(box, item) {
  const list = box.firstElementChild;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  list.append(item);
  while (list.childElementCount > KEPT) list.firstElementChild.remove();
  if (atEnd) box.scrollTop = box.scrollHeight;
}
