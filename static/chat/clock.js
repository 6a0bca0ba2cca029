// The server's clock, which dates the notices of the log. The reader's clock may be hours off, and would put notices on
// another day than the messages around them.

export class ServerClock {
  #ownNow;
  #aheadMs = null;

  constructor(ownNow = Date.now) {
    this.#ownNow = ownNow;
  }

  /** Learns the server's clock: it shows `at` now. */
  learn(at) {
    if (Number.isFinite(at)) this.#aheadMs = at - this.#ownNow();
  }

  /** What the server's clock shows now; `undefined` before it is known. */
  now() {
    return this.#aheadMs === null ? undefined : this.#ownNow() + this.#aheadMs;
  }

  /** Converts a time of the reader's clock to the server's; unchanged while the difference is not known. */
  at(ownTime) {
    return ownTime + (this.#aheadMs ?? 0);
  }
}
