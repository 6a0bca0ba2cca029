// What the panel of the wire shows, and what can be done with it. Loaded when the panel is first open.
import '../words/wire.js';
import { make } from '../dom.js';
import { localize, onLanguage, translate, words } from '../i18n.js';
import { Connections } from './connections.js';
import { List } from './list.js';

const PING_EVERY_MS = 10_000;
/** Less than that: a measurement that is overtaken by the next one says nothing. */
const PING_PATIENCE_MS = 8_000;

/** A button that does not stand out; `dataset` says what it says. */
const quiet = (click, dataset) => make('button', { type: 'button', className: 'quiet', dataset, on: { click } });

/** Fills `root`; `ping()` gives a promise of the milliseconds of a round trip. */
export class Panel {
  #root;
  #recorder;
  #ping;
  #list;
  #connections;
  #changed = new Set();
  #frame = 0;
  /** Milliseconds, or the key of the words that say why there are none, or null before the first measurement. */
  #roundTrip = null;
  #measurement = 0;
  #parts = {};
  #silence = 0;

  constructor(root, recorder, ping) {
    this.#root = root;
    this.#recorder = recorder;
    this.#ping = ping;
    this.#connections = new Connections(recorder);
    this.#build();
    recorder.addEventListener('entry', () => this.#soon());
    recorder.addEventListener('state', ({ detail }) => this.#soon(detail));
    // A figure is measured again when a connection ends, and "not connected" when one opens.
    recorder.addEventListener('entry', ({ detail: { kind } }) => {
      if (kind === (typeof this.#roundTrip === 'string' ? 'open' : 'close')) this.#measureSoon();
    });
    recorder.addEventListener('cleared', () => this.#renew());
    // After the page has said its other words again.
    onLanguage(() => queueMicrotask(() => this.#renew()));
    setInterval(() => this.#isSeen() && this.#measure(), PING_EVERY_MS);
    this.#soon();
  }

  #build() {
    const parts = this.#parts;
    const lines = make('ol');
    parts.none = make('p', { className: 'none', dataset: { text: 'wireEmpty' } });
    parts.box = make('div', {
      className: 'wire-list', dataset: { label: 'wireList' }, attributes: { role: 'region', 'aria-describedby': 'wire-help' },
    }, lines, parts.none);
    parts.toEnd = make('button', { type: 'button', className: 'wire-end', hidden: true, dataset: { text: 'wireToEnd' } });
    this.#list = new List(this.#recorder, { box: parts.box, list: lines, toEnd: parts.toEnd });
    this.#root.append(this.#head(), this.#connections.element, this.#tools(),
      make('p', { className: 'hidden', id: 'wire-help', dataset: { text: 'wireListHelp' } }),
      make('div', { className: 'wire-body' }, parts.box, parts.toEnd));
    translate(this.#root);
  }

  #head() {
    // An output is a live region of its own accord; a figure every ten seconds is not worth saying.
    this.#parts.roundTrip = make('output', { className: 'mono', attributes: { 'aria-live': 'off' } });
    localize(this.#parts.roundTrip, () => this.#roundTripInWords());
    const label = make('span', { dataset: { text: 'wireRoundTrip' } });
    const ping = quiet(() => this.#measure(), { text: 'wirePing', title: 'wirePingTitle' });
    return make('div', { className: 'wire-head' }, make('h2', { dataset: { text: 'wire' } }),
      make('span', { className: 'trip' }, label, this.#parts.roundTrip, ping));
  }

  #tools() {
    const parts = this.#parts;
    const { filter } = this.#list;
    const refilter = (change) => ({ target }) => {
      change(target);
      this.#renew();
    };
    const input = (type, dataset, change) => make('input', { type, dataset, on: { input: refilter(change) } });
    const select = (label, change, ...choices) => make('select', { dataset: { label }, on: { change: refilter(change) } },
      ...choices.map(([value, text]) => make('option', { value, dataset: { text } })));
    const text = input('search', { placeholder: 'wireFilter', label: 'wireFilter' }, ({ value }) => { filter.text = value.trim(); });
    parts.connection = select('wireConnection', ({ value }) => { filter.connection = this.#chosen(value); });
    const direction = select('wireDirection', ({ value }) => { filter.direction = value; },
      ['', 'wireBoth'], ['in', 'wireOnlyIn'], ['out', 'wireOnlyOut'], ['event', 'wireOnlyEvents']);
    const heartbeats = make('label', { dataset: { title: 'wireHeartbeatsTitle' } },
      input('checkbox', {}, ({ checked }) => { filter.heartbeats = checked; }), make('span', { dataset: { text: 'wireHeartbeats' } }));
    parts.pause = quiet(() => this.#pause());
    localize(parts.pause, () => words(...(this.#list.isPaused ? ['wireResume', this.#list.waiting] : ['wirePause'])));
    parts.copied = make('span', { className: 'wire-copied', attributes: { role: 'status' } });
    return make('div', { className: 'wire-tools' }, text, parts.connection, direction, heartbeats, parts.pause,
      quiet(() => this.#recorder.clear(), { text: 'wireClear' }),
      quiet(() => this.#copy(), { text: 'wireCopy', title: 'wireCopyTitle' }), parts.copied);
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
    this.#parts.none.hidden = !this.#list.isEmpty;
  }

  #writeChoices() {
    const { connection: select } = this.#parts;
    const latestFirst = this.#recorder.connections.toReversed();
    const choices = [['', words('wireAllConnections')], ...latestFirst.map((one) => [String(one.number), `#${one.number} ${one.name} · ${words('readyStateName', one.socket.readyState)}`])];
    const isSame = choices.length === select.length && choices.every(([, text], at) => text === select.options[at].text);
    if (isSame) return;
    const { value } = select;
    select.replaceChildren(...choices.map(([number, text]) => make('option', { value: number, textContent: text })));
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
    this.#parts.pause.textContent = words(this.#list.isPaused ? 'wireResume' : 'wirePause');
    this.#soon();
  }

  #roundTripInWords() {
    if (typeof this.#roundTrip === 'string') return words(this.#roundTrip);
    return this.#roundTrip === null ? '–' : words('wireMs', this.#roundTrip);
  }

  /** Once the page has dealt with what has happened. */
  #measureSoon() {
    setTimeout(() => this.#isSeen() && this.#measure());
  }

  async #measure() {
    const measurement = (this.#measurement += 1);
    const late = new Promise((resolve) => { setTimeout(resolve, PING_PATIENCE_MS, 'wireNoAnswer'); });
    let outcome;
    try {
      outcome = await Promise.race([this.#ping(), late]) ?? 'wireNoAnswer';
    } catch ({ code }) {
      outcome = { disconnected: 'wireNotConnected', timeout: 'wireNoAnswer' }[code] ?? null;
    }
    // A later measurement knows better.
    if (measurement !== this.#measurement) return;
    this.#roundTrip = outcome;
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
    localize(this.#parts.copied, () => words(key));
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => localize(this.#parts.copied, () => ''), 3000);
  }
}
