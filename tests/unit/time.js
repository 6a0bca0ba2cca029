// A clock that a test moves, and its timers.
export class FakeTime {
  now = 0;
  #timers = new Map();
  #last = 0;

  setTimeout = (call, ms) => {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.now + ms, call });
    return this.#last;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  /** Lets `ms` pass; timers fire in their order. */
  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      const [id, { at, call }] = next;
      this.#timers.delete(id);
      this.now = at;
      call();
    }
    this.now = until;
  }
}
