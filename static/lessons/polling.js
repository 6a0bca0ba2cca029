// The third lesson: news that a timer polls and that a WebSocket pushes, counted and drawn.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { bytes } from '../wire/format.js';
import { Drawing, animate, lanes } from './chart.js';
import { NewsRace } from './news.js';
import { button, expectation, notice, paragraph } from './parts.js';
import { fetchLimits, refusalReason, webSocketUrl } from './scope.js';

const SPAN_MS = 24_000;
const FIRST_PERIOD_S = 3;

const time = (ms) => (Number.isNaN(ms) ? '–' : words('lesTime', ms));

class PollingLesson {
  #scope;
  #race = null;
  #begun = 0;
  #period;
  #said = notice();
  #cells = {};
  #summary;
  #drawing = new Drawing(200);
  #button;

  constructor(root, scope) {
    this.#scope = scope;
    this.#button = button('lesStart', () => (this.#race ? this.#stop() : this.#start()));
    localize(this.#button, () => words(this.#race ? 'lesStop' : 'lesStart'));
    this.#summary = localized('p', { className: 'summary' }, () => this.#inWords());
    const figure = make('figure', { className: 'card' }, this.#drawing.element,
      make('figcaption', {}, localized('p', { className: 'soft' }, () => words('lesLanes')), this.#summary));
    root.append(paragraph('lesPollingText'), expectation('lesPollingExpect'), this.#said.element,
      make('div', { className: 'controls' }, this.#button, this.#slider()), figure, this.#table(), paragraph('lesEstimate', 'soft'));
    animate(scope, () => this.#race && this.#draw());
    this.#draw();
    fetchLimits().then(({ lessons }) => lessons === false && this.#refused('lesOff'));
  }

  #slider() {
    this.#period = make('input', { type: 'range', min: 0.5, max: 10, step: 0.5, value: FIRST_PERIOD_S });
    const output = localized('output', { className: 'mono' }, () => words('lesSeconds', Number(this.#period.value)));
    this.#period.addEventListener('input', () => {
      output.textContent = words('lesSeconds', Number(this.#period.value));
      if (this.#race) this.#race.period = this.#period.value * 1000;
    });
    return make('label', { className: 'slider' }, localized('span', {}, () => words('lesPeriod')), this.#period, output);
  }

  #table() {
    const head = ['', 'lesByPolling', 'lesByPush'].map((key) => (key ? localized('th', { scope: 'col' }, () => words(key)) : make('td')));
    const rows = ['lesRequests', 'lesMessages', 'lesTraffic', 'lesMean', 'lesWorst'].map((key) => {
      this.#cells[key] = [make('td'), make('td')];
      return make('tr', {}, localized('th', { scope: 'row' }, () => words(key)), ...this.#cells[key]);
    });
    const table = make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows));
    for (const cells of Object.values(this.#cells)) cells.forEach((cell) => localize(cell, () => cell.textContent || '–'));
    return make('div', { className: 'card table' }, table);
  }

  #start() {
    this.#said.say(null);
    this.#begun = Date.now();
    this.#race = new NewsRace(this.#scope, webSocketUrl('/lesson/news'), this.#period.value * 1000, {
      changed: () => this.#write(),
      failed: async () => {
        this.#stop();
        this.#refused(await refusalReason());
      },
    });
    localize(this.#button, () => words(this.#race ? 'lesStop' : 'lesStart'));
    this.#write();
  }

  #stop() {
    this.#write();
    this.#draw();
    this.#race?.stop();
    this.#race = null;
    localize(this.#button, () => words('lesStart'));
  }

  #refused(key) {
    this.#said.say(key);
    this.#button.disabled = key === 'lesOff';
  }

  #write() {
    const { poll, push } = this.#race;
    const set = (key, of) => [poll, push].forEach((tally, at) => localize(this.#cells[key][at], () => of(tally)));
    set('lesRequests', ({ requests, empty }) => (empty ? words('lesOfThemEmpty', requests, empty) : String(requests)));
    set('lesMessages', ({ delays }) => String(delays.length));
    set('lesTraffic', (tally) => `≈ ${bytes(tally.bytes)}`);
    set('lesMean', ({ mean }) => time(mean));
    set('lesWorst', ({ worst }) => time(worst));
    const seconds = Math.round((Date.now() - this.#begun) / 1000);
    localize(this.#summary, () => this.#inWords(poll, push, seconds));
  }

  #inWords(poll, push, seconds) {
    if (!poll) return words('lesNotBegun');
    if (poll.delays.length === 0 || push.delays.length === 0) return words('lesNoNewsYet');
    return words('lesSummary', {
      seconds, requests: poll.requests, empty: poll.empty, pollBytes: bytes(poll.bytes), pollMean: time(poll.mean),
      pollWorst: time(poll.worst), pushBytes: bytes(push.bytes), pushMean: time(push.mean), pushWorst: time(push.worst),
    });
  }

  #draw() {
    const { news = [], requests = [] } = this.#race ?? {};
    const now = Date.now();
    const isRecent = (moment) => now - moment < SPAN_MS;
    const names = { push: words('lesLanePush'), news: words('lesLaneNews'), poll: words('lesLanePoll') };
    this.#drawing.draw((width) => lanes({
      now, span: SPAN_MS, names, news: news.filter(({ at }) => isRecent(at)), requests: requests.filter(({ time: at }) => isRecent(at)),
    }, width));
  }
}

export const mountPolling = (root, scope) => new PollingLesson(root, scope);
