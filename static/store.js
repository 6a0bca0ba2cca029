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
      return JSON.parse(this.getText(key)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  /** Keeps a value; says whether that could be done. */
  set(key, value) {
    return this.setText(key, JSON.stringify(value));
  }

  /** As `get`, for what was kept as it is. */
  getText(key) {
    try {
      return this.#area.getItem(`echoroom.${key}`);
    } catch {
      return null;
    }
  }

  /** As `set`, for a text that is kept as it is. */
  setText(key, text) {
    try {
      this.#area.setItem(`echoroom.${key}`, text);
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
