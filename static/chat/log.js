// The log of a room: messages in their order, what waits to be sent below them, and where the reader is in it.
import { find, make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { dayLine, messageLine, noticeLine, showState } from './entries.js';

/** Lines in the page; beyond it the oldest go, or no more are loaded. */
const MOST = 1_000;
const GROUP_MS = 5 * 60_000;
/** Pixels from an end within which the reader is there. */
const NEAR = 48;

const isSameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** Tells `on.olderWanted()`, `on.picture(username, img)`, `on.retry(id)`, `on.discard(id)`. */
export class Log {
  #box = find('log');
  #list = find('lines');
  #pendingList = find('pending');
  #top = find('log-top');
  #button = find('to-newest');
  #on;
  /** In order: `{ at, username, offset, id, isMessage, element, day }`. */
  #entries = [];
  #byOffset = new Map();
  #pending = new Map();
  /** What the server said of messages of ours that are not in the room yet, by offset. */
  #receipts = new Map();
  #scrollTop = 0;
  #unseen = 0;

  constructor(on) {
    this.#on = on;
    this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#button.addEventListener('click', () => this.toEnd());
    // A picture that has been loaded, or a keyboard on the screen, moves the end away from who was there.
    const observer = new ResizeObserver(() => this.#wasAtEnd && this.toEnd());
    for (const element of [this.#box, this.#list.parentElement]) observer.observe(element);
  }

  #wasAtEnd = true;

  get #isAtEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR;
  }

  /** The offset of the first message that is shown. */
  get first() {
    return this.#entries.find(({ offset }) => offset !== undefined)?.offset;
  }

  get last() {
    return this.#entries.findLast(({ offset }) => offset !== undefined)?.offset ?? 0;
  }

  get isFull() {
    return this.#entries.length >= MOST;
  }

  /** Empties it, but for what waits. */
  clear() {
    this.#entries = [];
    this.#byOffset.clear();
    this.#receipts.clear();
    this.#list.replaceChildren();
    this.top(null);
    this.#wasAtEnd = true;
    this.#forgetUnseen();
  }

  /** Words above the first message. */
  top(teller) {
    this.#top.hidden = !teller;
    tell(this.#top, teller ?? (() => ''));
  }

  /** Adds a message at the end; says whether it is new here. */
  add(message, { isOurs, isLive }) {
    if (message.offset <= this.last) return false;
    this.#append(this.#entryOf(message, isOurs), isOurs || !isLive);
    if (isOurs && message.id !== undefined) this.#settlePending(message);
    return true;
  }

  /** Adds earlier messages above, and leaves what is read in its place. */
  addOlder(messages, isOurs) {
    const entries = messages.filter(({ offset }) => !this.#byOffset.has(offset)).map((message) => this.#entryOf(message, isOurs(message)));
    const { scrollHeight, scrollTop } = this.#box;
    this.#entries.unshift(...entries);
    this.#list.prepend(...entries.map(({ element }) => element));
    for (let index = 0; index <= entries.length; index += 1) this.#relink(index);
    this.#box.scrollTop = scrollTop + this.#box.scrollHeight - scrollHeight;
  }

  addPrivate(message, { isOurs, title }) {
    const element = messageLine(message, { isOurs, title, onPicture: this.#on.picture });
    this.#append({ at: message.at, username: null, element }, isOurs);
  }

  notice(teller, className) {
    this.#append({ at: Date.now(), username: null, element: noticeLine(teller, className), isNotice: true }, true);
  }

  /** Shows a message of ours that is not in the room yet, or how far it is. */
  showPending(item, me) {
    let line = this.#pending.get(item.id);
    if (!line) {
      line = messageLine({ ...item, ...me }, { isOurs: true, onPicture: this.#on.picture });
      this.#pending.set(item.id, line);
      this.#pendingList.append(line);
      this.toEnd();
    }
    showState(line, { ...item, onRetry: () => this.#on.retry(item.id), onDiscard: () => this.#on.discard(item.id) });
  }

  removePending(id) {
    this.#pending.get(id)?.remove();
    this.#pending.delete(id);
  }

  clearPending() {
    this.#pending.clear();
    this.#pendingList.replaceChildren();
  }

  /** The server keeps a message of ours. The room may have it already, or is about to. */
  sent(id, { offset, echo }) {
    const state = { state: 'sent', echo };
    const entry = this.#byOffset.get(offset);
    if (entry) showState(entry.element, state);
    if (entry || offset <= this.last) this.removePending(id);
    else this.#receipts.set(offset, state);
  }

  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#wasAtEnd = true;
    this.#forgetUnseen();
  }

  #entryOf(message, isOurs) {
    const element = messageLine(message, { isOurs, onPicture: this.#on.picture });
    element.dataset.offset = message.offset;
    const entry = { at: message.at, username: message.username, offset: message.offset, element };
    this.#byOffset.set(message.offset, entry);
    return entry;
  }

  /** In the room it has a place; until the ack its state is shown there. */
  #settlePending({ id, offset }) {
    const receipt = this.#receipts.get(offset);
    if (!receipt && !this.#pending.has(id)) return;
    this.#receipts.delete(offset);
    this.removePending(id);
    showState(this.#byOffset.get(offset).element, receipt ?? { state: 'sending' });
  }

  #append(entry, isExpected) {
    const wasAtEnd = this.#wasAtEnd;
    this.#entries.push(entry);
    this.#list.append(entry.element);
    this.#relink(this.#entries.length - 1);
    if (wasAtEnd) {
      while (this.#entries.length > MOST) this.#dropFirst();
      this.toEnd();
    } else if (!isExpected) {
      this.#unseen += 1;
      this.#showButton();
    }
  }

  #dropFirst() {
    const { element, day, offset } = this.#entries.shift();
    element.remove();
    day?.remove();
    if (offset !== undefined) this.#byOffset.delete(offset);
    this.#relink(0);
  }

  /** Decides by the entry before it whether one begins a day, and whether it goes on with the same speaker. */
  #relink(index) {
    const [before, entry] = [this.#entries[index - 1], this.#entries[index]];
    if (!entry) return;
    const beginsDay = !before ? !entry.isNotice : !isSameDay(before.at, entry.at);
    if (beginsDay && !entry.day) {
      entry.day = dayLine(entry.at);
      entry.element.before(entry.day);
    } else if (!beginsDay && entry.day) {
      entry.day.remove();
      entry.day = undefined;
    }
    const goesOn = !beginsDay && entry.username && before?.username === entry.username && entry.at - before.at < GROUP_MS;
    entry.element.classList.toggle('goes-on', Boolean(goesOn));
  }

  #scrolled() {
    // Only who goes up leaves the end; what grows below the reader does not move them.
    this.#wasAtEnd = this.#isAtEnd || (this.#wasAtEnd && this.#box.scrollTop >= this.#scrollTop);
    this.#scrollTop = this.#box.scrollTop;
    if (this.#wasAtEnd) this.#forgetUnseen();
    else this.#showButton();
    if (this.#box.scrollTop < 4 * NEAR) this.#on.olderWanted();
  }

  #forgetUnseen() {
    this.#unseen = 0;
    this.#showButton();
  }

  #showButton() {
    this.#button.hidden = this.#wasAtEnd;
    tell(this.#button, () => (this.#unseen > 0 ? words('newMessages', this.#unseen) : words('toNewest')));
  }
}

/** Says new lines to screen readers, and nothing that is only read again. */
export class Announcer {
  #region = find('announcer');

  say(teller) {
    this.#region.append(told('p', {}, teller));
    while (this.#region.childElementCount > 20) this.#region.firstElementChild.remove();
  }
}
