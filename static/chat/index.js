// Puts the chat into the page: its elements, and what is in charge of them.
import { find, make } from '../dom.js';
import { localize, translate, words } from '../i18n.js';
import { LIMITS } from '../protocol.js';
import '../words/chat.js';
import { Chat } from './controller.js';
import { layOut } from './layout.js';

/** What a picture is sent in, at most. */
const ENVELOPE_BYTES = 1024;

function composerElements() {
  const text = find('text');
  const previews = make('ul', { id: 'previews', hidden: true });
  localize(previews, () => words('previews'), 'aria-label');
  text.before(previews);
  return {
    form: find('composer'), text, previews, hint: find('hint'), privateBar: find('private-bar'), privateTo: find('private-to'),
    privateStop: find('private-stop'), image: find('image'), file: find('file'), emoji: find('emoji'), dropArea: find('room'),
  };
}

/** All elements that the chat's parts are given. */
function elementsOfChat() {
  return {
    composer: composerElements(),
    login: { form: find('login'), welcome: find('welcome'), room: find('room'), avatars: find('avatars'), username: find('username'), hint: find('login-hint'), enter: find('enter') },
    log: {
      box: find('log'), top: find('log-top'), lines: find('lines'), end: find('log-end'), pending: find('pending'), toNewest: find('to-newest'),
    },
    people: { list: find('people'), title: find('people-title'), typing: find('typing') },
    rooms: { list: find('rooms'), form: find('room-form'), other: find('other-room'), hint: find('room-hint') },
    drawer: { room: find('room'), side: find('side'), toggle: find('side-toggle'), shade: find('side-shade') },
    announcer: find('announcer'),
    me: find('me'), title: find('room-title'), logBox: find('log'), state: find('state'), stateSaid: find('state-said'), connect: find('connect'),
    logout: find('logout'), viewer: find('viewer'), viewerPicture: find('viewer-picture'),
  };
}

async function askLimits() {
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
  layOut(root);
  const started = askLimits().then((limits) => {
    const chat = new Chat({ elements: elementsOfChat(), recorder, limits });
    translate(root);
    chat.start();
    return chat;
  });
  return { ping: async () => (await started).client.ping() };
}
