// The chat as a whole: our profile, our room, and what passes between the server and the parts of the page.
import { language, words } from '../i18n.js';
import { closeCode, isRoomName, nicknameKey, roomOf, roomPath } from '../protocol.js';
import { browserStore, tabStore } from '../store.js';
import { ChatClient, JOURNAL_UNAVAILABLE } from './client.js';
import { Composer } from './composer.js';
import { Drafts } from './drafts.js';
import { Drawer } from './drawer.js';
import { errorInWords } from './error-codes.js';
import { Announcer, Log } from './log.js';
import { LoginForm } from './login-form.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { PrivateMessages } from './private-messages.js';
import { Rooms } from './rooms.js';
import { Status } from './status.js';
import { Uids } from './uids.js';
import { UnsentPictures } from './unsent-pictures.js';
import { Viewer } from './viewer.js';

/** Codes that have a text of their own when a private message comes back. */
const PRIVATE_CODES = new Set(['not_delivered', 'disconnected', 'timeout', 'unknown']);
/** Private messages that are kept. */
const MOST_PRIVATES = 100;
/** The longest wait for an answer after the browser has said that its network changed. */
const NETWORK_MS = 3_000;
/** The longest wait for an answer when the page is visible again: its machine may have slept. */
const WAKE_MS = 5_000;
/** After this number of failed handshakes in a row the page asks whether the server answers at all. */
const REFUSALS = 3;

export class Chat {
  #profile = browserStore.get('profile', {});
  #wantedRoom = isRoomName(roomOf(location)) ? roomOf(location) : 'lobby';
  #announcer;
  #showRoomElements;
  #hasBeenIn = false;
  /** Whether the server could not take the last login, and the client tries again. */
  #isPutOff = false;
  #uids = new Uids();
  /** Private messages of this login, with their rooms: the server does not keep them. */
  #privateLog = [];
  #unsentPictures = new UnsentPictures({ store: tabStore });
  #drafts = new Drafts({ store: tabStore, onPictures: (count) => this.#unsentPictures.note('drafts', count) });

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
      on: {
        changed: (item) => this.#showPending(item),
        sent: ({ id }, receipt) => this.log.sent(id, receipt),
        pictures: (count) => this.#unsentPictures.note('outbox', count),
      },
      retries: limits.retry.errors,
    });
    this.privateMessages = new PrivateMessages({
      store: tabStore,
      send: ({ id, destination: { to: { username: to } }, content: { msg, img } }) => (
        img === undefined ? this.client.request('sendPrivate', { to, id, msg }) : this.client.request('sendImage', { to, id, img })
      ),
      on: { back: (...args) => this.#returnPrivate(...args), pictures: (count) => this.#unsentPictures.note('private', count) },
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
        preparing: (count) => this.#unsentPictures.note('preparing', { unsent: count, unkept: count }),
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
    // A user who logs out in one tab is logged out in all of them.
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

  // ----- login and rooms

  /** The key of our user for messages and drafts in this tab. */
  get #me() {
    return nicknameKey(this.#profile.username ?? '');
  }

  /** The tokens of users who logged out in this tab without a connection, by user. */
  get #tokens() {
    return tabStore.get('tokens', {});
  }

  #login({ username, avatar }) {
    // A token belongs to one user, and another name is another user.
    const isOther = nicknameKey(this.#profile.username ?? '') !== nicknameKey(username);
    const known = isOther ? { token: this.#tokens[nicknameKey(username)] } : this.#profile;
    this.#profile = { ...known, username, avatar, hasLeft: false };
    const { token } = this.#profile;
    this.client.login({ username, avatar, ...(token && { token }) }, this.#wantedRoom);
    // Before the server answers, so that unsent messages can be seen.
    this.#showRoomElements(true);
    this.people.me = { username, avatar };
    this.status.me = { username, avatar };
    if (!this.#hasBeenIn) this.#showRoom({ room: this.#wantedRoom });
  }

  #logout() {
    this.outbox.pause();
    // The server holds the name for this token, and cannot be told to release it now.
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

  /** Shows the login form, with the number of unsent messages of each user of this tab. */
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
      const joined = await this.client.join(room);
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
    const lost = this.#unsentPictures.takeLost();
    if (lost > 0) this.composer.hint(() => words('picturesLost', lost));
    return seen;
  }

  // ----- events of the server

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
    epoch: ({ epoch }) => this.rooms.goesOnIn(epoch),
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
    if (this.#isPutOff) this.composer.hint();
    this.#isPutOff = false;
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

  /** The login was rejected: another user has the name by now, or it is not a valid one. */
  #loginRejected(code) {
    if (code === 'bad_token') {
      delete this.#profile.token;
      return this.#login(this.#profile);
    }
    this.outbox.pause();
    if (code === JOURNAL_UNAVAILABLE) {
      // The client tries again; meanwhile the room stays in sight.
      this.#isPutOff = true;
      return this.composer.hint(() => errorInWords(code));
    }
    if (code === 'bad_room' || code === 'too_many_rooms') this.#wantedRoom = 'lobby';
    return this.#showLogin(code);
  }

  /** Whether a message or a user is ours, and not of an earlier user of the name. */
  #isOurs({ username, uid }) {
    return username === this.#profile.username && (uid === undefined || uid === this.#profile.uid);
  }

  /** A message or a user, marked with `isAnother` if its user is not the first one of that name. */
  #withMark(said) {
    return this.#uids.isAnother(said) && !this.#isOurs(said) ? { ...said, isAnother: true } : said;
  }

  /** A message with its mark. Its sender may show that a listed name has belonged to another user. */
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

  /** Shows the private messages again in a log that was cleared. */
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

  // ----- messages of ours

  /** Sends what was written for a destination, or shows why it cannot; gives whether it was accepted. */
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

  /** Private messages are for users who are in the room now, so they do not wait in the outbox. */
  #sendPrivate(destination, contents) {
    const isHere = this.client.isLoggedIn && !this.client.isJoining && this.#uids.isKnown
      && destination.room === this.client.room && destination.by === this.#me;
    if (!isHere) this.composer.hint(() => words('privateNeedsConnection'));
    else if (this.#uids.hasChanged(destination.to)) this.composer.hint(() => words('addresseeChanged', destination.to.username));
    else this.privateMessages.send(destination, contents);
    return isHere && !this.#uids.hasChanged(destination.to);
  }

  /** A private message was not delivered, or it is not known whether it was. */
  #returnPrivate(destination, content, code) {
    this.composer.restore(destination, content);
    if (destination.by !== this.#me) return;
    const why = () => (PRIVATE_CODES.has(code) ? words(`private_${code}`) : errorInWords(code));
    this.composer.hint(() => words('privateBack', destination.to.username, why()));
  }

  // ----- the connection

  /** The browser says that there is no network, but a server on this machine may still be reached. */
  async #checkConnection() {
    if (this.status.state !== 'connected') return;
    this.status.showState('checking');
    if (await this.client.check(NETWORK_MS) && this.status.state === 'checking') this.status.showState('connected');
  }

  /** Browsers do not tell why a handshake failed; a server that answers other requests has refused it. */
  async #reportRefusal() {
    try {
      if ((await fetch('health', { cache: 'no-store' })).ok) this.log.notice(() => words('refused'), 'gap');
    } catch {
      // The server does not answer.
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
