// Figures and events in a few characters.
import { language } from '../i18n.js';
import { closeCode } from '../protocol.js';
import { masked } from './secrets.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A number of bytes for people, in the units that limits are given in. */
export function bytes(count) {
  if (count < KIB) return `${count} B`;
  // What would round to 1024 KiB is said in MiB.
  const [unit, size] = count < MIB - KIB / 2 ? ['KiB', count / KIB] : ['MiB', count / MIB];
  return `${size < 9.95 ? size.toFixed(1) : Math.round(size)} ${unit}`;
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
  if (kind === 'close') return `close ${closeCodeInWords(code)}`;
  if (kind === 'open') return `open ${masked(connection.socket.protocol)}`.trim();
  return kind;
}

/** A close code with its meaning. */
export const closeCodeInWords = (code) => `${code} ${closeCode(code)[language()]}`;

/** Whether a connection ended as one does whose side has finished: closed by agreement, for no fault. */
export function isGoodEnd({ code, wasClean = true }) {
  return wasClean && (code === 1000 || code === 1005 || (code >= 3000 && code <= 4999));
}
