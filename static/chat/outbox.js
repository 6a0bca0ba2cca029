// What was said and is not known to be kept yet: sent in order, one at a time, until the server has it.
//
// Each message has an id of its own, by which the server knows it again: what is sent twice is said once. The queue is
// kept in the tab's storage, so it survives a reload.

const MOST = 100;
const RETRY_MS = 2_000;

/** Codes after which the same message may succeed. */
const MAY_SUCCEED = new Set([
  'disconnected', 'timeout', 'rate_limited', 'journal_unavailable', 'not_kept_yet', 'not_logged_in',
]);

/** An id nobody else has; also where `crypto.randomUUID` is missing, on plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Items are `{ id, room, at, msg or img, state, code }`; `state` is `waiting`, `sending` or `failed`. Tells
 * `on.changed(item)` and `on.sent(item, receipt)`. `send(item)` gives a promise of the receipt.
 */
export class Outbox {
  #items;
  #store;
  #send;
  #on;
  #isBusy = false;
  #timer = 0;
  /** The room whose messages go out now; `null` while we are in none. */
  #room = null;

  constructor({ store, send, on }) {
    this.#store = store;
    this.#send = send;
    this.#on = on;
    this.#items = store.get('outbox', []).filter((item) => typeof item?.id === 'string');
    // What was on its way when the page went may have arrived; its id will tell.
    for (const item of this.#items) if (item.state === 'sending') item.state = 'waiting';
  }

  /** What waits for that room, in order. */
  of(room) {
    return this.#items.filter((item) => item.room === room);
  }

  get isFull() {
    return this.#items.length >= MOST;
  }

  /** Adds `{ msg }` or `{ img }` for a room. */
  add(room, content) {
    const item = { id: newId(), room, at: Date.now(), state: 'waiting', ...content };
    this.#items.push(item);
    this.#keep();
    this.#on.changed(item);
    this.#go();
    return item;
  }

  /** A failed one is to be tried again. */
  retry(id) {
    const item = this.#items.find((known) => known.id === id);
    if (!item) return;
    this.#change(item, 'waiting');
    this.#go();
  }

  drop(id) {
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#keep();
  }

  /** We are in a room, and logged in. */
  resume(room) {
    this.#room = room;
    this.#go();
  }

  /** We are not any more. */
  pause() {
    this.#room = null;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  async #go() {
    if (this.#isBusy || this.#timer !== 0 || this.#room === null) return;
    const item = this.#items.find((known) => known.room === this.#room && known.state === 'waiting');
    if (!item) return;
    this.#isBusy = true;
    this.#change(item, 'sending');
    try {
      const receipt = await this.#send(item);
      this.drop(item.id);
      this.#on.sent(item, receipt);
    } catch (error) {
      this.#failed(item, error);
    }
    this.#isBusy = false;
    this.#go();
  }

  #failed(item, { code, retryAfterMs }) {
    if (!MAY_SUCCEED.has(code)) return this.#change(item, 'failed', code ?? 'unknown');
    this.#change(item, 'waiting', code);
    // Without a connection the next login goes on.
    if (code === 'disconnected') return undefined;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#go();
    }, retryAfterMs ?? RETRY_MS);
    return undefined;
  }

  #change(item, state, code = null) {
    item.state = state;
    item.code = code;
    this.#keep();
    this.#on.changed(item);
  }

  /** Pictures may be more than the storage takes: then at least the texts are kept. */
  #keep() {
    if (!this.#store.set('outbox', this.#items)) this.#store.set('outbox', this.#items.filter((item) => item.msg !== undefined));
  }
}
