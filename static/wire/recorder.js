// Keeps what passes over connections, for the panel that shows it. Bounded: the oldest entries go.

const KEPT = 1000;
const KEPT_BYTES = 4 * 1024 * 1024;
const encoder = new TextEncoder();

/** Bytes of what a socket sends or gets. */
function sizeOf(data) {
  if (typeof data === 'string') return encoder.encode(data).length;
  return data.byteLength ?? data.size ?? 0;
}

/**
 * Entries `{ number, at, connection, direction, kind, size, data, code, reason, wasClean }`: `direction` is `in`, `out` or
 * `event`; `kind` one of the four events (`open`, `message`, `error`, `close`), `send`, or `create` when a socket is made.
 * Fires `entry` (detail: the entry), `cleared`, and `state` (detail: the connection) when a connection's state may have
 * changed.
 */
export class Recorder extends EventTarget {
  entries = [];
  /** What has been opened: `{ name, url, socket, bytesIn, bytesOut, messagesIn, messagesOut }`, the latest last. */
  connections = [];
  #bytes = 0;
  #number = 0;

  /** Opens a WebSocket whose traffic is kept. `name` says whose it is. */
  open(url, protocols = [], name = '') {
    const recorder = this;
    const connection = { name, url: String(url), socket: null, bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };
    class RecordedSocket extends WebSocket {
      send(data) {
        super.send(data);
        recorder.#note(connection, { direction: 'out', kind: 'send', data });
      }
    }
    const socket = new RecordedSocket(url, protocols);
    connection.socket = socket;
    this.connections.push(connection);
    if (this.connections.length > 20) this.connections.shift();
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

  #note(connection, what) {
    const size = what.data === undefined ? 0 : sizeOf(what.data);
    const entry = { number: (this.#number += 1), at: Date.now(), connection, size, ...what };
    if (what.direction === 'in') {
      connection.bytesIn += size;
      connection.messagesIn += 1;
    } else if (what.direction === 'out') {
      connection.bytesOut += size;
      connection.messagesOut += 1;
    }
    this.entries.push(entry);
    this.#bytes += size;
    while (this.entries.length > KEPT || (this.#bytes > KEPT_BYTES && this.entries.length > 1)) {
      this.#bytes -= this.entries.shift().size;
    }
    this.dispatchEvent(new CustomEvent('entry', { detail: entry }));
    this.dispatchEvent(new CustomEvent('state', { detail: connection }));
  }
}
