// Drafts: one for each room, and one for each private addressee in it. A draft belongs to the user who writes it; no other
// user of this tab and no other addressee gets it. Drafts are kept in the tab's storage, so they survive a reload.
import { keepMost } from '../store.js';

/** The most drafts; beyond it those that were not changed for longest go. */
const MOST = 200;

const EMPTY = Object.freeze({ text: '', pictures: Object.freeze([]) });

/**
 * A destination is `{ by, room, to }`: who writes, in which room, and to whom: `to` is `{ username, uid }`, or `null` for the
 * room. A name may belong to another user later, so an addressee is known by both.
 */
const keyOf = ({ by, room, to }) => JSON.stringify([by, room, to?.username ?? null, to?.uid ?? null]);
/** Whether two destinations are equal. */
export const isSameDestination = (one, other) => Boolean(one && other) && keyOf(one) === keyOf(other);
const roomKeyOf = ({ by, room }) => JSON.stringify([by, room]);

export class Drafts {
  #store;
  /** By key: `{ text, pictures }`, pictures as data URLs. */
  #drafts;
  /** The addressee to whom a user was writing in a room, by room key. */
  #addressees;
  #onPictures;

  /** Calls `onPictures({ unsent, unkept })` with the number of its pictures, and of those that the storage does not take. */
  constructor({ store, onPictures = () => {} }) {
    this.#store = store;
    this.#onPictures = onPictures;
    this.#drafts = new Map(store.get('drafts', []).map(([key, text]) => [key, { ...EMPTY, text }]));
    for (const [key, picture] of store.get('draft-pictures', [])) {
      const draft = this.#drafts.get(key) ?? EMPTY;
      this.#drafts.set(key, { ...draft, pictures: [...draft.pictures, picture].flat() });
    }
    this.#addressees = new Map(store.get('addressees', []));
    this.#keepPictures();
  }

  /** The addressee to whom a user last wrote in a room; `null` for the room. */
  addressee({ by, room }) {
    return this.#addressees.get(roomKeyOf({ by, room })) ?? null;
  }

  address({ by, room }, to) {
    const key = roomKeyOf({ by, room });
    this.#addressees.delete(key);
    if (to) this.#addressees.set(key, to);
    this.#keep();
  }

  at(destination) {
    return this.#drafts.get(keyOf(destination)) ?? EMPTY;
  }

  /** Changes what is given of `{ text, pictures }`. */
  change(destination, changes) {
    const key = keyOf(destination);
    const draft = { ...this.at(destination), ...changes };
    this.#drafts.delete(key);
    if (draft.text !== '' || draft.pictures.length > 0) this.#drafts.set(key, draft);
    while (this.#drafts.size > MOST) this.#drafts.delete(this.#drafts.keys().next().value);
    this.#keep();
    if (changes.pictures) this.#keepPictures();
  }

  /** Puts what was not sent back, before what has been written since. */
  restore(destination, { msg, img }) {
    const { text, pictures } = this.at(destination);
    if (img !== undefined) this.change(destination, { pictures: [img, ...pictures] });
    else this.change(destination, { text: text === '' ? msg : `${msg}\n${text}` });
  }

  /** The users who have drafts, each as often as there are. */
  get users() {
    return [...this.#drafts.keys()].map((key) => JSON.parse(key)[0]);
  }

  /** Drops all drafts of one user. */
  forget(by) {
    for (const known of [this.#drafts, this.#addressees]) {
      for (const key of [...known.keys()]) if (JSON.parse(key)[0] === by) known.delete(key);
    }
    this.#keep();
    this.#keepPictures();
  }

  #keep() {
    this.#store.set('drafts', [...this.#drafts].filter(([, { text }]) => text !== '').map(([key, { text }]) => [key, text]));
    this.#store.set('addressees', [...this.#addressees]);
  }

  /** Apart from the texts, which change with every key; and they may be more than the storage takes. */
  #keepPictures() {
    const all = [...this.#drafts].flatMap(([key, { pictures }]) => pictures.map((picture) => [key, picture]));
    this.#onPictures(keepMost(this.#store, 'draft-pictures', all, () => true));
  }
}
