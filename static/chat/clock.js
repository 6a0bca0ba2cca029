// The clock of the log: the server's. The reader's own may be hours off, and then notices, which the page itself dates,
// would lie on another day than the messages around them.

export class ServerClock {
  #ownNow;
  #aheadMs = null;

  constructor(ownNow = Date.now) {
    this.#ownNow = ownNow;
  }

  /** The server has just said that it is `at`. */
  learn(at) {
    if (Number.isFinite(at)) this.#aheadMs = at - this.#ownNow();
  }

  /** What the server's clock shows now; `undefined` before it is known. */
  now() {
    return this.#aheadMs === null ? undefined : this.#ownNow() + this.#aheadMs;
  }

  /** A time of the reader's clock, on the server's; as it is before that is known. */
  at(ownTime) {
    return ownTime + (this.#aheadMs ?? 0);
  }
}
