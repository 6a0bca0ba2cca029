// A client of the chat: JSON events over one WebSocket, requests with acks, and the way back after a drop.
import { closeCode, doorUrl } from '../protocol.js';
import { Connection } from './connection.js';

const ANSWER_MS = 15_000;

/** Why a request was not done: a code of the server's, or `disconnected` or `timeout`. */
export class RequestError extends Error {
  constructor({ code, msg, retry_after_ms: retryAfterMs }) {
    super(msg ?? code);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Tells `on.state(state, details)` as a [Connection] does, and `on.event(name, data)` what the server says. Knows where it
 * left off, so that who comes back gets what was missed.
 */
export class ChatClient {
  #connection;
  #on;
  #pending = new Map();
  #lastAck = 0;
  /** Who we want to be: `{ username, avatar, token }`. */
  #profile = null;
  #room = null;
  #epoch = null;
  #offset = null;
  isLoggedIn = false;

  constructor({ recorder, location, on }) {
    this.#on = on;
    this.#connection = new Connection({
      open: () => recorder.open(doorUrl(location, '/chat'), 'chat.v1', 'chat'),
      mayReturn: (code) => closeCode(code).reconnect,
      on: { state: (state, details) => this.#changeState(state, details), text: (text) => this.#take(text) },
    });
  }

  get room() {
    return this.#room;
  }

  get isWanted() {
    return this.#connection.isWanted;
  }

  /** Logs in, now or as soon as there is a connection, and again after each drop. */
  enter(profile, room) {
    this.#profile = profile;
    if (room !== this.#room) this.#forgetPlace();
    this.#room = room;
    if (this.#connection.isOpen) this.#login();
    else this.#connection.connect();
  }

  /** Begins anew at the next login, instead of asking for what was missed. */
  #forgetPlace() {
    this.#epoch = null;
    this.#offset = null;
  }

  /** Connects at once if it waits to, or has given up. */
  hurry() {
    if (this.#profile) this.#connection.connect();
  }

  /** Tries again at once if it was waiting to. */
  wake() {
    this.#connection.hurry();
  }

  /** Finds out whether the connection of a page that was asleep is still one. */
  async check() {
    this.wake();
    if (!this.isLoggedIn) return;
    try {
      await this.request('ping', {}, 5_000);
    } catch ({ code }) {
      if (code === 'timeout') this.#connection.replace();
    }
  }

  /** Leaves for good. */
  async leave() {
    this.#profile = null;
    try {
      if (this.isLoggedIn) await this.request('logout', {}, 2_000);
    } catch {
      // The connection's end says the same.
    }
    this.isLoggedIn = false;
    this.#forgetPlace();
    this.#connection.disconnect();
  }

  /** Goes to another room; the promise fails with a [RequestError], and then nothing has changed. */
  async join(room) {
    const joined = await this.request('joinRoom', { room });
    this.#forgetPlace();
    this.#room = joined.room;
    this.#epoch = joined.epoch;
    if (joined.offset === 0) this.#offset = 0;
    return joined;
  }

  /** Sends an event and gives its answer. */
  request(event, data, timeoutMs = ANSWER_MS) {
    return new Promise((resolve, reject) => {
      const ack = (this.#lastAck += 1);
      if (!this.#send({ event, data, ack })) {
        reject(new RequestError({ code: 'disconnected' }));
        return;
      }
      const timer = setTimeout(() => this.#settle(ack, { error: { code: 'timeout' } }), timeoutMs);
      this.#pending.set(ack, { resolve, reject, timer });
    });
  }

  /** Sends an event that nobody answers; says whether it could. */
  tell(event, data) {
    return this.#send({ event, data });
  }

  /** Milliseconds to the server and back. */
  async ping() {
    const start = performance.now();
    await this.request('ping', {});
    return performance.now() - start;
  }

  #send(message) {
    return this.#connection.send(JSON.stringify(message));
  }

  #login() {
    const place = this.#offset === null ? {} : { epoch: this.#epoch, offset: this.#offset };
    this.#send({ event: 'login', data: { ...this.#profile, room: this.#room, ...place } });
  }

  #changeState(state, details) {
    if (state !== 'connected') {
      this.isLoggedIn = false;
      for (const ack of [...this.#pending.keys()]) this.#settle(ack, { error: { code: 'disconnected' } });
    }
    this.#on.state(state, details);
    if (state === 'connected' && this.#profile) this.#login();
  }

  #take(text) {
    const message = JSON.parse(text);
    if (message.ack !== undefined) return this.#settle(message.ack, message);
    const { event, data } = message;
    if (event === 'loginSuccess') this.#welcomed(data);
    this.#on.event(event, data);
    // Only when it has been dealt with is it not to come again.
    if (data?.offset !== undefined && (event === 'receiveMessage' || event === 'receiveImage')) this.#offset = data.offset;
    return undefined;
  }

  #welcomed(data) {
    this.isLoggedIn = true;
    this.#profile = { username: data.username, avatar: data.avatar, token: data.token };
    this.#room = data.room;
    this.#epoch = data.epoch;
    if (data.recovered) return;
    // The latest messages follow; until the first of them there is nothing to come back to.
    this.#offset = data.offset === 0 ? 0 : null;
  }

  #settle(ack, { data, error }) {
    const pending = this.#pending.get(ack);
    if (!pending) return;
    this.#pending.delete(ack);
    clearTimeout(pending.timer);
    if (error) pending.reject(new RequestError(error));
    else pending.resolve(data);
  }
}
