// The panel that shows what passes on the wire.
import '../words/wire.js';
import { make, told } from '../dom.js';
import { onLanguage, tell, words } from '../i18n.js';
import { Connections, stateOf } from './connections.js';
import { List } from './list.js';

const PING_EVERY_MS = 10_000;
const PING_PATIENCE_MS = 10_000;

class Panel {
  #root;
  #recorder;
  #ping;
  #list;
  #connections;
  #changed = new Set();
  #frame = 0;
  #roundTrip = null;
  #isPinging = false;
  #parts = {};

  constructor(root, recorder, ping) {
    this.#root = root;
    this.#recorder = recorder;
    this.#ping = ping;
    this.#connections = new Connections(recorder);
    this.#build();
    recorder.addEventListener('entry', () => this.#soon());
    recorder.addEventListener('state', ({ detail }) => this.#soon(detail));
    recorder.addEventListener('cleared', () => this.#renew());
    // After the page has said its other words again.
    onLanguage(() => queueMicrotask(() => this.#renew()));
    setInterval(() => this.#isSeen() && this.#measure(), PING_EVERY_MS);
    this.#soon();
  }

  #build() {
    const parts = this.#parts;
    parts.lines = make('ol');
    parts.box = make('div', { className: 'wire-list', attributes: { role: 'region' } },
      parts.lines, told('p', { className: 'none' }, () => words('wireEmpty')));
    tell(parts.box, () => words('wireList'), 'aria-label');
    parts.toEnd = told('button', { type: 'button', className: 'wire-end', hidden: true }, () => words('wireToEnd'));
    this.#list = new List(this.#recorder, { box: parts.box, list: parts.lines, toEnd: parts.toEnd });
    const help = told('p', { className: 'hidden', id: 'wire-help' }, () => words('wireListHelp'));
    parts.box.setAttribute('aria-describedby', 'wire-help');
    this.#root.append(this.#head(), this.#connections.element, this.#tools(), help,
      make('div', { className: 'wire-body' }, parts.box, parts.toEnd));
  }

  #head() {
    this.#parts.roundTrip = told('output', { className: 'mono' }, () => this.#roundTripInWords());
    // An output is a live region of its own accord; a figure every ten seconds is not worth saying.
    this.#parts.roundTrip.setAttribute('aria-live', 'off');
    const ping = told('button', { type: 'button', className: 'quiet', on: { click: () => this.#measure() } }, () => words('wirePing'));
    tell(ping, () => words('wirePingTitle'), 'title');
    const label = told('span', {}, () => words('wireRoundTrip'));
    return make('div', { className: 'wire-head' }, told('h2', {}, () => words('wire')),
      make('span', { className: 'trip' }, label, this.#parts.roundTrip, ping));
  }

  #tools() {
    const parts = this.#parts;
    const { filter } = this.#list;
    const refilter = (change) => ({ target }) => {
      change(target);
      this.#list.renew();
      this.#soon();
    };
    parts.text = make('input', { type: 'search', on: { input: refilter(({ value }) => { filter.text = value.trim(); }) } });
    for (const name of ['placeholder', 'aria-label']) tell(parts.text, () => words('wireFilter'), name);
    parts.connection = make('select', { on: { change: refilter(({ value }) => { filter.connection = this.#chosen(value); }) } });
    tell(parts.connection, () => words('wireConnection'), 'aria-label');
    const choice = (value, key) => told('option', { value }, () => words(key));
    parts.direction = make('select', { on: { change: refilter(({ value }) => { filter.direction = value; }) } },
      choice('', 'wireBoth'), choice('in', 'wireOnlyIn'), choice('out', 'wireOnlyOut'), choice('event', 'wireOnlyEvents'));
    tell(parts.direction, () => words('wireDirection'), 'aria-label');
    const heartbeats = make('input', { type: 'checkbox', on: { change: refilter(({ checked }) => { filter.heartbeats = checked; }) } });
    const label = make('label', {}, heartbeats, told('span', {}, () => words('wireHeartbeats')));
    tell(label, () => words('wireHeartbeatsTitle'), 'title');
    return make('div', { className: 'wire-tools' }, parts.text, parts.connection, parts.direction, label, ...this.#buttons());
  }

  #buttons() {
    const parts = this.#parts;
    const quiet = (click, key) => told('button', { type: 'button', className: 'quiet', on: { click } }, () => words(key));
    parts.pause = quiet(() => this.#pause(), 'wirePause');
    tell(parts.pause, () => (this.#list.isPaused ? words('wireResume', this.#list.waiting) : words('wirePause')));
    const clear = quiet(() => this.#recorder.clear(), 'wireClear');
    const copy = quiet(() => this.#copy(), 'wireCopy');
    tell(copy, () => words('wireCopyTitle'), 'title');
    parts.copied = make('span', { className: 'wire-copied', attributes: { role: 'status' } });
    return [parts.pause, clear, copy, parts.copied];
  }

  #isSeen() {
    return !this.#root.hidden && document.visibilityState === 'visible';
  }

  /** Writes what has changed with the next frame, however much it is. */
  #soon(connection) {
    if (connection) this.#changed.add(connection);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#write();
    });
  }

  #write() {
    this.#connections.write(this.#changed);
    this.#changed.clear();
    this.#list.add();
    this.#writeChoices();
    if (this.#list.isPaused) this.#parts.pause.textContent = words('wireResume', this.#list.waiting);
    this.#parts.box.lastElementChild.hidden = this.#parts.lines.childElementCount > 0;
  }

  #writeChoices() {
    const { connection: select } = this.#parts;
    const { connections } = this.#recorder;
    const choices = [['', words('wireAllConnections')]];
    for (const one of [...connections].reverse()) choices.push([String(one.number), `#${one.number} ${one.name} ${stateOf(one)}`]);
    const known = [...select.options].map(({ value, text }) => `${value} ${text}`).join('\n');
    if (known === choices.map(([value, text]) => `${value} ${text}`).join('\n')) return;
    const { value } = select;
    select.replaceChildren(...choices.map(([number, text]) => make('option', { value: number }, text)));
    select.value = choices.some(([number]) => number === value) ? value : '';
    if (select.value === value) return;
    // The chosen connection is no longer kept.
    this.#list.filter.connection = null;
    this.#list.renew();
  }

  #chosen(value) {
    return this.#recorder.connections.find(({ number }) => String(number) === value) ?? null;
  }

  #renew() {
    this.#recorder.connections.forEach((connection) => this.#changed.add(connection));
    this.#list.renew();
    this.#soon();
  }

  #pause() {
    this.#list.isPaused = !this.#list.isPaused;
    this.#parts.pause.setAttribute('aria-pressed', String(this.#list.isPaused));
    this.#parts.pause.textContent = words(this.#list.isPaused ? 'wireResume' : 'wirePause', 0);
    this.#soon();
  }

  #roundTripInWords() {
    if (this.#roundTrip === null) return '–';
    return Number.isNaN(this.#roundTrip) ? words('wireNoAnswer') : words('wireMs', this.#roundTrip);
  }

  async #measure() {
    if (this.#isPinging) return;
    this.#isPinging = true;
    const late = new Promise((resolve) => { setTimeout(resolve, PING_PATIENCE_MS, NaN); });
    try {
      this.#roundTrip = await Promise.race([this.#ping(), late]) ?? NaN;
    } catch {
      this.#roundTrip = NaN;
    }
    this.#isPinging = false;
    this.#parts.roundTrip.textContent = this.#roundTripInWords();
  }

  /** The program of the chosen connection, or of the latest that is open. */
  async #copy() {
    const { connections, entries } = this.#recorder;
    const connection = this.#list.filter.connection ?? connections.findLast(({ closed }) => !closed) ?? connections.at(-1);
    if (!connection) return this.#say('wireNothingToCopy');
    const { copy } = await import('./export.js');
    if (await copy(this.#root, connection, entries)) this.#say('wireCopied');
  }

  #say(key) {
    this.#parts.copied.textContent = words(key);
    setTimeout(() => { this.#parts.copied.textContent = ''; }, 3000);
  }
}

/** Fills `element` with the panel; `ping()` gives a promise of the milliseconds of a round trip. */
export function mountWire(element, { recorder, ping }) {
  new Panel(element, recorder, ping);
}
