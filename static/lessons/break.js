// The fourth lesson: ways in which a connection ends, each with what to expect and the events that came.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { MAX_MESSAGE_BYTES } from '../protocol.js';
import { bytes } from '../wire/format.js';
import { EventLog, expectation, experimentButton, field, logEvents, notice, paragraph } from './parts.js';
import { SlowCard } from './slow.js';
import { fetchLimits, refusalReason, webSocketUrl } from './scope.js';

/** How long the server bears a flood by default. */
const PATIENCE_MS = 10_000;
const FLOOD_EVERY_MS = 50;
const FLOOD_AT_ONCE = 200;
/** So much may wait in the browser: a flood is to fill the connection, not the memory of this page. */
const FLOOD_WAITING = 512 * 1024;

/** What the server does to a page on request. */
const ON_REQUEST = ['bad-utf8', 'masked', 'reserved', 'reset'];

/** One way to break it: `run(card)` does it, and writes into `card.log` what comes. */
class Card {
  element;
  log = new EventLog('lesCame', { isLive: true });
  button;
  /** Where an experiment may show more than its log. */
  extra = make('div', { className: 'extra' });

  constructor({ title, text, expect, inputs = [], run, say }) {
    this.button = experimentButton(title, () => {
      say?.(null);
      this.#run(run);
    });
    this.element = make('section', { className: 'card' }, localized('h5', {}, () => words(title)), paragraph(text), expectation(expect),
      make('div', { className: 'controls' }, ...inputs, this.button), this.extra, this.log.element);
  }

  async #run(run) {
    this.log.restart();
    this.extra.replaceChildren();
    this.button.disabled = true;
    await run(this);
    this.button.disabled = false;
  }
}

const opened = (socket) => new Promise((resolve) => {
  socket.addEventListener('open', () => resolve(true));
  socket.addEventListener('close', () => resolve(false));
});

const closed = (socket) => new Promise((resolve) => { socket.addEventListener('close', resolve); });

const number = (value) => make('input', { type: 'number', value, min: 0, max: 65535 });

function closeCard(scope) {
  const code = number(4001);
  const reason = make('input', { type: 'text', value: 'enough', autocomplete: 'off' });
  const run = async ({ log }) => {
    const socket = scope.open(webSocketUrl('/echo'), [], '/echo');
    const isOver = closed(socket);
    logEvents(socket, log);
    if (!await opened(socket)) return log.remark(() => words('lesNoServer'));
    try {
      socket.close(Number(code.value), reason.value);
      log.add('close()', () => words('readyState', WebSocket.CLOSING), { kind: 'send' });
    } catch (error) {
      log.add(error.name, () => error.message, { kind: 'error' });
      log.remark(() => words('lesCloseThrew'));
      socket.close();
    }
    await isOver;
  };
  const inputs = [field('lesCode', code), field('lesReason', reason)];
  return new Card({ title: 'lesCloseTitle', text: 'lesCloseText', expect: 'lesCloseExpect', inputs, run });
}

function bigCard(scope) {
  const run = async ({ log }) => {
    const socket = scope.open(webSocketUrl('/echo'), [], '/echo');
    const isOver = closed(socket);
    logEvents(socket, log);
    if (!await opened(socket)) return log.remark(() => words('lesNoServer'));
    const { max_message_size: limit = MAX_MESSAGE_BYTES } = await fetchLimits();
    for (const size of [limit, limit + 1]) {
      socket.send(new Uint8Array(size));
      log.add('send', () => words('lesExactBytes', size.toLocaleString('en')));
    }
    await isOver;
  };
  return new Card({ title: 'lesBigTitle', text: 'lesBigText', expect: 'lesBigExpect', run });
}

/** The figures of a flood as they change. */
function floodFigures(extra) {
  const progress = make('progress', { max: PATIENCE_MS, value: 0 });
  localize(progress, () => words('lesPatience'), 'aria-label');
  const line = make('p', { className: 'figures' });
  extra.append(progress, line);
  return (passed, sent, echoed, waiting) => {
    progress.value = Math.min(passed, PATIENCE_MS);
    localize(line, () => words('lesFlooded', { seconds: (passed / 1000).toFixed(1), sent, echoed, waiting: bytes(waiting) }));
  };
}

/** A text that compression does not make much smaller: it would hide the flood. */
function noise(size) {
  return String.fromCharCode(...crypto.getRandomValues(new Uint8Array(size)).map((byte) => 33 + (byte % 94)));
}

function floodCard(scope) {
  const run = async ({ log, extra }) => {
    const socket = scope.open(webSocketUrl('/echo'), [], '/echo');
    const isOver = closed(socket);
    logEvents(socket, log, { messages: false });
    if (!await opened(socket)) return log.remark(() => words('lesNoServer'));
    const show = floodFigures(extra);
    const text = noise(1024);
    const begun = performance.now();
    let [sent, echoed] = [0, 0];
    socket.addEventListener('message', () => { echoed += 1; });
    const flood = scope.every(FLOOD_EVERY_MS, () => {
      for (let at = 0; at < FLOOD_AT_ONCE && socket.bufferedAmount < FLOOD_WAITING && socket.readyState === WebSocket.OPEN; at += 1) {
        socket.send(text);
        sent += 1;
      }
      show(performance.now() - begun, sent, echoed, socket.bufferedAmount);
    });
    await isOver;
    flood.stop();
  };
  return new Card({ title: 'lesFloodTitle', text: 'lesFloodText', expect: 'lesFloodExpect', run });
}

/** Asks the server to do `how` to this page. */
async function ask(scope, how, { log }, say) {
  const socket = scope.open(webSocketUrl(`/lesson/break/${how}`), [], how);
  const isOver = closed(socket);
  logEvents(socket, log);
  if (!await opened(socket)) return say(await refusalReason());
  socket.send('go on');
  log.add('send', () => 'go on');
  await isOver;
}

function requestCards(scope, say) {
  const camel = (how) => how.split('-').map((part) => part[0].toUpperCase() + part.slice(1)).join('');
  const cards = ON_REQUEST.map((how) => new Card({
    title: `les${camel(how)}Title`, text: `les${camel(how)}Text`, expect: `les${camel(how)}Expect`,
    run: (card) => ask(scope, how, card, say),
    say,
  }));
  const code = number(1012);
  const run = (card) => ask(scope, `close-${Number(code.value)}`, card, say);
  const inputs = [field('lesCode', code)];
  return [...cards, new Card({ title: 'lesServerClosesTitle', text: 'lesServerClosesText', expect: 'lesServerClosesExpect', inputs, run, say })];
}

/** Fills `root` with the lesson. */
export function mountBreak(root, scope) {
  const { element: said, say } = notice();
  const byServer = requestCards(scope, say);
  const slow = new SlowCard(scope, say);
  const cards = (...list) => make('div', { className: 'cards' }, ...list.map(({ element }) => element));
  root.append(paragraph('lesBreakText'), said,
    localized('h4', { className: 'part' }, () => words('lesByPage')), cards(closeCard(scope), bigCard(scope), floodCard(scope)),
    localized('h4', { className: 'part' }, () => words('lesByServer')), paragraph('lesByServerText'), cards(...byServer), slow.element);
  fetchLimits().then(({ lessons }) => {
    if (lessons !== false) return;
    say('lesOff');
    for (const { button: one } of [...byServer, slow]) one.disabled = true;
  });
}
