// The scope of a lesson: what the lesson opens or starts ends when the reader leaves it.
import { doorUrl } from '../protocol.js';

/** The address of a WebSocket of this server. */
export const webSocketUrl = (path) => doorUrl(location, path);

/** The address of a path of this server, which may be behind a prefix of a proxy's. */
export const httpUrl = (path) => new URL(path.replace(/^\//, ''), document.baseURI).href;

/** A room of the lesson's own. */
export function newRoomName() {
  return `lesson-${Math.random().toString(36).slice(2, 8)}`;
}

export class Scope {
  #recorder;
  #controller = new AbortController();
  #sockets = new Set();

  constructor(recorder) {
    this.#recorder = recorder;
  }

  /** Aborted when the lesson is left. */
  get signal() {
    return this.#controller.signal;
  }

  /** Opens a socket that the panel of the wire shows as well. Throws as `new WebSocket` does. */
  open(url, protocols, name) {
    const socket = this.#recorder.open(url, protocols, name);
    this.#sockets.add(socket);
    socket.addEventListener('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** Calls `tick` at an interval until `stop()` of what it gives, or the end of the lesson. */
  every(milliseconds, tick) {
    const timer = setInterval(tick, milliseconds);
    const stop = () => clearInterval(timer);
    this.signal.addEventListener('abort', stop, { once: true });
    return { stop };
  }

  leave() {
    this.#controller.abort();
    for (const socket of this.#sockets) socket.close(1000);
  }
}

/** What the server says of its limits; empty if it says nothing. */
export async function fetchLimits() {
  try {
    const answer = await fetch(httpUrl('/limits'));
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

/**
 * An address of this host where no server listens, or null if the page cannot have one. The server names a port that is
 * closed; where the page was reached by an address of IPv6, which its policy cannot name, the loopback address has a name.
 */
export async function closedAddress() {
  const isIPv6 = location.hostname.startsWith('[');
  if (isIPv6 && location.hostname !== '[::1]') return null;
  try {
    const answer = await fetch(httpUrl('/lesson/closed-port'), { cache: 'no-store' });
    if (!answer.ok) return null;
    const { port } = await answer.json();
    return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${isIPv6 ? 'localhost' : location.hostname}:${port}/`;
  } catch {
    return null;
  }
}

/** Why a lesson's connection did not come about, as a key of words: a browser does not tell, so a request asks again. */
export async function refusalReason() {
  try {
    const answer = await fetch(httpUrl('/limits'));
    if (answer.ok && (await answer.json()).lessons === false) return 'lesOff';
    return 'lesBusy';
  } catch {
    return 'lesNoServer';
  }
}
