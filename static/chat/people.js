// Who is in the room, and who is typing.
import { find, make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { face } from './avatars.js';

/** After so long without a word of it nobody is typing any more. */
const TYPING_MS = 6_000;
const NAMED = 3;

/** Tells `on.address(username)` when somebody is to be written to. */
export class People {
  #list = find('people');
  #on;
  #me = null;
  #byName = new Map();
  #count = 0;
  #typing = new Map();

  constructor(on) {
    this.#on = on;
    this.#showCount();
  }

  set me(username) {
    this.#me = username;
    this.#draw();
  }

  /** The whole list, or what of it the server tells. */
  list(users) {
    this.#byName = new Map(users.map((user) => [user.username, user]));
    // Of a very full room only the first are told; the count goes on by who comes and goes.
    this.#count = users.length < 100 ? users.length : Math.max(users.length, this.#count);
    this.#draw();
  }

  came(user) {
    this.#byName.set(user.username, user);
    this.#count = user.count ?? this.#byName.size;
    this.#draw();
  }

  left(user) {
    this.#byName.delete(user.username);
    this.#count = user.count ?? this.#byName.size;
    this.typing(user.username, false);
    this.#draw();
  }

  clear() {
    this.#byName.clear();
    this.#count = 0;
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#showTyping();
    this.#draw();
  }

  typing(username, isTyping) {
    clearTimeout(this.#typing.get(username));
    this.#typing.delete(username);
    if (isTyping) this.#typing.set(username, setTimeout(() => this.typing(username, false), TYPING_MS));
    this.#showTyping();
  }

  #showTyping() {
    const names = [...this.#typing.keys()];
    tell(find('typing'), () => {
      if (names.length === 0) return '';
      return names.length > NAMED ? words('manyTyping') : words('typing', names);
    });
  }

  #showCount() {
    tell(find('people-title'), () => words('peopleCount', this.#count));
  }

  #draw() {
    const names = [...this.#byName.keys()].sort((a, b) => (b === this.#me) - (a === this.#me) || a.localeCompare(b));
    const focused = document.activeElement?.dataset?.username;
    this.#list.replaceChildren(...names.map((name) => this.#person(this.#byName.get(name))));
    if (focused !== undefined) [...this.#list.querySelectorAll('button')].find(({ dataset }) => dataset.username === focused)?.focus();
    this.#showCount();
  }

  #person(user) {
    const { username } = user;
    const name = make('span', { className: 'name', dir: 'auto' }, username);
    if (username === this.#me) {
      return make('li', { className: 'person' }, face(user), name, told('span', { className: 'you' }, () => words('you')));
    }
    const button = make('button', { type: 'button', className: 'person', dataset: { username } }, face(user), name);
    tell(button, () => words('writeTo', username), 'title');
    button.addEventListener('click', () => this.#on.address(username));
    return make('li', {}, button);
  }
}
