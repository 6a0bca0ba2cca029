// Reads messages as their protocol means them: the chat's JSON events, Engine.IO packets, or as they are. Gives
// `{ summary, isHeartbeat, facts, shown }`: `facts` are `{ name, value, gloss }` where `name` and `gloss` are keys of
// words, `shown` is what is worth seeing of a packet without its envelope.

/** A longer text is not read as a whole for its summary. */
export const READ_CHARS = 64 * 1024;
const GIST_CHARS = 80;
/** Requests of a connection whose answers are still recognised. */
const REQUESTS = 200;

const decoded = new WeakMap();
const requests = new WeakMap();
let engine = null;

/** The protocol of a connection: `engine`, `chat` or `plain`. */
export function protocolOf({ url, socket }) {
  const { pathname, searchParams } = new URL(url);
  if (searchParams.has('EIO')) return 'engine';
  return socket.protocol === 'chat.v1' || pathname.endsWith('/chat') ? 'chat' : 'plain';
}

/** Whether all of the entries can be read; else `prepare()` first. */
export function isReadable(entries) {
  return engine !== null || !entries.some(({ connection }) => protocolOf(connection) === 'engine');
}

/** Loads what reads Engine.IO, which only some pages need. */
export async function prepare() {
  engine = await import('./engine.js');
}

/** What a message says. To be called in the order of the messages: answers are matched with what asked for them. */
export function decode(entry) {
  if (!isReadable([entry])) return { summary: '' };
  if (!decoded.has(entry)) decoded.set(entry, decodeNew(entry));
  return decoded.get(entry);
}

function decodeNew(entry) {
  const { data, connection } = entry;
  if (data === undefined) return { summary: '' };
  const protocol = protocolOf(connection);
  if (protocol === 'engine') return engine.read(entry);
  if (typeof data !== 'string') return { summary: '', isBinary: true };
  return (protocol === 'chat' && ofChat(entry)) || { summary: gist(data) };
}

/** The text cut to `chars` characters, never in the middle of one. */
export function cut(text, chars) {
  if (text.length <= chars) return text;
  const end = chars - (/[\uD800-\uDBFF]/.test(text[chars - 1]) ? 1 : 0);
  return `${text.slice(0, end)}…`;
}

/** What tells texts apart at a glance. */
export const gist = (text) => cut(text || '""', GIST_CHARS);

/** The value of a JSON text, or undefined. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What tells events of the chat apart at a glance. */
export const saidIn = (data) => cut(String(data?.msg ?? data?.username ?? data?.room ?? ''), GIST_CHARS);

/** Remembers that a connection asked for an answer by `id`. */
export function remember(connection, id, event) {
  if (!requests.has(connection)) requests.set(connection, new Map());
  const known = requests.get(connection).set(String(id), event);
  if (known.size > REQUESTS) known.delete(known.keys().next().value);
}

/** The event that an answer with that `id` is for. */
export const askedBy = (connection, id) => requests.get(connection)?.get(String(id));

/** `{ event, data, ack }`, and answers `{ ack, data }` or `{ ack, error }`. */
function ofChat({ data, connection, direction }) {
  const message = data.length <= READ_CHARS ? parse(data) : endsOf(data);
  const { event, ack, error } = message ?? {};
  const number = ack === undefined ? '' : ` #${ack}`;
  if (event !== undefined) {
    if (direction === 'out' && ack !== undefined) remember(connection, ack, event);
    const facts = [{ name: 'wireEventName', value: event }];
    if (ack !== undefined) facts.push({ name: 'wireAckAsked', value: ack });
    return { summary: `${event}${number} ${saidIn(message.data)}`, isHeartbeat: event === 'ping', facts };
  }
  if (ack === undefined) return null;
  const asked = askedBy(connection, ack);
  const facts = [{ name: 'wireAckAnswered', value: `${ack}${asked ? ` (${asked})` : ''}` }];
  if (error) facts.push({ name: 'wireErrorCode', value: error.code });
  const summary = `ack${number}${asked ? ` ← ${asked}` : ''}${error ? ` ${error.code}` : ''}`;
  return { summary, isHeartbeat: asked === 'ping', facts };
}

/** What the beginning and the end of a long event tell. */
function endsOf(text) {
  return { event: /^\{"event":"(\w+)"/.exec(text)?.[1], ack: /"ack":(\d+)\}$/.exec(text.slice(-40))?.[1] };
}
