// How often something may be done that costs much: a few times at once, and then once in a while. Told the time.

export class TokenBucket {
  #restMs;
  #most;
  /** How often it may be done at once, at the time `#at`. */
  #credit;
  #at = 0;

  constructor({ restMs, most }) {
    this.#restMs = restMs;
    this.#most = most;
    this.#credit = most;
  }

  /** Milliseconds until it may be done. */
  wait(now) {
    return Math.max(0, (1 - this.#creditAt(now)) * this.#restMs);
  }

  /** It is done now, whether it may be or not. */
  spend(now) {
    this.#credit = Math.max(0, this.#creditAt(now) - 1);
    this.#at = now;
  }

  #creditAt(now) {
    return Math.min(this.#most, this.#credit + (now - this.#at) / this.#restMs);
  }
}
