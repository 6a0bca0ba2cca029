// The people list: the users in the room, and which of them are typing. The server sends the list once and then each
// change, and a change touches one line.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { avatarOf } from './avatars.js';
import { anotherMark } from './line-elements.js';
import { indexOf } from './order.js';

/** A user is not typing any more after this time without the event. */
const TYPING_MS = 6_000;
const NAMED = 3;
/** Users in one answer of the server. */
const PAGE = 100;
/** Users that are listed without being asked for. */
const LISTED = 300;

/**
 * `elements` are list, title, typing. Tells `on.address(username)` when a user is to be written to, and asks
 * `on.more({ after, limit })` for a promise of `{ users, count, more }`.
 */
export class People {
  #at;
  #more = make('button', { type: 'button', className: 'quiet small', hidden: true, on: { click: () => this.#loadMore(PAGE) } });
  #on;
  #me = null;
  /** Names in their order, without our own, and for each `{ element, user }`. */
  #names = [];
  #lines = new Map();
  /** Our own line, above the others. */
  #own = null;
  #count = 0;
  /** The last name of the pages that have come; `null` when there are no more. */
  #after = null;
  #isLoading = false;
  /** Counts the lists: an answer for an earlier list is too late. */
  #turn = 0;
  #typing = new Map();

  constructor(elements, on) {
    this.#at = elements;
    this.#on = on;
    this.#at.list.after(this.#more);
    this.#showCount();
  }

  /** Our profile: `{ username, avatar }`. */
  set me(user) {
    this.#me = user;
  }

  /** The whole list, or the first of it. */
  list(users) {
    this.#turn += 1;
    this.#isLoading = false;
    const names = new Set(users.map(({ username }) => username));
    for (const name of this.#names.filter((each) => !names.has(each))) this.#remove(name);
    [this.#me, ...users].forEach((user) => this.#put(user));
    this.#count = users.length < PAGE ? users.length : Math.max(users.length, this.#count);
    this.#after = users.length < PAGE ? null : users.at(-1).username;
    this.#loadMore(LISTED - users.length);
    this.#showCount();
  }

  came({ count, ...user }) {
    this.#put(user);
    this.#showCount(count ?? this.#known);
  }

  left({ username, count }) {
    this.#remove(username);
    this.typing(username, false);
    this.#showCount(count ?? this.#known);
  }

  /** Sets whether a listed name has belonged to another user before: `{ username, isAnother }`. */
  mark({ username, isAnother }) {
    const line = this.#lines.get(username);
    if (line) this.#put({ ...line.user, isAnother });
  }

  /** No user is known yet; the server says that there are `count`. */
  clear(count = 0) {
    this.#turn += 1;
    this.#isLoading = false;
    this.#after = null;
    [...this.#names].forEach((name) => this.#remove(name));
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#showTyping();
    this.#own?.remove();
    this.#own = null;
    this.#count = count;
    this.#showCount();
  }

  typing(username, isTyping) {
    if (!isTyping && !this.#typing.has(username)) return;
    clearTimeout(this.#typing.get(username));
    this.#typing.delete(username);
    if (isTyping) this.#typing.set(username, setTimeout(() => this.typing(username, false), TYPING_MS));
    this.#showTyping();
  }

  #showTyping() {
    const names = [...this.#typing.keys()];
    localize(this.#at.typing, () => {
      if (names.length === 0) return '';
      return names.length > NAMED ? words('manyTyping') : words('typing', names);
    });
  }

  get #known() {
    return this.#names.length + Number(this.#own !== null);
  }

  #showCount(count = this.#count) {
    this.#count = Math.max(count, this.#known);
    localize(this.#at.title, () => words('peopleCount', this.#count));
    const rest = this.#after === null ? 0 : this.#count - this.#known;
    this.#more.hidden = rest <= 0;
    if (rest > 0) localize(this.#more, () => words('morePeople', rest));
  }

  async #loadMore(wanted) {
    if (wanted <= 0 || this.#after === null || this.#isLoading) return;
    this.#isLoading = true;
    const turn = this.#turn;
    try {
      const { users, count, more } = await this.#on.more({ after: this.#after, limit: PAGE });
      if (turn !== this.#turn) return;
      users.forEach((user) => this.#put(user));
      this.#after = more && users.length > 0 ? users.at(-1).username : null;
      this.#showCount(count);
      wanted -= users.length;
    } catch {
      wanted = 0; // The button asks again.
    }
    if (turn !== this.#turn) return;
    this.#isLoading = false;
    this.#loadMore(wanted);
  }

  #put(user) {
    const { username } = user;
    if (username === this.#me.username) {
      this.#remove(username);
      this.#own?.remove();
      this.#own = this.#person(user);
      this.#at.list.prepend(this.#own);
      return;
    }
    const known = this.#lines.get(username);
    if (known && isShownAlike(known.user, user)) return;
    this.#remove(username);
    const at = indexOf(username, this.#names);
    const element = this.#person(user);
    this.#at.list.insertBefore(element, this.#lines.get(this.#names[at])?.element ?? null);
    this.#names.splice(at, 0, username);
    this.#lines.set(username, { element, user });
  }

  #remove(username) {
    const line = this.#lines.get(username);
    if (!line) return;
    line.element.remove();
    this.#lines.delete(username);
    this.#names.splice(indexOf(username, this.#names), 1);
  }

  #person(user) {
    const { username } = user;
    const name = make('span', { className: 'name', dir: 'auto' }, username);
    if (username === this.#me.username) {
      return make('li', { className: 'person' }, avatarOf(user), name, localized('span', { className: 'you' }, () => words('you')));
    }
    const button = make('button', { type: 'button', className: 'person', dataset: { username } }, avatarOf(user),
      make('span', { className: 'who' }, name, ...(user.isAnother ? [anotherMark()] : [])));
    localize(button, () => words('writeTo', username), 'title');
    button.addEventListener('click', () => this.#on.address(username));
    return make('li', {}, button);
  }
}

function isShownAlike(one, other) {
  return one.avatar === other.avatar && Boolean(one.isAnother) === Boolean(other.isAnother);
}
