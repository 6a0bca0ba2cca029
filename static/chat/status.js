// The bar above the log: the room, the state of the connection, and our user; and the title of the page, which counts
// unread messages.
import { localize, words } from '../i18n.js';
import { avatarOf } from './avatars.js';

/** `elements` are me, title, state, stateSaid, connect, logout. Calls `on.connect()` and `on.logout()`. */
export class Status {
  #at;
  #room = '';
  #unread = 0;
  #ticking = 0;

  constructor(elements, on) {
    this.#at = elements;
    this.#at.connect.addEventListener('click', () => on.connect());
    this.#at.logout.addEventListener('click', () => on.logout());
  }

  /** Shows the profile of our user. */
  set me({ username, avatar }) {
    this.#at.me.replaceChildren(avatarOf({ avatar }), username);
  }

  /** Shows the name of the room that we are in. */
  set room(room) {
    this.#room = room;
    this.#at.title.textContent = room;
    this.showTitle();
  }

  get state() {
    return this.#at.state.dataset.state;
  }

  /** Shows the state of the connection; while it waits to connect again, for how long. */
  showState(state, waitMs = 0) {
    clearInterval(this.#ticking);
    const until = performance.now() + waitMs;
    const show = () => {
      const seconds = Math.max(1, Math.ceil((until - performance.now()) / 1000));
      localize(this.#at.state, () => (state === 'waiting' ? words('retryIn', seconds) : words(state)));
    };
    show();
    if (state === 'waiting') this.#ticking = setInterval(show, 1000);
    // A countdown is not read out at each tick.
    if (this.state !== state) this.#at.stateSaid.textContent = this.#at.state.textContent;
    this.#at.state.dataset.state = state;
    this.#at.connect.hidden = state !== 'waiting' && state !== 'disconnected';
  }

  /** Counts a message as unread, unless the page is in front of its reader. */
  noteUnread() {
    if (!document.hidden && document.hasFocus()) return;
    this.#unread += 1;
  }

  forgetUnread() {
    this.#unread = 0;
    this.showTitle();
  }

  /** Brings the title of the page up to date. */
  showTitle() {
    const title = `${this.#unread > 0 ? `(${this.#unread}) ` : ''}${this.#room} · Echoroom`;
    if (document.title !== title) document.title = title;
  }
}
