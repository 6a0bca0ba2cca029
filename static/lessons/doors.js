// The second lesson: one room, spoken to in three protocols at once.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { masked } from '../wire/secrets.js';
import { ChatDoor, PollingDoor, PlainDoor, SocketioDoor } from './protocols.js';
import { EventLog, button, expectation, paragraph } from './parts.js';
import { fetchLimits, newRoomName } from './scope.js';

/** 128 random bits, as the server makes them. */
function newToken() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** One door: what speaks through it, a line to say something, and its frames. */
class DoorCard {
  element;
  #log = new EventLog('lesFrames');
  #input;
  #button;
  #Door;
  #door = null;
  #scope;
  #onSay;
  #marked = [];
  /** With it the user can log in again at this door: the server holds the name for the token. */
  #token = newToken();

  constructor(scope, { Door, title, text, said, choice = null, onSay }) {
    this.#scope = scope;
    this.#Door = Door;
    this.#onSay = onSay;
    this.#input = make('input', { type: 'text', autocomplete: 'off', maxLength: 200, value: words(said) });
    localize(this.#input, () => words('lesSayHere'), 'aria-label');
    this.#input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.isComposing) this.#say();
    });
    this.#button = button('lesSay', () => this.#say());
    this.element = make('section', { className: 'card door' }, localized('h4', {}, () => words(title)), paragraph(text),
      choice ?? make('div'), make('div', { className: 'say' }, this.#input, this.#button), this.#log.element);
    this.#showState();
  }

  /** Goes through the door into the room. */
  open(room, { Door = this.#Door, path } = {}) {
    this.close();
    this.#log.restart();
    // What comes of a door that has been left is not of this one.
    const ifOurs = (handle) => (...values) => door === this.#door && handle(...values);
    let door = null;
    door = new Door(this.#scope, room, {
      path,
      token: this.#token,
      frame: ifOurs((direction, text) => this.#frame(direction, text)),
      state: ifOurs(() => this.#showState()),
      ended: ifOurs((phrase, isGood) => this.#log.add('close', phrase, { isGood })),
    });
    this.#door = door;
  }

  get isOpen() {
    return this.#door !== null;
  }

  close() {
    this.#door?.close();
    this.#door = null;
    this.#showState();
  }

  #say() {
    const text = this.#input.value.trim();
    if (!text || !this.#door?.isInRoom) return;
    this.#onSay(text);
    this.#door.say(text);
  }

  #frame(direction, text) {
    // With the token, or the session id of Engine.IO, another client could act in our place.
    const shown = masked(text);
    const isMarked = this.#marked.some((one) => text.includes(one));
    this.#log.add({ in: '↓', out: '↑' }[direction] ?? direction, () => shown, { kind: direction, isMarked });
  }

  /** Marks from now on the frames that carry `text`, in whatever envelope, and none before. */
  mark(text) {
    const inJson = JSON.stringify(text).slice(1, -1);
    this.#marked = [text, inJson, `${text.toUpperCase()}!!!`];
    this.#log.unmark();
  }

  #showState() {
    this.#button.disabled = !this.#door?.isInRoom;
    this.element.dataset.state = this.#door?.isInRoom ? 'in' : 'out';
  }
}

class DoorsLesson {
  #cards;
  #transport;
  #room = newRoomName();
  /** A promise of where the server has Socket.IO. */
  #socketioPath = fetchLimits().then(({ socketio_path: path }) => `${path || '/socket.io'}/`);
  /** Counts what is asked of the third door: the path may come later than the next wish. */
  #wishes = 0;
  #scope;

  constructor(root, scope) {
    this.#scope = scope;
    const onSay = (text) => this.#cards.forEach((card) => card.mark(text));
    this.#transport = make('select', { on: { change: () => this.#cards[2].isOpen && this.#openThird() } },
      make('option', { value: 'websocket' }, 'WebSocket'), localized('option', { value: 'polling' }, () => words('lesLongPolling')));
    const choice = make('label', { className: 'choice' }, localized('span', {}, () => words('lesTransport')), this.#transport);
    this.#cards = [
      new DoorCard(scope, { Door: PlainDoor, title: 'lesPlain', text: 'lesPlainText', said: 'lesPlainSays', onSay }),
      new DoorCard(scope, { Door: ChatDoor, title: 'lesChat', text: 'lesChatText', said: 'lesChatSays', onSay }),
      new DoorCard(scope, { Door: SocketioDoor, title: 'lesSocketio', text: 'lesSocketioText', said: 'lesSocketioSays', choice, onSay }),
    ];
    root.append(paragraph('lesDoorsText'), expectation('lesDoorsExpect'),
      make('div', { className: 'controls' }, button('lesOpenDoors', () => this.#open()),
        button('lesCloseDoors', () => this.#close(), 'quiet'),
        localized('span', { className: 'mono soft' }, () => words('lesRoomIs', this.#room))),
      make('div', { className: 'doors' }, ...this.#cards.map(({ element }) => element)));
  }

  #open() {
    this.#cards[0].open(this.#room);
    this.#cards[1].open(this.#room);
    this.#openThird();
  }

  async #openThird() {
    const wish = (this.#wishes += 1);
    const path = await this.#socketioPath;
    if (wish !== this.#wishes || this.#scope.signal.aborted) return;
    const Door = this.#transport.value === 'polling' ? PollingDoor : SocketioDoor;
    this.#cards[2].open(this.#room, { Door, path });
  }

  #close() {
    this.#wishes += 1;
    this.#cards.forEach((card) => card.close());
  }
}

export const mountDoors = (root, scope) => new DoorsLesson(root, scope);
