// Three doors to one room, each spoken to without a library, so that its frames can be seen.
// A door is made with `(scope, room, on)`, and calls `on.frame(direction, text)` for each frame, `on.state()` for a change of
// `isInRoom`, and `on.ended(phrase, isGood)` at the end; `on.token` proves who logs in, and `on.path` is where Socket.IO is.
import { words } from '../i18n.js';
import { closeCodeInWords, isGoodEnd } from '../wire/format.js';
import { masked } from '../wire/secrets.js';
import { httpUrl, webSocketUrl } from './scope.js';

/** Engine.IO packets in one HTTP body are joined by this. */
const SEPARATOR = '\x1e';

/** A door that is a WebSocket. */
class WebSocketDoor {
  isInRoom = false;
  on;
  socket;

  constructor(scope, on, path, protocols, name) {
    this.on = on;
    this.socket = scope.open(webSocketUrl(path), protocols, name);
    this.socket.addEventListener('open', () => this.opened());
    this.socket.addEventListener('message', ({ data }) => {
      on.frame('in', String(data));
      this.received(data);
    });
    this.socket.addEventListener('close', (event) => {
      this.enter(false);
      on.ended(() => closeCodeInWords(event.code), isGoodEnd(event));
    });
  }

  send(text) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(text);
    this.on.frame('out', text);
  }

  enter(isInRoom) {
    this.isInRoom = isInRoom;
    this.on.state();
  }

  close() {
    this.socket.close(1000);
  }
}

/** The plain door: the room is in the address, and a text is a message. */
export class PlainDoor extends WebSocketDoor {
  constructor(scope, room, on) {
    super(scope, on, `/ws?room=${encodeURIComponent(room)}`, [], '/ws');
  }

  opened() {
    this.enter(true);
  }

  received() {}

  say(text) {
    this.send(text);
  }
}

/** The chat's JSON events. */
export class ChatDoor extends WebSocketDoor {
  #room;
  #ack = 0;

  constructor(scope, room, on) {
    super(scope, on, '/chat', ['chat.v1'], '/chat');
    this.#room = room;
  }

  opened() {
    this.send(JSON.stringify({ event: 'login', data: { username: 'json-1', avatar: 'owl', room: this.#room, token: this.on.token } }));
  }

  received(text) {
    if (text.startsWith('{"event":"loginSuccess"')) this.enter(true);
  }

  say(text) {
    this.send(JSON.stringify({ event: 'sendMessage', data: { msg: text }, ack: (this.#ack += 1) }));
  }
}

/** What Engine.IO and Socket.IO want said when: gives the packets that answer a packet. */
class SocketioChat {
  #user;
  #id = 0;

  constructor(room, token) {
    this.#user = { username: 'io-1', avatar: 'fox', room, token };
  }

  answersTo(packet) {
    if (packet.startsWith('0')) return ['40']; // The session is open: enter the main namespace.
    if (packet === '2') return ['3']; // Heartbeat.
    if (packet.startsWith('40')) return [`42${this.#id++}${JSON.stringify(['login', this.#user])}`];
    return [];
  }

  /** Whether the packet says that we are in the room. */
  isEntry(packet) {
    return packet.startsWith('430[') && !packet.includes('"error"');
  }

  say(text) {
    return `42${this.#id++}${JSON.stringify(['sendMessage', { msg: text }])}`;
  }
}

/** Socket.IO over a WebSocket: a packet is a frame. */
export class SocketioDoor extends WebSocketDoor {
  #chat;

  constructor(scope, room, on) {
    super(scope, on, `${on.path}?EIO=4&transport=websocket`, [], on.path);
    this.#chat = new SocketioChat(room, on.token);
  }

  opened() {}

  received(packet) {
    if (this.#chat.isEntry(packet)) this.enter(true);
    this.#chat.answersTo(packet).forEach((answer) => this.send(answer));
  }

  say(text) {
    this.send(this.#chat.say(text));
  }
}

/** Socket.IO over HTTP: a GET waits for what comes, a POST takes what goes. */
export class PollingDoor {
  isInRoom = false;
  #on;
  #url;
  #chat;
  #controller = new AbortController();
  #posted = Promise.resolve();

  constructor(scope, room, on) {
    this.#on = on;
    this.#url = `${httpUrl(on.path)}?EIO=4&transport=polling`;
    this.#chat = new SocketioChat(room, on.token);
    scope.signal.addEventListener('abort', () => this.close());
    this.#poll().catch((error) => {
      this.#enter(false);
      if (!this.#controller.signal.aborted) on.ended(() => `${words('lesPollFailed')} ${masked(error.message)}`, false);
    });
  }

  async #poll() {
    const { signal } = this.#controller;
    while (!signal.aborted) {
      this.#on.frame('GET', '…');
      const answer = await fetch(this.#url, { signal, cache: 'no-store' });
      const body = await answer.text();
      if (!answer.ok) throw new Error(`${answer.status} ${body}`);
      for (const packet of body.split(SEPARATOR)) this.#received(packet);
    }
  }

  #received(packet) {
    this.#on.frame('in', packet);
    if (packet.startsWith('0')) this.#url += `&sid=${JSON.parse(packet.slice(1)).sid}`;
    if (this.#chat.isEntry(packet)) this.#enter(true);
    this.#chat.answersTo(packet).forEach((answer) => this.#post(answer));
  }

  /** One POST at a time: a second one beside it would be an error of the protocol. */
  #post(packet) {
    this.#posted = this.#posted.then(async () => {
      if (this.#controller.signal.aborted) return;
      this.#on.frame('POST', packet);
      await fetch(this.#url, { method: 'POST', body: packet, signal: this.#controller.signal });
    }).catch(() => {}); // The poll beside it says what is wrong.
  }

  #enter(isInRoom) {
    this.isInRoom = isInRoom;
    this.#on.state();
  }

  say(text) {
    this.#post(this.#chat.say(text));
  }

  /** Ends the session by its own packet; the waiting GET ends with it. */
  close() {
    if (this.#controller.signal.aborted) return;
    this.#controller.abort();
    if (this.#url.includes('sid=')) fetch(this.#url, { method: 'POST', body: '1', keepalive: true }).catch(() => {});
    this.isInRoom = false;
  }
}
