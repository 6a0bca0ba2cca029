// Gets news in two ways, polling and push, and counts what each costs.
import { httpUrl } from './scope.js';

const encoder = new TextEncoder();
const sizeOf = (text) => encoder.encode(text).length;
const KEPT = 60;

/**
 * Bytes of the head of a request as browsers write it. A page cannot see its own requests, so this is an estimate, from
 * what it knows of them.
 */
function headOfRequest(path) {
  return sizeOf(`GET ${path} HTTP/1.1\r\nHost: ${location.host}\r\nConnection: keep-alive\r\nUser-Agent: ${navigator.userAgent}\r\n`
    + `Accept: */*\r\nReferer: ${location.origin}/\r\nAccept-Encoding: gzip, deflate, br\r\n`
    + `Accept-Language: ${navigator.languages.join(',')}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n`
    + 'Sec-Fetch-Dest: empty\r\n\r\n');
}

/** The head of an answer, where the browser does not tell; Resource Timing itself counts 300 bytes for it. */
const HEAD_OF_ANSWER = 300;
/** What the upgrade adds to a request, and the answer to it. */
const UPGRADE = 180;
const UPGRADED = 220;

/** Bytes of the frame around a message of the server. */
const frameOf = (size) => size + (size < 126 ? 2 : 4);

/** What one way of getting news has cost and brought. */
export class Tally {
  requests = 0;
  empty = 0;
  bytes = 0;
  delays = [];

  get mean() {
    return this.delays.length ? this.delays.reduce((sum, one) => sum + one, 0) / this.delays.length : NaN;
  }

  get worst() {
    return this.delays.length ? Math.max(...this.delays) : NaN;
  }
}

/**
 * Polls `/lesson/news`, and gets its news by push as well, until `stop()`. `news` are the latest `{ number, at, pushed, polled }` in
 * this page's time, `requests` the latest `{ time, got }`. Calls `on.changed()`, and `on.failed()` when the server does not
 * help.
 */
export class NewsRace {
  poll = new Tally();
  push = new Tally();
  news = [];
  requests = [];
  #scope;
  #on;
  #known = new Map();
  #socket;
  #timer = 0;
  #period;
  #last = null;
  /** Milliseconds that the server's clock is ahead, from the request with the shortest round trip. */
  #ahead = 0;
  #bestTrip = Infinity;
  #isOver = false;

  constructor(scope, url, period, on) {
    this.#scope = scope;
    this.#period = period;
    this.#on = on;
    this.#socket = scope.open(url, [], '/lesson/news');
    this.push.requests = 1;
    this.push.bytes = headOfRequest('/lesson/news') + UPGRADE + UPGRADED;
    this.#socket.addEventListener('message', ({ data }) => this.#pushed(data));
    this.#socket.addEventListener('close', () => this.#fail());
    this.#socket.addEventListener('open', () => this.#ask());
    scope.signal.addEventListener('abort', () => this.stop());
  }

  /** Another period, in milliseconds, from the next request on. */
  set period(milliseconds) {
    this.#period = milliseconds;
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), milliseconds);
  }

  stop() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.close(1000);
  }

  #fail() {
    if (this.#isOver) return;
    this.stop();
    this.#on.failed();
  }

  /** A request of the timer's. The first only learns where the news are, and what time it is there. */
  async #ask() {
    const isFirst = this.#last === null;
    const path = isFirst ? '/lesson/news' : `/lesson/news?after=${this.#last}`;
    const begun = Date.now();
    this.#timer = 0;
    try {
      const answer = await fetch(httpUrl(path), { signal: this.#scope.signal, cache: 'no-store' });
      if (!answer.ok) return this.#fail();
      const text = await answer.text();
      if (this.#isOver) return;
      this.#answered(JSON.parse(text), { path, size: sizeOf(text), begun, isFirst });
    } catch {
      return this.#fail();
    }
    this.#timer = setTimeout(() => this.#ask(), this.#period);
  }

  #answered({ news, last, now }, { path, size, begun, isFirst }) {
    const ended = Date.now();
    if (ended - begun < this.#bestTrip) {
      this.#bestTrip = ended - begun;
      this.#ahead = now - (begun + ended) / 2;
    }
    // Of several servers, another one may have answered, whose clock is behind.
    this.#last = Math.max(last, this.#last ?? 0);
    // The first request is there for the clock: it is not part of the race.
    if (isFirst) return;
    this.poll.requests += 1;
    if (news.length === 0) this.poll.empty += 1;
    this.poll.bytes += headOfRequest(path) + this.#sizeOfAnswer(path, size);
    this.requests = [...this.requests, { time: ended, got: news.length }].slice(-KEPT);
    for (const one of news) this.#arrived(one, 'polled', this.poll, ended);
    this.#on.changed();
  }

  #sizeOfAnswer(path, size) {
    const timing = performance.getEntriesByName(httpUrl(path)).at(-1);
    return timing?.transferSize || size + HEAD_OF_ANSWER;
  }

  #pushed(data) {
    if (this.#isOver) return;
    this.push.bytes += frameOf(sizeOf(data));
    this.#arrived(JSON.parse(data), 'pushed', this.push, Date.now());
    this.#on.changed();
  }

  #arrived({ number, at }, way, tally, time) {
    if (!this.#known.has(number)) this.#known.set(number, { number, at: at - this.#ahead });
    const one = this.#known.get(number);
    one[way] = time;
    tally.delays.push(Math.max(time - one.at, 0));
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value);
    this.news = [...this.#known.values()];
  }
}
