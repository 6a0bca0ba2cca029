// One WebSocket that comes back by itself. Knows nothing of the page.

const LONGEST_WAIT_MS = 15_000;
const STABLE_AFTER_MS = 5_000;

/** How long to wait before try number `tries` (from 0): doubling, with full jitter, bounded. */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 10));
}

/**
 * Calls `on.state(state, waitMs)` with connecting, connected, waiting or disconnected; `on.event(event)` with each of
 * the four events of the socket; `on.text(text)` with each text.
 */
export class Connection {
  #url;
  #on;
  #mayReturn;
  #socket = null;
  #tries = 0;
  #timer = 0;

  constructor({ url, on, mayReturn }) {
    if (!url || !on || !mayReturn) throw new TypeError('url, on and mayReturn are needed');
    this.#url = url;
    this.#on = on;
    this.#mayReturn = mayReturn;
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
    this.#on.state('connecting');
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    let stable = 0;
    socket.addEventListener('open', (event) => {
      stable = setTimeout(() => (this.#tries = 0), STABLE_AFTER_MS);
      this.#on.state('connected');
      this.#on.event(event);
    });
    socket.addEventListener('message', (event) => {
      this.#on.event(event);
      if (typeof event.data === 'string') this.#on.text(event.data);
    });
    socket.addEventListener('error', (event) => this.#on.event(event));
    socket.addEventListener('close', (event) => {
      clearTimeout(stable);
      this.#socket = null;
      this.#on.event(event);
      this.#closed(event);
    });
  }

  /** Goes, and does not come back by itself. */
  disconnect() {
    const socket = this.#socket;
    if (socket) {
      socket.wanted = false;
      socket.close(1000);
    } else {
      this.#stopWaiting();
      this.#on.state('disconnected');
    }
  }

  /** Tries again at once if it was waiting to. */
  hurry() {
    if (this.#timer) this.connect();
  }

  /** Sends, and says whether it could. */
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  #closed(event) {
    if (event.target.wanted === false || !this.#mayReturn(event.code)) {
      this.#on.state('disconnected');
      return;
    }
    const wait = backoff(this.#tries++);
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#on.state('waiting', wait);
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }
}
