// The lines of the timeline as elements: only what is otherwise than before is touched.
import { cutIfLong, dayLine, isSameDay, messageLine, newLine, noticeLine, renewNotice, showState } from './line-elements.js';

const GROUP_MS = 5 * 60_000;

/** Calls `on.isOurs(message)`, and `on.picture(username, img)` when a picture is to be enlarged. */
export class Lines {
  #list;
  #on;
  /** What is in the page of each line: `{ element, goesOn, state, day }`. */
  #shown = new Map();
  #newLine = null;
  /** Messages whose length has not been measured. */
  #unmeasured = [];
  /** The offset of the first message that is new to the reader, or `null`. */
  newFrom = null;

  constructor(list, on) {
    this.#list = list;
    this.#on = on;
  }

  /** Brings the page to the lines of the timeline. */
  show(timeline) {
    const lines = timeline.lines();
    const shown = new Map();
    const nodes = [];
    const context = { before: null, day: null, isNewTold: this.newFrom === null, hasOlder: timeline.hasOlder };
    for (const line of lines) {
      const { beginsDay, isFirstNew, goesOn } = this.#place(line, context);
      const record = this.#record(line, goesOn);
      if (beginsDay) nodes.push(record.day ??= dayLine(line.at));
      if (isFirstNew) nodes.push(this.#newLine ??= newLine());
      nodes.push(record.element);
      shown.set(line, record);
    }
    this.#shown = shown;
    this.#bring(nodes);
    // In the page, where what watches it (a test, a tool) sees states change.
    for (const [line, record] of shown) this.#showState(line, record);
  }

  /** Where a line stands: whether a day begins, or what is new, and whether a speaker goes on. */
  #place(line, context) {
    const { before } = context;
    const beginsDay = line.at !== undefined && (context.day === null ? !line.isNotice : !isSameDay(context.day, line.at));
    if (beginsDay || (context.day !== null && line.at !== undefined)) context.day = line.at;
    let isFirstNew = false;
    if (!context.isNewTold && line.offset >= this.newFrom && !this.#on.isOurs(line)) {
      context.isNewTold = true;
      // Above the window there may be more that is new.
      isFirstNew = line.offset === this.newFrom || before !== null || !context.hasOlder;
    }
    const goesOn = before !== null && isOfSame(before, line) && !beginsDay && !isFirstNew && line.at - before.at < GROUP_MS;
    context.before = line;
    return { beginsDay, isFirstNew, goesOn };
  }

  #record(line, goesOn) {
    const known = this.#shown.get(line);
    return known?.goesOn === goesOn ? known : { ...known, element: this.#element(line, goesOn), goesOn, state: null };
  }

  #showState(line, record) {
    if (line.state && record.state !== line.state) {
      showState(record.element, line.state);
      record.state = line.state;
    }
    if (line.isStale) {
      renewNotice(record.element, line.phrase);
      line.isStale = false;
    }
  }

  #element(line, goesOn) {
    if (line.isNotice) return noticeLine(line.phrase, line.className);
    const { title } = line;
    const element = messageLine(line, { isOurs: this.#on.isOurs(line), title, goesOn, onPicture: this.#on.picture });
    if (line.offset !== undefined) element.dataset.offset = line.offset;
    this.#unmeasured.push(element);
    return element;
  }

  /** Makes `nodes` what the list has, in their order, and leaves those that are there in their places. */
  #bring(nodes) {
    const wanted = new Set(nodes);
    let next = this.#list.firstChild;
    const skip = () => {
      while (next && !wanted.has(next)) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
    };
    for (const node of nodes) {
      skip();
      if (node === next) next = next.nextSibling;
      else this.#list.insertBefore(node, next);
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  }

  /** Notes what is read in `box`; the function it gives brings that back to its place. */
  hold(box) {
    const top = box.getBoundingClientRect().top;
    const lines = this.#list.children;
    let [low, high] = [0, lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle].getBoundingClientRect().bottom <= top) low = middle + 1;
      else high = middle;
    }
    // A line of a day or of what is new may have gone by then.
    const held = [...lines].slice(low, low + 3).map((line) => [line, line.getBoundingClientRect().top]);
    return () => {
      const [line, was] = held.find(([each]) => each.isConnected) ?? [];
      if (line) box.scrollTop += line.getBoundingClientRect().top - was;
    };
  }

  /** Cuts those of the messages added since the last time that are too long. */
  fit() {
    cutIfLong(this.#unmeasured.splice(0));
  }

  /** Cuts all messages that are too long. */
  fitAll() {
    cutIfLong([...this.#shown.values()].map(({ element }) => element));
  }
}

/** Whether two lines are messages of one user to the room. */
function isOfSame(one, other) {
  const areMessages = one.offset !== undefined && other.offset !== undefined;
  return areMessages && one.username === other.username && one.uid === other.uid;
}
