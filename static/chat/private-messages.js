// Private messages on their way. They are for users who are in the room now, so they do not wait: what was not handed over
// comes back to the one who wrote it. What is on its way is kept in the tab's storage, so that a reload does not lose it.
import { newId } from './outbox.js';

/**
 * `send(item)` gives a promise of `{ delivered }`. Tells `on.back(destination, content, code)` what was not handed over, or is not
 * known to have been: `destination` is `{ by, room, to }`, `content` is `{ msg }` or `{ img }`.
 */
export class PrivateMessages {
  #store;
  #send;
  #on;
  #items;

  constructor({ store, send, on }) {
    this.#store = store;
    this.#send = send;
    this.#on = on;
    this.#items = store.get('private-messages', []).filter((item) => typeof item?.id === 'string');
  }

  /** Gives back what was on its way when the page went. */
  recover() {
    // The last first: each comes before what stands there.
    for (const item of this.#items.splice(0).reverse()) this.#back(item, 'unknown');
    this.#keep();
  }

  /** Sends all of it to one addressee, in order. */
  async send(destination, contents) {
    const items = contents.map((content) => ({ id: newId(), destination, content }));
    this.#items.push(...items);
    this.#keep();
    // All at once: the server has them in this order, and no room can change in between.
    const outcomes = items.map((item) => this.#send(item).then(({ delivered }) => (delivered === false ? 'not_delivered' : null), ({ code }) => code ?? 'unknown'));
    const codes = await Promise.all(outcomes);
    this.#items = this.#items.filter((item) => !items.includes(item));
    this.#keep();
    // The last first: each comes before what stands there.
    for (const [index, item] of [...items.entries()].reverse()) if (codes[index]) this.#back(item, codes[index]);
  }

  #back({ destination, content }, code) {
    this.#on.back(destination, content, code);
  }

  #keep() {
    if (!this.#store.set('private-messages', this.#items)) this.#store.set('private-messages', this.#items.filter(({ content }) => content.msg !== undefined));
  }
}
