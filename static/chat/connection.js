// One WebSocket that reconnects by itself, and notices when its path is dead. It knows nothing of the page.

const LONGEST_WAIT_MS = 15_000;
const STABLE_AFTER_MS = 5_000;
/** `readyState` of a socket that is open. */
const OPEN = 1;

/** The clock and the timers of the browser; tests bring their own. */
export const REAL_TIME = {
  now: () => performance.now(),
  after: (ms, run) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer),
};

/** The wait before try number `tries` (from 0): exponential backoff with full jitter, bounded. */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 10));
}

/**
 * Opens WebSockets by `open()`, and calls `on.state(state, { waitMs, code, opened, asked, failures })` with connecting,
 * connected, disconnecting, waiting or disconnected, `on.text(text)` with each text, and `on.quiet()` when nothing has come
 * for `quietMs`. `opened` says whether the connection that ended had ever been open, `failures` how many in a row were not,
 * `asked` whether we ended it. A handshake that is not answered within `openMs` has failed.
 */
export class Connection {
  #open;
  #on;
  #mayReconnect;
  #random;
  #time;
  #quietMs;
  #openMs;
  #socket = null;
  #isClosing = false;
  #tries = 0;
  #failures = 0;
  #heardAt = 0;
  /** Runs until the next try, while the state is `waiting`. */
  #timer = null;
  /** Limits the handshake; then runs until the connection counts as stable. */
  #phase = null;
  #quiet = null;

  constructor({ open, on, mayReconnect, quietMs = 25_000, openMs = 15_000, random = Math.random, time = REAL_TIME }) {
    this.#open = open;
    this.#on = on;
    this.#mayReconnect = mayReconnect;
    this.#quietMs = quietMs;
    this.#openMs = openMs;
    this.#random = random;
    this.#time = time;
  }

  get isOpen() {
    return !this.#isClosing && this.#socket?.readyState === OPEN;
  }

  /** Connects, unless there is a connection or one is being opened. One that is closing is left to itself. */
  connect() {
    this.#stopWaiting();
    if (this.#socket && !this.#isClosing) return;
    this.#release();
    this.#isClosing = false;
    this.#on.state('connecting');
    const socket = this.#open();
    this.#socket = socket;
    this.#phase = this.#time.after(this.#openMs, () => this.#fail(socket));
    socket.addEventListener('open', () => this.#socket === socket && this.#opened());
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket || this.#isClosing) return;
      this.#heardAt = this.#time.now();
      if (typeof data === 'string') this.#on.text(data);
    });
    socket.addEventListener('close', ({ code }) => this.#socket === socket && this.#ended(code));
  }

  /** Closes the connection after what was sent, and does not reconnect. */
  disconnect() {
    this.#stopWaiting();
    this.#isClosing = true;
    this.#stopTimers();
    if (!this.#socket) return this.#on.state('disconnected', { asked: true });
    // The close event may take a while: until then the other side still has to agree.
    this.#on.state('disconnecting');
    return this.#socket?.close(1000);
  }

  /** Tries at once if it waits for the next try. */
  connectNow() {
    if (this.#timer !== null) this.connect();
  }

  /** Drops the WebSocket without waiting for its close event, which a dead path delays, and opens another one. */
  replace() {
    if (!this.#socket || this.#isClosing) return;
    this.#release()?.close();
    this.connect();
  }

  /** Sends a text; gives whether there was a connection for it. */
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  #opened() {
    if (this.#isClosing) return;
    this.#time.cancel(this.#phase);
    this.#failures = 0;
    this.#phase = this.#time.after(STABLE_AFTER_MS, () => (this.#tries = 0));
    this.#isUp = true;
    this.#heardAt = this.#time.now();
    this.#watch();
    this.#on.state('connected');
  }

  #isUp = false;

  /** One timer for any number of texts: when it fires it looks when the last one came. */
  #watch() {
    const left = this.#heardAt + this.#quietMs - this.#time.now();
    this.#quiet = this.#time.after(Math.max(left, 1), () => {
      if (this.#time.now() - this.#heardAt >= this.#quietMs) {
        this.#heardAt = this.#time.now();
        this.#on.quiet?.();
      }
      // The callback may have ended the connection.
      if (this.#quiet !== null) this.#watch();
    });
  }

  /** The handshake was not answered in time. */
  #fail(socket) {
    if (this.#socket !== socket) return;
    socket.close();
    this.#ended(1006);
  }

  /** Forgets the WebSocket, so that its events are ignored, and gives it back. */
  #release() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isUp = false;
    this.#stopTimers();
    return socket;
  }

  #ended(code) {
    const opened = this.#isUp;
    this.#release();
    if (this.#isClosing || !this.#mayReconnect(code)) {
      this.#tries = 0;
      this.#on.state('disconnected', { code, opened, asked: this.#isClosing });
      return;
    }
    if (!opened) this.#failures += 1;
    const waitMs = backoff(this.#tries++, this.#random);
    this.#timer = this.#time.after(waitMs, () => this.connect());
    this.#on.state('waiting', { waitMs, code, opened, failures: this.#failures });
  }

  #stopTimers() {
    this.#time.cancel(this.#phase);
    this.#time.cancel(this.#quiet);
    this.#phase = null;
    this.#quiet = null;
  }

  #stopWaiting() {
    if (this.#timer !== null) this.#time.cancel(this.#timer);
    this.#timer = null;
  }
}
