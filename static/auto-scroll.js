// Auto-scroll: keeps the end of a box in sight until its reader scrolls away from it.

const NEAR_END = 24;

export class AutoScroll {
  #box;
  #moved;
  #follows = true;
  /** The box as it was when it was last looked at: only the reader scrolls in a box that has not changed otherwise. */
  #known = { top: 0, height: 0, content: 0 };

  /** `box` scrolls, `content` is what it holds; calls `moved()` whenever `isBehind` may have changed. */
  constructor(box, content, moved = () => {}) {
    this.#box = box;
    this.#moved = moved;
    box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // A box shrinks when an element is added beside it, and lines wrap differently in a narrower box.
    const resized = new ResizeObserver(() => this.keepUp());
    resized.observe(box);
    resized.observe(content);
  }

  /** Whether the end is out of sight because the reader has scrolled. */
  get isBehind() {
    return !this.#follows && !this.#isAtEnd();
  }

  /** To be called when the content has changed: goes to its end, unless the reader has scrolled away from it. */
  keepUp() {
    if (this.#follows) this.#box.scrollTop = this.#box.scrollHeight;
    this.#look();
  }

  /** Goes to the end, and keeps it in sight from now on. */
  goToEnd() {
    this.#follows = true;
    this.keepUp();
  }

  /** Stops if the end is not in sight: the reader has done something with a line further up. */
  stay() {
    this.#follows = this.#isAtEnd();
    this.#look();
  }

  /** Tells the reader's scrolling from what comes of a box or a content that has changed. */
  #scrolled() {
    const { top, height, content } = this.#known;
    const { scrollTop, clientHeight, scrollHeight } = this.#box;
    if (this.#isAtEnd()) this.#follows = true;
    else if (clientHeight === height && scrollHeight === content && scrollTop < top) this.#follows = false;
    this.#look();
  }

  #isAtEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_END;
  }

  #look() {
    const { scrollTop: top, clientHeight: height, scrollHeight: content } = this.#box;
    this.#known = { top, height, content };
    this.#moved();
  }
}
