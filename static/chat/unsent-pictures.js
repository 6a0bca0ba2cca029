// Pictures that have not been sent. Before the page goes its reader is warned, as the tab's storage may be too small for
// them; after a reload the reader is told how many were lost.

const KEY = 'unkept-pictures';

export class UnsentPictures {
  #store;
  #page;
  /** By the part of the page that has them: `{ unsent, unkept }`. */
  #counts = new Map();
  #lost;
  #warn = (event) => event.preventDefault();

  /** `page` is told when it is about to go: the window. */
  constructor({ store, page = globalThis }) {
    this.#store = store;
    this.#page = page;
    this.#lost = store.get(KEY, 0);
  }

  /** A part of the page has `unsent` pictures, of which `unkept` are not in the storage. */
  note(part, { unsent, unkept }) {
    this.#counts.set(part, { unsent, unkept });
    const sum = (name) => [...this.#counts.values()].reduce((all, count) => all + count[name], 0);
    if (sum('unsent') > 0) this.#page.addEventListener('beforeunload', this.#warn);
    else this.#page.removeEventListener('beforeunload', this.#warn);
    this.#store.set(KEY, sum('unkept'));
  }

  /** How many pictures the reload has lost; zero when asked again. */
  takeLost() {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }
}
