// Reads Engine.IO packets, a digit and a text, and in their messages Socket.IO packets: a digit, a namespace, an ack id,
// JSON.
import { READ_CHARS, askedBy, gist, parse, remember, saidIn } from './decode.js';

const [PING, PONG, MESSAGE] = ['2', '3', '4'];
const ENGINEIO_TYPES = ['open', 'close', 'ping', 'pong', 'message', 'upgrade', 'noop'];
const SOCKETIO_TYPES = ['CONNECT', 'DISCONNECT', 'EVENT', 'ACK', 'CONNECT_ERROR', 'BINARY_EVENT', 'BINARY_ACK'];

/** What a message of an Engine.IO connection says, as `decode` gives it. */
export function read(entry) {
  const { data } = entry;
  if (typeof data !== 'string') {
    return { summary: '', isBinary: true, facts: [{ name: 'wireEngineType', value: '4 message', gloss: 'wireEngineBytes' }] };
  }
  const name = ENGINEIO_TYPES[data[0]];
  if (!name) return { summary: gist(data) };
  const type = data[0];
  const rest = data.slice(1);
  const facts = [{ name: 'wireEngineType', value: `${type} ${name}`, gloss: `wireEngine${type}` }];
  if (type === MESSAGE) return ofSocketio(rest, facts, entry);
  const isHeartbeat = (type === PING || type === PONG) && rest === '';
  return { summary: `${name} ${rest && gist(rest)}`, isHeartbeat, facts, shown: parse(rest) };
}

/** The parts of a Socket.IO packet, or null. */
function packetOf(text) {
  const found = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*)(?:,|$))?(\d+)?/.exec(text);
  if (!found) return null;
  const [head, type, attachments, namespace = '/', id] = found;
  const json = text.slice(head.length);
  return { type, name: SOCKETIO_TYPES[type], attachments, namespace, id, payload: json.length <= READ_CHARS ? parse(json) : undefined };
}

function ofSocketio(text, facts, { connection, direction }) {
  const packet = packetOf(text);
  if (!packet) return { summary: gist(text), facts };
  const { type, name, attachments, namespace, id, payload } = packet;
  facts.push({ name: 'wireSocketioType', value: `${type} ${name}`, gloss: `wireSocketio${type}` });
  facts.push({ name: 'wireNamespace', value: namespace });
  if (attachments) facts.push({ name: 'wireAttachments', value: attachments });
  const where = namespace === '/' ? '' : ` ${namespace}`;
  // Both sides count ids of their own, so the side that asked is part of the key.
  const key = (side) => `${side}${namespace}#${id}`;
  if (name.endsWith('EVENT') && Array.isArray(payload)) {
    if (id !== undefined) remember(connection, key(direction), payload[0]);
    return { ...ofEvent(payload, id, facts, where), facts };
  }
  if (!name.endsWith('ACK')) return { summary: `${name}${where}`, facts, shown: payload };
  const asked = askedBy(connection, key(direction === 'in' ? 'out' : 'in'));
  facts.push({ name: 'wireAckAnswered', value: `${id}${asked ? ` (${asked})` : ''}` });
  return { summary: `ack #${id}${asked ? ` ← ${asked}` : ''}${where}`, isHeartbeat: asked === 'ping', facts, shown: payload };
}

function ofEvent([event, ...args], id, facts, where) {
  facts.push({ name: 'wireEventName', value: event });
  if (id !== undefined) facts.push({ name: 'wireAckAsked', value: id });
  facts.push({ name: 'wireArguments', value: args.length });
  const said = typeof args[0] === 'object' ? saidIn(args[0]) : gist(String(args[0] ?? ' '));
  const number = id === undefined ? '' : ` #${id}`;
  return { summary: `${event}${number} ${said}${where}`, isHeartbeat: event === 'ping' && id !== undefined, shown: args };
}
