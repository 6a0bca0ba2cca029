// What was said and is not known to be kept yet: sent in order, one at a time, until the server has it.
//
// Each message has an id of its own, by which the server knows it again: what is sent twice is said once. It belongs to
// the user who wrote it and to the room it was written in, and is said by that user in that room only. The queue is kept
// in the tab's storage, so it survives a reload.
import { REAL_TIME } from './connection.js';

const MOST = 100;
const RETRY_MS = 2_000;
/** A message of at least so many characters may be what ends the connection, each time that it is sent. */
const LARGE = 16 * 1024;
const MOST_DROPS = 3;

/** Codes of the page's own: the server has not answered. The next login goes on. */
const NOT_ANSWERED = new Set(['disconnected', 'timeout']);

/** An id that no other message has; also where `crypto.randomUUID` is missing, on plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Items are `{ id, by, room, at, msg or img, state, code }`; `state` is `waiting`, `sending` or `failed`. Tells
 * `on.changed(item)` and `on.sent(item, receipt)`. `send(item)` gives a promise of the receipt.
 * `retries` are the server's words for when what failed may succeed, by code.
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
  /** The user and the room whose messages go out now; `null` while we are in none. */
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
    // What was on its way when the page went may have arrived; its id will tell.
    for (const item of this.#items) if (item.state === 'sending') item.state = 'waiting';
  }

  /** What a user has waiting for a room, in order. */
  of({ by, room }) {
    return this.#items.filter((item) => item.by === by && item.room === room);
  }

  /** All that waits, of all users and rooms. */
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

  /** A failed one is to be tried again. */
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

  /** That user is in that room, and logged in. */
  resume({ by, room }) {
    this.#active = { by, room };
    this.#go();
  }

  /** Not any more. */
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
      // A login may have come meanwhile; without one the next one goes on.
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

  /** Whether it can only succeed after the next login. */
  #needsLogin(code) {
    return NOT_ANSWERED.has(code) || this.#isAfterLogin(code);
  }

  #isAfterLogin(code) {
    return Object.hasOwn(this.#retries, code ?? '') && this.#retries[code] === 'after_login';
  }

  /** A login that does not help once does not help again: without this bound the page would log in and send for ever. */
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

  /** A proxy or a full pipe may hide the reason, so that what is refused for its size looks like a lost connection. */
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

  /** Pictures may be more than the storage takes: then at least the texts are kept. */
  #keep() {
    if (!this.#store.set('outbox', this.#items)) this.#store.set('outbox', this.#items.filter((item) => item.msg !== undefined));
  }
}
