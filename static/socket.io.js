// A small Socket.IO client: Socket.IO protocol 5 on Engine.IO 4, for pages and for Node. It is Echoroom's own, written
// to be read; the server hands it out as it is.
//
//   <script src="/socket.io/socket.io.js"></script>      or, in a module:      import '/socket.io/socket.io.js';
//   <script>const socket = io(); socket.emit('hello', 1, (answer) => console.log(answer));</script>
//
// Both ways define `io` for the whole page. Names, events and reasons are those of the official client, whose bundle
// works with this server as well. Left out: WebTransport and JSONP, other parsers than JSON, the `retries` queue,
// listeners for what goes out (`onAnyOutgoing`), headers of one's own, the setters of the manager's options
// (`io.opts` can be written), and servers before Socket.IO 3.
//
// From the ground up: Emitter; packets (`encode`, `Decoder`); the transports `Polling` and `WebSocketTransport`;
// `Engine`, one connection; `Manager`, which connects again and shares the connection among namespaces; `Socket`,
// one namespace; `io`.
(() => {
  'use strict';

  const DEFAULTS = {
    path: '/socket.io',
    transports: ['polling', 'websocket'],
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    randomizationFactor: 0.5,
    reconnectionAttempts: Infinity,
    timeout: 20_000,
    autoConnect: true,
  };

  /** Events that may wait in a socket for its connection; what is over is refused. */
  const MAX_WAITING = 10_000;
  /** Packets in one posted payload. */
  const MAX_POSTED = 1000;
  /** Bytes that a WebSocket may have under way when a volatile event is still sent. */
  const VOLATILE_BYTES = 64 * 1024;
  /** A timer later than this ran in a page that was asleep; how long to wait then for what came meanwhile. */
  const ASLEEP_MS = 200;
  const WAKING_MS = 1000;
  /** How long the last packets of a connection that is being closed may take. */
  const CLOSING_MS = 10_000;

  /** Engine.IO packets that fit in one payload are joined by this. */
  const SEPARATOR = '\x1e';

  const [CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK] = [0, 1, 2, 3, 4, 5, 6];
  const RESERVED = new Set(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']);

  /** Calls somebody else's function: what it throws is reported, and is not our failure. */
  function attempt(call) {
    try {
      call();
    } catch (error) {
      (globalThis.reportError ?? console.error)(error);
    }
  }

  const parseError = (message) => Object.assign(new Error(message), { reason: 'parse error' });
  const transportError = (message, description) =>
    Object.assign(new Error(message), { type: 'TransportError', description });

  class Emitter {
    #listeners = new Map();

    /** Calls `listener` at each event of that name. */
    on(name, listener) {
      if (typeof listener !== 'function') throw new TypeError(`the listener of "${name}" is not a function`);
      // A new array each time: an event under way goes to those who listened when it came.
      this.#listeners.set(name, [...this.listeners(name), listener]);
      return this;
    }

    /** Calls `listener` at the next event of that name. */
    once(name, listener) {
      const first = (...args) => {
        this.off(name, first);
        listener(...args);
      };
      first.listener = listener;
      return this.on(name, first);
    }

    /** Removes a listener, or all of that name, or all. */
    off(name, listener) {
      if (name === undefined) this.#listeners.clear();
      else if (!listener) this.#listeners.delete(name);
      else this.#listeners.set(name, this.listeners(name).filter((known) => known !== listener && known.listener !== listener));
      return this;
    }

    /** The same, as Node names it. */
    removeListener(name, listener) {
      return this.off(name, listener);
    }

    /** The same, as Node names it. */
    removeAllListeners(name) {
      return this.off(name);
    }

    listeners(name) {
      return this.#listeners.get(name) ?? [];
    }

    /** Tells the listeners on this side. */
    fire(name, ...args) {
      for (const listener of this.listeners(name)) attempt(() => listener.apply(this, args));
    }
  }

  // ---- Socket.IO packets: a text, and after it the binary parts it announces.

  const isBinary = (value) =>
    ArrayBuffer.isView(value)
    || Object.prototype.toString.call(value) === '[object ArrayBuffer]'
    || (typeof Blob === 'function' && value instanceof Blob);

  /** The parts that carry a packet: its text first. */
  function encode({ type, namespace, id = '', payload }) {
    const attachments = [];
    const json = payload === undefined ? '' : JSON.stringify(payload, function part(key, value) {
      // The value as it was before its `toJSON`, which a Buffer has.
      const binary = [this[key], value].find(isBinary);
      return binary === undefined ? value : { _placeholder: true, num: attachments.push(binary) - 1 };
    });
    const isMarked = attachments.length > 0;
    const head = isMarked ? `${type === EVENT ? BINARY_EVENT : BINARY_ACK}${attachments.length}-` : type;
    return [`${head}${namespace === '/' ? '' : `${namespace},`}${id}${json}`, ...attachments];
  }

  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

  /** Whether a packet of that type may carry that. */
  const IS_SOUND = {
    [CONNECT]: (payload) => isObject(payload) && typeof payload.sid === 'string',
    [DISCONNECT]: (payload) => payload === undefined,
    [EVENT]: (payload) =>
      Array.isArray(payload) && (typeof payload[0] === 'number' || (typeof payload[0] === 'string' && !RESERVED.has(payload[0]))),
    [ACK]: (payload, id) => Array.isArray(payload) && id !== undefined,
    [CONNECT_ERROR]: (payload) => isObject(payload) || typeof payload === 'string',
  };

  /** Puts the packets of one connection together. */
  class Decoder {
    #unfinished = null;

    /** Takes text or bytes; gives a packet when it is whole, else null. Throws at what is none. */
    take(part) {
      const isText = typeof part === 'string';
      if (isText === (this.#unfinished !== null)) throw parseError(isText ? 'a binary part is missing' : 'unannounced bytes');
      const packet = this.#unfinished ?? Decoder.#head(part);
      if (!isText) packet.attachments.push(part);
      this.#unfinished = packet.attachments.length < packet.announced ? packet : null;
      return this.#unfinished ? null : Decoder.#finish(packet);
    }

    static #head(text) {
      const found = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*)(?:,|$))?(\d+)?/.exec(text);
      if (!found) throw parseError('not a packet');
      const [head, digit, announced = 0, namespace = '/', id] = found;
      const isMarked = Number(digit) >= BINARY_EVENT;
      if (isMarked !== Number(announced) > 0) throw parseError('wrong number of binary parts');
      // From here on an event is an event, and an ack an ack.
      const type = isMarked ? Number(digit) - (BINARY_EVENT - EVENT) : Number(digit);
      return { type, namespace, id, json: text.slice(head.length), announced: Number(announced), attachments: [] };
    }

    static #finish({ type, namespace, id, json, attachments }) {
      const fill = (_, value) => {
        if (value?._placeholder !== true) return value;
        if (typeof value.num !== 'number' || !Object.hasOwn(attachments, value.num)) throw parseError('a binary part that was not sent');
        return attachments[value.num];
      };
      let payload;
      try {
        if (json !== '') payload = attachments.length > 0 ? JSON.parse(json, fill) : JSON.parse(json);
      } catch (error) {
        throw parseError(error.message);
      }
      if (!IS_SOUND[type](payload, id)) throw parseError('a payload that does not fit its packet');
      return { type, namespace, id, payload };
    }
  }

  // ---- Engine.IO packets: a text `<type><text>`, or bytes. Over polling they share a payload, bytes as base64.

  function toBase64(buffer) {
    const bytes = ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
      : new Uint8Array(buffer);
    let characters = '';
    // In pieces: the arguments of one call are limited.
    for (let start = 0; start < bytes.length; start += 8192) {
      characters += String.fromCharCode(...bytes.subarray(start, start + 8192));
    }
    return btoa(characters);
  }

  function fromBase64(text) {
    try {
      return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
    } catch {
      throw parseError('not base64');
    }
  }

  /** A packet as the text that a payload takes. */
  async function asText(packet) {
    if (typeof packet === 'string') return packet;
    return `b${toBase64(typeof packet.arrayBuffer === 'function' ? await packet.arrayBuffer() : packet)}`;
  }

  /** The bytes of that text. */
  function sizeInPayload(packet) {
    if (typeof packet === 'string') return new TextEncoder().encode(packet).length;
    return 1 + 4 * Math.ceil((packet.byteLength ?? packet.size) / 3);
  }

  // Both transports have a name, open(), pause(), send(packets), isReady, isIdle and close(), and tell their owner by `told`:
  // opened(), packet(packet), drained() when the next packets may be sent, ended(reason, error).

  /** Packets by HTTP: one GET at a time waits for them, one POST at a time sends them. */
  class Polling {
    name = 'polling';
    #address;
    #credentials;
    #abort = new AbortController();
    #isPaused = false;
    #polls = null;
    #post = null;

    constructor(address, options) {
      this.#address = address;
      this.#credentials = options.withCredentials ? 'include' : 'same-origin';
    }

    get isReady() {
      return this.#post === null;
    }

    get isIdle() {
      return this.isReady;
    }

    open() {
      this.#isPaused = false;
      this.#polls = this.#poll();
    }

    /** Ends when no request is under way; `open` goes on. */
    async pause() {
      this.#isPaused = true;
      await Promise.all([this.#polls, this.#post]);
    }

    send(packets) {
      this.#post = this.#send(packets);
    }

    close() {
      this.#isPaused = true;
      this.#abort.abort();
    }

    async #poll() {
      try {
        while (!this.#isPaused) {
          const payload = await this.#request({ method: 'GET' });
          for (const packet of payload.split(SEPARATOR)) {
            this.told.packet(packet.startsWith('b') ? fromBase64(packet.slice(1)) : packet);
          }
        }
      } catch (error) {
        this.told.ended(error.reason ?? 'transport error', error);
      }
    }

    async #send(packets) {
      try {
        const texts = await Promise.all(packets.map(asText));
        await this.#request({ method: 'POST', body: texts.join(SEPARATOR) });
        this.#post = null;
        this.told.drained();
      } catch (error) {
        this.told.ended('transport error', error);
      }
    }

    async #request(init) {
      const options = { ...init, cache: 'no-store', credentials: this.#credentials, signal: this.#abort.signal };
      let response;
      let text;
      try {
        response = await fetch(this.#address('polling'), options);
        text = await response.text();
      } catch (error) {
        throw transportError(`polling failed: ${error.message}`, error);
      }
      if (!response.ok) throw transportError(`polling was answered ${response.status}: ${text.slice(0, 200)}`, response.status);
      return text;
    }
  }

  /** Packets as the frames of a WebSocket. */
  class WebSocketTransport {
    name = 'websocket';
    #address;
    #socket = null;

    constructor(address) {
      this.#address = address;
    }

    get isReady() {
      return this.#socket?.readyState === 1;
    }

    get isIdle() {
      return this.isReady && this.#socket.bufferedAmount < VOLATILE_BYTES;
    }

    open() {
      try {
        this.#socket = new WebSocket(this.#address('websocket'));
      } catch (error) {
        this.told.ended('transport error', transportError(`no WebSocket: ${error.message}`, error));
        return;
      }
      this.#socket.binaryType = 'arraybuffer';
      this.#socket.onopen = () => this.told.opened();
      this.#socket.onmessage = ({ data }) => this.told.packet(data);
      this.#socket.onerror = (event) => this.told.ended('transport error', transportError('websocket error', event));
      this.#socket.onclose = (event) => this.told.ended('transport close', transportError('websocket closed', event));
    }

    pause() {}

    send(packets) {
      for (const packet of packets) this.#socket.send(packet);
    }

    close() {
      this.#socket?.close();
    }
  }

  const TRANSPORTS = { polling: Polling, websocket: WebSocketTransport };

  /** One connection, from its handshake to its end. Tells its owner by `told`: opened, message, pinged, ended. */
  class Engine extends Emitter {
    id = null;
    transport = null;
    #address;
    #options;
    #told;
    #state = 'opening';
    #untried;
    #failure = null;
    #maxPayload = Infinity;
    #outgoing = [];
    #isFlushDue = false;
    #probe = null;
    #isSwitching = false;
    #hasTakenLeave = false;
    #silence = 0;
    #deadline = Infinity;
    #timer = 0;

    /** `address` is the URL without its query. */
    constructor(address, options, told) {
      super();
      this.#options = options;
      this.#told = told;
      this.#untried = options.transports.filter((name) => Object.hasOwn(TRANSPORTS, name));
      this.#address = (transport) => {
        const url = new URL(address);
        if (transport === 'websocket') url.protocol = url.protocol.replace('http', 'ws');
        url.search = new URLSearchParams({ ...options.query, EIO: 4, transport, ...(this.id && { sid: this.id }) });
        return url.href;
      };
    }

    open() {
      this.#tryNext();
    }

    /** Whether the server should have been heard by now, by the clock: timers stand still while a machine sleeps. */
    get isLate() {
      return Date.now() > this.#deadline;
    }

    /** Whether what is written goes out at once. */
    get isIdle() {
      return this.#state === 'open' && !this.#isSwitching && this.#outgoing.length === 0 && this.transport.isIdle;
    }

    write(packet) {
      this.#outgoing.push(packet);
      if (this.#isFlushDue) return;
      this.#isFlushDue = true;
      // What is written in one go shares a payload.
      queueMicrotask(() => {
        this.#isFlushDue = false;
        this.#flush();
      });
    }

    /** Ends when what was written is out. */
    close() {
      if (this.#state === 'opening') this.end('forced close');
      if (this.#state !== 'open') return;
      this.#state = 'closing';
      this.#giveUpProbe();
      this.#isSwitching = false;
      this.transport.pause();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.end('forced close'), CLOSING_MS);
      this.#flush();
    }

    /** Ends at once. Every path to the end leads here. */
    end(reason, error) {
      if (this.#state === 'closed') return;
      this.#state = 'closed';
      clearTimeout(this.#timer);
      this.#giveUpProbe();
      this.transport?.close();
      this.#told.ended(reason, error);
      this.fire('close', reason, error);
    }

    #tryNext() {
      const name = this.#untried.shift();
      if (!name) return this.end('transport error', this.#failure ?? new Error('there is no such transport'));
      const transport = new TRANSPORTS[name](this.#address, this.#options);
      this.#listenTo(transport);
      transport.open();
    }

    #listenTo(transport) {
      this.transport = transport;
      const isOurs = () => this.transport === transport;
      transport.told = {
        opened() {},
        packet: (packet) => isOurs() && this.#take(packet),
        drained: () => isOurs() && this.#flush(),
        ended: (reason, error) => {
          if (!isOurs()) return;
          if (this.#state !== 'opening' || reason === 'parse error') return this.end(reason, error);
          this.#failure ??= error;
          this.#tryNext();
        },
      };
    }

    #flush() {
      const { transport } = this;
      if (this.#state === 'opening' || this.#state === 'closed' || this.#isSwitching || !transport.isReady) return;
      if (this.#outgoing.length > 0) transport.send(this.#batch());
      // Over polling the leave is told by itself, when the server has taken the rest. A WebSocket sees to both.
      if (this.#state !== 'closing' || !transport.isReady) return;
      if (!(transport instanceof Polling) || this.#hasTakenLeave) return this.end('forced close');
      this.#hasTakenLeave = true;
      transport.send(['1']);
    }

    /** What may be sent now: all, or what fits in a payload, and one packet at least. */
    #batch() {
      if (!(this.transport instanceof Polling)) return this.#outgoing.splice(0);
      let count = 0;
      for (let size = 0; count < Math.min(this.#outgoing.length, MAX_POSTED); count += 1) {
        size += sizeInPayload(this.#outgoing[count]) + (count > 0 ? 1 : 0);
        if (count > 0 && size > this.#maxPayload) break;
      }
      return this.#outgoing.splice(0, count);
    }

    #take(packet) {
      if (this.#state === 'opening') return this.#shakeHands(packet);
      if (this.#state !== 'open') return;
      if (typeof packet !== 'string') return this.#told.message(packet);
      switch (packet[0]) {
        case '1': return this.end('transport close', new Error('the server closed'));
        case '2':
          this.#expectPing();
          this.write('3');
          return this.#told.pinged();
        case '3': case '6': return;
        case '4': return this.#told.message(packet.slice(1));
        default: return this.end('parse error', parseError('not an Engine.IO packet'));
      }
    }

    #shakeHands(packet) {
      let open = null;
      try {
        if (packet[0] === '0') open = JSON.parse(packet.slice(1));
      } catch {
        // It is none.
      }
      if (typeof open?.sid !== 'string' || !(open.pingInterval > 0) || !(open.pingTimeout > 0)) {
        return this.end('parse error', parseError('not an open packet'));
      }
      this.#state = 'open';
      this.id = open.sid;
      this.#maxPayload = open.maxPayload ?? Infinity;
      this.#silence = open.pingInterval + open.pingTimeout;
      this.#expectPing();
      this.#told.opened();
      this.fire('open');
      const { transports } = this.#options;
      const wantsUpgrade = transports.indexOf('websocket') > transports.indexOf('polling');
      if (this.transport instanceof Polling && wantsUpgrade && open.upgrades?.includes('websocket')) this.#upgrade();
    }

    #expectPing() {
      this.#deadline = Date.now() + this.#silence;
      this.#watch(this.#silence);
    }

    #watch(wait, isWaking = false) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        const late = Date.now() - this.#deadline;
        // The ping may be here already, and wait behind this timer to be read.
        if (late > ASLEEP_MS && !isWaking) this.#watch(WAKING_MS, true);
        else if (late < 0) this.#watch(-late);
        else this.end('ping timeout', new Error('no ping came in time'));
      }, wait);
    }

    /** Asks for a WebSocket; until one has answered, and if none does, polling goes on. */
    #upgrade() {
      const probe = new WebSocketTransport(this.#address);
      this.#probe = probe;
      // One that was given up may still have something to say.
      const isOurs = () => this.#probe === probe;
      const giveUp = () => isOurs() && this.#giveUpProbe();
      probe.told = {
        opened: () => isOurs() && probe.send(['2probe']),
        packet: (packet) => (packet === '3probe' && isOurs() && !this.#isSwitching ? this.#switchTo(probe) : giveUp()),
        ended: giveUp,
      };
      probe.open();
    }

    async #switchTo(probe) {
      const polling = this.transport;
      this.#isSwitching = true;
      // The open poll must end first: what it brings is older than what the WebSocket will.
      await polling.pause();
      this.#isSwitching = false;
      if (this.#probe === probe) {
        this.#probe = null;
        this.#listenTo(probe);
        probe.send(['5']);
        polling.close();
        this.fire('upgrade', probe);
      } else if (this.#state === 'open') {
        polling.open();
      }
      this.#flush();
    }

    #giveUpProbe() {
      const probe = this.#probe;
      this.#probe = null;
      probe?.close();
    }
  }

  /** Keeps one connection for the namespaces of an address, and connects again. */
  class Manager extends Emitter {
    /** The connection of now, or the last one. */
    engine = null;
    #address;
    #sockets = new Map();
    #joined = new Map();
    #state = 'closed';
    #attempts = 0;
    #timer = 0;

    constructor(origin, options = {}) {
      super();
      this.opts = { ...DEFAULTS, ...options };
      this.#address = `${origin}${this.opts.path.replace(/\/*$/, '/')}`;
    }

    /** The socket of a namespace: the one there is, or a new one. */
    socket(namespace, options = this.opts) {
      const socket = this.#sockets.get(namespace) ?? new Socket(this, namespace, options);
      this.#sockets.set(namespace, socket);
      if (this.opts.autoConnect && !socket.active) socket.connect();
      return socket;
    }

    has(namespace) {
      return this.#sockets.has(namespace);
    }

    /** Connects, if it does not already. Sockets do this by themselves. */
    open() {
      if (this.#state !== 'closed') return this;
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.#state = 'opening';
      const decoder = new Decoder();
      const isOurs = () => this.engine === engine && this.#state !== 'closed';
      const engine = new Engine(this.#address, this.opts, {
        opened: () => isOurs() && this.#opened(),
        message: (part) => isOurs() && this.#take(engine, decoder, part),
        pinged: () => isOurs() && this.#pinged(),
        ended: (reason, error) => isOurs() && this.#ended(reason, error),
      });
      this.engine = engine;
      const { timeout } = this.opts;
      if (timeout !== false) {
        this.#timer = setTimeout(() => engine.end('transport error', transportError('timeout')), timeout);
      }
      engine.open();
      return this;
    }

    /** The same. */
    connect() {
      return this.open();
    }

    /** Disconnects all namespaces, and does not connect again by itself. */
    close() {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.#attempts = 0;
      const wasClosed = this.#state === 'closed';
      this.#state = 'closed';
      if (wasClosed) return;
      this.engine.close();
      for (const link of [...this.#joined.values()]) link.ended('forced close');
      this.fire('close', 'forced close');
    }

    /** The same. */
    disconnect() {
      this.close();
    }

    /** For a socket: tells `link` of the connection from now on, and connects. */
    join(namespace, link) {
      this.#joined.set(namespace, link);
      if (this.#state === 'open') link.opened();
      // While it waits to try again the next try is for everybody.
      else if (this.#timer === 0) this.open();
    }

    /** For a socket: the connection ends with the last one. */
    leave(namespace) {
      if (this.#joined.delete(namespace) && this.#joined.size === 0) this.close();
    }

    /** For a socket: sends the parts of a packet. */
    send([text, ...attachments]) {
      this.engine.write(`4${text}`);
      for (const attachment of attachments) this.engine.write(attachment);
    }

    #opened() {
      clearTimeout(this.#timer);
      this.#timer = 0;
      this.#state = 'open';
      const attempts = this.#attempts;
      this.#attempts = 0;
      for (const link of [...this.#joined.values()]) link.opened();
      this.fire('open');
      if (attempts > 0) this.fire('reconnect', attempts);
    }

    #take(engine, decoder, part) {
      let packet;
      try {
        packet = decoder.take(part);
      } catch (error) {
        return engine.end('parse error', error);
      }
      if (!packet) return;
      const { type, namespace } = packet;
      const link = this.#joined.get(namespace);
      if (link) link.take(packet);
      // A socket that left before it was let in.
      else if (type === CONNECT) this.send(encode({ type: DISCONNECT, namespace }));
    }

    #pinged() {
      for (const link of [...this.#joined.values()]) link.flush();
      this.fire('ping');
    }

    #ended(reason, error = new Error(reason)) {
      clearTimeout(this.#timer);
      this.#timer = 0;
      const wasOpen = this.#state === 'open';
      this.#state = 'closed';
      for (const link of [...this.#joined.values()]) link.ended(reason, error);
      if (wasOpen) {
        this.fire('close', reason, error);
      } else {
        this.fire('error', error);
        if (this.#attempts > 0) this.fire('reconnect_error', error);
      }
      this.#tryAgain();
    }

    #tryAgain() {
      const { reconnection, reconnectionAttempts, reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.opts;
      // A listener may have left, or may have connected already.
      if (!reconnection || this.#state !== 'closed' || this.#timer !== 0 || this.#joined.size === 0) return;
      if (this.#attempts >= reconnectionAttempts) {
        this.#attempts = 0;
        this.fire('reconnect_failed');
        return;
      }
      const delay = reconnectionDelay * 2 ** this.#attempts * (1 + randomizationFactor * (2 * Math.random() - 1));
      this.#attempts += 1;
      this.#timer = setTimeout(() => {
        this.fire('reconnect_attempt', this.#attempts);
        if (this.#timer !== 0) this.open();
      }, Math.min(delay, reconnectionDelayMax));
    }
  }

  /** One namespace: events out and in, and the acks of both. */
  class Socket extends Emitter {
    connected = false;
    /** Whether the server gave back what was missed since the last connection. */
    recovered = false;
    id = undefined;
    #namespace;
    #ackTimeout;
    #link;
    #isActive = false;
    #flags = {};
    #anyListeners = [];
    #waiting = [];
    #early = [];
    #acks = new Map();
    #nextAck = 0;
    #session = 0;
    #pid = undefined;
    #offset = undefined;

    constructor(manager, namespace, { auth, ackTimeout } = {}) {
      super();
      this.io = manager;
      this.auth = auth;
      this.#namespace = namespace;
      this.#ackTimeout = ackTimeout;
      this.#link = {
        opened: () => this.#introduce(),
        take: (packet) => this.#take(packet),
        flush: () => this.#flush(),
        ended: (reason, error) => this.#ended(reason, error),
      };
    }

    get nsp() {
      return this.#namespace;
    }

    get disconnected() {
      return !this.connected;
    }

    /** Whether it is connected or will be by itself. */
    get active() {
      return this.#isActive;
    }

    /** The next event is dropped if it cannot go out at once. */
    get volatile() {
      this.#flags.isVolatile = true;
      return this;
    }

    /** The ack of the next event is called with an error first: one if it did not come within `timeout` ms, else null. */
    timeout(timeout) {
      this.#flags.timeout = timeout;
      return this;
    }

    connect() {
      if (this.connected) return this;
      this.#isActive = true;
      this.io.join(this.#namespace, this.#link);
      return this;
    }

    /** The same. */
    open() {
      return this.connect();
    }

    disconnect() {
      if (this.connected) this.io.send(encode({ type: DISCONNECT, namespace: this.#namespace }));
      this.#leave('io client disconnect');
      return this;
    }

    /** The same. */
    close() {
      return this.disconnect();
    }

    /**
     * Sends an event; a function as the last argument is called with the server's answer. Without a connection the
     * event waits for one: up to 10,000 do, and one more is an error, thrown or given to its ack.
     */
    emit(name, ...args) {
      const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
      return this.#emit(name, args, ack, false);
    }

    /** Sends an event and gives its answer, or fails when none can come any more. */
    emitWithAck(name, ...args) {
      return new Promise((resolve, reject) => {
        this.#emit(name, args, (error, answer) => (error ? reject(error) : resolve(answer)), true);
      });
    }

    /** Sends an event named `message`. */
    send(...args) {
      return this.emit('message', ...args);
    }

    /** Calls `listener` with the name and the arguments of every event from the server. */
    onAny(listener) {
      this.#anyListeners = [...this.#anyListeners, listener];
      return this;
    }

    /** Removes that listener, or all such. */
    offAny(listener) {
      this.#anyListeners = listener ? this.#anyListeners.filter((known) => known !== listener) : [];
      return this;
    }

    #emit(name, args, ack, isPromised) {
      const { isVolatile, timeout = this.#ackTimeout } = this.#flags;
      this.#flags = {};
      if (RESERVED.has(name)) throw new Error(`"${name}" is a reserved event name`);
      const takesError = isPromised || timeout !== undefined;
      const id = ack ? this.#nextAck : undefined;
      const parts = encode({ type: EVENT, namespace: this.#namespace, id, payload: [name, ...args] });
      const isLive = this.connected && this.#waiting.length === 0 && !this.io.engine.isLate;
      if (!isVolatile && !isLive && this.#waiting.length >= MAX_WAITING) {
        const error = new Error(`${MAX_WAITING} events wait for a connection already`);
        if (!ack || !takesError) throw error;
        queueMicrotask(() => attempt(() => ack(error)));
        return this;
      }
      if (ack) this.#expect(ack, takesError, timeout);
      if (isLive && (!isVolatile || this.io.engine.isIdle)) this.io.send(parts);
      else if (!isVolatile) this.#waiting.push({ id, parts });
      return this;
    }

    #expect(ack, takesError, timeout) {
      const id = this.#nextAck;
      this.#nextAck += 1;
      const settle = (error, answer = []) => {
        clearTimeout(timer);
        this.#acks.delete(id);
        this.#waiting = this.#waiting.filter((waiting) => waiting.id !== id);
        if (takesError) attempt(() => ack(error, ...answer));
        else if (!error) attempt(() => ack(...answer));
      };
      const timer = timeout === undefined ? 0 : setTimeout(() => settle(new Error('operation has timed out')), timeout);
      this.#acks.set(id, settle);
    }

    #flush() {
      if (!this.connected) return;
      for (const { parts } of this.#waiting.splice(0)) this.io.send(parts);
    }

    /** Asks the server to be let in. */
    #introduce() {
      const { engine } = this.io;
      const send = (auth) => {
        // The answer of a function may come when the connection is another one.
        if (!this.#isActive || this.connected || this.io.engine !== engine) return;
        const payload = this.#pid ? { ...auth, pid: this.#pid, offset: this.#offset } : auth;
        this.io.send(encode({ type: CONNECT, namespace: this.#namespace, payload }));
      };
      attempt(() => (typeof this.auth === 'function' ? this.auth(send) : send(this.auth)));
    }

    #take({ type, id, payload }) {
      switch (type) {
        case CONNECT: return this.#letIn(payload);
        case DISCONNECT: return this.#leave('io server disconnect');
        case CONNECT_ERROR: return this.#refused(payload);
        case ACK: return this.#acks.get(Number(id))?.(null, payload);
        // What was missed comes before the answer that lets us in.
        default: return this.connected ? this.#hear(id, payload) : this.#early.push([id, payload]);
      }
    }

    #letIn({ sid, pid }) {
      if (this.connected) return;
      this.connected = true;
      this.id = sid;
      this.recovered = pid !== undefined && pid === this.#pid;
      // A place in what another session heard is none in this one.
      if (!this.recovered) this.#offset = undefined;
      this.#pid = pid;
      for (const [id, payload] of this.#early.splice(0)) this.#hear(id, payload);
      this.#flush();
      this.fire('connect');
    }

    #refused(payload) {
      this.#isActive = false;
      this.io.leave(this.#namespace);
      const { message, data } = isObject(payload) ? payload : { message: payload };
      this.fire('connect_error', Object.assign(new Error(message), { data }));
    }

    #hear(id, [name, ...args]) {
      if (!this.connected) return;
      if (id !== undefined) args.push(this.#answer(id));
      else if (this.#pid && typeof args.at(-1) === 'string') this.#offset = args.at(-1);
      for (const listener of this.#anyListeners) attempt(() => listener.call(this, name, ...args));
      this.fire(name, ...args);
    }

    /** The function that answers event `id`: once, and on the connection it came by. */
    #answer(id) {
      let session = this.#session;
      return (...payload) => {
        if (session !== this.#session || !this.connected) return;
        session = null;
        this.io.send(encode({ type: ACK, namespace: this.#namespace, id, payload }));
      };
    }

    #leave(reason) {
      this.#isActive = false;
      const wasConnected = this.connected;
      this.connected = false;
      this.io.leave(this.#namespace);
      if (wasConnected) this.#forget(reason);
    }

    #ended(reason, error) {
      const wasConnected = this.connected;
      this.connected = false;
      this.#early = [];
      if (wasConnected) this.#forget(reason, error);
      else this.fire('connect_error', error ?? new Error(reason));
    }

    /** Tells that the connection is gone, and that answers to what went out on it are, too. */
    #forget(reason, error) {
      this.id = undefined;
      this.#session += 1;
      const isWaiting = new Set(this.#waiting.map(({ id }) => id));
      const lost = [...this.#acks].filter(([id]) => !isWaiting.has(id));
      this.fire('disconnect', reason, error);
      for (const [, settle] of lost) settle(new Error('socket has been disconnected'));
    }
  }

  const managers = new Map();

  /** The page's address for `url`, which may be a path or lack its scheme. */
  function parseUrl(url = '/') {
    const page = globalThis.location;
    const isWhole = url.startsWith('/') || /^\w+:\/\//.test(url);
    const parsed = new URL(isWhole ? url : `${page?.protocol ?? 'http:'}//${url}`, page?.origin);
    parsed.protocol = parsed.protocol.replace('ws', 'http');
    return parsed;
  }

  /**
   * The socket of a namespace. `url` is the server's address, its path the namespace: `io()` is the main one of the
   * page's own server, `io('/relay')` another one there. Namespaces of one server share a connection, unless
   * `options.forceNew` or the namespace is in use.
   */
  function io(url, options) {
    if (isObject(url)) return io(undefined, url);
    const { origin, pathname, searchParams } = parseUrl(url);
    const wanted = { query: Object.fromEntries(searchParams), ...options };
    const key = `${origin} ${wanted.path ?? DEFAULTS.path}`;
    const namespace = decodeURI(pathname);
    const shared = managers.get(key);
    if (shared && !wanted.forceNew && wanted.multiplex !== false && !shared.has(namespace)) {
      return shared.socket(namespace, wanted);
    }
    const manager = new Manager(origin, wanted);
    if (!shared && !wanted.forceNew) managers.set(key, manager);
    return manager.socket(namespace, wanted);
  }

  globalThis.io = Object.assign(io, { connect: io, Manager, Socket, protocol: 5 });
})();
