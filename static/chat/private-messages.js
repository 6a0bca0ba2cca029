// Private messages whose acks have not come. They are for users who are in the room now, so they do not wait: one that is
// not delivered comes back to its sender. They are kept in the tab's storage, so that a reload does not lose them.
import { keepMost } from '../store.js';
import { newId } from './outbox.js';

/**
 * `send(item)` gives a promise of `{ delivered }`. Calls `on.back(destination, content, code)` for a message that was not
 * delivered, or may not have been: `destination` is `{ by, room, to }`, `content` is `{ msg }` or `{ img }`. Calls
 * `on.pictures({ unsent, unkept })` as [Drafts] do.
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

  /** Gives back the messages that were being sent when the page was reloaded. */
  recover() {
    // The last first: each comes before what stands there.
    for (const item of this.#items.splice(0).reverse()) this.#back(item, 'unknown');
    this.#keep();
  }

  /** Sends the contents to one addressee, in order. */
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
    const count = keepMost(this.#store, 'private-messages', this.#items, ({ content }) => content.img !== undefined);
    this.#on.pictures?.(count);
  }
}
