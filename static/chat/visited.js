// The rooms that a user of this tab has been in, and how far they were read there. Kept in the tab's storage, as names of
// rooms that are not listed are for those who know them.

import { byName } from './order.js';

export const LOBBY = 'lobby';
const MOST = 20;
const KEEP_AFTER_MS = 1_000;

export class Visited {
  #store;
  #timers;
  /** By name, the one entered last at the end: `{ epoch, seen }`. */
  #rooms;
  #timer = 0;

  constructor(store, timers = globalThis) {
    this.#store = store;
    this.#timers = timers;
    this.#rooms = new Map(store.get('visited', []));
  }

  get names() {
    return [...this.#rooms.keys()];
  }

  /** A room is entered; gives the offset up to which it was read before, or `null`. */
  enter(room, epoch) {
    const known = this.#rooms.get(room);
    const seen = known && known.epoch === epoch ? known.seen : null;
    this.#rooms.delete(room);
    this.#rooms.set(room, { epoch, seen: seen ?? 0 });
    if (this.#rooms.size > MOST) this.#rooms.delete(this.names[0]);
    this.keep();
    return seen;
  }

  /** A room goes on in another epoch: what was read stays read. */
  goesOnIn(room, epoch) {
    const known = this.#rooms.get(room);
    if (!known || known.epoch === epoch) return;
    known.epoch = epoch;
    this.keep();
  }

  /** A room is read up to an offset. */
  read(room, offset) {
    const known = this.#rooms.get(room);
    if (!known || known.seen >= offset) return;
    known.seen = offset;
    this.#timer ||= this.#timers.setTimeout(() => this.keep(), KEEP_AFTER_MS);
  }

  /** How many messages of a room are not read, if its newest has this offset. In a room that began anew all are. */
  unread(room, { epoch, offset = 0 }) {
    const known = this.#rooms.get(room);
    if (!known) return 0;
    return Math.max(offset - (known.epoch === epoch ? known.seen : 0), 0);
  }

  forget() {
    this.#rooms.clear();
    this.keep();
  }

  keep() {
    this.#timers.clearTimeout(this.#timer);
    this.#timer = 0;
    this.#store.set('visited', [...this.#rooms]);
  }
}

/**
 * The rooms in the order of the list: the lobby, the other `own` ones by their names, and those of `listed` that are left,
 * the largest first. Each is `{ room, sessions, epoch, offset }`, as far as that is known.
 */
export function inOrder(own, listed) {
  const known = new Map(listed.map((each) => [each.room, each]));
  const first = [...new Set([LOBBY, ...own.toSorted(byName)])];
  const rest = listed.filter(({ room }) => !first.includes(room));
  rest.sort((a, b) => b.sessions - a.sessions || byName(a.room, b.room));
  return [...first.map((room) => known.get(room) ?? { room, sessions: 0 }), ...rest];
}
