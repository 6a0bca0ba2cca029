// Notices of users who came in and left: one notice for all of them between two messages. A user who leaves and is back
// before long, as after a reload, has neither left nor come in.

/** How long a departure waits before it is told: most reloads take less. */
const HOLD_MS = 2_000;
/** A user who is back within this time was not away. (The server holds a name for this time by default.) */
const QUICK_MS = 30_000;
/** Names in a notice when there are more people than these and one more. */
const NAMED = 2;

/** The users who came in and left between two messages. */
class Group {
  /** By name, in order: `wasIn` before this group, `isIn` now. */
  #people = new Map();

  came(username) {
    this.#people.delete(username);
    this.#people.set(username, { wasIn: false, isIn: true });
  }

  left(username) {
    const wasIn = this.#people.get(username)?.wasIn ?? true;
    this.#people.delete(username);
    this.#people.set(username, { wasIn, isIn: false });
  }

  /** A user whose departure is told here is back at once. */
  returned(username) {
    const user = this.#people.get(username);
    if (user) user.isIn = true;
  }

  get #names() {
    const [came, left] = [[], []];
    for (const [username, { wasIn, isIn }] of this.#people) {
      if (!isIn) left.push(username);
      else if (!wasIn) came.push(username);
    }
    return { came, left };
  }

  /** `{ came, left }`, each `{ names, others }`: some by name, and how many more. */
  get told() {
    const { came, left } = this.#names;
    return { came: shortened(came), left: shortened(left) };
  }

  get isEmpty() {
    const { came, left } = this.#names;
    return came.length + left.length === 0;
  }
}

function shortened(names) {
  if (names.length <= NAMED + 1) return { names, others: 0 };
  return { names: names.slice(0, NAMED), others: names.length - NAMED };
}

/** Calls `on.changed(group)` when a notice begins or is otherwise; one that `isEmpty` is to go. */
export class PresenceNotices {
  #on;
  #now;
  #timers;
  #open = null;
  /** Departures that wait to be told: the timer by name. */
  #held = new Map();
  /** Departures that have been told lately: `{ group, at }` by name, the oldest first. */
  #away = new Map();

  constructor(on, { now = () => performance.now(), timers = globalThis } = {}) {
    this.#on = on;
    this.#now = now;
    this.#timers = timers;
  }

  came(username) {
    if (!this.#isBackAtOnce(username)) this.#tell((group) => group.came(username));
  }

  left(username) {
    const at = this.#now();
    this.#timers.clearTimeout(this.#held.get(username));
    const announce = () => {
      this.#held.delete(username);
      const group = this.#tell((open) => open.left(username));
      this.#away.delete(username);
      this.#away.set(username, { group, at });
    };
    this.#held.set(username, this.#timers.setTimeout(announce, HOLD_MS));
  }

  /** Another line follows: later changes get a notice of their own below it. */
  close() {
    this.#open = null;
  }

  /** Begins a log that was cleared. */
  clear() {
    for (const timer of this.#held.values()) this.#timers.clearTimeout(timer);
    this.#held.clear();
    this.#away.clear();
    this.close();
  }

  #isBackAtOnce(username) {
    if (this.#held.has(username)) {
      this.#timers.clearTimeout(this.#held.get(username));
      this.#held.delete(username);
      return true;
    }
    const since = this.#now() - QUICK_MS;
    for (const [name, { at }] of this.#away) {
      if (at >= since) break;
      this.#away.delete(name);
    }
    const away = this.#away.get(username);
    this.#away.delete(username);
    if (!away || away.at < since) return false;
    away.group.returned(username);
    this.#changed(away.group);
    return true;
  }

  #tell(change) {
    this.#open ??= new Group();
    const group = this.#open;
    change(group);
    this.#changed(group);
    return group;
  }

  #changed(group) {
    this.#on.changed(group);
    if (group.isEmpty && group === this.#open) this.close();
  }
}
