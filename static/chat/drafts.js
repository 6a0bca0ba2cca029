// What is being written: a draft for each room, and one for each user who is written to privately in it. A draft belongs to
// the user who writes it; neither another user of this tab nor another addressee ever gets it. Kept in the tab's storage,
// so it survives a reload.

/** Drafts in the storage at most; beyond it those that were touched longest ago go. */
const MOST = 200;

const EMPTY = Object.freeze({ text: '', pictures: Object.freeze([]) });

/**
 * A destination to write in: `{ by, room, to }`, where `to` is `{ username, uid }`, or `null` for the room. One name may belong to
 * another user later, so the addressee is told by both.
 */
const keyOf = ({ by, room, to }) => JSON.stringify([by, room, to?.username ?? null, to?.uid ?? null]);
/** Whether two places are one. */
export const isSameDestination = (one, other) => Boolean(one && other) && keyOf(one) === keyOf(other);
const roomKeyOf = ({ by, room }) => JSON.stringify([by, room]);

export class Drafts {
  #store;
  /** By key: `{ text, pictures }`, pictures as data URLs. */
  #drafts;
  /** Whom a user was writing to in a room, by room key. */
  #addressees;

  constructor({ store }) {
    this.#store = store;
    this.#drafts = new Map(store.get('drafts', []).map(([key, text]) => [key, { ...EMPTY, text }]));
    for (const [key, pictures] of store.get('draft-pictures', [])) this.#drafts.set(key, { ...EMPTY, ...this.#drafts.get(key), pictures });
    this.#addressees = new Map(store.get('addressees', []));
  }

  /** Whom a user was writing to in a room when it was last seen; `null` for the room. */
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

  /** What was not sent after all comes back, before what has been written since. */
  restore(destination, { msg, img }) {
    const { text, pictures } = this.at(destination);
    if (img !== undefined) this.change(destination, { pictures: [img, ...pictures] });
    else this.change(destination, { text: text === '' ? msg : `${msg}\n${text}` });
  }

  /** The users who have drafts, each as often as there are. */
  get users() {
    return [...this.#drafts.keys()].map((key) => JSON.parse(key)[0]);
  }

  /** Lets go of all that one user has written. */
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
    this.#store.set('draft-pictures', [...this.#drafts].filter(([, { pictures }]) => pictures.length > 0).map(([key, { pictures }]) => [key, pictures]));
  }
}
