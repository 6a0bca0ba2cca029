// The server as the page knows it: addresses, limits, close codes.

/** Bytes of the largest message the server takes by default. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

const MAX_ROOM_CHARS = 64;

/** What the server allows, unless it says otherwise at `/limits`. */
export const LIMITS = {
  max_message_size: MAX_MESSAGE_BYTES,
  max_image_size: 512 * 1024,
  max_image_side: 4096,
  room_list: true,
  /** Whether the server accepts private pictures. An older server would send them to the room. */
  private_images: false,
  /** When a request or a connection may be tried again, by error code and close code: only the server's tables say so. */
  retry: { errors: {}, closes: {} },
};

/** The room this page is in: the one its address names, or the server's default. */
export function roomOf(location) {
  return new URLSearchParams(location.search).get('room')?.normalize('NFKC').trim() || 'lobby';
}

/** A key for a user in this browser: nearly the form of a nickname by which the server tells users of a room apart. */
export function nicknameKey(username) {
  return username.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
}

/** Whether the server accepts this name. The page checks it first, as a rejected handshake gives no reason. */
export function isRoomName(name) {
  const normalized = name.normalize('NFKC').trim();
  return normalized !== '' && [...normalized].length <= MAX_ROOM_CHARS
    && !/[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u.test(normalized);
}

/**
 * The address of a WebSocket door of this page's own server. Behind a proxy the page may stand under a prefix, and the doors
 * then stand beside it.
 */
export function doorUrl({ protocol, host, pathname }, path) {
  const folder = pathname.slice(0, pathname.lastIndexOf('/'));
  return `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}${folder}${path}`;
}

/** The page's address when it is in that room, relative to the page. */
export function roomPath(room) {
  return room === 'lobby' ? './' : `./?room=${encodeURIComponent(room)}`;
}

/** Close codes in words, and whether to connect again unless the server says otherwise: RFC 6455 section 7.4. */
const CLOSE_CODES = new Map([
  [1000, { en: 'normal closure', zh: '正常关闭', reconnect: false }],
  [1001, { en: 'going away, or silent for too long', zh: '对方离开，或长时间没有响应', reconnect: true }],
  [1002, { en: 'protocol error', zh: '协议错误', reconnect: false }],
  [1003, { en: 'kind of data not accepted', zh: '不接受这类数据', reconnect: false }],
  [1005, { en: 'closed without a code', zh: '关闭时没有给出关闭码', reconnect: true }],
  [1006, { en: 'connection lost, no close frame came', zh: '连接中断，没有收到关闭帧', reconnect: true }],
  [1007, { en: 'text is not UTF-8, or does not inflate', zh: '文本不是 UTF-8，或无法解压', reconnect: false }],
  [1008, { en: 'too many messages for too long, one that came too slowly, or no login', zh: '持续发送过多消息、发送过慢，或一直没有登录', reconnect: false }],
  [1009, { en: 'message too big', zh: '消息过大', reconnect: false }],
  [1011, { en: 'server error', zh: '服务器出错', reconnect: true }],
  [1012, { en: 'server restarts', zh: '服务器正在重启', reconnect: true }],
  [1013, { en: 'too much for the server now: try again later', zh: '服务器暂时负荷过高，请稍后再试', reconnect: true }],
]);
const OF_AN_APPLICATION = { en: 'code of an application', zh: '应用自定义的关闭码', reconnect: false };
const UNKNOWN = { en: 'a code this page does not know', zh: '未知的关闭码', reconnect: false };

/** What a close code means: its words by language, and whether to connect again unless the server says otherwise. */
export function closeCode(code) {
  return CLOSE_CODES.get(code) ?? (code >= 3000 && code <= 4999 ? OF_AN_APPLICATION : UNKNOWN);
}

/** Whether to connect again after a close code, by the server's own table. */
export function mayReconnect(code, closes = LIMITS.retry.closes) {
  return Object.hasOwn(closes, code) ? closes[code] !== 'never' : closeCode(code).reconnect;
}
