// A client of the chat: JSON events over one WebSocket, requests with acks, login, and recovery after a drop.
import { doorUrl, mayReconnect } from '../protocol.js';
import { Connection, REAL_TIME } from './connection.js';

const ANSWER_MS = 15_000;
const QUIET_MS = 25_000;
const LONGEST_QUIET_MS = 10 * 60_000;
/** Between two logins that follow a `not_logged_in`. */
const LOGIN_AGAIN_MS = 5_000;
/** Before a login that the server could not take is tried again. */
const LOGIN_RETRY_MS = 2_000;
const TOO_BIG = 1009;
const NOT_LOGGED_IN = 'not_logged_in';
export const JOURNAL_UNAVAILABLE = 'journal_unavailable';

/** Why a request failed: an error code of the server, or `disconnected` or `timeout`. */
export class RequestError extends Error {
  constructor({ code, msg, retry_after_ms: retryAfterMs }) {
    super(msg ?? code);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Calls `on.state(state, details)` as a [Connection] does, and `on.event(name, data)` for each event of the server. It keeps
 * its position in the room, so that it gets what it missed after a drop. A request that is not answered in time ends its
 * connection: the next one may have a path that works.
 *
 * `limits` are the server's: `max_payload` bytes a message, and how often it asks whether a client is there
 * (`ping_interval_ms`, `ping_timeout_ms`). Browsers do not show those pings to pages, so the page sends its own.
 */
export class ChatClient {
  #connection;
  #on;
  #time;
  #maxBytes;
  #patienceMs;
  #pending = new Map();
  #lastAck = 0;
  /** Runs until the server has answered the login. */
  #loginTimer = null;
  /** The profile that it logs in with: `{ username, avatar, token }`. */
  #profile = null;
  #room = null;
  #epoch = null;
  #offset = null;
  #joins = 0;
  /** When it last logged in again because a request was rejected for want of a login. */
  #loggedInAgainAt = -Infinity;
  isLoggedIn = false;

  constructor({ recorder, location, on, limits = {}, time = REAL_TIME, random }) {
    this.#on = on;
    this.#time = time;
    this.#maxBytes = limits.max_payload ?? Infinity;
    this.#patienceMs = Math.min(limits.ping_timeout_ms ?? ANSWER_MS, ANSWER_MS);
    const quietMs = Math.min(limits.ping_interval_ms ?? QUIET_MS, LONGEST_QUIET_MS);
    this.#connection = new Connection({
      open: () => recorder.open(doorUrl(location, '/chat'), 'chat.v1', 'chat'),
      mayReconnect: (code) => mayReconnect(code, limits.retry?.closes) || this.#isRefusedForSize(code),
      on: {
        state: (state, details) => this.#changeState(state, details),
        text: (text) => this.#take(text),
        quiet: () => this.check(),
      },
      quietMs,
      // No path may be silent for longer, so no answer is waited for longer.
      openMs: Math.min(quietMs + this.#patienceMs, ANSWER_MS),
      time,
      random,
    });
  }

  get room() {
    return this.#room;
  }

  /** Whether it is joining another room: until the answer, a message may go to either room. */
  get isJoining() {
    return this.#joins > 0;
  }

  /** Logs in, now or as soon as there is a connection, and again after each drop. */
  login(profile, room) {
    this.#profile = profile;
    if (room !== this.#room) this.#forgetPosition();
    this.#room = room;
    if (this.#connection.isOpen) this.#login();
    else this.#connection.connect();
  }

  /** The next login gets the latest messages instead of what was missed. */
  #forgetPosition() {
    this.#epoch = null;
    this.#offset = null;
  }

  /** Connects at once if it waits to, or has given up. */
  connectNow() {
    if (this.#profile) this.#connection.connect();
  }

  /**
   * Finds out whether there still is a connection, as after a sleep of the machine, or a change of its network; gives a
   * promise of whether there is.
   */
  async check(timeoutMs = this.#patienceMs) {
    this.#connection.connectNow();
    try {
      await this.request('ping', {}, timeoutMs);
      return true;
    } catch ({ code }) {
      // Any answer proves the connection, an error too.
      return code !== 'timeout' && code !== 'disconnected';
    }
  }

  /** Logs out, disconnects, and does not connect again by itself. */
  logout() {
    this.#profile = null;
    // It goes out before the close frame; its answer is not waited for.
    if (this.isLoggedIn) this.emit('logout', {});
    this.#forgetPosition();
    this.#room = null;
    this.#connection.disconnect();
  }

  /** Joins another room. If the promise fails, with a [RequestError], nothing has changed. */
  async join(room) {
    this.#joins += 1;
    try {
      const joined = await this.request('joinRoom', { room });
      this.#forgetPosition();
      this.#room = joined.room;
      this.#epoch = joined.epoch;
      if (joined.offset === 0) this.#offset = 0;
      return joined;
    } finally {
      this.#joins -= 1;
    }
  }

  /** Sends an event, and gives a promise of its answer. */
  request(event, data, timeoutMs = ANSWER_MS) {
    return new Promise((resolve, reject) => {
      const ack = (this.#lastAck += 1);
      const text = JSON.stringify({ event, data, ack });
      const size = byteLength(text);
      const refusal = size > this.#maxBytes ? 'too_large' : !this.#connection.send(text) && 'disconnected';
      if (refusal) {
        reject(new RequestError({ code: refusal }));
        return;
      }
      const timer = this.#time.after(timeoutMs, () => {
        this.#settle(ack, { error: { code: 'timeout' } });
        this.#connection.replace();
      });
      this.#pending.set(ack, { resolve, reject, timer, size });
    });
  }

  /** Sends an event without an ack; gives whether it was sent. */
  emit(event, data) {
    return this.#connection.send(JSON.stringify({ event, data }));
  }

  /** Measures the round trip to the server, in milliseconds. */
  async ping() {
    const start = this.#time.now();
    await this.request('ping', {});
    return this.#time.now() - start;
  }

  #login() {
    const position = this.#offset === null ? {} : { epoch: this.#epoch, offset: this.#offset };
    this.emit('login', { ...this.#profile, presence: 'changes', room: this.#room, ...position });
    this.#time.cancel(this.#loginTimer);
    this.#loginTimer = this.#time.after(ANSWER_MS, () => this.#connection.replace());
  }

  /** The session has no user any more: logs in again, at most once in `LOGIN_AGAIN_MS`. */
  #loginAgain() {
    if (!this.isLoggedIn) return;
    this.isLoggedIn = false;
    const restMs = Math.max(this.#loggedInAgainAt + LOGIN_AGAIN_MS - this.#time.now(), 0);
    this.#time.cancel(this.#loginTimer);
    this.#loginTimer = this.#time.after(restMs, () => {
      this.#loggedInAgainAt = this.#time.now();
      this.#login();
    });
  }

  /** Whether the server closed because a message was too large, and a request that failed so can be named. */
  #isRefusedForSize(code) {
    return code === TOO_BIG && this.#pending.size > 0;
  }

  #changeState(state, details) {
    if (state !== 'connected') {
      this.isLoggedIn = false;
      this.#time.cancel(this.#loginTimer);
      const under = [...this.#pending].sort(([, one], [, other]) => other.size - one.size);
      under.forEach(([ack], index) => {
        const isCause = index === 0 && details?.code === TOO_BIG;
        this.#settle(ack, { error: { code: isCause ? 'too_large' : 'disconnected' } });
      });
    }
    this.#on.state(state, details);
    if (state === 'connected' && this.#profile) this.#login();
  }

  #take(text) {
    const message = JSON.parse(text);
    if (message.ack !== undefined) return this.#settle(message.ack, message);
    const { event, data } = message;
    if (event === 'loginSuccess') this.#loggedIn(data);
    if (event === 'loginError') this.#loginRejected(data);
    // What was processed is of this epoch now.
    if (event === 'epoch') this.#epoch = data.epoch;
    this.#on.event(event, data);
    // Only now: a message whose handling failed is to come again.
    if (data?.offset !== undefined && (event === 'receiveMessage' || event === 'receiveImage')) this.#offset = data.offset;
    return undefined;
  }

  #loggedIn(data) {
    this.#time.cancel(this.#loginTimer);
    this.isLoggedIn = true;
    this.#profile = { username: data.username, avatar: data.avatar, token: data.token };
    this.#room = data.room;
    this.#epoch = data.epoch;
    if (data.recovered) return;
    // The latest messages follow; before the first of them there is no position.
    this.#offset = data.offset === 0 ? 0 : null;
  }

  /** A server that cannot store or read messages now takes no login, but may before long. */
  #loginRejected({ code }) {
    this.#time.cancel(this.#loginTimer);
    if (code === JOURNAL_UNAVAILABLE) this.#loginTimer = this.#time.after(LOGIN_RETRY_MS, () => this.#login());
  }

  #settle(ack, { data, error }) {
    const pending = this.#pending.get(ack);
    if (!pending) return;
    this.#pending.delete(ack);
    this.#time.cancel(pending.timer);
    if (error?.code === NOT_LOGGED_IN) this.#loginAgain();
    if (error) pending.reject(new RequestError(error));
    else pending.resolve(data);
  }
}

const encoder = new TextEncoder();
const byteLength = (text) => encoder.encode(text).length;
