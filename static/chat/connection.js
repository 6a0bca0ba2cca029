// One WebSocket that comes back by itself. Knows nothing of the page.

const LONGEST_WAIT_MS = 15_000;
const STABLE_AFTER_MS = 5_000;

/** How long to wait before try number `tries` (from 0): doubling, with full jitter, bounded. */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 10));
}

/**
 * Opens sockets by `open()`, and calls `on.state(state, { waitMs, code, opened, asked })` with connecting, connected,
 * disconnecting, waiting or disconnected, and `on.text(text)` with each text. `opened` says whether the connection that
 * ended had ever been open, `asked` whether we ended it.
 */
export class Connection {
  #open;
  #on;
  #mayReturn;
  #random;
  #socket = null;
  #leaving = false;
  #tries = 0;
  #timer = 0;

  constructor({ open, on, mayReturn, random = Math.random }) {
    this.#open = open;
    this.#on = on;
    this.#mayReturn = mayReturn;
    this.#random = random;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  get isWanted() {
    return this.#socket !== null || this.#timer !== 0;
  }

  connect() {
    this.#stopWaiting();
    if (this.#socket) return;
    this.#leaving = false;
    this.#on.state('connecting');
    const socket = this.#open();
    this.#socket = socket;
    let opened = false;
    let stable = 0;
    socket.addEventListener('open', () => {
      opened = true;
      stable = setTimeout(() => (this.#tries = 0), STABLE_AFTER_MS);
      this.#on.state('connected');
    });
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket === socket && typeof data === 'string') this.#on.text(data);
    });
    socket.addEventListener('close', (event) => {
      clearTimeout(stable);
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#closed(event.code, opened);
    });
  }

  /** Goes, and does not come back by itself. */
  disconnect() {
    this.#stopWaiting();
    this.#leaving = true;
    if (!this.#socket) return this.#on.state('disconnected', { asked: true });
    // The close event may take a while: until then the other side still has to agree.
    this.#on.state('disconnecting');
    this.#socket.close(1000);
  }

  /** Tries again at once if it was waiting to. */
  hurry() {
    if (this.#timer) this.connect();
  }

  /** Gives the socket up, without waiting for its close, which a dead connection never answers; and connects anew. */
  replace() {
    const socket = this.#socket;
    if (!socket || this.#leaving) return;
    this.#socket = null;
    socket.close();
    this.connect();
  }

  /** Sends, and says whether it could. */
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  #closed(code, opened) {
    if (this.#leaving || !this.#mayReturn(code)) {
      this.#tries = 0;
      this.#on.state('disconnected', { code, opened, asked: this.#leaving });
      return;
    }
    const waitMs = backoff(this.#tries++, this.#random);
    this.#timer = setTimeout(() => this.connect(), waitMs);
    this.#on.state('waiting', { waitMs, code, opened });
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}
