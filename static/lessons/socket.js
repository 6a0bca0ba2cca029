// The first lesson: create, listen, send. The values are the reader's; no code is evaluated.
import { localized, make } from '../dom.js';
import { words } from '../i18n.js';
import { quoted } from '../wire/code.js';
import { EventLog, button, expectation, field, logEvents, notice, paragraph, shown } from './parts.js';
import { Snippet } from './snippet.js';
import { closedAddress, fetchLimits, newRoomName, webSocketUrl } from './scope.js';

/** Values that show what goes wrong, and how. */
const TRIES = [
  { label: 'lesTryUrl', url: () => 'ftp://example.org/', protocol: '' },
  { label: 'lesTryProtocol', url: null, protocol: 'two words' },
  { label: 'lesTryUnknown', url: () => webSocketUrl('/chat'), protocol: 'soap' },
  { label: 'lesTryClosed', url: closedAddress, protocol: '' },
];

/** After this time a handshake without an answer deserves a word. */
const SLOW_MS = 5_000;

class SocketLesson {
  #scope;
  #log = new EventLog('lesEvents', { isLive: true });
  #said = notice();
  #socket = null;
  #inputs = {};
  #buttons = {};
  #snippet;
  #tries = 0;
  #ownUrl = webSocketUrl(`/ws?room=${newRoomName()}`);

  constructor(root, scope) {
    this.#scope = scope;
    this.#inputs.url = this.#input(this.#ownUrl, 'url');
    this.#inputs.protocol = this.#input('', 'protocol');
    this.#inputs.text = this.#input('hello', 'text');
    this.#inputs.text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) this.#send();
    });
    this.#snippet = this.#program();
    this.#buttons.run = button('lesRun', () => this.#run());
    this.#buttons.send = button('lesSendAgain', () => this.#send(), 'quiet');
    this.#buttons.close = button('lesClose', () => this.#socket.close(1000), 'quiet');
    const tries = TRIES.map((attempt) => button(attempt.label, () => this.#try(attempt), 'quiet'));
    const inputs = make('div', { className: 'controls values' }, field('lesUrl', this.#inputs.url),
      field('lesProtocol', this.#inputs.protocol), field('lesText', this.#inputs.text));
    root.append(paragraph('lesSocketText'), make('div', { className: 'halves' },
      make('div', {}, inputs, this.#snippet.element, make('div', { className: 'controls' }, ...Object.values(this.#buttons))),
      make('div', {}, expectation('lesSocketExpect'), localized('h4', {}, () => words('lesEvents')), this.#log.element)),
    localized('h4', {}, () => words('lesTries')), paragraph('lesTriesText'), this.#said.element,
    make('div', { className: 'controls' }, ...tries));
    this.#showState();
    fetchLimits().then(({ lessons }) => {
      // Without its lessons the server names no closed port, and does not let its page try other ports.
      if (lessons === false) tries.at(-1).disabled = true;
    });
  }

  #input(value, className) {
    const on = { input: () => this.#snippet.write() };
    return make('input', { type: 'text', value, className, spellcheck: false, autocapitalize: 'off', autocomplete: 'off', on });
  }

  /** The steps as a program that can be copied and run. */
  #program() {
    const { url, protocol, text } = this.#inputs;
    const second = () => (protocol.value === '' ? '' : `, ${quoted(protocol.value)}`);
    const listen = ['open', 'message', 'error', 'close'].map((name) => `socket.addEventListener('${name}', show);`);
    return new Snippet('lesProgram', [{ lines: [
      () => `// ${words('lesStepCreate')}`,
      () => `const socket = new WebSocket(${quoted(url.value)}${second()});`,
      '',
      () => `// ${words('lesStepListen')}`,
      "const show = (event) => console.log(event.type, event.data ?? event.code ?? '');",
      ...listen,
      '',
      () => `// ${words('lesStepSend')}`,
      () => `socket.addEventListener('open', () => socket.send(${quoted(text.value)}));`,
    ] }]);
  }

  async #try({ url, protocol }) {
    const attempt = (this.#tries += 1);
    this.#said.say(null);
    const address = url ? await url() : this.#ownUrl;
    if (attempt !== this.#tries || this.#scope.signal.aborted) return;
    if (!address) return this.#said.say('lesNoClosedPort');
    this.#inputs.url.value = address;
    this.#inputs.protocol.value = protocol;
    this.#snippet.write();
    this.#run();
  }

  #run() {
    this.#tries += 1;
    this.#said.say(null);
    this.#socket?.close(1000);
    this.#log.restart();
    const protocol = this.#inputs.protocol.value;
    try {
      this.#socket = this.#scope.open(this.#inputs.url.value, protocol === '' ? [] : protocol, words('lesSocketShort'));
    } catch (error) {
      this.#socket = null;
      this.#log.add(error.name, () => error.message, { kind: 'error' });
      this.#log.remark(() => words(error.name === 'SecurityError' ? 'lesInsecure' : 'lesThrew'));
      return this.#showState();
    }
    this.#listen(this.#socket);
    this.#showState();
  }

  #listen(socket) {
    let hasOpened = false;
    logEvents(socket, this.#log);
    socket.addEventListener('open', () => {
      hasOpened = true;
      this.#send();
    });
    socket.addEventListener('close', () => {
      if (!hasOpened && socket === this.#socket) this.#log.remark(() => words('lesHandshakeFailed'));
    });
    for (const name of ['open', 'close']) socket.addEventListener(name, () => this.#showState());
    setTimeout(() => {
      const isWaiting = socket === this.#socket && socket.readyState === WebSocket.CONNECTING;
      if (isWaiting) this.#log.remark(() => words('lesNoAnswerYet'));
    }, SLOW_MS);
  }

  #send() {
    const text = this.#inputs.text.value;
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    this.#log.add('send', () => shown(text));
  }

  #showState() {
    const isOpen = this.#socket?.readyState === WebSocket.OPEN;
    this.#buttons.send.disabled = !isOpen;
    this.#buttons.close.disabled = !isOpen;
  }
}

export const mountSocket = (root, scope) => new SocketLesson(root, scope);
