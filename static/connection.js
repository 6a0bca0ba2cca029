// One WebSocket that comes back by itself. Knows nothing of the page.

const LONGEST_WAIT_MS = 15_000;
const STABLE_AFTER_MS = 5_000;

/** How long to wait before try number `tries` (from 0): doubling, with full jitter, bounded. */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 10));
}

/**
 * Calls `on.state(state, { waitMs, code, opened, asked })` with connecting, connected, disconnecting, waiting or
 * disconnected; `on.event(event)` with each of the four events of the socket; `on.text(text)` with each text.
 * `opened` says whether the connection that ended had ever been open, `asked` whether we ended it.
 */
export class Connection {
  #url;
  #on;
  #mayReturn;
  #Socket;
  #random;
  #socket = null;
  #leaving = false;
  #tries = 0;
  #timer = 0;

  constructor({ url, on, mayReturn, Socket = WebSocket, random = Math.random }) {
    if (!url || !on || !mayReturn) throw new TypeError('url, on and mayReturn are needed');
    this.#url = url;
    this.#on = on;
    this.#mayReturn = mayReturn;
    this.#Socket = Socket;
    this.#random = random;
  }

  get isOpen() {
    return this.#socket?.readyState === this.#Socket.OPEN;
  }

  get isWanted() {
    return this.#socket !== null || this.#timer !== 0;
  }

  connect() {
    this.#stopWaiting();
    if (this.#socket) return;
    this.#leaving = false;
    this.#on.state('connecting');
    const socket = new this.#Socket(this.#url);
    this.#socket = socket;
    let opened = false;
    let stable = 0;
    socket.addEventListener('open', (event) => {
      opened = true;
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
