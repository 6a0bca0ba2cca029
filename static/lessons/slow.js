// A client that is slower than its room: its queue in the server, and its end.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { bytes, closeCodeInWords } from '../wire/format.js';
import { Drawing, queue } from './chart.js';
import { EventLog, expectation, experimentButton, paragraph } from './parts.js';
import { refusalReason, webSocketUrl } from './scope.js';

const TALK_EVERY_MS = 50;
const TALK_BYTES = 32 * 1024;

export class SlowCard {
  element;
  button;
  #scope;
  #say;
  #log = new EventLog('lesCame', { isLive: true });
  #drawing = new Drawing(190);
  #figures = make('p', { className: 'figures' });
  #points = [];
  #limit = 1024 * 1024;
  #end = null;
  #begun = 0;

  constructor(scope, say) {
    this.#scope = scope;
    this.#say = say;
    this.button = experimentButton('lesSlowTitle', () => this.#run());
    localize(this.#figures, () => words('lesQueueIdle'));
    this.element = make('section', { className: 'card slow' }, localized('h5', {}, () => words('lesSlowTitle')), paragraph('lesSlowText'),
      expectation('lesSlowExpect'), make('div', { className: 'controls' }, this.button),
      make('figure', {}, this.#drawing.element, make('figcaption', {}, this.#figures)), this.#log.element);
    requestAnimationFrame(() => this.#draw());
  }

  async #run() {
    this.button.disabled = true;
    this.#say(null);
    [this.#points, this.#end] = [[], null];
    this.#log.restart();
    const socket = this.#scope.open(webSocketUrl('/lesson/slow'), [], '/lesson/slow');
    const talk = { stop: () => {} };
    let hasOpened = false;
    socket.addEventListener('open', () => { hasOpened = true; });
    socket.addEventListener('message', ({ data }) => this.#received(JSON.parse(data), talk));
    await new Promise((resolve) => { socket.addEventListener('close', resolve); });
    talk.stop();
    if (!hasOpened) this.#say(await refusalReason());
    this.button.disabled = false;
  }

  #received({ event, data }, talk) {
    if (event === 'begun') {
      this.#begun = performance.now();
      this.#limit = data.limit;
      this.#log.add('begun', () => words('lesSlowBegun', data.room, bytes(data.limit)));
      talk.stop = this.#talk(data.room);
    } else if (event === 'queue') {
      this.#points.push({ time: performance.now() - this.#begun, waiting: data.waiting });
      localize(this.#figures, () => words('lesQueue', bytes(data.waiting), bytes(this.#limit), bytes(data.taken)));
    } else if (event === 'ended') {
      talk.stop();
      this.#ended(data);
    }
    this.#draw();
  }

  #ended({ code, reason }) {
    this.#end = () => (code === null ? words('lesCut') : String(code));
    this.#log.add('ended', () => (code === null ? words('lesSlowCut') : `${closeCodeInWords(code)}${reason ? ` · ${reason}` : ''}`), { kind: 'close', isGood: false });
    this.#log.remark(() => words('lesSlowEnded'));
  }

  /** Talks in the slow client's room, faster than it reads. */
  #talk(room) {
    const socket = this.#scope.open(webSocketUrl(`/ws?room=${encodeURIComponent(room)}`), [], '/ws');
    const picture = new Uint8Array(TALK_BYTES);
    const timer = this.#scope.every(TALK_EVERY_MS, () => socket.readyState === WebSocket.OPEN && socket.send(picture));
    this.#log.add('talk', () => words('lesSlowTalk', bytes(TALK_BYTES), 1000 / TALK_EVERY_MS));
    return () => {
      timer.stop();
      socket.close(1000);
    };
  }

  #draw() {
    const names = { limit: words('lesLimit', bytes(this.#limit)) };
    this.#drawing.draw((width, height) => queue({ points: this.#points, limit: this.#limit, end: this.#end?.(), names }, width, height));
  }
}
