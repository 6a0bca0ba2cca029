// Writes what a connection sent as a program that opens the same socket and sends the same. Loaded when it is asked for.
import { make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { protocolOf } from './decode.js';

const LONGEST_TEXT = 16 * 1024;
const LONGEST_BYTES = 256;

/**
 * A text in quotes for JavaScript. JSON's escapes are JavaScript's; what could end a `<script>`, or be a line's end to
 * an older engine, is escaped as well.
 */
function quoted(text) {
  const escapes = { '<': '\\x3C', '\u2028': '\\u2028', '\u2029': '\\u2029' };
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${inner.replace(/[<\u2028\u2029]/g, (character) => escapes[character])}'`;
}

/** A login without its token, which proves to the server who one is: a program to be passed on must not carry it. */
function withoutToken(text) {
  return text.includes('"login"') ? text.replace(/,"token":"[^"]*"|"token":"[^"]*",?/, '') : text;
}

async function asCode({ data }) {
  if (typeof data === 'string') {
    const text = withoutToken(data);
    return text.length > LONGEST_TEXT ? `// a text of ${text.length} characters is left out` : `${quoted(text)},`;
  }
  const size = data.byteLength ?? data.size;
  if (size > LONGEST_BYTES) return `new Uint8Array(${size}), // its bytes are left out`;
  return `new Uint8Array([${new Uint8Array(await new Blob([data]).arrayBuffer()).join(', ')}]),`;
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
  return [
    `const socket = new WebSocket(${quoted(connection.url)}${second});`,
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
  tell(text, () => words('wireCopyHere'), 'aria-label');
  const done = told('button', { type: 'button', className: 'quiet' }, () => words('wireDone'));
  const box = make('div', { className: 'wire-fallback' }, told('p', {}, () => words('wireCopyHere')), text, done);
  done.addEventListener('click', () => box.remove());
  root.append(box);
  text.focus();
  text.select();
}
