// Draws. Text goes in by textContent only; nothing here knows a socket.
import { language, words } from './i18n.js';
import { closeCode } from './protocol.js';

const KEPT = 500;

export class View {
  #find = (id) => document.getElementById(id);

  /** Fills in all fixed words of the page. */
  translate() {
    document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
    for (const element of document.querySelectorAll('[data-text]')) element.textContent = words(element.dataset.text);
    for (const element of document.querySelectorAll('[data-placeholder]')) {
      element.placeholder = words(element.dataset.placeholder);
    }
    this.#find('language').textContent = words('language');
  }

  snippet(url) {
    this.#find('snippet').textContent = `const socket = new WebSocket('${url}')`;
  }

  state(state, waitMs = 0, wanted = false) {
    const element = this.#find('state');
    element.dataset.state = state;
    element.textContent = words(state, Math.max(1, Math.round(waitMs / 1000)));
    this.#find('toggle').textContent = words(wanted ? 'disconnect' : 'connect');
  }

  hint(text = '') {
    this.#find('hint').textContent = text;
  }

  /** `from`: me, server, other or notice. */
  message(from, text) {
    const item = document.createElement('li');
    item.className = 'message';
    item.dataset.from = from;
    if (from !== 'notice') {
      const who = part('div', 'who', `${words(from)} · `);
      who.append(now());
      item.append(who);
    }
    item.append(part('div', 'said', text));
    append(this.#find('log'), item);
  }

  /** One of the four events of the socket, or a `send`. */
  event(name, detail) {
    const item = document.createElement('li');
    item.dataset.event = name;
    item.append(now(), part('span', 'name', name), part('span', 'detail', detail));
    append(this.#find('events'), item);
  }

  closed(event) {
    const code = `${event.code} ${closeCode(event.code)[language()]}`;
    this.event('close', event.reason ? `${code} (${event.reason})` : code);
    if (event.code === 1012) this.message('notice', words('restarting'));
    else if (event.code !== 1000) this.message('notice', words('lost', code));
  }

  clearEvents() {
    this.#find('events').replaceChildren();
  }
}

function part(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function now() {
  const time = document.createElement('time');
  const date = new Date();
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleTimeString(language() === 'zh' ? 'zh-CN' : 'en-GB');
  return time;
}

/** Adds at the end; follows it only if the reader was there. */
function append(list, item) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  list.append(item);
  while (list.childElementCount > KEPT) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
