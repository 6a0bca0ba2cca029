// Time and sockets for tests that need no browser.

/** A clock that moves when it is told to. */
export class FakeTime {
  #now = 0;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;

  after = (ms, run) => {
    this.#timers.set((this.#last += 1), { at: this.#now + ms, run });
    return this.#last;
  };

  cancel = (timer) => this.#timers.delete(timer);

  get pending() {
    return this.#timers.size;
  }

  /** Lets time pass, and runs what is due in its order; promises that are settled by it go on in between. */
  async pass(ms) {
    const until = this.#now + ms;
    for (;;) {
      await settle();
      const [next] = [...this.#timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      const [timer, { at, run }] = next;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, at);
      run();
    }
    this.#now = until;
    await settle();
  }
}

/** Lets all promises that are settled go on. */
export const settle = () => new Promise((resolve) => { setImmediate(resolve); });

/** A WebSocket whose other side is the test. */
export class FakeSocket extends EventTarget {
  readyState = 0;
  sent = [];
  closed = null;

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed ??= { code };
    this.readyState = 2;
  }

  // What the other side does.

  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
  }

  say(event, data) {
    this.#give({ event, data });
  }

  answer(ack, data) {
    this.#give({ ack, data });
  }

  #give(message) {
    this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) }));
  }

  end(code) {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event('close'), { code }));
  }

  /** The latest request of that name. */
  asked(event) {
    return this.sent.findLast((message) => message.event === event);
  }
}

/** A storage that keeps values as a browser's does. */
export class FakeStore {
  #kept = new Map();

  get(key, fallback = null) {
    return this.#kept.has(key) ? JSON.parse(this.#kept.get(key)) : fallback;
  }

  set(key, value) {
    this.#kept.set(key, JSON.stringify(value));
    return true;
  }
}
