// The building blocks of the lessons.
import { localized, make } from '../dom.js';
import { AutoScroll } from '../auto-scroll.js';
import { localize, words } from '../i18n.js';
import { bytes, closeCodeInWords, isGoodEnd } from '../wire/format.js';

const LINES = 200;
const SHOWN_CHARS = 400;

export const paragraph = (key, className = '') => localized('p', { className }, () => words(key));

export function button(key, click, className = '') {
  return localized('button', { type: 'button', className, on: { click } }, () => words(key));
}

/** The button of an experiment. All have one text, so that the accessible name tells which is which. */
export function experimentButton(titleKey, click) {
  const element = button('lesDoIt', click);
  localize(element, () => `${words('lesDoIt')}: ${words(titleKey)}`, 'aria-label');
  return element;
}

/** An input under its name. */
export function field(key, input) {
  return make('label', { className: 'field' }, localized('span', {}, () => words(key)), input);
}

/** What to expect, before it comes. */
export function expectation(key) {
  return make('p', { className: 'expect' }, localized('b', {}, () => words('lesExpect')), ' ', localized('span', {}, () => words(key)));
}

/** Says why the server does not help with a lesson, or that it does again. */
export function notice() {
  const element = make('p', { className: 'lesson-note', hidden: true, attributes: { role: 'status' } });
  const say = (key) => {
    element.hidden = !key;
    localize(element, () => (key ? words(key) : ''));
  };
  return { element, say };
}

/** A text that is not too long to be shown. */
export function shown(data) {
  if (typeof data !== 'string') return words('lesBytes', bytes(data.byteLength ?? data.size));
  return data.length > SHOWN_CHARS ? `${data.slice(0, SHOWN_CHARS)}…` : data;
}

/** A list of what came, each line with the milliseconds since the start. */
export class EventLog {
  element;
  /** Counts the starts: what comes of an earlier one is not added. */
  round = 0;
  #list = make('ol');
  #autoScroll;
  #start = performance.now();

  /** `isLive`: what is added is read out. */
  constructor(labelKey, { isLive = false } = {}) {
    const attributes = { role: isLive ? 'log' : 'group', tabindex: '0' };
    this.element = make('div', { className: 'lesson-log', attributes }, this.#list);
    localize(this.element, () => words(labelKey), 'aria-label');
    this.#autoScroll = new AutoScroll(this.element, this.#list);
  }

  /** Empties the list and starts its clock again. */
  restart() {
    this.round += 1;
    this.#list.replaceChildren();
    this.#autoScroll.goToEnd();
    this.#start = performance.now();
    this.element.dataset.begun = '';
  }

  /**
   * Adds a line: its name, and what `phrase` says in the language of the moment. `kind` gives it its look; `isGood`, of the end of
   * a connection, says whether it ended without a fault.
   */
  add(name, phrase, { kind = name, isGood, isMarked = false } = {}) {
    const passed = Math.round(performance.now() - this.#start);
    const line = make('li', { dataset: { kind } }, make('code', {}, name), localized('bdi', {}, phrase),
      make('span', { className: 'passed' }, `+${passed} ms`));
    if (isGood !== undefined) line.dataset.end = isGood ? 'good' : 'bad';
    line.classList.toggle('marked', isMarked);
    this.#list.append(line);
    if (this.#list.childElementCount > LINES) this.#list.firstElementChild.remove();
    this.#autoScroll.keepUp();
  }

  /** Takes the mark from all lines. */
  unmark() {
    for (const line of this.#list.children) line.classList.remove('marked');
  }

  /** Adds a sentence about what came. */
  remark(phrase, kind = 'remark') {
    this.#list.append(localized('li', { className: 'remark', dataset: { kind } }, phrase));
    this.#autoScroll.keepUp();
  }
}

/** Writes the events of a socket into a log, from its creation on. `messages: false` leaves out what is received. */
export function logEvents(socket, log, { messages = true } = {}) {
  const { round } = log;
  const note = (event, say) => socket.addEventListener(event, (detail) => {
    if (log.round !== round) return;
    log.add(event, say(detail), event === 'close' ? { isGood: isGoodEnd(detail) } : {});
  });
  log.add('create', () => words('readyState', WebSocket.CONNECTING));
  note('open', () => () => {
    const protocol = socket.protocol ? ` · ${words('lesAgreed', socket.protocol)}` : '';
    return `${words('readyState', WebSocket.OPEN)}${protocol}`;
  });
  if (messages) note('message', ({ data }) => () => shown(data));
  note('error', () => () => words('lesErrorEvent'));
  note('close', ({ code, reason, wasClean }) => () =>
    `${closeCodeInWords(code)}${reason ? ` · ${reason}` : ''} · wasClean ${wasClean}`);
}
