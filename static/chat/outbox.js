// The outbox: messages for a room whose acks have not come. They are sent in order, one at a time.
//
// Each message has an id, by which the server knows a repetition: a message that is sent twice is said once. It belongs to
// the user who wrote it and to its room, and is sent by that user to that room only. The outbox is kept in the tab's
// storage, so it survives a reload.
import { keepMost } from '../store.js';
import { REAL_TIME } from './connection.js';

const MOST = 100;
const RETRY_MS = 2_000;
/** A message of at least this number of characters may be too large for a proxy, which then ends the connection. */
const LARGE = 16 * 1024;
const MOST_DROPS = 3;

/** Codes of the page's own, for a request that was not answered. The message is sent again after the next login. */
const NOT_ANSWERED = new Set(['disconnected', 'timeout']);

/** An id that no other message has. (`crypto.randomUUID` is missing on plain HTTP.) */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Items are `{ id, by, room, at, msg or img, state, code }`; `state` is `waiting`, `sending` or `failed`. Calls
 * `on.changed(item)`, `on.sent(item, receipt)`, and `on.pictures({ unsent, unkept })` as [Drafts] do. `send(item)` gives a
 * promise of the receipt. `retries` says for each error code when a message may be sent again, in the server's words.
 */
export class Outbox {
  #items;
  #store;
  #send;
  #on;
  #time;
  #retries;
  #isBusy = false;
  #timer = null;
  /** The user and the room whose messages are sent now; `null` while the page is not logged in. */
  #active = null;
  /** How often in a row the connection ended while an item was sent, by id. */
  #drops = new Map();
  /** The ids of items that were rejected for want of a login, and wait for the next one. */
  #rejectedOnce = new Set();

  constructor({ store, send, on, time = REAL_TIME, retries = {} }) {
    this.#retries = retries;
    this.#store = store;
    this.#send = send;
    this.#on = on;
    this.#time = time;
    this.#items = store.get('outbox', []).filter((item) => typeof item?.id === 'string' && typeof item.by === 'string');
    // It may have arrived before the reload; then the server knows its id.
    for (const item of this.#items) if (item.state === 'sending') item.state = 'waiting';
    this.#keep();
  }

  /** The messages of a user for a room, in order. */
  of({ by, room }) {
    return this.#items.filter((item) => item.by === by && item.room === room);
  }

  /** The messages of all users and rooms. */
  get all() {
    return [...this.#items];
  }

  get isFull() {
    return this.#items.length >= MOST;
  }

  /** Adds `{ msg }` or `{ img }` of a user for a room. */
  add({ by, room }, content) {
    const item = { id: newId(), by, room, at: Date.now(), state: 'waiting', ...content };
    this.#items.push(item);
    this.#keep();
    this.#on.changed(item);
    this.#go();
    return item;
  }

  /** Tries a failed message again. */
  retry(id) {
    const item = this.#items.find((known) => known.id === id);
    if (!item) return;
    this.#forgetFailures(id);
    this.#change(item, 'waiting');
    this.#go();
  }

  drop(id) {
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#forgetFailures(id);
    this.#keep();
  }

  /** The user is logged in, in that room: sends what waits. */
  resume({ by, room }) {
    this.#active = { by, room };
    this.#go();
  }

  /** Sends nothing until `resume`. */
  pause() {
    this.#active = null;
    this.#time.cancel(this.#timer);
    this.#timer = null;
  }

  async #go() {
    if (this.#isBusy || this.#timer !== null || this.#active === null) return;
    const item = this.of(this.#active).find(({ state }) => state === 'waiting');
    if (!item) return;
    const active = this.#active;
    this.#isBusy = true;
    this.#change(item, 'sending');
    try {
      const receipt = await this.#send(item);
      this.drop(item.id);
      this.#on.sent(item, receipt);
    } catch (error) {
      // If no login has come meanwhile, the next one sends it again.
      if (this.#needsLogin(error.code) && this.#active === active) this.#active = null;
      this.#failed(item, error);
    }
    this.#isBusy = false;
    this.#go();
  }

  #failed(item, { code, retryAfterMs }) {
    if (this.#isWhatEndsIt(item, code)) return this.#change(item, 'failed', 'ends_connection');
    if (this.#isRejectedAfterLogin(item, code)) return this.#change(item, 'failed', 'rejected_after_login');
    if (!this.#maySucceed(code)) return this.#change(item, 'failed', code ?? 'unknown');
    this.#change(item, 'waiting', code);
    if (this.#needsLogin(code) || this.#active === null) return undefined;
    this.#timer = this.#time.after(retryAfterMs ?? RETRY_MS, () => {
      this.#timer = null;
      this.#go();
    });
    return undefined;
  }

  #maySucceed(code) {
    return NOT_ANSWERED.has(code) || Object.hasOwn(this.#retries, code ?? '') && this.#retries[code] !== 'never';
  }

  /** Whether a message can only succeed after the next login. */
  #needsLogin(code) {
    return NOT_ANSWERED.has(code) || this.#isAfterLogin(code);
  }

  #isAfterLogin(code) {
    return Object.hasOwn(this.#retries, code ?? '') && this.#retries[code] === 'after_login';
  }

  /** Whether a message was rejected for want of a login twice: without this bound it would be sent for ever. */
  #isRejectedAfterLogin({ id }, code) {
    if (!this.#isAfterLogin(code)) return false;
    if (this.#rejectedOnce.has(id)) return true;
    this.#rejectedOnce.add(id);
    return false;
  }

  #forgetFailures(id) {
    this.#drops.delete(id);
    this.#rejectedOnce.delete(id);
  }

  /** Whether a message seems to end the connection whenever it is sent: a proxy may hide that it is too large. */
  #isWhatEndsIt({ id, msg, img }, code) {
    if (code !== 'disconnected' || (msg ?? img).length < LARGE) return false;
    const drops = (this.#drops.get(id) ?? 0) + 1;
    this.#drops.set(id, drops);
    return drops >= MOST_DROPS;
  }

  #change(item, state, code = null) {
    item.state = state;
    item.code = code;
    this.#keep();
    this.#on.changed(item);
  }

  /** If pictures are more than the storage takes, all texts are kept. */
  #keep() {
    const count = keepMost(this.#store, 'outbox', this.#items, ({ img }) => img !== undefined);
    this.#on.pictures?.(count);
  }
}
