// What this browser remembers. Storage may be full or forbidden: then the page works without it.

class Store {
  #area;

  constructor(name) {
    try {
      this.#area = globalThis[name];
    } catch {
      this.#area = null;
    }
  }

  /** What was kept under `key`, or `fallback`. */
  get(key, fallback = null) {
    try {
      return JSON.parse(this.#area.getItem(`echoroom.${key}`)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  /** Keeps a value; says whether that could be done. */
  set(key, value) {
    try {
      this.#area.setItem(`echoroom.${key}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }
}

/** For all tabs of this browser, for good. */
export const browserStore = new Store('localStorage');

/** For this tab: survives a reload. */
export const tabStore = new Store('sessionStorage');
