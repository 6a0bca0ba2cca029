// What a lesson stands on: whatever it opens or starts ends when the reader leaves it.
import { doorUrl } from '../protocol.js';

/** The address of a WebSocket of this server. */
export const socketAt = (path) => doorUrl(location, path);

/** A room of the lesson's own. */
export function roomOfOurs() {
  return `lesson-${Math.random().toString(36).slice(2, 8)}`;
}

export class Stage {
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

  /** Calls `tick` every so many milliseconds until `stop()` of what it gives, or the end of the lesson. */
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
export async function limitsOfServer() {
  try {
    const answer = await fetch('/limits');
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

/** Why a lesson's connection did not come about, as a key of words: a browser does not tell, so a request asks again. */
export async function whyRefused() {
  try {
    const answer = await fetch('/limits');
    if (answer.ok && (await answer.json()).lessons === false) return 'lesOff';
    return 'lesBusy';
  } catch {
    return 'lesNoServer';
  }
}
