// A page for clients that run in Node: what they would find there before they are loaded. Import this first.
import WebSocket from 'ws';

const events = new EventTarget();

// Node 20 has fetch, and no WebSocket yet.
globalThis.WebSocket = WebSocket;
globalThis.addEventListener = (...args) => events.addEventListener(...args);
globalThis.removeEventListener = (...args) => events.removeEventListener(...args);

/** Tells the page's listeners of an event without details: offline, online, beforeunload. */
export const happens = (name) => events.dispatchEvent(new Event(name));

/** Runs `act` as a page of `url`. */
export async function onPage(url, act) {
  globalThis.location = new URL(url);
  try {
    return await act();
  } finally {
    delete globalThis.location;
  }
}
