// The log of a room: messages in their order, what waits to be sent below them, and where the reader is in it. What is
// said changes the timeline at once, and the page once a frame.
import { localized } from '../dom.js';
import { localize, words } from '../i18n.js';
import { ServerClock } from './clock.js';
import { cutIfLong, messageLine, showState } from './line-elements.js';
import { PresenceNotices } from './presence-notices.js';
import { History } from './history.js';
import { Lines } from './lines.js';
import { TokenBucket } from './token-bucket.js';
import { Timeline } from './timeline.js';

/** Pixels from an end within which the reader is there, and within which more is loaded. */
const NEAR = 48;
const LOAD_NEAR = 4 * NEAR;
/** A page that is not seen has no frames. */
const FRAME_PATIENCE_MS = 1_000;
/** Each frame in which the log changes costs some milliseconds, however few lines are new in it. */
const FRAMES = { restMs: 500, most: 4 };
/** After the messages that come by themselves, more are asked for if they do not fill the page. */
const FILL_AFTER_MS = 500;

/**
 * `elements` are box, content (all of it), top, lines, end, pending, toNewest. Asks `on.history({ before, limit })` for a promise of
 * `{ messages, more }`, and `on.isOurs(message)`; tells `on.picture(username, img)`, `on.retry(id)`, `on.discard(id)`, and
 * `on.shown()` when the page shows what has changed.
 */
export class Log {
  #box;
  #pendingList;
  #button;
  #on;
  #clock = new ServerClock();
  #timeline = new Timeline();
  #history;
  #lines;
  #presenceNotices = new PresenceNotices({ changed: (group) => this.#presenceChanged(group) });
  /** The notice of each group of users who came in and left. */
  #notices = new WeakMap();
  #pending = new Map();
  /** Messages that wait for the frame in which they stand in the room. */
  #settled = new Set();
  /** What the server said of messages of ours that are not in the room yet, by offset. */
  #receipts = new Map();
  #wasAtEnd = true;
  #scrollTop = 0;
  #width = 0;
  #unseen = 0;
  /** Whether the next message that comes while the reader is away is the first new one. */
  #mayMark = true;
  #frame = 0;
  #frameTimer = 0;
  #frameRate = new TokenBucket(FRAMES);
  #fillTimer = 0;

  constructor({ elements, on, page }) {
    this.#box = elements.box;
    this.#pendingList = elements.pending;
    this.#button = elements.toNewest;
    this.#on = on;
    this.#lines = new Lines(elements.lines, { isOurs: on.isOurs, picture: on.picture });
    this.#history = new History({
      elements, timeline: this.#timeline, page, ask: on.history, changed: () => this.#changed(),
    });
    this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#button.addEventListener('click', () => this.toEnd());
    addEventListener('focus', () => { this.#mayMark = true; });
    // A picture that has been loaded, or a keyboard on the screen, moves the end away from who was there.
    const observer = new ResizeObserver(() => this.#resized());
    for (const element of [elements.box, elements.content]) observer.observe(element);
  }

  /** The name of the room whose log it is. */
  set room(room) {
    localize(this.#box, () => words('log', room), 'aria-label');
  }

  /** The server's clock shows this now. */
  serverTime(at) {
    this.#clock.learn(at);
  }

  /** Empties it, but for what waits. */
  clear() {
    this.#presenceNotices.clear();
    this.#timeline.clear();
    this.#history.begin();
    this.#receipts.clear();
    this.#lines.newFrom = null;
    this.#wasAtEnd = true;
    this.#unseen = 0;
    this.#flush();
  }

  /** A room whose newest message has `offset`. Those behind `seen`, if it is known, are marked as new. */
  begin({ offset, seen = null }) {
    this.#timeline.begin(offset);
    this.#history.begin();
    this.#lines.newFrom = seen !== null && seen < offset ? seen + 1 : null;
    this.#changed();
  }

  /** Adds a message at the end; says whether it is new here. */
  add(message, { isOurs, isLive }) {
    if (message.offset <= this.#timeline.head) return false;
    if (isLive) this.#clock.learn(message.at);
    this.#presenceNotices.close();
    this.#settle(message, isOurs);
    this.#mark(message, { isOurs, isLive });
    this.#timeline.add(message, this.#wasAtEnd);
    this.#noteUnseen(isOurs || !isLive);
    if (isOurs && isLive) this.#changed({ isUrgent: true });
    return true;
  }

  addPrivate(message, { isOurs, title }) {
    this.#presenceNotices.close();
    this.#timeline.addAside({ ...message, title });
    this.#noteUnseen(isOurs);
    if (isOurs) this.#changed({ isUrgent: true });
  }

  notice(phrase, className = '') {
    this.#presenceNotices.close();
    this.#addNotice({ phrase, className });
  }

  came({ username }) {
    this.#presenceNotices.came(username);
  }

  left({ username }) {
    this.#presenceNotices.left(username);
  }

  /** Shows a message of ours that is not in the room yet, or how far it is. */
  showPending(item, me) {
    let line = this.#pending.get(item.id);
    if (!line) {
      line = messageLine({ ...item, ...me, at: this.#clock.at(item.at) }, { isOurs: true, onPicture: this.#on.picture });
      this.#pending.set(item.id, line);
      this.#pendingList.append(line);
      cutIfLong([line]);
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
    const message = this.#timeline.find(offset);
    if (message) message.state = state;
    if (message || offset <= this.#timeline.head) this.#settled.add(id);
    else this.#receipts.set(offset, state);
    this.#changed({ isUrgent: true });
  }

  toEnd() {
    this.#timeline.toHead();
    this.#wasAtEnd = true;
    this.#unseen = 0;
    this.#flush();
  }

  get #isAtEnd() {
    return this.#timeline.isAtHead && this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR;
  }

  /** In the room it has a place; until the ack its state is shown there. */
  #settle(message, isOurs) {
    const { id, offset } = message;
    const receipt = this.#receipts.get(offset);
    if (!isOurs || id === undefined || !(receipt || this.#pending.has(id))) return;
    this.#receipts.delete(offset);
    this.#settled.add(id);
    message.state = receipt ?? { state: 'sending' };
  }

  /** The first message that comes while the reader is away gets the line "new" above it; a reader who answers has read it. */
  #mark({ offset }, { isOurs, isLive }) {
    if (!isLive) return;
    if (isOurs) this.#lines.newFrom = null;
    else if (this.#mayMark && (document.hidden || !document.hasFocus())) {
      this.#lines.newFrom = offset;
      this.#mayMark = false;
    }
  }

  /** Something has come below; `isExpected` if it is nothing to go and look for. */
  #noteUnseen(isExpected) {
    if (!this.#wasAtEnd && !isExpected) this.#unseen += 1;
    this.#changed();
  }

  #addNotice(notice) {
    const aside = { ...notice, at: this.#clock.now(), isNotice: true };
    this.#timeline.addAside(aside);
    this.#changed();
    return aside;
  }

  #presenceChanged(group) {
    const notice = this.#notices.get(group);
    if (group.isEmpty) {
      if (notice) this.#timeline.removeAside(notice);
      this.#notices.delete(group);
    } else if (notice) {
      notice.isStale = true;
    } else {
      this.#notices.set(group, this.#addNotice({ phrase: () => inWords(group), className: '' }));
    }
    this.#changed();
  }

  /**
   * The page is to show what has changed: with the next frame, unless many have just shown something. What the reader has done
   * is urgent, and does not wait.
   */
  #changed({ isUrgent = false } = {}) {
    if (this.#frame) return;
    const rest = isUrgent ? 0 : this.#frameRate.wait(performance.now());
    if (rest > 0) this.#frameTimer ||= setTimeout(() => this.#awaitFrame(), rest);
    else this.#awaitFrame();
  }

  #awaitFrame() {
    clearTimeout(this.#frameTimer);
    this.#frame = requestAnimationFrame(() => this.#flush());
    this.#frameTimer = setTimeout(() => this.#flush(), FRAME_PATIENCE_MS);
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#frameTimer);
    this.#frame = this.#frameTimer = 0;
    this.#frameRate.spend(performance.now());
    const restore = this.#wasAtEnd ? null : this.#lines.hold(this.#box);
    this.#lines.show(this.#timeline);
    for (const id of this.#settled) this.removePending(id);
    this.#settled.clear();
    this.#history.showState();
    this.#lines.fit();
    if (restore) restore();
    else this.#box.scrollTop = this.#box.scrollHeight;
    this.#showButton();
    this.#on.shown();
    clearTimeout(this.#fillTimer);
    this.#fillTimer = setTimeout(() => this.#loadIfNear(), FILL_AFTER_MS);
  }

  #scrolled() {
    // Only who goes up leaves the end; what grows below the reader does not move them.
    this.#wasAtEnd = this.#isAtEnd || (this.#wasAtEnd && this.#box.scrollTop >= this.#scrollTop);
    this.#scrollTop = this.#box.scrollTop;
    if (this.#wasAtEnd) this.#unseen = 0;
    this.#showButton();
    this.#loadIfNear();
  }

  #loadIfNear() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    if (clientHeight === 0) return;
    if (scrollTop < LOAD_NEAR) this.#history.loadOlder();
    if (scrollHeight - scrollTop - clientHeight < LOAD_NEAR) this.#history.loadNewer();
  }

  #resized() {
    const { clientWidth } = this.#box;
    if (clientWidth !== this.#width) this.#fitAll();
    this.#width = clientWidth;
    if (this.#wasAtEnd) this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** Lines wrap otherwise in a box of another width. */
  #fitAll() {
    this.#lines.fitAll();
    cutIfLong(this.#pending.values());
  }

  #showButton() {
    this.#button.hidden = this.#wasAtEnd;
    const unseen = this.#unseen;
    if (this.#button.dataset.unseen === String(unseen)) return;
    this.#button.dataset.unseen = unseen;
    localize(this.#button, () => (unseen > 0 ? words('newMessages', unseen) : words('toNewest')));
  }
}

/** The users of a notice, in words. */
function inWords(group) {
  const parts = Object.entries(group.told).filter(([, { names }]) => names.length > 0)
    .map(([key, { names, others }]) => words(key === 'came' ? 'joined' : 'left', names, others));
  return parts.join(words('between'));
}

/** Says new lines to screen readers, in the frame that shows them, and nothing that is only read again. */
export class Announcer {
  #region;
  #waiting = [];

  constructor(region) {
    this.#region = region;
  }

  /** Of many at once only the last are said. */
  say(phrase) {
    this.#waiting.push(phrase);
    if (this.#waiting.length > 20) this.#waiting.shift();
  }

  /** Says what waits. */
  speak() {
    if (this.#waiting.length === 0) return;
    this.#region.append(...this.#waiting.splice(0).map((phrase) => localized('p', {}, phrase)));
    while (this.#region.childElementCount > 20) this.#region.firstElementChild.remove();
  }
}
