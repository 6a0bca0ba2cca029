// Puts the chat into the page: its elements, and what is in charge of them.
import { translate } from '../i18n.js';
import { LIMITS } from '../protocol.js';
import '../words/chat.js';
import { Chat } from './controller.js';
import { layOut } from './layout.js';

/** Bytes of the JSON around a picture, at most. */
const ENVELOPE_BYTES = 1024;

async function fetchLimits() {
  try {
    const limits = { ...LIMITS, ...await (await fetch('limits')).json() };
    const most = (limits.max_payload ?? Infinity) - ENVELOPE_BYTES;
    return { ...limits, max_image_size: Math.min(limits.max_image_size, most) };
  } catch {
    return LIMITS;
  }
}

/** Fills `root` with the chat. `ping()` gives a promise of the milliseconds to the server and back. */
export function mountChat(root, { recorder }) {
  const elements = layOut(root);
  const started = fetchLimits().then((limits) => {
    const chat = new Chat({ elements, recorder, limits });
    translate(root);
    chat.start();
    return chat;
  });
  return { ping: async () => (await started).client.ping() };
}
