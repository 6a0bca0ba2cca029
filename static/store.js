// The storage of the browser. It may be full or forbidden: then the page works without it.

class Store {
  #area;

  constructor(name) {
    try {
      this.#area = globalThis[name];
    } catch {
      this.#area = null;
    }
  }

  /** The value that is stored under `key`, or `fallback`. */
  get(key, fallback = null) {
    try {
      return JSON.parse(this.getText(key)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  /** Stores a value; gives whether the storage took it. */
  set(key, value) {
    return this.setText(key, JSON.stringify(value));
  }

  /** As `get`, for a plain text. */
  getText(key) {
    try {
      return this.#area.getItem(`echoroom.${key}`);
    } catch {
      return null;
    }
  }

  /** As `set`, for a plain text. */
  setText(key, text) {
    try {
      this.#area.setItem(`echoroom.${key}`, text);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * Stores a list under `key`. If the storage does not take all of it, items that `isPicture` holds for are left out, the last
 * ones first. Gives `{ unsent, unkept }`: the number of pictures, and of those that are left out.
 */
export function keepMost(store, key, items, isPicture) {
  const pictures = items.filter(isPicture);
  let kept = pictures.length;
  const rest = () => {
    const leftOut = new Set(pictures.slice(kept));
    return items.filter((item) => !leftOut.has(item));
  };
  while (!store.set(key, rest()) && kept > 0) kept = Math.floor(kept / 2);
  return { unsent: pictures.length, unkept: pictures.length - kept };
}

/** For all tabs of this browser, for good. */
export const browserStore = new Store('localStorage');

/** For this tab: survives a reload. */
export const tabStore = new Store('sessionStorage');
