// The first lesson: create, listen, send. The values are the reader's; no code is evaluated.
import { make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { Log, button, expectation, follow, prose, shown } from './parts.js';
import { roomOfOurs, socketAt } from './stage.js';

/** Values that show what goes wrong, and how. */
const TRIES = [
  { label: 'lesTryUrl', url: () => 'ftp://example.org/', protocol: '' },
  { label: 'lesTryProtocol', url: null, protocol: 'two words' },
  { label: 'lesTryUnknown', url: null, protocol: 'soap' },
  { label: 'lesTryNobody', url: () => `ws://${location.hostname}:9/`, protocol: '' },
];

/** A line of code; strings stay as they are, inputs are part of it. */
const line = (...parts) => make('span', { className: 'line' }, ...parts);
const comment = (key) => told('span', { className: 'comment' }, () => `// ${words(key)}`);

class SocketLesson {
  #stage;
  #log = new Log('lesEvents', { isLive: true });
  #socket = null;
  #inputs = {};
  #buttons = {};
  #ownUrl = socketAt(`/ws?room=${roomOfOurs()}`);

  constructor(root, stage) {
    this.#stage = stage;
    this.#inputs.url = this.#input('lesUrl', this.#ownUrl, 'url');
    this.#inputs.protocol = this.#input('lesProtocol', '', 'protocol');
    this.#inputs.text = this.#input('lesText', 'hello', 'text');
    this.#inputs.text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) this.#send();
    });
    this.#buttons.run = button('lesRun', () => this.#run());
    this.#buttons.send = button('lesSendAgain', () => this.#send(), 'quiet');
    this.#buttons.close = button('lesClose', () => this.#socket.close(1000), 'quiet');
    const tries = TRIES.map((attempt) => button(attempt.label, () => this.#try(attempt), 'quiet'));
    root.append(prose('lesSocketText'), make('div', { className: 'halves' },
      make('div', {}, this.#snippet(), make('div', { className: 'controls' }, ...Object.values(this.#buttons))),
      make('div', {}, expectation('lesSocketExpect'), told('h4', {}, () => words('lesEvents')), this.#log.element)),
    told('h4', {}, () => words('lesTries')), prose('lesTriesText'), make('div', { className: 'controls' }, ...tries));
    this.#showState();
  }

  #input(key, value, className) {
    const input = make('input', { type: 'text', value, className, spellcheck: false, autocapitalize: 'off', autocomplete: 'off' });
    tell(input, () => words(key), 'aria-label');
    return input;
  }

  #snippet() {
    const { url, protocol, text } = this.#inputs;
    const listen = ['open', 'message', 'error', 'close'].map((name) => line(`socket.addEventListener('${name}', show);`));
    return make('div', { className: 'code mono' },
      line(comment('lesStepCreate')), line('const socket = new WebSocket('), line("  '", url, "',"), line("  '", protocol, "',"), line(');'),
      line(' '), line(comment('lesStepListen')), ...listen,
      line(' '), line(comment('lesStepSend')), line("socket.send('", text, "');"));
  }

  #try({ url, protocol }) {
    this.#inputs.url.value = url?.() ?? this.#ownUrl;
    this.#inputs.protocol.value = protocol;
    this.#run();
  }

  #run() {
    this.#socket?.close(1000);
    this.#log.restart();
    const protocol = this.#inputs.protocol.value;
    try {
      this.#socket = this.#stage.open(this.#inputs.url.value, protocol === '' ? [] : protocol, words('lesSocketShort'));
    } catch (error) {
      this.#socket = null;
      this.#log.add(error.name, () => error.message, 'error');
      this.#log.remark(() => words(error.name === 'SecurityError' ? 'lesInsecure' : 'lesThrew'));
      return this.#showState();
    }
    this.#listen(this.#socket);
    this.#showState();
  }

  #listen(socket) {
    let hasOpened = false;
    follow(socket, this.#log);
    socket.addEventListener('open', () => {
      hasOpened = true;
      this.#send();
    });
    socket.addEventListener('close', () => {
      if (!hasOpened && socket === this.#socket) this.#log.remark(() => words('lesHandshakeFailed'));
    });
    for (const name of ['open', 'close']) socket.addEventListener(name, () => this.#showState());
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

export const mountSocket = (root, stage) => new SocketLesson(root, stage);
