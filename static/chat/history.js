// Fetches pages of history that the window of the log lacks: earlier messages, and later ones after the reader scrolled up.
import { localize, words } from '../i18n.js';

const PAGE = 50;
/** After a page could not be had. */
const PAUSE_MS = 2_000;

/**
 * `elements` are top and end, where it says what is going on. Asks by `ask({ before, limit })`, changes the timeline, and calls
 * `changed()`.
 */
export class History {
  #timeline;
  #page;
  #ask;
  #changed;
  #now;
  #top;
  #end;
  /** The request under way: `older`, `newer`, or none. */
  #loading = null;
  #failed = null;
  #pausedUntil = 0;
  /** Goes on with each room: an answer for an earlier one is too late. */
  #turn = 0;

  constructor({ elements, timeline, page = PAGE, ask, changed, now = () => performance.now() }) {
    this.#top = elements.top;
    this.#end = elements.end;
    this.#timeline = timeline;
    this.#page = page;
    this.#ask = ask;
    this.#changed = changed;
    this.#now = now;
  }

  /** Begins a log that was cleared. */
  begin() {
    this.#turn += 1;
    this.#loading = this.#failed = null;
    this.#pausedUntil = 0;
  }

  async loadOlder() {
    const { first, hasOlder } = this.#timeline;
    if (!hasOlder || first === undefined) return;
    await this.#load('older', async () => {
      const { messages, more } = await this.#ask({ before: first, limit: this.#page });
      // The reader may have gone elsewhere meanwhile.
      return () => this.#timeline.first === first && this.#timeline.older(messages, more);
    });
  }

  async loadNewer() {
    const { isAtHead, last } = this.#timeline;
    if (isAtHead) return;
    await this.#load('newer', async () => {
      const messages = await this.#behind(last);
      return () => this.#timeline.last === last && this.#timeline.newer(messages);
    });
  }

  /** The messages behind an offset. A page may have fewer than were asked for, the last of them; then those before too. */
  async #behind(last) {
    let found = [];
    for (let before = last + 1 + this.#page; before > last + 1; before = found[0].offset) {
      const { messages, more } = await this.#ask({ before, limit: Math.min(before - last - 1, this.#page) });
      found = [...messages, ...found];
      if (messages.length === 0 || !more) break;
    }
    return found;
  }

  async #load(what, fetched) {
    if (this.#loading || this.#now() < this.#pausedUntil) return;
    this.#loading = what;
    const turn = this.#turn;
    this.showState();
    try {
      const apply = await fetched();
      if (turn !== this.#turn) return;
      this.#failed = null;
      apply();
    } catch {
      if (turn !== this.#turn) return;
      this.#failed = what;
      this.#pausedUntil = this.#now() + PAUSE_MS;
    }
    this.#loading = null;
    this.#changed();
  }

  /** Says above and below the lines what is going on there. */
  showState() {
    const { first, hasOlder, isAtHead, isBegun } = this.#timeline;
    const of = (what) => {
      if (this.#loading === what) return 'loadingHistory';
      return this.#failed === what ? 'historyFailed' : null;
    };
    this.#say(this.#top, of('older') ?? (isBegun && !hasOlder ? 'noHistory' : null), first);
    this.#say(this.#end, isAtHead ? null : of('newer') && `${of('newer')}Newer`);
  }

  #say(element, key) {
    const said = key ?? '';
    if (element.dataset.key === said) return;
    element.dataset.key = said;
    element.hidden = !key;
    localize(element, () => (key ? words(key) : ''));
  }
}
