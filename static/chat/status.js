// What the page says about itself: who is in, where, how it is with the connection, and what has not been read.
import { localize, words } from '../i18n.js';
import { avatarOf } from './avatars.js';

/** `elements` are me, room, title, logBox, state, stateSaid, connect, viewer, viewerPicture. */
export class Status {
  #at;
  #room = '';
  #unread = 0;
  #ticking = 0;

  constructor(elements) {
    this.#at = elements;
  }

  /** Who we are. */
  set me({ username, avatar }) {
    this.#at.me.replaceChildren(avatarOf({ username, avatar }), username);
  }

  /** Where we are. */
  set room(room) {
    this.#room = room;
    this.#at.title.textContent = room;
    localize(this.#at.logBox, () => words('log', room), 'aria-label');
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

  showPicture(username, img) {
    const { viewer, viewerPicture } = this.#at;
    viewerPicture.src = img;
    viewerPicture.alt = words('picture', username);
    viewer.showModal();
  }

  /** Something came that the reader does not see. */
  noteUnread() {
    if (!document.hidden && document.hasFocus()) return;
    this.#unread += 1;
  }

  forgetUnread() {
    this.#unread = 0;
    this.showTitle();
  }

  /** Shows where we are and how much has not been read. */
  showTitle() {
    const title = `${this.#unread > 0 ? `(${this.#unread}) ` : ''}${this.#room} · Echoroom`;
    if (document.title !== title) document.title = title;
  }
}
