// Which user has a name. A name may have belonged to another user before; the server tells them apart by `uid`.

export class Uids {
  /** Of the users who are in the room, by name. */
  #present = new Map();
  /** Of the first user of a name who has spoken in the room, or left it, as far as this page has seen. */
  #first = new Map();
  #room = null;

  /** We are in a room; the server has yet to say which users are. */
  enter(room) {
    if (room === this.#room) this.#learnPresent();
    else this.#first.clear();
    this.#present.clear();
    this.#room = room;
    this.isKnown = false;
  }

  /** Whether the server has told who is in the room. */
  isKnown = false;

  list(users) {
    this.isKnown = true;
    this.#learnPresent();
    this.#present = new Map(users.map(({ username, uid }) => [username, uid]));
  }

  came({ username, uid }) {
    if (this.#present.get(username) !== uid) this.#learn(username, this.#present.get(username));
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

  /** Whether a user is another one than the first of that name here. Guests have no `uid`. */
  isAnother({ username, uid }) {
    const first = this.#first.get(username);
    return uid !== undefined && first !== undefined && first !== uid;
  }

  /** A user has spoken. */
  spoke({ username, uid }) {
    this.#learn(username, uid);
  }

  /** A new list follows: users of the last one may have left meanwhile. */
  #learnPresent() {
    for (const [username, uid] of this.#present) this.#learn(username, uid);
  }

  #learn(username, uid) {
    if (uid !== undefined && !this.#first.has(username)) this.#first.set(username, uid);
  }
}
