// The chat: who we are, where we are, and what passes between the server and the page's parts.
import { language, words } from '../i18n.js';
import { closeCode, isRoomName, nicknameKey, roomOf, roomPath } from '../protocol.js';
import { browserStore, tabStore } from '../store.js';
import { ChatClient } from './client.js';
import { Composer } from './composer.js';
import { Drafts } from './drafts.js';
import { Drawer } from './drawer.js';
import { errorInWords } from './line-elements.js';
import { Announcer, Log } from './log.js';
import { LoginForm } from './login-form.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { PrivateMessages } from './private-messages.js';
import { Rooms } from './rooms.js';
import { Uids } from './uids.js';
import { Viewer } from './viewer.js';
import { Status } from './status.js';

/** Why a private message came back, where that is said in words of its own. */
const PRIVATE_CODES = new Set(['not_delivered', 'disconnected', 'timeout', 'unknown']);
/** Private messages that are kept. */
const MOST_PRIVATES = 100;
/** How long an answer may take when the browser says that its network has changed. */
const NETWORK_MS = 3_000;
/** How long it may take when the page is seen again: its machine may have slept. */
const WAKE_MS = 5_000;
/** Connections in a row that were never open, after which it is asked whether the server is there at all. */
const REFUSALS = 3;

export class Chat {
  #profile = browserStore.get('profile', {});
  #wantedRoom = isRoomName(roomOf(location)) ? roomOf(location) : 'lobby';
  #announcer;
  #showRoomElements;
  #hasBeenIn = false;
  #uids = new Uids();
  /** Private messages of this login, with their rooms: the server does not keep them. */
  #privateLog = [];
  #drafts = new Drafts({ store: tabStore });

  constructor({ elements, recorder, limits }) {
    this.#showRoomElements = elements.showRoom;
    this.status = new Status(elements.status, { connect: () => this.client.connectNow(), logout: () => this.#logout() });
    this.viewer = new Viewer(elements.viewer);
    this.#announcer = new Announcer(elements.announcer);
    this.client = new ChatClient({
      recorder,
      location,
      on: { state: (...args) => this.#changeState(...args), event: (name, data) => this.#events[name]?.(data) },
      limits,
    });
    this.outbox = new Outbox({
      store: tabStore,
      send: ({ id, msg, img }) => (img === undefined ? this.client.request('sendMessage', { id, msg }) : this.client.request('sendImage', { id, img })),
      on: { changed: (item) => this.#showPending(item), sent: ({ id }, receipt) => this.log.sent(id, receipt) },
      retries: limits.retry.errors,
    });
    this.privateMessages = new PrivateMessages({
      store: tabStore,
      send: ({ id, destination: { to: { username: to } }, content: { msg, img } }) => (
        img === undefined ? this.client.request('sendPrivate', { to, id, msg }) : this.client.request('sendImage', { to, id, img })
      ),
      on: { back: (...args) => this.#returnPrivate(...args) },
    });
    this.log = new Log({ elements: elements.log, page: limits.history_page, on: {
      history: (query) => this.#askHistory(query),
      isOurs: (message) => this.#isOurs(message),
      picture: (...args) => this.viewer.show(...args),
      shown: () => {
        this.#announcer.speak();
        this.status.showTitle();
      },
      retry: (id) => this.outbox.retry(id),
      discard: (id) => {
        this.outbox.drop(id);
        this.log.removePending(id);
      },
    } });
    this.people = new People(elements.people, {
      address: (name) => this.#address(name),
      more: (query) => this.#askUsers(query),
    });
    this.drawer = new Drawer(elements.drawer, { opened: () => this.rooms.load() });
    this.rooms = new Rooms({ elements: elements.rooms, on: { join: (room) => this.#join(room) }, isListed: limits.room_list });
    this.composer = new Composer({
      elements: elements.composer,
      drafts: this.#drafts,
      on: {
        send: (destination, contents) => this.#send(destination, contents),
        typing: (typing) => this.client.isLoggedIn && !this.client.isJoining && this.client.emit('typing', { typing }),
      },
      limits,
    });
    this.loginForm = new LoginForm({ elements: elements.login, on: { login: (who) => this.#login(who), discard: (by) => this.#discard(by) }, profile: this.#profile });
    this.#listen();
  }

  start() {
    if (this.#profile.username && !this.#profile.hasLeft) this.#login(this.#profile);
    else this.#showLogin();
    this.privateMessages.recover();
  }

  #listen() {
    addEventListener('online', () => this.client.check(NETWORK_MS));
    addEventListener('offline', () => this.#checkConnection());
    // A user who leaves in one tab has left in all of them.
    addEventListener('storage', ({ key }) => {
      const { username, hasLeft } = browserStore.get('profile', {});
      if (key === 'echoroom.profile' && hasLeft && !this.#profile.hasLeft && username === this.#profile.username) this.#logout();
    });
    addEventListener('popstate', () => {
      if (this.client.isLoggedIn && roomOf(location) !== this.client.room) this.#join(roomOf(location), false);
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.status.forgetUnread();
      this.client.check(WAKE_MS);
    });
    addEventListener('focus', () => this.status.forgetUnread());
  }

  // ----- who and where we are

  /** By which the user's messages and drafts are known in this tab. */
  get #me() {
    return nicknameKey(this.#profile.username ?? '');
  }

  /** Of users who have left this tab without a connection, by user. */
  get #tokens() {
    return tabStore.get('tokens', {});
  }

  #login({ username, avatar }) {
    // A token is a user's: under another name we are another one.
    const isOther = nicknameKey(this.#profile.username ?? '') !== nicknameKey(username);
    const known = isOther ? { token: this.#tokens[nicknameKey(username)] } : this.#profile;
    this.#profile = { ...known, username, avatar, hasLeft: false };
    const { token } = this.#profile;
    this.client.login({ username, avatar, ...(token && { token }) }, this.#wantedRoom);
    // Not only when the server answers: what waits to be sent is seen before.
    this.#showRoomElements(true);
    this.people.me = { username, avatar };
    this.status.me = { username, avatar };
    if (!this.#hasBeenIn) this.#showRoom({ room: this.#wantedRoom });
  }

  #logout() {
    this.outbox.pause();
    // The server holds the name for the token, and cannot be told now that it need not.
    if (!this.client.isLoggedIn) tabStore.set('tokens', { ...this.#tokens, [this.#me]: this.#profile.token });
    this.#profile.hasLeft = true;
    browserStore.set('profile', this.#profile);
    this.client.logout();
    this.composer.close();
    this.#hasBeenIn = false;
    this.#privateLog = [];
    this.log.clear();
    this.log.clearPending();
    this.people.clear();
    this.rooms.forget();
    this.#showLogin();
  }

  /** What users of this tab have not sent is theirs: it waits for them, and the next user is told that it does. */
  #showLogin(code) {
    const counts = new Map();
    for (const by of [...this.outbox.all.map((item) => item.by), ...this.#drafts.users]) counts.set(by, (counts.get(by) ?? 0) + 1);
    this.#showRoomElements(false);
    this.loginForm.show(this.#wantedRoom, code, [...counts]);
  }

  #discard(by) {
    for (const item of this.outbox.all) if (item.by === by) this.outbox.drop(item.id);
    this.#drafts.forget(by);
  }

  async #join(room, isNew = true) {
    this.drawer.show(false);
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
      const seen = this.#showRoom(joined);
      this.log.clear();
      this.log.begin({ ...joined, seen });
      this.#showPrivates();
      this.rooms.hint(() => '');
      this.composer.focus();
    } catch ({ code, message }) {
      this.rooms.hint(() => (code ? errorInWords(code) : message));
    }
    if (this.client.isLoggedIn) this.#resume();
  }

  #resume() {
    this.outbox.resume({ by: this.#me, room: this.client.room });
  }

  #showRoom(joined) {
    const { room } = joined;
    this.#wantedRoom = room;
    this.people.clear(joined.count);
    this.#uids.enter(room);
    this.composer.open({ by: this.#me, room });
    const seen = this.rooms.joined(joined);
    this.status.room = room;
    this.log.room = room;
    this.log.clearPending();
    for (const item of this.outbox.of({ by: this.#me, room })) this.#showPending(item);
    const elsewhere = new Set(this.outbox.all.filter((item) => item.by === this.#me && item.room !== room).map((item) => item.room));
    if (elsewhere.size > 0) this.composer.hint(() => words('waitsElsewhere', [...elsewhere]));
    return seen;
  }

  // ----- what the server says

  #events = {
    loginSuccess: (data) => this.#loggedIn(data),
    loginError: ({ code }) => this.#loginRejected(code),
    receiveMessage: (data) => this.#received(data),
    receiveImage: (data) => this.#received(data),
    receivePrivate: (data) => this.#receivedPrivately(data),
    userList: (users) => {
      this.#uids.list(users);
      this.people.list(users.map((user) => this.#withMark(user)));
    },
    addUser: (user) => {
      this.#uids.came(user);
      this.people.came(this.#withMark(user));
      this.rooms.refreshSoon();
      this.log.came(user);
    },
    delUser: (user) => {
      this.#uids.left(user);
      this.people.left(user);
      this.rooms.refreshSoon();
      this.log.left(user);
    },
    typing: ({ username, typing }) => this.people.typing(username, typing),
    error: ({ code }) => this.composer.hint(() => errorInWords(code)),
  };

  #loggedIn(data) {
    const { username, avatar, token, uid, recovered, missed } = data;
    this.#profile = { username, avatar, token, uid, hasLeft: false };
    browserStore.set('profile', this.#profile);
    this.#showRoomElements(true);
    this.people.me = { username, avatar };
    this.status.me = { username, avatar };
    const isBack = this.#hasBeenIn;
    this.#hasBeenIn = true;
    const seen = this.#showRoom(data);
    if (!recovered) {
      this.log.clear();
      this.log.begin({ ...data, seen });
      this.#showPrivates();
      if (isBack && missed > 0) this.log.notice(() => words('missed', missed), 'gap');
      else if (isBack) this.log.notice(() => words('freshStart'), 'gap');
    }
    this.client.request('ping', {}).then(({ at }) => this.log.serverTime(at), () => {});
    if (!isBack) this.composer.focus();
    this.#resume();
  }

  /** The name is not to be had: another user took it while we were away, or it is none. */
  #loginRejected(code) {
    if (code === 'bad_token') {
      delete this.#profile.token;
      return this.#login(this.#profile);
    }
    this.outbox.pause();
    if (code === 'bad_room' || code === 'too_many_rooms') this.#wantedRoom = 'lobby';
    return this.#showLogin(code);
  }

  /** Ours, and not of another user who had the name before. */
  #isOurs({ username, uid }) {
    return username === this.#profile.username && (uid === undefined || uid === this.#profile.uid);
  }

  /** A message or a user, marked with `isAnother` if its user is not the first one of that name. */
  #withMark(said) {
    return this.#uids.isAnother(said) && !this.#isOurs(said) ? { ...said, isAnother: true } : said;
  }

  /** A message with its mark. By its speaker the page may learn that the name has changed hands. */
  #markedMessage(message) {
    this.#uids.spoke(message);
    const user = this.#uids.present(message.username);
    this.people.mark(this.#withMark(user));
    return this.#withMark(message);
  }

  #received(data) {
    const message = this.#markedMessage(data);
    const isOurs = this.#isOurs(message);
    const isLive = !message.replay;
    if (!this.log.add(message, { isOurs, isLive })) return;
    this.rooms.received(message);
    this.people.typing(message.username, false);
    if (isOurs || !isLive) return;
    const { username, msg } = message;
    this.#announcer.say(() => (msg === undefined ? words('saidPicture', username) : words('saidLive', username, msg)));
    this.status.noteUnread();
  }

  #showPrivate(message) {
    const isOurs = this.#isOurs(message);
    this.log.addPrivate(message, { isOurs, title: () => (isOurs ? words('privateOwn', message.to) : words('privateFrom', message.username)) });
  }

  /** In a log that begins anew. */
  #showPrivates() {
    for (const { room, message } of this.#privateLog) if (room === this.client.room) this.#showPrivate(message);
  }

  #receivedPrivately(data) {
    const message = this.#markedMessage(data);
    this.#privateLog.push({ room: this.client.room, message });
    if (this.#privateLog.length > MOST_PRIVATES) this.#privateLog.shift();
    this.#showPrivate(message);
    if (this.#isOurs(message)) return;
    const from = () => words('privateFrom', message.username);
    this.#announcer.say(() => (message.msg === undefined ? words('saidPicture', from()) : words('saidLive', from(), message.msg)));
    this.status.noteUnread();
  }

  async #askUsers(query) {
    const { room } = this.client;
    const page = await this.client.request('userList', query);
    if (room === this.client.room) page.users.forEach((user) => this.#uids.came(user));
    return { ...page, users: page.users.map((user) => this.#withMark(user)) };
  }

  async #askHistory(query) {
    const { messages, more } = await this.client.request('history', query);
    return { messages: messages.map((message) => this.#markedMessage(message)), more };
  }

  // ----- what we say

  /** Takes what was written for a destination, or says why it cannot. */
  #send(destination, contents) {
    if (destination.to) return this.#sendPrivate(destination, contents);
    if (this.outbox.isFull) {
      this.composer.hint(() => words('outboxFull'));
      return false;
    }
    for (const content of contents) this.outbox.add(destination, content);
    return true;
  }

  #showPending(item) {
    const isHere = !this.#profile.hasLeft && item.by === this.#me && item.room === this.#wantedRoom;
    if (isHere) this.log.showPending(item, this.#profile);
  }

  #address(name) {
    this.drawer.show(false);
    this.composer.address(this.#uids.present(name));
  }

  /** Private messages are for those who are here: they do not wait. */
  #sendPrivate(destination, contents) {
    const isHere = this.client.isLoggedIn && !this.client.isJoining && this.#uids.isKnown
      && destination.room === this.client.room && destination.by === this.#me;
    if (!isHere) this.composer.hint(() => words('privateNeedsConnection'));
    else if (this.#uids.hasChanged(destination.to)) this.composer.hint(() => words('addresseeChanged', destination.to.username));
    else this.privateMessages.send(destination, contents);
    return isHere && !this.#uids.hasChanged(destination.to);
  }

  /** A private message was not handed over, or is not known to have been. */
  #returnPrivate(destination, content, code) {
    this.composer.restore(destination, content);
    if (destination.by !== this.#me) return;
    const why = () => (PRIVATE_CODES.has(code) ? words(`private_${code}`) : errorInWords(code));
    this.composer.hint(() => words('privateBack', destination.to.username, why()));
  }

  // ----- how it is with the connection

  /** The browser says that there is no network, but a server on this machine may be there all the same. */
  async #checkConnection() {
    if (this.status.state !== 'connected') return;
    this.status.showState('checking');
    if (await this.client.check(NETWORK_MS) && this.status.state === 'checking') this.status.showState('connected');
  }

  /** Pages are not told why a handshake failed; but a server that answers otherwise has refused it. */
  async #reportRefusal() {
    try {
      if ((await fetch('health', { cache: 'no-store' })).ok) this.log.notice(() => words('refused'), 'gap');
    } catch {
      // It is not there.
    }
  }

  #changeState(state, { waitMs, code, asked, opened, failures } = {}) {
    if (state !== 'connected') this.outbox.pause();
    this.status.showState(state, waitMs);
    if (failures === REFUSALS && !opened) this.#reportRefusal();
    if (state === 'disconnected' && !asked) {
      const why = closeCode(code);
      this.log.notice(() => words('staysAway', `${code} ${why[language()]}`), 'gap');
    }
  }
}
