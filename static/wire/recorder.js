// Keeps what passes over connections, for the panel that shows it. Bounded: the oldest entries go. Readers get it
// without its secrets.
import { masked } from './secrets.js';

const KEPT = 1000;
const KEPT_BYTES = 4 * 1024 * 1024;
const KEPT_CONNECTIONS = 20;
const encoder = new TextEncoder();

/** Bytes of what a socket sends or gets. */
export function sizeOf(data) {
  if (typeof data === 'string') return encoder.encode(data).length;
  return data.byteLength ?? data.size ?? 0;
}

/** What passed. Its text is masked when it is first read: most are never looked at. */
class Entry {
  #data;
  #isMasked;

  constructor({ data, reason, ...rest }) {
    this.#data = data;
    this.#isMasked = typeof data !== 'string';
    Object.assign(this, rest);
    if (reason !== undefined) this.reason = masked(reason);
  }

  get data() {
    if (!this.#isMasked) this.#data = masked(this.#data);
    this.#isMasked = true;
    return this.#data;
  }
}

/**
 * Entries `{ number, at, connection, direction, kind, size, data, code, reason, wasClean, isLost }`: `direction` is `in`,
 * `out` or `event`; `kind` one of the four events (`open`, `message`, `error`, `close`), `send`, or `create` when a socket
 * is made; `isLost` says that a message was sent when its connection was over already. Secrets in `data`, `reason`, `url`
 * and `protocols` are masked.
 * Fires `entry` (detail: the entry), `cleared`, and `state` (detail: the connection) when a connection's state may have
 * changed.
 */
export class Recorder extends EventTarget {
  entries = [];
  /**
   * What has been opened, the latest last: `{ number, name, url, protocols, socket, closed, bytesIn, bytesOut, messagesIn,
   * messagesOut }`, where `closed` is the entry of its end.
   */
  connections = [];
  #bytes = 0;
  #number = 0;
  #opened = 0;

  /** Opens a WebSocket whose traffic is kept. `name` says whose it is. */
  open(url, protocols = [], name = '') {
    const recorder = this;
    const connection = {
      name: masked(name), url: '', protocols: [protocols].flat().map(masked), socket: null, closed: null,
      bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0,
    };
    class RecordedSocket extends WebSocket {
      send(data) {
        super.send(data);
        recorder.#note(connection, { direction: 'out', kind: 'send', data, isLost: this.readyState > WebSocket.OPEN });
      }

      close(...args) {
        super.close(...args);
        recorder.#changed(connection);
      }
    }
    const socket = new RecordedSocket(url, protocols);
    connection.socket = socket;
    connection.url = masked(socket.url);
    connection.number = this.#opened += 1;
    this.#keep(connection);
    this.#note(connection, { direction: 'event', kind: 'create' });
    socket.addEventListener('open', () => this.#note(connection, { direction: 'event', kind: 'open' }));
    socket.addEventListener('message', ({ data }) => this.#note(connection, { direction: 'in', kind: 'message', data }));
    socket.addEventListener('error', () => this.#note(connection, { direction: 'event', kind: 'error' }));
    socket.addEventListener('close', ({ code, reason, wasClean }) => {
      this.#note(connection, { direction: 'event', kind: 'close', code, reason, wasClean });
    });
    return socket;
  }

  clear() {
    this.entries = [];
    this.#bytes = 0;
    this.dispatchEvent(new CustomEvent('cleared'));
  }

  /** Adds a connection; of too many, those that are over go first. */
  #keep(connection) {
    this.connections.push(connection);
    if (this.connections.length <= KEPT_CONNECTIONS) return;
    const over = this.connections.findIndex(({ closed }) => closed);
    this.connections.splice(Math.max(over, 0), 1);
  }

  #changed(connection) {
    this.dispatchEvent(new CustomEvent('state', { detail: connection }));
  }

  #note(connection, what) {
    const size = what.data === undefined ? 0 : sizeOf(what.data);
    const entry = new Entry({ number: (this.#number += 1), at: Date.now(), connection, size, ...what });
    if (what.kind === 'close') connection.closed = entry;
    if (what.direction === 'in') {
      connection.bytesIn += size;
      connection.messagesIn += 1;
    } else if (what.direction === 'out' && !what.isLost) {
      connection.bytesOut += size;
      connection.messagesOut += 1;
    }
    this.entries.push(entry);
    this.#bytes += size;
    while (this.entries.length > KEPT || (this.#bytes > KEPT_BYTES && this.entries.length > 1)) {
      this.#bytes -= this.entries.shift().size;
    }
    this.dispatchEvent(new CustomEvent('entry', { detail: entry }));
    this.#changed(connection);
  }
}
