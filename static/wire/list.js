// The list of messages and events: bounded, filled once a frame, with arrow keys to go through it.
import { make } from '../dom.js';
import { AutoScroll } from '../auto-scroll.js';
import { words } from '../i18n.js';
import { decode, isReadable, prepare } from './decode.js';
import { bytes, eventInShort, isGoodEnd, timeOf } from './format.js';

/** Lines in the page at a time; older ones go. */
const LINES = 300;
const SEARCHED_CHARS = 64 * 1024;
const ARROWS = { in: '↓', out: '↑', event: '●' };

export class List {
  /** What is shown: `{ text, connection, direction, heartbeats }`. */
  filter = { text: '', connection: null, direction: '', heartbeats: false };
  #recorder;
  #list;
  #seen = 0;
  #loading = null;
  #isPaused = false;
  #autoScroll;
  #opened = new Set();
  #entries = new WeakMap();
  /** The details of each line that is open. */
  #details = new WeakMap();

  /** `box` scrolls, `list` in it has the lines, `toEnd` is a button that is there while the end is out of sight. */
  constructor(recorder, { box, list, toEnd }) {
    this.#recorder = recorder;
    this.#list = list;
    this.#autoScroll = new AutoScroll(box, list, () => { toEnd.hidden = !this.#autoScroll.isBehind; });
    list.addEventListener('click', ({ target }) => this.#toggle(target.closest('button')));
    list.addEventListener('keydown', (event) => this.#walk(event));
    list.addEventListener('focusin', ({ target }) => this.#enterAt(target));
    toEnd.addEventListener('click', () => this.#autoScroll.goToEnd());
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  get isPaused() {
    return this.#isPaused;
  }

  set isPaused(isPaused) {
    this.#isPaused = isPaused;
    if (!isPaused) this.add();
  }

  /** How many entries wait for the end of the pause. */
  get waiting() {
    return this.#isPaused ? this.#recorder.entries.filter((entry) => entry.number > this.#seen && this.#isWanted(entry)).length : 0;
  }

  /** Adds what has come since the last time. */
  add() {
    if (this.#isPaused) return;
    const { entries } = this.#recorder;
    this.#append(entries.slice(entries.findLastIndex(({ number }) => number <= this.#seen) + 1));
  }

  /** Fills the list again: for another filter, another language, or when it has been cleared. */
  renew() {
    const until = this.#isPaused ? this.#seen : Infinity;
    this.#list.replaceChildren();
    this.#append(this.#recorder.entries.filter(({ number }) => number <= until));
    this.#autoScroll.goToEnd();
  }

  #append(fresh) {
    if (fresh.length === 0) return this.#autoScroll.keepUp();
    if (!isReadable(fresh)) return this.#readLater();
    this.#seen = Math.max(this.#seen, fresh.at(-1).number);
    // All are read, in order, for what later ones answer; of many only the last are shown.
    const lines = fresh.filter((entry) => this.#isWanted(entry)).slice(-LINES).map((entry) => this.#line(entry));
    this.#list.append(...lines);
    while (this.#list.childElementCount > LINES) this.#dropFirst();
    if (!this.#list.querySelector('[tabindex="0"]')) this.#enterAt(this.#list.lastElementChild?.firstElementChild);
    return this.#autoScroll.keepUp();
  }

  /** Makes the list once what reads its lines is there. More may come meanwhile: it is loaded once. */
  #readLater() {
    this.#loading ??= prepare().then(() => this.renew()).finally(() => { this.#loading = null; });
  }

  #dropFirst() {
    const first = this.#list.firstElementChild;
    this.#opened.delete(this.#entries.get(first).number);
    first.remove();
  }

  #isWanted(entry) {
    const { summary, isHeartbeat } = decode(entry);
    const { text, connection, direction, heartbeats } = this.filter;
    if (isHeartbeat && !heartbeats) return false;
    if (connection && entry.connection !== connection) return false;
    if (direction && entry.direction !== direction) return false;
    if (!text) return true;
    const said = typeof entry.data === 'string' ? entry.data.slice(0, SEARCHED_CHARS) : eventInShort(entry);
    return `${summary} ${entry.kind} ${said}`.toLowerCase().includes(text.toLowerCase());
  }

  #line(entry) {
    const { direction, connection, size, number, isLost } = entry;
    const isEvent = direction === 'event';
    const way = { in: 'wireIn', out: 'wireOut', event: 'wireEventName' }[direction];
    const decodes = decode(entry);
    const summary = isEvent ? eventInShort(entry) : decodes.isBinary ? words('wireBinary') : decodes.summary;
    const isOpen = this.#opened.has(number);
    const button = make(
      'button',
      { type: 'button', tabIndex: -1, attributes: { 'aria-expanded': String(isOpen) } },
      make('span', { className: 'arrow', attributes: { 'aria-hidden': 'true' } }, ARROWS[direction]),
      make('span', { className: 'hidden' }, `${words(way)} `),
      make('span', { className: 'of', title: connection.name }, `#${connection.number}`),
      make('bdi', { className: 'summary' }, `${isLost ? `(${words('wireLost')}) ` : ''}${summary}`),
      make('span', { className: 'size' }, isEvent ? '' : bytes(size)),
      make('time', {}, timeOf(entry)),
    );
    const line = make('li', { dataset: { direction, kind: entry.kind } }, button);
    if (entry.kind === 'close') line.dataset.end = isGoodEnd(entry) ? 'good' : 'bad';
    this.#entries.set(line, entry);
    if (isOpen) this.#open(line);
    return line;
  }

  #toggle(button) {
    const line = button?.closest('li');
    if (!line) return;
    const entry = this.#entries.get(line);
    const isOpen = !this.#opened.delete(entry.number);
    button.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) return this.#close(line);
    this.#opened.add(entry.number);
    this.#open(line);
  }

  async #open(line) {
    const { detailsOf } = await import('./details.js');
    if (this.#details.has(line) || !this.#opened.has(this.#entries.get(line).number)) return;
    const details = detailsOf(this.#entries.get(line));
    this.#details.set(line, details);
    line.append(details);
    line.scrollIntoView({ block: 'nearest' });
    // A line that is opened is read: it stays where it is unless it is the last.
    this.#autoScroll.stay();
  }

  #close(line) {
    this.#details.get(line)?.remove();
    this.#details.delete(line);
  }

  /** The line that the Tab key comes to. */
  #enterAt(target) {
    const button = target?.closest('button');
    if (!button) return;
    for (const other of this.#list.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    button.tabIndex = 0;
  }

  #walk(event) {
    const line = event.target.closest('li');
    const to = {
      ArrowDown: line?.nextElementSibling,
      ArrowUp: line?.previousElementSibling,
      Home: this.#list.firstElementChild,
      End: this.#list.lastElementChild,
    }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    to?.firstElementChild.focus();
  }
}
