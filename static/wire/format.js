// Figures and events in a few characters.
import { language } from '../i18n.js';
import { closeCode } from '../protocol.js';

/** A number of bytes for people. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const [unit, size] = count < 1_000_000 ? ['kB', count / 1000] : ['MB', count / 1_000_000];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

/** The time of an entry, to the millisecond. */
export function timeOf(entry) {
  const date = new Date(entry.at);
  const two = (number) => String(number).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** One of the four events and `create`, in a line. */
export function eventInShort({ kind, code, connection }) {
  if (kind === 'close') return `close ${codeInWords(code)}`;
  if (kind === 'open') return `open ${connection.socket.protocol}`.trim();
  return kind;
}

/** A close code with its meaning. */
export const codeInWords = (code) => `${code} ${closeCode(code)[language()]}`;
