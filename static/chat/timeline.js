// Which lines of a room are in the page: a window into its messages that follows the reader, and between them what only
// this page knows (private messages and notices). A plain structure: it touches no element and asks no server.

/** Messages in the window at most. */
const MOST = 400;
/** More than these go together, so that the first line is not another one with each message. */
const SLACK = 40;
/** Characters of their contents at most, as far as the window has more messages than a page of history. */
const MOST_CHARS = 16 * 1024 * 1024;
/** The newest messages, which are kept wherever the reader is, so that the way back to them needs no request. */
const TAIL = 50;
const TAIL_CHARS = 4 * 1024 * 1024;
/** Private messages and notices at most. */
const MOST_ASIDES = 300;

const charsOf = ({ msg, img }) => (msg ?? img ?? '').length;
const charsIn = (messages) => messages.reduce((all, message) => all + charsOf(message), 0);

/** Takes the first out of `messages` (or the last) until they are few enough; never the last `least` of them. */
function shorten(messages, { most, chars, least, fromEnd = false }) {
  let sum = charsIn(messages);
  let over = 0;
  while (messages.length - over > least && (messages.length - over > most || sum > chars)) {
    over += 1;
    sum -= charsOf(fromEnd ? messages[messages.length - over] : messages[over - 1]);
  }
  if (over > 0) messages.splice(fromEnd ? messages.length - over : 0, over);
  return over > 0;
}

export class Timeline {
  #messages = [];
  #tail = [];
  #head = 0;
  #asides = [];
  #hasOlder = false;
  /** Whether it is known how much the room has. */
  isBegun = false;

  /** Whether the room has earlier messages than the first of the window. */
  get hasOlder() {
    return this.#hasOlder && this.first !== 1;
  }

  /** The room's newest message has this offset; what the page has of it comes by itself. */
  begin(offset) {
    this.clear();
    this.#hasOlder = offset > 0;
    this.isBegun = true;
  }

  clear() {
    this.#messages = [];
    this.#tail = [];
    this.#head = 0;
    this.#asides = [];
    this.#hasOlder = this.isBegun = false;
  }

  /** The offset of the first message in the window, and of the last. */
  get first() {
    return this.#messages[0]?.offset;
  }

  get last() {
    return this.#messages.at(-1)?.offset;
  }

  /** The offset of the newest message that is known, in the window or not. */
  get head() {
    return this.#head;
  }

  /** Whether the window ends with the newest message. */
  get isAtHead() {
    return this.#messages.length === 0 || this.last === this.#head;
  }

  /** What is known of the message with this offset. */
  find(offset) {
    const at = (list) => list.find((message) => message.offset === offset);
    return at(this.#tail) ?? at(this.#messages);
  }

  /** Adds a message that has just come; says whether it is new. `follows`: the reader is at the end. */
  add(message, follows) {
    if (message.offset <= this.#head) return false;
    const isAtHead = this.isAtHead;
    // What came before any message stays above the first.
    if (this.#head === 0) this.#asides.forEach((each) => { each.after = message.offset - 1; });
    this.#head = message.offset;
    this.#tail.push(message);
    shorten(this.#tail, { most: TAIL, chars: TAIL_CHARS, least: 1 });
    // A reader who is elsewhere keeps what is read: then the window ends before the newest message.
    if (isAtHead && (follows || this.#hasPlace)) this.#messages.push(message);
    if (follows && !this.#hasPlace) this.#shortenFront();
    return true;
  }

  /** Adds the page of history before the window. What is far below goes. */
  older(messages, hasMore) {
    const fresh = messages.filter(({ offset }) => this.first === undefined || offset < this.first);
    this.#messages.unshift(...this.#known(fresh));
    this.#hasOlder = hasMore && fresh.length > 0;
    shorten(this.#messages, { most: MOST, chars: MOST_CHARS, least: 2 * fresh.length, fromEnd: true });
  }

  /** Adds the page of history behind the window. What is far above goes. */
  newer(messages) {
    const fresh = messages.filter(({ offset }) => offset > this.last);
    if (fresh.length === 0) return this.toHead();
    this.#messages.push(...this.#known(fresh));
    this.#join();
    this.#shortenFront(2 * fresh.length);
    return undefined;
  }

  /** Moves the window to the newest messages. */
  toHead() {
    if (this.isAtHead) return;
    this.#messages = [...this.#tail];
    this.#hasOlder = true;
  }

  /** Adds what only this page knows, behind the newest message. */
  addAside(aside) {
    this.#asides.push({ aside, after: this.#head });
    if (this.#asides.length <= MOST_ASIDES) return;
    // Notices go before what was written to the reader.
    const notice = this.#asides.findIndex((each) => each.aside.isNotice);
    this.#asides.splice(Math.max(notice, 0), 1);
  }

  removeAside(aside) {
    this.#asides = this.#asides.filter((each) => each.aside !== aside);
  }

  /** All lines of the window, in order. */
  lines() {
    const [first, last] = [this.hasOlder ? this.first ?? 1 : 1, this.isAtHead ? Infinity : this.last];
    const asides = this.#asides.filter(({ after }) => after >= first - 1 && after <= last);
    const lines = [];
    let next = 0;
    for (const message of this.#messages) {
      for (; next < asides.length && asides[next].after < message.offset; next += 1) lines.push(asides[next].aside);
      lines.push(message);
    }
    for (; next < asides.length; next += 1) lines.push(asides[next].aside);
    return lines;
  }

  /** The messages that the tail has behind the window, if nothing is missing between them. */
  #join() {
    if (this.#tail[0].offset > this.last + 1) return;
    this.#messages.push(...this.#tail.filter(({ offset }) => offset > this.last));
  }

  /** The messages, as the tail has them where it does: what is learnt of one later is learnt of both. */
  #known(messages) {
    const first = this.#tail[0]?.offset ?? Infinity;
    return messages.map((message) => (message.offset < first ? message : this.#tail[message.offset - first] ?? message));
  }

  get #hasPlace() {
    return this.#messages.length < MOST + SLACK && charsIn(this.#messages) < MOST_CHARS;
  }

  #shortenFront(least = 1) {
    if (shorten(this.#messages, { most: MOST, chars: MOST_CHARS, least })) this.#hasOlder = true;
  }
}
