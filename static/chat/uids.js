// Which user has a name. A name may have belonged to another user before; the server tells them apart by `uid`.

export class Uids {
  /** Of those who are in the room, by name. */
  #present = new Map();
  /** Of the first user of a name who has spoken in the room, or left it, as far as this page has seen. */
  #first = new Map();
  #room = null;

  /** We are in a room; who else is has yet to be told. */
  enter(room) {
    this.#present.clear();
    if (room !== this.#room) this.#first.clear();
    this.#room = room;
    this.isKnown = false;
  }

  /** Whether the server has told who is in the room. */
  isKnown = false;

  list(users) {
    this.isKnown = true;
    this.#present = new Map(users.map(({ username, uid }) => [username, uid]));
  }

  came({ username, uid }) {
    this.#present.set(username, uid);
  }

  left({ username }) {
    this.#learn(username, this.#present.get(username));
    this.#present.delete(username);
  }

  /** The user of that name who is in the room now, as far as the page knows. */
  present(username) {
    return { username, uid: this.#present.get(username) };
  }

  /** Whether the name has gone to another user since it was addressed. */
  hasChanged({ username, uid }) {
    const now = this.#present.get(username);
    return uid !== undefined && now !== undefined && now !== uid;
  }

  /** Whether a speaker is another user than the first one of that name here. Guests have no `uid`. */
  isAnother({ username, uid }) {
    if (uid === undefined) return false;
    this.#learn(username, uid);
    return this.#first.get(username) !== uid;
  }

  #learn(username, uid) {
    if (uid !== undefined && !this.#first.has(username)) this.#first.set(username, uid);
  }
}
