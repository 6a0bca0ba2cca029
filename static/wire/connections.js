// The connections of the page, with their state and their counts.
import { make } from '../dom.js';
import { words } from '../i18n.js';
import { bytes, closeCodeInWords, isGoodEnd } from './format.js';
import { masked } from './secrets.js';

const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];

/** The card of one connection: made once, and written again whenever the connection has changed. */
class Card {
  #connection;
  #parts;
  element;

  constructor(connection) {
    this.#connection = connection;
    const { number, name, url } = connection;
    const { host, pathname, search } = new URL(url);
    const part = (className) => make('span', { className });
    this.#parts = { state: part('state'), facts: part(''), in: part(''), out: part(''), end: part('end') };
    this.element = make('li', {},
      make('div', { className: 'first' }, make('b', {}, `#${number} ${name}`), this.#parts.state),
      make('div', { className: 'mono url', title: url }, `${host}${pathname}${search}`),
      make('div', { className: 'counts' }, this.#parts.in, this.#parts.out, this.#parts.facts),
      this.#parts.end);
  }

  #count(arrow, way, messages, size) {
    return `${arrow} ${words(way)} ${words('wireCount', messages)} ${bytes(size)}`;
  }

  #agreed() {
    const { socket } = this.#connection;
    if (socket.readyState === WebSocket.CONNECTING) return '';
    // Their parameters are in the details of the open event.
    const extensions = socket.extensions.split(',').map((one) => one.split(';')[0].trim()).join(', ');
    return `${masked(socket.protocol) || words('wireNoProtocol')} · ${extensions || words('wireNoExtensions')}`;
  }

  #ended() {
    const { closed } = this.#connection;
    if (!closed) return '';
    return `${closeCodeInWords(closed.code)}${closed.reason ? ` (${closed.reason})` : ''}`;
  }

  write() {
    const { state, facts, end } = this.#parts;
    const { socket, closed, messagesIn, bytesIn, messagesOut, bytesOut } = this.#connection;
    this.element.dataset.state = STATES[socket.readyState];
    state.textContent = words('readyState', socket.readyState);
    facts.textContent = this.#agreed();
    end.textContent = this.#ended();
    end.dataset.end = closed && isGoodEnd(closed) ? 'good' : 'bad';
    this.#parts.in.textContent = this.#count('↓', 'wireIn', messagesIn, bytesIn);
    this.#parts.out.textContent = this.#count('↑', 'wireOut', messagesOut, bytesOut);
  }
}

export class Connections {
  #recorder;
  #cards = new Map();
  #list = make('ul');
  #none = make('p', { className: 'none', dataset: { text: 'wireNoConnection' } });
  element;

  constructor(recorder) {
    this.#recorder = recorder;
    this.element = make('div', {
      className: 'wire-connections', dataset: { label: 'wireConnections' }, attributes: { role: 'group', tabindex: '0' },
    }, this.#list, this.#none);
  }

  /** Writes the cards of `changed`, and puts open ones first, the latest of them before the others. */
  write(changed) {
    const { connections } = this.#recorder;
    for (const connection of this.#cards.keys()) if (!connections.includes(connection)) this.#cards.delete(connection);
    for (const connection of connections) {
      const isNew = !this.#cards.has(connection);
      if (isNew) this.#cards.set(connection, new Card(connection));
      if (isNew || changed.has(connection)) this.#cards.get(connection).write();
    }
    const rank = ({ number, closed }) => (closed ? 0 : 1e9) + number;
    const wanted = [...connections].sort((one, other) => rank(other) - rank(one)).map((one) => this.#cards.get(one).element);
    const isSame = wanted.length === this.#list.childElementCount && wanted.every((card, at) => card === this.#list.children[at]);
    if (!isSame) this.#list.replaceChildren(...wanted);
    this.#none.hidden = connections.length > 0;
  }
}
