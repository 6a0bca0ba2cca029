// The fifth lesson: the server's side. One server in two programs, and what the session of this page writes to the log of the
// server that runs.
import { localized, make } from '../dom.js';
import { words } from '../i18n.js';
import { EventLog, button, expectation, field, logEvents, notice, paragraph, shown } from './parts.js';
import { ACTOR, CALLBACKS } from './server-code.js';
import { Snippet } from './snippet.js';
import { fetchLimits, refusalReason, webSocketUrl } from './scope.js';

class ServerLesson {
  #scope;
  #said = notice();
  #browser = new EventLog('lesInBrowser');
  #server = new EventLog('lesInLog', { isLive: true });
  #programs = [new Snippet('lesCallbacks', CALLBACKS), new Snippet('lesActor', ACTOR)];
  #text = make('input', { type: 'text', value: 'hello', autocomplete: 'off', maxLength: 200 });
  #buttons;
  /** The connection that tells the log, and the session that it tells of. */
  #followed = null;
  #socket = null;

  constructor(root, scope) {
    this.#scope = scope;
    this.#buttons = {
      open: button('lesConnect', () => this.#open()),
      send: button('lesSend', () => this.#send(), 'quiet'),
      close: button('lesClose', () => this.#socket.close(1000), 'quiet'),
      big: button('lesTooMuch', () => this.#sendTooMuch(), 'quiet'),
    };
    this.#text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) this.#send();
    });
    const { open, send, close, big } = this.#buttons;
    const log = (key, { element }) => make('div', {}, localized('h4', {}, () => words(key)), element);
    root.append(paragraph('lesServerText'), expectation('lesServerExpect'), this.#said.element,
      make('div', { className: 'controls' }, open, field('lesText', this.#text), send, close, big),
      make('div', { className: 'halves' }, log('lesInBrowser', this.#browser), log('lesInLog', this.#server)),
      make('div', { className: 'halves' }, ...this.#programs.map(({ element }) => make('div', {}, element))),
      paragraph('lesServerMore', 'soft'));
    this.#showState();
    fetchLimits().then(({ lessons }) => {
      if (lessons !== false) return;
      this.#said.say('lesOff');
      open.disabled = true;
    });
  }

  /** Asks to be told the log of a session, and then opens that session. */
  #open() {
    this.#leave();
    this.#said.say(null);
    for (const log of [this.#browser, this.#server]) log.restart();
    this.#mark(null);
    const followed = this.#scope.open(webSocketUrl('/lesson/log'), [], '/lesson/log');
    this.#followed = followed;
    let hasBegun = false;
    followed.addEventListener('message', ({ data }) => {
      if (followed !== this.#followed) return;
      hasBegun = true;
      this.#told(JSON.parse(data));
    });
    followed.addEventListener('close', async () => {
      if (followed !== this.#followed) return;
      if (!hasBegun) this.#said.say(await refusalReason());
      this.#showState();
    });
    this.#showState();
  }

  #told({ event, data }) {
    if (event === 'expected') this.#enter(data);
    else if (event === 'left_out') this.#server.remark(() => words('lesLinesLeftOut', data.lines));
    else if (event === 'line') {
      this.#server.add(data.method, () => `${data.level} ${data.line}`);
      this.#mark(data.method);
    }
  }

  /** Of several servers, only `node` expects the session. A proxy finds it by the `sid`, as it does for Socket.IO. */
  #enter({ session, node }) {
    const query = node ? `?sid=${node}` : '';
    const socket = this.#scope.open(webSocketUrl(`/lesson/log/${session}${query}`), [], '/lesson/log/…');
    this.#socket = socket;
    logEvents(socket, this.#browser);
    for (const name of ['open', 'close']) socket.addEventListener(name, () => this.#showState());
  }

  #send() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(this.#text.value);
    this.#browser.add('send', () => shown(this.#text.value));
  }

  /** One byte more than the server takes: a rule that a page can break. */
  async #sendTooMuch() {
    const socket = this.#socket;
    const { max_message_size: limit } = await fetchLimits();
    if (!limit || socket.readyState !== WebSocket.OPEN) return;
    socket.send(new Uint8Array(limit + 1));
    this.#browser.add('send', () => words('lesExactBytes', (limit + 1).toLocaleString('en')));
  }

  #mark(step) {
    this.#programs.forEach((program) => program.mark(step));
  }

  #leave() {
    this.#socket?.close(1000);
    this.#followed?.close(1000);
    this.#socket = null;
  }

  #showState() {
    const isOpen = this.#socket?.readyState === WebSocket.OPEN;
    for (const name of ['send', 'close', 'big']) this.#buttons[name].disabled = !isOpen;
  }
}

export const mountServer = (root, scope) => new ServerLesson(root, scope);
