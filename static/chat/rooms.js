// The list of rooms: those that the user has been in, those that have members, and a field to join another one.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { isRoomName, roomPath } from '../protocol.js';
import { tabStore } from '../store.js';
import { LOBBY, Visited, inOrder } from './visited.js';

const EVERY_MS = 10_000;
/** The server's list may be so old. */
const LIST_AGE_MS = 1_200;
const SPREAD_MS = 2_000;

/** `elements` are list, form, other, hint. Tells `on.join(room)` when another room is wanted. */
export class Rooms {
  #at;
  #on;
  #room = null;
  #visited = new Visited(tabStore);
  /** The newest offset that is known of the room we are in. */
  #head = 0;
  #listed = [];
  #more = 0;
  #soon;
  #isListed;

  constructor({ elements, on, isListed }) {
    this.#at = elements;
    this.#on = on;
    this.#at.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    addEventListener('focus', () => this.#read());
    addEventListener('pagehide', () => this.#visited.keep());
    this.#isListed = isListed;
    this.#draw();
    if (!isListed) return;
    this.load();
    setInterval(() => this.load(), EVERY_MS);
    document.addEventListener('visibilitychange', () => this.load());
  }

  /** We are in a room; gives the offset up to which it was read before, or `null` if that is not known. */
  joined({ room, epoch }) {
    this.#room = room;
    this.#head = 0;
    // Without an epoch we are only on the way.
    const seen = epoch === undefined ? null : this.#visited.enter(room, epoch);
    this.#draw();
    this.load();
    this.refreshSoon();
    return seen;
  }

  /** The room we are in goes on in another epoch. */
  goesOnIn(epoch) {
    this.#visited.goesOnIn(this.#room, epoch);
  }

  /** A message of the room we are in has come. */
  received({ offset }) {
    this.#head = offset;
    this.#read();
  }

  /** Another user may come: the rooms of this one are no longer known. */
  forget() {
    this.#visited.forget();
    this.#draw();
  }

  /** A user came or went: asks again before long, but not all pages of a room at once. */
  refreshSoon() {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.load();
    }, LIST_AGE_MS + SPREAD_MS * Math.random());
  }

  async load() {
    if (document.hidden || !this.#isListed) return;
    try {
      const own = new URLSearchParams([LOBBY, ...this.#visited.names].map((room) => ['room', room]));
      const response = await fetch(`rooms?${own}`);
      if (!response.ok) return;
      const { rooms, more, asked = [] } = await response.json();
      // What was asked for says where the room stands, too.
      const isAsked = new Set(asked.map(({ room }) => room));
      this.#listed = [...asked, ...rooms.filter(({ room }) => !isAsked.has(room))];
      this.#more = more;
      this.#draw();
    } catch {
      // The server is away; the list stays as it was.
    }
  }

  #read() {
    if (!document.hidden && document.hasFocus()) this.#visited.read(this.#room, this.#head);
  }

  #submit() {
    const field = this.#at.other;
    const name = field.value.trim();
    if (name === '') return;
    if (!isRoomName(name)) {
      localize(this.#at.hint, () => words('badRoom'));
      return;
    }
    localize(this.#at.hint, () => '');
    field.value = '';
    this.#on.join(name.normalize('NFKC'));
  }

  /** Why a room was not entered. */
  hint(phrase) {
    localize(this.#at.hint, phrase);
  }

  #draw() {
    const { list } = this.#at;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.room : undefined;
    const own = [...this.#visited.names, ...(this.#room === null ? [] : [this.#room])];
    const lines = inOrder(own, this.#listed).map((each) => this.#line(each));
    if (this.#more > 0) lines.push(localized('li', { className: 'faint' }, () => words('moreRooms', this.#more)));
    list.replaceChildren(...lines);
    if (focused !== undefined) [...list.querySelectorAll('a')].find(({ dataset }) => dataset.room === focused)?.focus();
  }

  #line({ room, sessions, epoch, offset }) {
    const unread = room === this.#room ? 0 : this.#visited.unread(room, { epoch, offset });
    const link = make('a', { href: roomPath(room), dataset: { room } }, make('span', { className: 'name', dir: 'auto' }, room));
    if (unread > 0) link.append(localized('span', { className: 'unread' }, () => words('roomUnread', unread)));
    if (this.#isListed) {
      const count = make('span', { className: 'count' }, String(sessions));
      localize(count, () => words('roomPeople', sessions), 'title');
      link.append(count);
    }
    if (room === this.#room) link.setAttribute('aria-current', 'true');
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#on.join(room);
    });
    return make('li', {}, link);
  }
}
