// The rooms that somebody is in, and the way to another one.
import { find, make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { isRoomName, roomPath } from '../protocol.js';

const EVERY_MS = 10_000;
/** The server's list may be so old. */
const LIST_AGE_MS = 1_200;
const SPREAD_MS = 2_000;

/** Tells `on.go(room)` when another room is wanted. */
export class Rooms {
  #on;
  #room = null;
  #listed = [];
  #more = 0;
  #soon;
  #isListed;

  constructor(on, isListed) {
    this.#on = on;
    find('room-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#isListed = isListed;
    find('rooms-part').hidden = !isListed;
    if (!isListed) return;
    this.load();
    setInterval(() => this.load(), EVERY_MS);
    document.addEventListener('visibilitychange', () => this.load());
  }

  /** The room we are in. */
  set current(room) {
    this.#room = room;
    this.#draw();
    this.load();
    this.stale();
  }

  /** Somebody came or went: asks again before long, but not all pages of a room at once. */
  stale() {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.load();
    }, LIST_AGE_MS + SPREAD_MS * Math.random());
  }

  async load() {
    if (document.hidden || !this.#isListed) return;
    try {
      const response = await fetch('rooms');
      if (!response.ok) return;
      ({ rooms: this.#listed, more: this.#more } = await response.json());
      this.#draw();
    } catch {
      // The server is away; the list stays as it was.
    }
  }

  #submit() {
    const field = find('other-room');
    const name = field.value.trim();
    if (name === '') return;
    if (!isRoomName(name)) {
      tell(find('room-hint'), () => words('badRoom'));
      return;
    }
    tell(find('room-hint'), () => '');
    field.value = '';
    this.#on.go(name.normalize('NFKC'));
  }

  /** Why a room was not entered. */
  hint(teller) {
    tell(find('room-hint'), teller);
  }

  #draw() {
    const list = find('rooms');
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.room : undefined;
    const lines = this.#listed.map(({ room, sessions }) => this.#line(room, sessions));
    if (lines.length === 0) lines.push(told('li', { className: 'faint' }, () => words('noRooms')));
    if (this.#more > 0) lines.push(told('li', { className: 'faint' }, () => words('moreRooms', this.#more)));
    list.replaceChildren(...lines);
    if (focused !== undefined) [...list.querySelectorAll('a')].find(({ dataset }) => dataset.room === focused)?.focus();
  }

  #line(room, sessions) {
    const count = make('span', { className: 'count' }, String(sessions));
    tell(count, () => words('roomPeople', sessions), 'title');
    const name = make('span', { className: 'name', dir: 'auto' }, room);
    const link = make('a', { href: roomPath(room), dataset: { room } }, name, count);
    if (room === this.#room) link.setAttribute('aria-current', 'true');
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#on.go(room);
    });
    return make('li', {}, link);
  }
}
