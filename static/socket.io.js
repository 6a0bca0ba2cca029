// A small Socket.IO client: Socket.IO protocol 5 on Engine.IO 4, for pages and for Node. It is Echoroom's own, written
// to be read; the server sends it as it is.
//
//   <script src="/socket.io/socket.io.js"></script>      or, in a module:      import '/socket.io/socket.io.js';
//   <script>const socket = io(); socket.emit('hello', 1, (answer) => console.log(answer));</script>
//
// Both ways define `io` for the whole page. Names, events, options and reasons are those of the official client 4.x, whose
// bundle works with this server as well. An option or a call that has no effect here is named in the console, once.
// Without effect are other parsers than JSON, transports other than polling and WebSocket, `compress`, and what only Node
// has (TLS settings, `agent`, `autoUnref`). Servers before Socket.IO 3 are not understood.
//
// Why it is one file: a page loads it with a plain `<script>`, and finds `io` in the next one. Such a script cannot have
// static imports, and `import()` would define `io` too late. Files that are joined before they are sent would need a build
// step, and the file that a user copies or debugs would not be the one that is in the repository.
//
// Read it from the top, layer by layer. Each layer uses those above it only:
//
//   1. Basics             options and warnings, helpers, `Emitter`, addresses
//   2. Engine.IO          packets and payloads; the transports `Polling` and `WebSocketTransport`; `Engine`, one connection
//   3. Socket.IO packets  `encode`, `Decoder`
//   4. Socket             one namespace: events and acks, over the connection that its manager gives it
//   5. Manager            one connection for the sockets of a server, and its reconnection
//   6. `io`               shared managers, and events of the page
(() => {
  'use strict';

  // ========== 1. Basics ==================================================================================================

  // ---------- Options, and warnings for those that have no effect

  const DEFAULTS = {
    path: '/socket.io',
    addTrailingSlash: true,
    transports: ['polling', 'websocket'],
    // The official client gives up after the first transport; `false` is that.
    tryAllTransports: true,
    upgrade: true,
    timestampParam: 't',
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    randomizationFactor: 0.5,
    reconnectionAttempts: Infinity,
    timeout: 20_000,
    autoConnect: true,
  };
  /** Options without a default. */
  const OTHER_OPTIONS = [
    'forceNew', 'force new connection', 'multiplex', 'query', 'rememberUpgrade', 'timestampRequests', 'transportOptions',
    'forceBase64', 'extraHeaders', 'withCredentials', 'requestTimeout', 'protocols', 'closeOnBeforeunload',
  ];
  const KNOWN_OPTIONS = new Set([...Object.keys(DEFAULTS), ...OTHER_OPTIONS]);
  /** Options that name the server, if there is no address. */
  const SERVER_OPTIONS = ['host', 'hostname', 'port', 'secure'];
  /** Options of a socket, not of its manager. */
  const SOCKET_OPTIONS = ['auth', 'ackTimeout', 'retries'];
  /** Options that the official client replaces by their default if they are 0 or empty. */
  const NEVER_ZERO = new Set(['path', 'reconnectionAttempts', 'reconnectionDelay', 'reconnectionDelayMax']);
  /** Values of options without effect that ask for what this client does anyway. */
  const AS_USUAL = { agent: false, autoUnref: false, useNativeTimers: false, rejectUnauthorized: true };
  const IS_NODE = typeof globalThis.process?.versions?.node === 'string';

  const warned = new Set();

  /** Warns once in the console that `what` does not do what its caller may expect. */
  function warn(what, why = 'has no effect in this client') {
    if (warned.has(what)) return;
    warned.add(what);
    console.warn(`socket.io.js: ${what} ${why}`);
  }

  const isGiven = (value) => value !== undefined && value !== null;

  /** Warns of the options that have no effect. `address` is given if it names the server, and not the options. */
  function warnOfOptions(options, address) {
    for (const [name, value] of Object.entries(options)) {
      const option = `the option "${name}"`;
      if (!isGiven(value) || value === AS_USUAL[name]) continue;
      if (SOCKET_OPTIONS.includes(name)) warn(option, 'belongs to a socket: manager.socket(namespace, options)');
      else if (SERVER_OPTIONS.includes(name)) address && warn(option, 'has no effect here: the address says where the server is, or the page does');
      else if (!KNOWN_OPTIONS.has(name)) warn(option);
    }
    if (options.withCredentials && IS_NODE) warn('the option "withCredentials"', 'keeps no cookies in Node');
    if (typeof options.transportOptions === 'object') Object.values(options.transportOptions ?? {}).forEach((own) => warnOfOptions(own ?? {}));
  }

  /** The options, with the default of each that is missing. */
  function withDefaults(options) {
    const given = Object.entries(options).filter(([name, value]) => isGiven(value) && (value || !NEVER_ZERO.has(name)));
    return { ...DEFAULTS, ...Object.fromEntries(given) };
  }

  // ---------- Helpers

  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

  /** Calls a listener. What it throws is reported, and stops nothing else. */
  function attempt(call) {
    try {
      call();
    } catch (error) {
      (globalThis.reportError ?? console.error)(error);
    }
  }

  /** A query as an object, also if it was given as a text. */
  const asQuery = (query) => (typeof query === 'string' ? Object.fromEntries(new URLSearchParams(query)) : query);

  /** A text that makes an address unique, for caches. */
  const uniqueText = () => `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;

  const parseError = (message) => Object.assign(new Error(message), { reason: 'parse error' });
  const transportError = (message, description) =>
    Object.assign(new Error(message), { type: 'TransportError', description });

  /** Removes the first item of `list` for which `isIt` holds. */
  function removeFirst(list, isIt) {
    const index = list.findIndex(isIt);
    if (index >= 0) list.splice(index, 1);
  }

  class Emitter {
    #listeners = new Map();

    /** Calls `listener` at each event of that name. */
    on(name, listener) {
      if (typeof listener !== 'function') throw new TypeError(`the listener of "${name}" is not a function`);
      const known = this.#listeners.get(String(name));
      if (known) known.push(listener);
      else this.#listeners.set(String(name), [listener]);
      return this;
    }

    addEventListener(name, listener) {
      return this.on(name, listener);
    }

    /** Calls `listener` at the next event of that name. */
    once(name, listener) {
      const first = (...args) => {
        this.off(name, first);
        listener.apply(this, args);
      };
      first.fn = listener;
      return this.on(name, typeof listener === 'function' ? first : listener);
    }

    /** Without arguments removes all listeners, with a name those of that name, with a name and a listener that one. */
    off(...args) {
      const [name, listener] = [String(args[0]), args[1]];
      if (args.length === 0) this.#listeners.clear();
      // `off(name, undefined)` is a mistake, and must not remove the other listeners.
      else if (args.length > 1) removeFirst(this.listeners(name), (known) => known === listener || (listener && known.fn === listener));
      if (args.length === 1 || this.listeners(name).length === 0) this.#listeners.delete(name);
      return this;
    }

    removeListener(...args) {
      return this.off(...args);
    }

    removeEventListener(...args) {
      return this.off(...args);
    }

    removeAllListeners(...args) {
      return this.off(...args);
    }

    listeners(name) {
      return this.#listeners.get(String(name)) ?? [];
    }

    hasListeners(name) {
      return this.listeners(name).length > 0;
    }

    /** Calls the listeners on this side. */
    emit(name, ...args) {
      return this.fire(name, ...args);
    }

    /** `emit`, also where that sends to the server. */
    fire(name, ...args) {
      // A copy: the event goes to the listeners of the moment at which it came.
      for (const listener of [...this.listeners(name)]) attempt(() => listener.apply(this, args));
      return this;
    }
  }

  // ---------- Addresses

  const isOptions = (value) => isObject(value) && !(value instanceof URL);

  /** The server of the page; without such a page, this machine. */
  function pageOrigin() {
    const { protocol, host, origin } = globalThis.location ?? {};
    if (host) return `${protocol}//${host}`;
    // A worker that was made from a blob has no host of its own.
    return /^https?:/.test(origin) ? origin : 'http://localhost';
  }

  /** The server that the options name; what they leave out is taken from the page. */
  function originOf({ host, hostname, port, secure }) {
    const page = new URL(pageOrigin());
    const name = (host && new URL(`http://${host}`).hostname) || hostname;
    const scheme = secure ?? page.protocol === 'https:' ? 'https' : 'http';
    const shown = name || page.hostname;
    const number = port || (name ? '' : page.port);
    return new URL(`${scheme}://${shown.includes(':') && shown[0] !== '[' ? `[${shown}]` : shown}${number ? `:${number}` : ''}`).origin;
  }

  /** The parts of an address. A missing scheme or host is taken from the page. */
  function parseAddress(address) {
    const page = pageOrigin();
    const protocol = page.slice(0, page.indexOf(':') + 1);
    let text = String(address ?? '');
    if (text.startsWith('//')) text = protocol + text;
    else if (text.startsWith('/')) text = page + text;
    else if (!/^(https?|wss?):\/\//.test(text)) text = `${protocol}//${text}`;
    const [, scheme, authority, path, query] = /^(\w+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(text);
    const { origin } = authority ? new URL(`${scheme.replace('ws', 'http')}://${authority}`) : { origin: page };
    return { origin, namespace: path || '/', query: query && asQuery(query) };
  }

  // ========== 2. Engine.IO ===============================================================================================
  // A connection that carries texts and bytes, in order, over HTTP polling or over a WebSocket.

  /** The most packets in one payload of a POST. */
  const MAX_POSTED = 1000;
  /** A WebSocket is writable, for volatile events, while fewer bytes than this wait in the browser. */
  const WRITABLE_BYTES = 64 * 1024;
  /** A timer that is later than this ran in a page that was asleep. */
  const ASLEEP_MS = 200;
  /** How long a page that was asleep waits for a ping that may have come meanwhile. */
  const WAKING_MS = 1000;
  /** A longer timer would run out at once. */
  const LONGEST_TIMER_MS = 2 ** 31 - 1;
  /** How long the last packets of a connection that is being closed may take. */
  const CLOSING_MS = 10_000;
  /** Stands between the packets of a payload. */
  const SEPARATOR = '\x1e';

  // ---------- Packets: a text `<type><text>`, or bytes. Over polling they share a payload, with bytes as base64

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

  /** The size of that text in bytes. */
  function sizeInPayload(packet) {
    if (typeof packet === 'string') return new TextEncoder().encode(packet).length;
    return 1 + 4 * Math.ceil((packet.byteLength ?? packet.size) / 3);
  }

  const PACKET_TYPES = ['open', 'close', 'ping', 'pong', 'message', 'upgrade', 'noop'];

  /** A packet as listeners of an engine get it. */
  function described(packet) {
    if (typeof packet !== 'string') return { type: 'message', data: packet };
    return { type: PACKET_TYPES[packet[0]] ?? 'error', data: packet.length > 1 ? packet.slice(1) : undefined };
  }

  // ---------- Transports

  // A transport has a name, open(), pause(), send(packets), canSend, isWritable, close(), and closeWithPage() for a page that
  // goes. It calls its `owner`: opened(), packet(packet), drained() when it can send the next packets, ended(reason, error).

  /** Packets by HTTP: one GET at a time waits for them, one POST at a time sends them. */
  class Polling {
    name = 'polling';
    #address;
    #options;
    #abort = new AbortController();
    #isPaused = false;
    #polls = null;
    #post = null;

    /** `address` gives the URL of the next request. */
    constructor(address, options) {
      this.#address = address;
      this.#options = options;
    }

    get canSend() {
      return this.#post === null;
    }

    get isWritable() {
      return this.canSend;
    }

    open() {
      this.#isPaused = false;
      this.#polls = this.#poll();
    }

    /** Resolves when no request is under way; `open` continues. */
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

    /** Tells the server of the end, by a request that outlives the page. */
    closeWithPage() {
      this.close();
      fetch(this.#address(), { ...this.#init('POST', '1'), keepalive: true }).catch(() => {});
    }

    async #poll() {
      try {
        while (!this.#isPaused) {
          const payload = await this.#request('GET');
          for (const packet of payload.split(SEPARATOR)) this.owner.packet(packet);
        }
      } catch (error) {
        this.owner.ended('transport error', error);
      }
    }

    async #send(packets) {
      try {
        const texts = await Promise.all(packets.map(asText));
        await this.#request('POST', texts.join(SEPARATOR));
        this.#post = null;
        this.owner.drained();
      } catch (error) {
        this.owner.ended('transport error', error);
      }
    }

    #init(method, body) {
      const { extraHeaders: headers, withCredentials } = this.#options;
      return { method, body, headers, cache: 'no-store', credentials: withCredentials ? 'include' : 'same-origin' };
    }

    async #request(method, body) {
      const { requestTimeout } = this.#options;
      const expire = () => this.#abort.abort(new Error(`no answer within ${requestTimeout} ms`));
      const timer = requestTimeout ? setTimeout(expire, requestTimeout) : 0;
      let response;
      let text;
      try {
        response = await fetch(this.#address(), { ...this.#init(method, body), signal: this.#abort.signal });
        text = await response.text();
      } catch (error) {
        throw transportError(`polling failed: ${error.message}`, error);
      } finally {
        clearTimeout(timer);
      }
      if (!response.ok) throw transportError(`polling was answered ${response.status}: ${text.slice(0, 200)}`, response.status);
      return text;
    }
  }

  /** Packets as the frames of a WebSocket. */
  class WebSocketTransport {
    name = 'websocket';
    #address;
    #options;
    #socket = null;
    #isConverting = false;

    constructor(address, options) {
      this.#address = address;
      this.#options = options;
    }

    get canSend() {
      return this.#socket?.readyState === 1 && !this.#isConverting;
    }

    get isWritable() {
      return this.canSend && this.#socket.bufferedAmount < WRITABLE_BYTES;
    }

    open() {
      const { protocols, extraHeaders } = this.#options;
      if (extraHeaders) warn('the option "extraHeaders"', 'goes with polling only: a WebSocket takes no headers from a page');
      try {
        this.#socket = protocols ? new WebSocket(this.#address(), protocols) : new WebSocket(this.#address());
      } catch (error) {
        // Later: the caller of `io` has no listeners yet.
        queueMicrotask(() => this.owner.ended('transport error', transportError(`no WebSocket: ${error.message}`, error)));
        return;
      }
      this.#socket.binaryType = 'arraybuffer';
      this.#socket.onopen = () => this.owner.opened();
      this.#socket.onmessage = ({ data }) => this.owner.packet(data);
      this.#socket.onerror = (event) => this.owner.ended('transport error', transportError('websocket error', event));
      this.#socket.onclose = (event) => this.owner.ended('transport close', transportError('websocket closed', event));
    }

    pause() {}

    send(packets) {
      if (this.#options.forceBase64 && packets.some((packet) => typeof packet !== 'string')) this.#sendAsText(packets);
      else for (const packet of packets) this.#socket.send(packet);
    }

    close() {
      this.#socket?.close();
    }

    closeWithPage() {
      this.close();
    }

    async #sendAsText(packets) {
      this.#isConverting = true;
      try {
        for (const text of await Promise.all(packets.map(asText))) this.#socket.send(text);
        this.#isConverting = false;
        this.owner.drained();
      } catch (error) {
        this.owner.ended('transport error', error);
      }
    }
  }

  const TRANSPORTS = { polling: Polling, websocket: WebSocketTransport };

  // ---------- The connection

  /** The addresses of servers to which a WebSocket has been open, for `rememberUpgrade`. */
  const hadWebSocket = new Set();
  /** The connections that have not ended. */
  const connections = new Set();

  /**
   * One connection, from its handshake to its end. It calls its `owner`: opened, message, pinged, ended; and its listeners
   * by the events of the official client.
   */
  class Engine extends Emitter {
    id = null;
    transport = null;
    opts;
    #address;
    #owner;
    #state = 'opening';
    #names;
    #untried;
    #failure = null;
    #maxPayload = Infinity;
    #outgoing = [];
    #isFlushDue = false;
    #probe = null;
    #isSwitching = false;
    #hasSentClose = false;
    /** Whether the transport was closed because the page may go. */
    #isPageLeft = false;
    #longestSilence = 0;
    #deadline = Infinity;
    #timer = 0;

    /** `address` is the URL without its query. */
    constructor(address, options, owner) {
      super();
      this.#address = address;
      this.opts = options;
      this.#owner = owner;
      this.#names = [options.transports].flat().filter((name) => {
        const isKnown = typeof name === 'string' && Object.hasOwn(TRANSPORTS, name);
        if (!isKnown) warn(`the transport "${name?.prototype?.name ?? name}"`, 'is not in this client, which has "polling" and "websocket"');
        return isKnown;
      });
      this.#untried = [...this.#names];
      if (options.rememberUpgrade && hadWebSocket.has(address) && this.#names.includes('websocket')) {
        this.#untried = ['websocket', ...this.#names.filter((name) => name !== 'websocket')];
      }
    }

    get readyState() {
      return this.#state;
    }

    get upgrading() {
      return this.#isSwitching;
    }

    /** The packets that wait to be sent. */
    get writeBuffer() {
      return this.#outgoing.map(described);
    }

    get binaryType() {
      return 'arraybuffer';
    }

    set binaryType(type) {
      if (type !== 'arraybuffer') warn('engine.binaryType', 'is always "arraybuffer" in this client');
    }

    open() {
      connections.add(this);
      this.#tryNext();
    }

    /** Whether a ping of the server is overdue. */
    get isLate() {
      return performance.now() > this.#deadline;
    }

    /** Whether an event would go out at once: nothing waits, and the transport is not blocked. */
    get isWritable() {
      return this.#state === 'open' && !this.#isSwitching && this.#outgoing.length === 0 && this.transport.isWritable;
    }

    /** Sends a message, a text or bytes, and calls `flushed` when it has been handed to the transport. */
    write(message, options, flushed = options) {
      if (typeof flushed === 'function') this.once('flush', flushed);
      this.#write(typeof message === 'string' ? `4${message}` : message);
      return this;
    }

    send(message, options, flushed = options) {
      return this.write(message, options, flushed);
    }

    /** Closes the connection when all that was written has been sent. */
    close() {
      if (this.#state === 'opening' || this.#isPageLeft) this.end('forced close');
      if (this.#state !== 'open') return this;
      this.#state = 'closing';
      this.#dropProbe('the connection is being closed');
      this.#isSwitching = false;
      this.transport.pause();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.end('forced close'), CLOSING_MS);
      this.#flush();
      return this;
    }

    /** Ends at once. Every end of a connection goes through here, and the first one counts. */
    end(reason, error) {
      if (this.#state === 'closed') return;
      this.#state = 'closed';
      connections.delete(this);
      clearTimeout(this.#timer);
      this.#dropProbe('the connection ended');
      this.transport?.close();
      if (reason === 'transport error') this.fire('error', error);
      this.#owner.ended(reason, error);
      this.fire('close', reason, error);
    }

    /** The system has no network. `localhost` can still be reached. */
    lostNetwork() {
      if (new URL(this.#address).hostname !== 'localhost') this.end('transport close', new Error('the network connection was lost'));
    }

    /** The page may be left: with `closeOnBeforeunload` the connection is closed, and listeners are not called. */
    leavingPage() {
      if (!this.opts.closeOnBeforeunload || !this.transport) return;
      this.#isPageLeft = true;
      this.transport.owner = { opened() {}, packet() {}, drained() {}, ended() {} };
      if (this.id) this.transport.closeWithPage();
      else this.transport.close();
    }

    #write(packet) {
      if (this.#state === 'closing' || this.#state === 'closed') return;
      this.fire('packetCreate', described(packet));
      this.#outgoing.push(packet);
      if (this.#isFlushDue) return;
      this.#isFlushDue = true;
      // Packets that are written in one turn share a payload.
      queueMicrotask(() => {
        this.#isFlushDue = false;
        this.#flush();
      });
    }

    /** A transport of that name, and the URL of each of its requests. */
    #transport(name) {
      const options = { ...this.opts, ...this.opts.transportOptions?.[name] };
      const isPolling = name === 'polling';
      return new TRANSPORTS[name](() => {
        const url = new URL(this.#address);
        if (!isPolling) url.protocol = url.protocol.replace('http', 'ws');
        const query = { ...asQuery(options.query), EIO: 4, transport: name };
        if (this.id) query.sid = this.id;
        if (isPolling ? options.timestampRequests !== false : options.timestampRequests) query[options.timestampParam] = uniqueText();
        if (options.forceBase64 && !(isPolling && this.id)) query.b64 = 1;
        url.search = new URLSearchParams(query);
        return url.href;
      }, options);
    }

    #tryNext() {
      const name = this.#untried.shift();
      if (!name) {
        // Later: the caller of `io` has no listeners yet.
        queueMicrotask(() => this.end('transport error', this.#failure ?? transportError('no transport is left to try')));
        return;
      }
      const transport = this.#transport(name);
      this.#listenTo(transport);
      transport.open();
    }

    #listenTo(transport) {
      this.transport = transport;
      const isOurs = () => this.transport === transport;
      transport.owner = {
        opened() {},
        packet: (packet) => isOurs() && this.#receive(packet),
        drained: () => isOurs() && this.#drained(),
        ended: (reason, error) => isOurs() && this.#transportEnded(transport, reason, error),
      };
    }

    #transportEnded(transport, reason, error) {
      if (transport.name === 'websocket' && reason === 'transport error') hadWebSocket.delete(this.#address);
      if (this.#state !== 'opening') return this.end(reason, error);
      this.#failure ??= error;
      if (this.opts.tryAllTransports) this.#tryNext();
      else this.end(reason, error);
    }

    #drained() {
      if (this.#outgoing.length === 0) this.fire('drain');
      this.#flush();
    }

    #flush() {
      const { transport } = this;
      if (this.#state === 'opening' || this.#state === 'closed' || this.#isSwitching || !transport.canSend) return;
      if (this.#outgoing.length > 0) {
        transport.send(this.#batch());
        this.fire('flush');
        if (transport.canSend && this.#outgoing.length === 0) this.fire('drain');
      }
      // Over polling the close packet is sent alone, after the rest. A WebSocket has its own closing handshake.
      if (this.#state !== 'closing' || !transport.canSend) return;
      if (!(transport instanceof Polling) || this.#hasSentClose) return this.end('forced close');
      this.#hasSentClose = true;
      transport.send(['1']);
    }

    /** The packets for one send: all; or as many as fit in a payload, and at least one. */
    #batch() {
      if (!(this.transport instanceof Polling)) return this.#outgoing.splice(0);
      let count = 0;
      for (let size = 0; count < Math.min(this.#outgoing.length, MAX_POSTED); count += 1) {
        size += sizeInPayload(this.#outgoing[count]) + (count > 0 ? 1 : 0);
        if (count > 0 && size > this.#maxPayload) break;
      }
      return this.#outgoing.splice(0, count);
    }

    #receive(received) {
      let packet = received;
      try {
        // Bytes come as base64 over polling, and with `forceBase64`.
        if (typeof received === 'string' && received[0] === 'b') packet = fromBase64(received.slice(1));
      } catch (error) {
        return this.end(error.reason, error);
      }
      if (this.#state !== 'opening' && this.#state !== 'open') return;
      this.fire('packet', described(packet));
      this.fire('heartbeat');
      if (this.#state === 'opening') return this.#handshake(packet);
      if (this.#state !== 'open') return;
      if (typeof packet !== 'string') return this.#message(packet);
      switch (packet[0]) {
        case '1': return this.end('transport close', new Error('the server closed'));
        case '2':
          this.#expectPing();
          this.#write('3');
          this.fire('ping');
          this.fire('pong');
          return this.#owner.pinged();
        case '3': case '6': return;
        case '4': return this.#message(packet.slice(1));
        default: return this.end('parse error', parseError('not an Engine.IO packet'));
      }
    }

    #message(message) {
      this.fire('data', message);
      this.fire('message', message);
      this.#owner.message(message);
    }

    #handshake(packet) {
      let open = null;
      try {
        if (packet[0] === '0') open = JSON.parse(packet.slice(1));
      } catch {
        // Reported below.
      }
      if (typeof open?.sid !== 'string' || !(open.pingInterval > 0) || !(open.pingTimeout > 0)) {
        return this.end('parse error', parseError('not an open packet'));
      }
      this.#state = 'open';
      this.id = open.sid;
      this.#maxPayload = open.maxPayload ?? Infinity;
      this.#longestSilence = open.pingInterval + open.pingTimeout;
      this.#expectPing();
      if (this.transport.name === 'websocket') hadWebSocket.add(this.#address);
      this.fire('handshake', open);
      this.#owner.opened();
      this.fire('open');
      const wantsUpgrade = this.opts.upgrade && this.#names.indexOf('websocket') > this.#names.indexOf('polling');
      const mayUpgrade = this.#state === 'open' && this.transport instanceof Polling && open.upgrades?.includes('websocket');
      if (wantsUpgrade && mayUpgrade) this.#upgrade();
    }

    /**
     * Measures silence by the monotonic clock, as the time of day may be changed. Where that clock stops while the machine
     * sleeps, the rest of the wait follows the sleep.
     */
    #expectPing() {
      this.#deadline = performance.now() + this.#longestSilence;
      this.#watch(this.#longestSilence);
    }

    #watch(wait, isWaking = false) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        const late = performance.now() - this.#deadline;
        // The ping may have come already, and wait behind this timer.
        if (late > ASLEEP_MS && !isWaking) this.#watch(WAKING_MS, true);
        else if (late < 0) this.#watch(-late);
        else this.end('ping timeout', new Error('no ping came in time'));
      }, Math.min(wait, LONGEST_TIMER_MS));
    }

    /** Tries to upgrade to a WebSocket; polling goes on until the WebSocket has answered. */
    #upgrade() {
      const probe = this.#transport('websocket');
      this.#probe = probe;
      hadWebSocket.delete(this.#address);
      // A probe that was dropped may still call.
      const isOurs = () => this.#probe === probe;
      const giveUp = (why) => isOurs() && this.#dropProbe(why);
      probe.owner = {
        opened: () => isOurs() && probe.send(['2probe']),
        packet: (packet) => (packet === '3probe' && isOurs() && !this.#isSwitching ? this.#switchTo(probe) : giveUp('a wrong answer')),
        drained() {},
        ended: (reason, error) => giveUp(error.message),
      };
      probe.open();
    }

    async #switchTo(probe) {
      const polling = this.transport;
      this.#isSwitching = true;
      hadWebSocket.add(this.#address);
      this.fire('upgrading', probe);
      // The open poll must end first: its packets come before those of the WebSocket.
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

    #dropProbe(why) {
      const probe = this.#probe;
      this.#probe = null;
      if (!probe) return;
      hadWebSocket.delete(this.#address);
      probe.close();
      this.fire('upgradeError', Object.assign(new Error(`probe error: ${why}`), { transport: probe.name }));
    }
  }

  // ========== 3. Socket.IO packets =======================================================================================
  // A packet is a text, and after it the binary attachments that the text announces.

  const [CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK] = [0, 1, 2, 3, 4, 5, 6];
  const RESERVED = new Set(['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']);

  const isBinary = (value) =>
    ArrayBuffer.isView(value)
    || Object.prototype.toString.call(value) === '[object ArrayBuffer]'
    || (typeof Blob === 'function' && value instanceof Blob);

  /** The parts of a packet: its text, then its attachments. */
  function encode({ type, namespace, id = '', payload }) {
    const attachments = [];
    // Only events and acks have attachments.
    const mayBeBinary = type === EVENT || type === ACK;
    const json = payload === undefined || payload === null ? '' : JSON.stringify(payload, function part(key, value) {
      // The value as it was before its `toJSON`, which a Buffer has.
      const binary = mayBeBinary ? [this[key], value].find(isBinary) : undefined;
      return binary === undefined ? value : { _placeholder: true, num: attachments.push(binary) - 1 };
    });
    const isMarked = attachments.length > 0;
    const head = isMarked ? `${type === EVENT ? BINARY_EVENT : BINARY_ACK}${attachments.length}-` : type;
    return [`${head}${namespace === '/' ? '' : `${namespace},`}${id}${json}`, ...attachments];
  }

  /** Whether a packet of that type may carry that. */
  const IS_VALID = {
    [CONNECT]: (payload) => isObject(payload) && typeof payload.sid === 'string',
    [DISCONNECT]: (payload) => payload === undefined,
    [EVENT]: (payload) =>
      Array.isArray(payload) && (typeof payload[0] === 'number' || (typeof payload[0] === 'string' && !RESERVED.has(payload[0]))),
    [ACK]: (payload, id) => Array.isArray(payload) && id !== undefined,
    [CONNECT_ERROR]: (payload) => isObject(payload) || typeof payload === 'string',
  };

  /** Puts the packets of one connection together from their parts. */
  class Decoder {
    #unfinished = null;

    /** Adds a text or bytes. Gives a packet when it is complete, else null; throws if the part does not fit. */
    add(part) {
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
      if (!IS_VALID[type](payload, id)) throw parseError('a payload that does not fit its packet');
      return { type, namespace, id, payload };
    }
  }

  // ========== 4. Socket ==================================================================================================

  /** The most events that wait in a socket for its connection; one more is rejected. */
  const MAX_WAITING = 10_000;

  /** One namespace: events in both directions, with their acks. */
  class Socket extends Emitter {
    connected = false;
    /** Whether the server sent what was missed since the last connection. */
    recovered = false;
    id = undefined;
    auth;
    /** Events that came before CONNECT was answered: arrays of arguments, the name first. */
    receiveBuffer = [];
    /** Events that wait for a connection. */
    sendBuffer = [];
    #ackTimeout;
    #retries;
    #link;
    #isActive = false;
    /** The connection on which it has sent CONNECT. */
    #requestedOn = null;
    #flags = {};
    #anyListeners = [];
    #anyOutgoingListeners = [];
    /** With `retries`: events that wait for their acks; the first is under way. */
    #queue = [];
    #acks = new Map();
    #nextAck = 0;
    #session = 0;
    #pid = undefined;
    #offset = undefined;

    constructor(manager, namespace, options) {
      super();
      this.io = manager;
      this.nsp = namespace;
      this.auth = options?.auth || undefined;
      this.#ackTimeout = options?.ackTimeout ?? undefined;
      this.#retries = options?.retries ?? 0;
      this.#link = {
        namespace,
        opened: () => this.#requestConnect(),
        receive: (packet) => this.#receive(packet),
        flush: () => this.#flush(),
        ended: (reason, error) => this.#ended(reason, error),
      };
      if (manager._autoConnect) this.connect();
    }

    get disconnected() {
      return !this.connected;
    }

    /** Whether it is connected, or connects by itself. */
    get active() {
      return this.#isActive;
    }

    /** The next event is dropped if the connection is not writable. */
    get volatile() {
      this.#flags.isVolatile = true;
      return this;
    }

    /** The ack of the next event is called with an error first: one if it did not come within `timeout` ms, else null. */
    timeout(timeout) {
      this.#flags.timeout = timeout;
      return this;
    }

    compress() {
      warn('socket.compress()', 'has no effect: the browser and the server agree on what is compressed');
      return this;
    }

    connect() {
      if (this.connected) return this;
      this.#isActive = true;
      this.io.attach(this.#link);
      return this;
    }

    open() {
      return this.connect();
    }

    disconnect() {
      if (this.connected) this.io.send(encode({ type: DISCONNECT, namespace: this.nsp }));
      this.#leave('io client disconnect');
      return this;
    }

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

    /** Sends an event, and gives a promise of its ack, which fails when none can come any more. */
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
      this.#anyListeners.push(listener);
      return this;
    }

    /** `onAny`, before the listeners that there are. */
    prependAny(listener) {
      this.#anyListeners.unshift(listener);
      return this;
    }

    /** Removes that listener, or all listeners of `onAny`. */
    offAny(listener) {
      if (listener) removeFirst(this.#anyListeners, (known) => known === listener);
      else this.#anyListeners = [];
      return this;
    }

    listenersAny() {
      return this.#anyListeners;
    }

    /** Calls `listener` with the name and the arguments of every event when it is sent, but not of acks. */
    onAnyOutgoing(listener) {
      this.#anyOutgoingListeners.push(listener);
      return this;
    }

    prependAnyOutgoing(listener) {
      this.#anyOutgoingListeners.unshift(listener);
      return this;
    }

    offAnyOutgoing(listener) {
      if (listener) removeFirst(this.#anyOutgoingListeners, (known) => known === listener);
      else this.#anyOutgoingListeners = [];
      return this;
    }

    listenersAnyOutgoing() {
      return this.#anyOutgoingListeners;
    }

    #emit(name, args, ack, takesError) {
      const { isVolatile = false, timeout = this.#ackTimeout } = this.#flags;
      this.#flags = {};
      if (RESERVED.has(name)) throw new Error(`"${name}" is a reserved event name`);
      const event = { name, args, ack, timeout, isVolatile, takesError: takesError || timeout !== undefined };
      if (this.#retries > 0 && !isVolatile) this.#enqueue(event);
      else this.#dispatch(event);
      return this;
    }

    /** Sends an event, or lets it wait for a connection. */
    #dispatch({ name, args, ack, timeout, isVolatile, takesError }) {
      const id = ack ? this.#nextAck : undefined;
      const data = [name, ...args];
      const parts = encode({ type: EVENT, namespace: this.nsp, id, payload: data });
      const isLive = this.connected && this.sendBuffer.length === 0 && !this.io.engine.isLate;
      if (!isVolatile && !isLive && this.sendBuffer.length >= MAX_WAITING) return this.#rejectEvent(ack, takesError);
      if (ack) this.#expect(ack, takesError, timeout);
      const packet = { type: EVENT, nsp: this.nsp, id, data, parts };
      if (isLive && (!isVolatile || this.io.engine.isWritable)) this.#send(packet);
      else if (!isVolatile) this.sendBuffer.push(packet);
    }

    #rejectEvent(ack, takesError) {
      const error = new Error(`${MAX_WAITING} events wait for a connection already`);
      if (!ack || !takesError) throw error;
      queueMicrotask(() => attempt(() => ack(error)));
    }

    #send({ data, parts }) {
      for (const listener of [...this.#anyOutgoingListeners]) attempt(() => listener.apply(this, data));
      this.io.send(parts);
    }

    #expect(ack, takesError, timeout) {
      const id = this.#nextAck;
      this.#nextAck += 1;
      const settle = (error, answer = []) => {
        clearTimeout(timer);
        this.#acks.delete(id);
        if (error) this.sendBuffer = this.sendBuffer.filter((waiting) => waiting.id !== id);
        if (takesError) attempt(() => ack(error, ...answer));
        else if (!error) attempt(() => ack(...answer));
      };
      const timer = timeout === undefined ? 0 : setTimeout(() => settle(new Error('operation has timed out')), timeout);
      this.#acks.set(id, settle);
    }

    /** With `retries` one event at a time is under way, and is sent again until its ack comes: so the order is kept. */
    #enqueue(event) {
      if (this.#queue.length >= MAX_WAITING) return this.#rejectEvent(event.ack, event.takesError);
      // An event that cannot be encoded is an error of its caller now, and must not block the queue later.
      encode({ type: EVENT, namespace: this.nsp, payload: [event.name, ...event.args] });
      this.#queue.push({ ...event, tries: 0, isUnderWay: false });
      this.#sendQueued();
    }

    #sendQueued() {
      const [first] = this.#queue;
      if (!first || first.isUnderWay || !this.connected) return;
      first.isUnderWay = true;
      first.tries += 1;
      const settled = (error, ...answer) => {
        first.isUnderWay = false;
        if (!error || first.tries > this.#retries) {
          removeFirst(this.#queue, (known) => known === first);
          if (first.ack) attempt(() => first.ack(error, ...answer));
        }
        this.#sendQueued();
      };
      this.#dispatch({ ...first, ack: settled, takesError: true });
    }

    #flush() {
      if (!this.connected) return;
      for (const packet of this.sendBuffer.splice(0)) this.#send(packet);
    }

    /** Sends CONNECT for the namespace. */
    #requestConnect() {
      const { engine } = this.io;
      if (this.#requestedOn === engine) return;
      this.#requestedOn = engine;
      const send = (auth) => {
        // `auth` may call back when there is another connection.
        if (!this.#isActive || this.connected || this.io.engine !== engine) return;
        const payload = this.#pid ? { pid: this.#pid, offset: this.#offset, ...auth } : auth;
        this.io.send(encode({ type: CONNECT, namespace: this.nsp, payload }));
      };
      attempt(() => (typeof this.auth === 'function' ? this.auth(send) : send(this.auth)));
    }

    #receive({ type, id, payload }) {
      switch (type) {
        case CONNECT: return this.#onConnect(payload);
        case DISCONNECT: return this.#leave('io server disconnect');
        case CONNECT_ERROR: return this.#onConnectError(payload);
        case ACK: return this.#acks.get(Number(id))?.(null, payload);
        default: return this.#onEvent(id, payload);
      }
    }

    #onEvent(id, args) {
      if (id !== undefined) args.push(this.#answer(id));
      // Missed events come before the answer to CONNECT.
      if (this.connected) this.#deliver(args);
      else this.receiveBuffer.push(args);
    }

    #onConnect({ sid, pid }) {
      if (this.connected) return;
      this.connected = true;
      this.id = sid;
      this.recovered = pid !== undefined && pid === this.#pid;
      // An offset of another session means nothing in this one.
      if (!this.recovered) this.#offset = undefined;
      this.#pid = pid;
      for (const args of this.receiveBuffer.splice(0)) this.#deliver(args);
      this.#flush();
      this.#sendQueued();
      this.fire('connect');
    }

    #onConnectError(payload) {
      this.#isActive = false;
      this.#requestedOn = null;
      this.io.detach(this.#link);
      const { message, data } = isObject(payload) ? payload : { message: payload };
      this.fire('connect_error', Object.assign(new Error(message), { data }));
    }

    #deliver(args) {
      if (!this.connected) return;
      if (this.#pid && typeof args.at(-1) === 'string') this.#offset = args.at(-1);
      for (const listener of [...this.#anyListeners]) attempt(() => listener.apply(this, args));
      this.fire(...args);
    }

    /** The function that acks event `id`: once, and on the connection that it came by. */
    #answer(id) {
      let session = this.#session;
      return (...payload) => {
        if (session !== this.#session || !this.connected) return;
        session = null;
        this.io.send(encode({ type: ACK, namespace: this.nsp, id, payload }));
      };
    }

    #leave(reason) {
      this.#isActive = false;
      this.#requestedOn = null;
      const wasConnected = this.connected;
      this.connected = false;
      this.io.detach(this.#link);
      if (wasConnected) this.#onDisconnect(reason);
    }

    #ended(reason, error) {
      const wasConnected = this.connected;
      this.connected = false;
      this.receiveBuffer = [];
      if (wasConnected) this.#onDisconnect(reason, error);
      else this.fire('connect_error', error ?? new Error(reason));
    }

    /** Tells listeners of the end, and fails the acks of events that were sent on this connection. */
    #onDisconnect(reason, error) {
      this.id = undefined;
      this.#session += 1;
      const isWaiting = new Set(this.sendBuffer.map(({ id }) => id));
      const lost = [...this.#acks].filter(([id]) => !isWaiting.has(id));
      this.fire('disconnect', reason, error);
      for (const [, settle] of lost) settle(new Error('socket has been disconnected'));
    }
  }

  // ========== 5. Manager =================================================================================================

  /** The managers that wait for their next attempt. */
  const waitingManagers = new Set();

  /** Keeps one connection for the namespaces of a server, and reconnects. */
  class Manager extends Emitter {
    /** The current connection, or the last one. */
    engine = null;
    opts;
    _autoConnect;
    #address;
    #sockets = new Map();
    /** The callbacks of the sockets that use the connection. */
    #links = new Set();
    #state = 'closed';
    #isWanted = false;
    #attempts = 0;
    #timer = 0;
    #callback = null;

    /** Without an `address` the options name the server; what they leave out is taken from the page. */
    constructor(address, options) {
      super();
      const [place, given] = isOptions(address) ? [undefined, address] : [address, options ?? {}];
      warnOfOptions(given, place);
      this.opts = withDefaults(given);
      const { origin, query } = place ? parseAddress(place) : { origin: originOf(given) };
      if (query && given.query) warn('the option "query"', 'has no effect beside an address with a query');
      if (query) this.opts.query = query;
      const path = this.opts.path.replace(/\/$/, '') + (this.opts.addTrailingSlash ? '/' : '');
      this.#address = `${origin}${path.startsWith('/') ? '' : '/'}${path}`;
      this._autoConnect = this.opts.autoConnect !== false;
      if (this._autoConnect) this.open();
    }

    /** The socket of a namespace: the one there is, or a new one with these options: auth, ackTimeout, retries. */
    socket(namespace, options) {
      const known = this.#sockets.get(namespace);
      if (!known) {
        const socket = new Socket(this, namespace, options);
        this.#sockets.set(namespace, socket);
        return socket;
      }
      if (this._autoConnect && !known.active) known.connect();
      return known;
    }

    has(namespace) {
      return this.#sockets.has(namespace);
    }

    reconnection(...value) {
      if (value.length > 0 && !value[0] && waitingManagers.has(this)) this.#stopWaiting();
      return this.#option('reconnection', value);
    }

    reconnectionAttempts(...value) {
      return this.#option('reconnectionAttempts', value);
    }

    reconnectionDelay(...value) {
      return this.#option('reconnectionDelay', value);
    }

    reconnectionDelayMax(...value) {
      return this.#option('reconnectionDelayMax', value);
    }

    randomizationFactor(...value) {
      return this.#option('randomizationFactor', value);
    }

    timeout(...value) {
      return this.#option('timeout', value);
    }

    /**
     * Connects, if it does not already. Sockets do this by themselves. `callback` is called once, with an error if the
     * connection fails; it is then not tried again.
     */
    open(callback) {
      if (this.#state !== 'closed') return this;
      this.#stopWaiting();
      this.#state = 'opening';
      this.#isWanted = true;
      this.#callback = callback ?? null;
      const decoder = new Decoder();
      const isOurs = () => this.engine === engine && this.#state !== 'closed';
      const engine = new Engine(this.#address, this.opts, {
        opened: () => isOurs() && this.#opened(),
        message: (part) => isOurs() && this.#receive(engine, decoder, part),
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

    connect(callback) {
      return this.open(callback);
    }

    /** Disconnects all namespaces, and does not connect again by itself. */
    close() {
      this.#stopWaiting();
      this.#attempts = 0;
      this.#isWanted = false;
      const wasClosed = this.#state === 'closed';
      this.#state = 'closed';
      if (wasClosed) return;
      this.engine.close();
      for (const link of [...this.#links]) link.ended('forced close');
      this.fire('close', 'forced close');
    }

    disconnect() {
      this.close();
    }

    /** For a socket: calls `link` for the connection from now on, and connects. */
    attach(link) {
      this.#links.add(link);
      if (this.#state === 'open') link.opened();
      // If it waits for the next attempt, that attempt is for all sockets.
      else if (this.#timer === 0) this.open();
    }

    /** For a socket: stops calling `link`; the connection ends with the last one. */
    detach(link) {
      if (this.#links.delete(link) && this.#links.size === 0) this.close();
    }

    /** For a socket: sends the parts of a packet. */
    send(parts) {
      for (const part of parts) this.engine.write(part);
    }

    /** The network is back: tries at once if it waits for the next attempt. */
    retryNow() {
      if (waitingManagers.has(this)) this.#retry();
    }

    /** Gives an option, or sets it. */
    #option(name, value) {
      if (value.length === 0 || value[0] === undefined) return this.opts[name];
      [this.opts[name]] = value;
      return this;
    }

    #stopWaiting() {
      clearTimeout(this.#timer);
      this.#timer = 0;
      waitingManagers.delete(this);
    }

    #opened() {
      this.#stopWaiting();
      this.#state = 'open';
      const attempts = this.#attempts;
      this.#attempts = 0;
      for (const link of [...this.#links]) link.opened();
      this.fire('open');
      this.#callBack();
      if (attempts > 0) this.fire('reconnect', attempts);
    }

    #receive(engine, decoder, part) {
      let packet;
      try {
        packet = decoder.add(part);
      } catch (error) {
        return engine.end('parse error', error);
      }
      if (!packet) return;
      const { type, namespace, id, payload } = packet;
      this.fire('packet', { type, nsp: namespace, id: id && Number(id), data: payload });
      const links = [...this.#links].filter((link) => link.namespace === namespace);
      for (const link of links) link.receive(packet);
      // For a socket that disconnected before the server accepted it.
      if (links.length === 0 && type === CONNECT) this.send(encode({ type: DISCONNECT, namespace }));
    }

    #pinged() {
      for (const link of [...this.#links]) link.flush();
      this.fire('ping');
    }

    #ended(reason, error = new Error(reason)) {
      this.#stopWaiting();
      const wasOpen = this.#state === 'open';
      this.#state = 'closed';
      for (const link of [...this.#links]) link.ended(reason, error);
      if (wasOpen) {
        this.fire('close', reason, error);
      } else {
        this.fire('error', error);
        if (this.#attempts > 0) this.fire('reconnect_error', error);
        // With `open(callback)` its caller decides whether to try again.
        if (this.#callBack(error)) return;
      }
      this.#tryAgain();
    }

    #callBack(...error) {
      const callback = this.#callback;
      this.#callback = null;
      if (callback) attempt(() => callback(...error));
      return callback !== null;
    }

    #tryAgain() {
      const { reconnection, reconnectionAttempts, reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.opts;
      // A listener may have disconnected, or connected already.
      if (!reconnection || !this.#isWanted || this.#state !== 'closed' || this.#timer !== 0) return;
      if (this.#attempts >= reconnectionAttempts) {
        this.#attempts = 0;
        this.fire('reconnect_failed');
        return;
      }
      const delay = reconnectionDelay * 2 ** this.#attempts * (1 + randomizationFactor * (2 * Math.random() - 1));
      this.#attempts += 1;
      this.#timer = setTimeout(() => this.#retry(), Math.min(delay, reconnectionDelayMax));
      waitingManagers.add(this);
    }

    #retry() {
      this.fire('reconnect_attempt', this.#attempts);
      // A listener may have disconnected.
      if (waitingManagers.has(this)) this.open();
    }
  }

  // ========== 6. `io` ====================================================================================================

  // Now, and not at the first connection: a service worker must add its listeners while its script first runs.
  globalThis.addEventListener?.('offline', () => [...connections].forEach((engine) => engine.lostNetwork()));
  globalThis.addEventListener?.('online', () => [...waitingManagers].forEach((manager) => manager.retryNow()));
  globalThis.addEventListener?.('beforeunload', () => [...connections].forEach((engine) => engine.leavingPage()));

  const managers = new Map();
  /** Options that decide whether a connection is shared. */
  const OWN_OPTIONS = ['forceNew', 'force new connection', 'multiplex'];

  function isAlike(one, other) {
    if (one === other || (!one && !other)) return true;
    try {
      return JSON.stringify(one) === JSON.stringify(other);
    } catch {
      return false;
    }
  }

  /** Warns of options that differ from those of the manager that is shared. */
  function warnOfShared(options, manager) {
    const wanted = withDefaults(options);
    for (const name of Object.keys(options)) {
      const isShared = KNOWN_OPTIONS.has(name) && !OWN_OPTIONS.includes(name);
      if (isShared && !isAlike(wanted[name], manager.opts[name])) warn(`the option "${name}"`, 'differs from that of the connection which is shared; `forceNew: true` makes another');
    }
  }

  /**
   * The socket of a namespace. `address` is the server's, its path the namespace: `io()` is the main one of the page's own
   * server, `io('/relay')` another one there. Namespaces of one server share a connection, unless `forceNew` or
   * `multiplex: false` is asked for or the namespace is in use.
   */
  function io(address, options) {
    if (isOptions(address)) return io(undefined, address);
    const { auth, ackTimeout, retries, ...shared } = options ?? {};
    const { origin, namespace, query } = parseAddress(address);
    const key = `${origin} ${shared.path || DEFAULTS.path}`;
    const known = managers.get(key);
    const isOwn = shared.forceNew || shared['force new connection'] || shared.multiplex === false || known?.has(namespace);
    if (known && !isOwn) warnOfShared(query ? { ...shared, query } : shared, known);
    const manager = (!isOwn && known) || new Manager(address || origin, shared);
    if (!isOwn) managers.set(key, manager);
    return manager.socket(namespace, { auth, ackTimeout, retries });
  }

  globalThis.io = Object.assign(io, { io, connect: io, Manager, Socket, protocol: 5 });
})();
