// Writes a program that opens the WebSocket of a connection and sends what that connection sent. Loaded on demand.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { quoted } from './code.js';
import { protocolOf } from './decode.js';
import { MASK, secretsIn } from './secrets.js';

const LONGEST_TEXT = 16 * 1024;
const LONGEST_BYTES = 256;

/** A login without its token, whose value is masked: the server then gives the user a new one. */
const withoutToken = (text) =>
  (text.includes('"login"') ? text.replace(/,\s*"token"\s*:\s*"\*\*\*"|"token"\s*:\s*"\*\*\*"\s*,?/, '') : text);

async function asCode({ data }) {
  if (typeof data === 'string') {
    const text = withoutToken(data);
    return text.length > LONGEST_TEXT ? `// a text of ${text.length} characters is left out` : `${quoted(text)},`;
  }
  const size = data.byteLength ?? data.size;
  if (size > LONGEST_BYTES) return `new Uint8Array(${size}), // its bytes are left out`;
  const bytes = new Uint8Array(await new Blob([data]).arrayBuffer());
  if (secretsIn(String.fromCharCode(...bytes)).length > 0) return `new Uint8Array(${size}), // its bytes are left out: a secret is among them`;
  return `new Uint8Array([${bytes.join(', ')}]),`;
}

/** The program for `connection`, of what is kept of it among `entries`. */
export async function asJavaScript(connection, entries) {
  const isEngine = protocolOf(connection) === 'engine';
  const sent = entries.filter(({ connection: whose, kind, isLost, data }) =>
    whose === connection && kind === 'send' && !isLost && !(isEngine && data === '3'));
  const messages = await Promise.all(sent.map(asCode));
  const protocols = connection.protocols.map(quoted);
  const second = protocols.length > 1 ? `, [${protocols.join(', ')}]` : protocols.map((one) => `, ${one}`).join('');
  const isLogin = sent.some(({ data }) => typeof data === 'string' && data !== withoutToken(data));
  const url = quoted(connection.url);
  const isMasked = [url, second, ...messages].some((part) => part.includes(MASK));
  return [
    ...(isMasked ? [`// ${MASK} stands for a secret that is left out. Put one of your own in its place.`] : []),
    `const socket = new WebSocket(${url}${second});`,
    ...(isLogin ? ['// The token of the login is left out. While that user is still there, take another username.'] : []),
    'const messages = [',
    ...messages.map((line) => `  ${line}`),
    '];',
    "socket.addEventListener('open', () => messages.forEach((message) => socket.send(message)));",
    "socket.addEventListener('message', ({ data }) => console.log(data));",
    ...(isEngine ? ["socket.addEventListener('message', ({ data }) => data === '2' && socket.send('3')); // heartbeat"] : []),
    "socket.addEventListener('close', ({ code, reason }) => console.log('closed', code, reason));",
    '',
  ].join('\n');
}

/** Copies the program; says whether it could. If not, the program is shown in `root` to be copied by hand. */
export async function copy(root, connection, entries) {
  const program = await asJavaScript(connection, entries);
  try {
    await navigator.clipboard.writeText(program);
    return true;
  } catch {
    // No clipboard without HTTPS, or not allowed.
    show(root, program);
    return false;
  }
}

function show(root, program) {
  root.querySelector('.wire-fallback')?.remove();
  const text = make('textarea', { readOnly: true, rows: 8, spellcheck: false, className: 'mono', value: program });
  localize(text, () => words('wireCopyHere'), 'aria-label');
  const done = localized('button', { type: 'button', className: 'quiet' }, () => words('wireDone'));
  const box = make('div', { className: 'wire-fallback' }, localized('p', {}, () => words('wireCopyHere')), text, done);
  done.addEventListener('click', () => box.remove());
  root.append(box);
  text.focus();
  text.select();
}
