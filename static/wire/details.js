// What a line of the list shows when it is opened. Loaded when the first one is.
import '../words/wire-details.js';
import { make } from '../dom.js';
import { words } from '../i18n.js';
import { READ_CHARS, cut, decode, parse } from './decode.js';
import { closeCodeInWords, timeOf } from './format.js';
import { MASK, masked, secretsIn } from './secrets.js';

/** What is shown of a text, of a string within JSON, and of bytes. */
const SHOWN_CHARS = 8 * 1024;
const SHOWN_STRING_CHARS = 300;
const SHOWN_BYTES = 256;

function factsOfEvent({ kind, code, reason, wasClean, connection }) {
  const { url, protocols, socket } = connection;
  if (kind === 'create') {
    return [['wireUrl', url], ['wireAsked', protocols.join(', ') || words('wireNone')], ['', words('wireCreated')]];
  }
  if (kind === 'open') {
    const extensions = socket.extensions || words('wireNone');
    return [['wireSubprotocol', masked(socket.protocol) || words('wireNone')], ['wireExtensions', extensions], ['', words('wireOpened')]];
  }
  if (kind === 'error') return [['', words('wireErred')]];
  const facts = [['wireCode', closeCodeInWords(code)]];
  if (reason) facts.push(['wireReason', reason]);
  return [...facts, ['wireClean', words(wasClean ? 'wireYes' : 'wireNo')]];
}

function factsOfMessage(entry) {
  const kind = entry.kind === 'send' ? 'send()' : 'message';
  const facts = [['wireKind', words(typeof entry.data === 'string' ? 'wireKindText' : 'wireKindBinary', kind, entry.size.toLocaleString('en'))]];
  if (entry.isLost) facts.push(['', words('wireIsLost')]);
  for (const { name, value, gloss } of decode(entry).facts ?? []) {
    facts.push([name, gloss ? `${value}: ${words(gloss)}` : String(value)]);
  }
  return facts;
}

/** The whole of an entry, in bounds. */
export function detailsOf(entry) {
  const isEvent = entry.direction === 'event';
  const list = make('dl');
  const add = (name, value) => {
    if (name) list.append(make('dt', {}, words(name)), make('dd', {}, value));
    else list.append(make('dd', { className: 'wide' }, value));
  };
  add('wireTime', timeOf(entry));
  for (const [name, value] of isEvent ? factsOfEvent(entry) : factsOfMessage(entry)) add(name, value);
  const box = make('div', { className: 'wire-details' }, list);
  const explain = () => box.textContent.includes(MASK) && add('', words('wireMasked'));
  if (!isEvent) box.append(bodyOf(entry, explain));
  if (typeof entry.data === 'string' || isEvent) explain();
  return box;
}

/** The text or the bytes; those of a Blob come later, and then `filled` is called. */
function bodyOf(entry, filled) {
  const text = make('pre', { className: 'mono', dir: 'auto' });
  if (typeof entry.data === 'string') text.textContent = textOf(entry);
  else {
    dump(entry.data).then((lines) => {
      text.textContent = lines;
      filled();
    });
  }
  return text;
}

/** A packet without its envelope, JSON over several lines, or the text as it is. */
function textOf(entry) {
  const { data } = entry;
  const isJson = /^\s*[[{]/.test(data) && (data.length <= READ_CHARS || entry.connection.socket.protocol === 'chat.v1');
  const value = decode(entry).shown ?? (isJson ? parse(data) : undefined);
  return value === undefined ? cut(data, SHOWN_CHARS) : pretty(value);
}

/** JSON over several lines, its long strings cut. */
function pretty(value) {
  const short = (_, part) => (typeof part === 'string' ? cut(part, SHOWN_STRING_CHARS) : part);
  return cut(JSON.stringify(value, short, 2), SHOWN_CHARS);
}

/** The first bytes in hexadecimal, eight a line, with the characters they may be. */
async function dump(data) {
  const part = await new Blob([data]).slice(0, SHOWN_BYTES).arrayBuffer();
  const bytes = new Uint8Array(part);
  const secrets = secretsIn(String.fromCharCode(...bytes));
  const isSecret = (at) => secrets.some(([start, end]) => at >= start && at < end);
  const lines = [];
  for (let start = 0; start < bytes.length; start += 8) {
    const eight = [...bytes.subarray(start, start + 8)];
    const show = (say) => eight.map((byte, at) => say(byte, isSecret(start + at)));
    const hex = show((byte, hidden) => (hidden ? '**' : byte.toString(16).padStart(2, '0'))).join(' ').padEnd(23);
    const characters = show((byte, hidden) => {
      if (hidden) return '*';
      return byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·';
    }).join('');
    lines.push(`${start.toString(16).padStart(4, '0')}  ${hex}  ${characters}`);
  }
  if ((data.byteLength ?? data.size) > SHOWN_BYTES) lines.push('…');
  return lines.join('\n');
}
