// The chat: who we are, where we are, and what passes between the server and the page's parts.
import '../words/chat.js';
import { find } from '../dom.js';
import { language, tell, translate, words } from '../i18n.js';
import { LIMITS, closeCode, isRoomName, roomOf, roomPath } from '../protocol.js';
import { face } from './avatars.js';
import { ChatClient } from './client.js';
import { Composer } from './composer.js';
import { codeInWords } from './entries.js';
import { layOut } from './layout.js';
import { Announcer, Log } from './log.js';
import { Login } from './login.js';
import { Outbox, newId } from './outbox.js';
import { People } from './people.js';
import { Rooms } from './rooms.js';
import { browserStore, tabStore } from './store.js';

class Chat {
  #profile = browserStore.get('profile', {});
  #wantedRoom = isRoomName(roomOf(location)) ? roomOf(location) : 'lobby';
  #limits;
  #announcer = new Announcer();
  #hasOlder = false;
  #isLoading = false;
  #unread = 0;
  #hasBeenIn = false;
  #ticking = 0;

  constructor(recorder, limits) {
    this.#limits = limits;
    this.client = new ChatClient({
      recorder,
      location,
      on: { state: (...args) => this.#changeState(...args), event: (name, data) => this.#events[name]?.(data) },
    });
    this.outbox = new Outbox({
      store: tabStore,
      send: ({ id, msg, img }) => (img === undefined ? this.client.request('sendMessage', { id, msg }) : this.client.request('sendImage', { id, img })),
      on: { changed: (item) => this.#showPending(item), sent: ({ id }, receipt) => this.log.sent(id, receipt) },
    });
    this.log = new Log({
      olderWanted: () => this.#loadOlder(),
      picture: showPicture,
      retry: (id) => this.outbox.retry(id),
      discard: (id) => {
        this.outbox.drop(id);
        this.log.removePending(id);
      },
    });
    this.people = new People({ address: (name) => this.#address(name) });
    this.rooms = new Rooms({ go: (room) => this.#go(room) }, limits.room_list);
    this.composer = new Composer({
      text: (msg) => this.#say({ msg }),
      image: (img) => this.#say({ img }),
      privately: (to, msg) => this.#sayPrivately(to, msg),
      typing: (typing) => this.client.isLoggedIn && this.client.tell('typing', { typing }),
    }, limits);
    this.login = new Login({ enter: (who) => this.#enter(who) }, this.#profile);
    this.#listen();
  }

  start() {
    if (this.#profile.username && !this.#profile.hasLeft) this.#enter(this.#profile);
    else this.login.show(this.#wantedRoom);
  }

  #listen() {
    find('leave').addEventListener('click', () => this.#leave());
    find('connect').addEventListener('click', () => this.client.hurry());
    find('side-toggle').addEventListener('click', () => this.#showSide(!find('room').classList.contains('shows-side')));
    addEventListener('online', () => this.client.wake());
    addEventListener('popstate', () => {
      if (this.client.isLoggedIn && roomOf(location) !== this.client.room) this.#go(roomOf(location), false);
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.#forgetUnread();
      this.client.check();
    });
    addEventListener('focus', () => this.#forgetUnread());
  }

  // ----- who and where we are

  #enter({ username, avatar }) {
    this.#profile = { ...this.#profile, username, avatar, hasLeft: false };
    const { token } = this.#profile;
    this.client.enter({ username, avatar, ...(token && { token }) }, this.#wantedRoom);
    // Not only when the server answers: what waits to be sent is seen before.
    this.login.hide();
    this.people.me = username;
    find('me').replaceChildren(face({ username, avatar }), username);
    if (!this.#hasBeenIn) this.#inRoom({ room: this.#wantedRoom });
  }

  async #leave() {
    this.outbox.pause();
    this.#profile.hasLeft = true;
    browserStore.set('profile', this.#profile);
    await this.client.leave();
    this.#hasBeenIn = false;
    this.log.clear();
    this.log.clearPending();
    this.people.clear();
    this.login.show(this.#wantedRoom);
  }

  async #go(room, isNew = true) {
    this.#showSide(false);
    if (room === this.client.room) return;
    if (!this.client.isLoggedIn) {
      this.rooms.hint(() => words('code_disconnected'));
      return;
    }
    this.outbox.pause();
    try {
      const entering = this.client.join(room);
      // What comes from here on belongs to the next room, if we get in.
      const joined = await entering;
      if (isNew) history.pushState(null, '', roomPath(joined.room));
      this.#inRoom(joined);
      this.log.clear();
      this.#begins(joined);
      this.rooms.hint(() => '');
      this.composer.focus();
    } catch ({ code, message }) {
      this.rooms.hint(() => (code ? codeInWords(code) : message));
    }
    if (this.client.isLoggedIn) this.outbox.resume(this.client.room);
  }

  #inRoom({ room }) {
    this.#wantedRoom = room;
    this.people.clear();
    this.composer.address(null);
    this.rooms.current = room;
    find('room-title').textContent = room;
    tell(find('log'), () => words('log', room), 'aria-label');
    this.log.clearPending();
    for (const item of this.outbox.of(room)) this.#showPending(item);
    this.#showTitle();
  }

  /** Only the latest messages come by themselves. */
  #begins({ offset }) {
    this.#hasOlder = offset > 0;
    if (offset === 0) this.log.top(() => words('noHistory'));
  }

  // ----- what the server says

  #events = {
    loginSuccess: (data) => this.#welcomed(data),
    loginError: ({ code }) => this.#refused(code),
    receiveMessage: (data) => this.#heard(data),
    receiveImage: (data) => this.#heard(data),
    receivePrivate: (data) => this.#heardPrivately(data),
    userList: (users) => this.people.list(users),
    addUser: (user) => {
      this.people.came(user);
      this.rooms.stale();
      this.log.notice(() => words('joined', user.username));
    },
    delUser: (user) => {
      this.people.left(user);
      this.rooms.stale();
      this.log.notice(() => words('left', user.username));
    },
    typing: ({ username, typing }) => this.people.typing(username, typing),
    error: ({ code }) => this.composer.hint(() => codeInWords(code)),
  };

  #welcomed(data) {
    const { username, avatar, token, recovered, missed } = data;
    this.#profile = { username, avatar, token, hasLeft: false };
    browserStore.set('profile', this.#profile);
    this.login.hide();
    this.people.me = username;
    find('me').replaceChildren(face({ username, avatar }), username);
    const isBack = this.#hasBeenIn;
    this.#hasBeenIn = true;
    this.#inRoom(data);
    if (!recovered) {
      this.log.clear();
      this.#begins(data);
      if (isBack && missed > 0) this.log.notice(() => words('missed', missed), 'gap');
      else if (isBack) this.log.notice(() => words('freshStart'), 'gap');
    }
    if (!isBack) this.composer.focus();
    this.outbox.resume(data.room);
  }

  /** The name is not to be had: somebody else took it while we were away, or it is none. */
  #refused(code) {
    if (code === 'bad_token') {
      delete this.#profile.token;
      return this.#enter(this.#profile);
    }
    this.outbox.pause();
    if (code === 'bad_room' || code === 'too_many_rooms') this.#wantedRoom = 'lobby';
    return this.login.show(this.#wantedRoom, code);
  }

  #heard(message) {
    const isOurs = message.username === this.#profile.username;
    const isLive = !message.replay;
    if (!this.log.add(message, { isOurs, isLive })) return;
    this.people.typing(message.username, false);
    if (isOurs || !isLive) return;
    const { username, msg } = message;
    this.#announcer.say(() => (msg === undefined ? words('saidPicture', username) : words('saidLive', username, msg)));
    this.#noteUnread();
  }

  #heardPrivately(message) {
    const isOurs = message.username === this.#profile.username;
    const title = () => (isOurs ? words('privateOwn', message.to) : words('privateFrom', message.username));
    this.log.addPrivate(message, { isOurs, title });
    if (isOurs) return;
    this.#announcer.say(() => words('saidLive', words('privateFrom', message.username), message.msg));
    this.#noteUnread();
  }

  async #loadOlder() {
    const before = this.log.first;
    if (!this.#hasOlder || this.#isLoading || before === undefined || !this.client.isLoggedIn) return;
    if (this.log.isFull) return this.log.top(() => words('enoughHistory'));
    this.#isLoading = true;
    const { room } = this.client;
    this.log.top(() => words('loadingHistory'));
    try {
      const { messages, more } = await this.client.request('history', { before, limit: this.#limits.history_page });
      if (room === this.client.room) {
        this.#hasOlder = more;
        this.log.top(more ? null : () => words('noHistory'));
        this.log.addOlder(messages, ({ username }) => username === this.#profile.username);
      }
    } catch {
      this.log.top(() => words('historyFailed'));
    }
    this.#isLoading = false;
    return undefined;
  }

  // ----- what we say

  #say(content) {
    if (this.outbox.isFull) {
      this.composer.hint(() => words('outboxFull'));
      return false;
    }
    this.outbox.add(this.client.room, content);
    return true;
  }

  #showPending(item) {
    if (item.room === this.client.room) this.log.showPending(item, this.#profile);
  }

  #address(name) {
    this.#showSide(false);
    this.composer.address(name);
  }

  /** Private messages are for those who are here: they do not wait. */
  #sayPrivately(to, msg) {
    if (!this.client.isLoggedIn) {
      this.composer.hint(() => words('privateNeedsConnection'));
      return false;
    }
    this.client.request('sendPrivate', { to, msg, id: newId() }).catch(({ code }) => {
      find('text').value ||= msg;
      this.composer.hint(() => codeInWords(code));
    });
    return true;
  }

  // ----- how it is with the connection

  #changeState(state, { waitMs = 0, code, asked } = {}) {
    clearInterval(this.#ticking);
    if (state !== 'connected') this.outbox.pause();
    const until = performance.now() + waitMs;
    const show = () => {
      const seconds = Math.max(1, Math.ceil((until - performance.now()) / 1000));
      tell(find('state'), () => (state === 'waiting' ? words('retryIn', seconds) : words(state)));
    };
    show();
    if (state === 'waiting') this.#ticking = setInterval(show, 1000);
    // A countdown is not read out at each tick.
    if (find('state').dataset.state !== state) find('state-said').textContent = find('state').textContent;
    find('state').dataset.state = state;
    find('connect').hidden = state !== 'waiting' && state !== 'disconnected';
    if (state === 'disconnected' && !asked) {
      const why = closeCode(code);
      this.log.notice(() => words('staysAway', `${code} ${why[language()]}`), 'gap');
    }
  }

  // ----- what has not been read

  #noteUnread() {
    if (!document.hidden && document.hasFocus()) return;
    this.#unread += 1;
    this.#showTitle();
  }

  #forgetUnread() {
    this.#unread = 0;
    this.#showTitle();
  }

  #showTitle() {
    document.title = `${this.#unread > 0 ? `(${this.#unread}) ` : ''}${this.#wantedRoom} · Echoroom`;
  }

  #showSide(isOpen) {
    find('room').classList.toggle('shows-side', isOpen);
    find('side-toggle').setAttribute('aria-expanded', String(isOpen));
    if (isOpen) this.rooms.load();
  }
}

function showPicture(username, img) {
  find('viewer-picture').src = img;
  find('viewer-picture').alt = words('picture', username);
  find('viewer').showModal();
}

async function askLimits() {
  try {
    return { ...LIMITS, ...await (await fetch('limits')).json() };
  } catch {
    return LIMITS;
  }
}

/** Fills `root` with the chat. `ping()` gives a promise of the milliseconds to the server and back. */
export function mountChat(root, { recorder }) {
  layOut(root);
  const started = askLimits().then((limits) => {
    const chat = new Chat(recorder, limits);
    translate(root);
    chat.start();
    return chat;
  });
  return { ping: async () => (await started).client.ping() };
}
