// The page's words in both languages.

const WORDS = {
  en: {
    language: '中文',
    room: 'Room',
    go: 'Go',
    intro: 'A WebSocket is open in both directions: this page sends when it likes, and so does the server. ' +
      'Try this line in your own page or in the console:',
    twoTabs: 'What you send comes back in upper case with !!!, and goes to everybody else in the room. ' +
      'Open this page in a second tab and talk to yourself.',
    talk: (room) => `Room: ${room}`,
    wire: 'On the wire',
    wireExplained: 'The four events of the WebSocket API as they fire (open, message, error, close), and each send().',
    clear: 'Clear',
    send: 'Send',
    yourMessage: 'Your message',
    placeholder: 'Enter sends, Shift+Enter breaks the line',
    connect: 'Connect',
    disconnect: 'Disconnect',
    connecting: 'connecting',
    connected: 'connected',
    disconnected: 'disconnected',
    disconnecting: 'disconnecting',
    waiting: (seconds) => `waiting ${seconds} s to reconnect`,
    me: 'You',
    server: 'The server answers',
    other: 'Somebody',
    notConnected: 'Not connected: your text stays here until it can be sent.',
    tooBig: (kib) => `A message has at most 64 KiB; this one has ${kib} KiB.`,
    badRoom: 'This is not a room name: it needs 1 to 64 characters, ' +
      'none of them a control or text-direction character.',
    unanswered: 'no answer came; it may not have arrived',
    restarting: 'The server restarts. This page comes back by itself.',
    willReturn: (code) => `Connection closed: ${code}. This page connects again by itself.`,
    staysAway: (code) => `Connection closed: ${code}. This page does not connect again by itself; ` +
      'the button Connect does.',
    received: (bytes) => `↓ in, ${bytes} bytes`,
    receivedBinary: (bytes) => `↓ in, ${bytes} bytes, binary`,
    sent: (bytes) => `↑ out, ${bytes} bytes`,
    errorSaysNothing: 'browsers give no reason; the close event follows',
  },
  zh: {
    language: 'English',
    room: '房间',
    go: '进入',
    intro: 'WebSocket 的两端都可以随时发送：页面可以，服务器也可以。在你自己的页面或控制台里试试这一行：',
    twoTabs: '你发送的文字会变成大写加上 !!! 回到这里，同时原样发给房间里的其他人。再打开一个标签页，就能和自己聊天。',
    talk: (room) => `房间：${room}`,
    wire: '连接上的事件',
    wireExplained: 'WebSocket API 的四个事件（open、message、error、close）按发生的顺序列出，还有每一次 send()。',
    clear: '清空',
    send: '发送',
    yourMessage: '你的消息',
    placeholder: '回车发送，Shift+回车换行',
    connect: '连接',
    disconnect: '断开',
    connecting: '正在连接',
    connected: '已连接',
    disconnected: '未连接',
    disconnecting: '正在断开',
    waiting: (seconds) => `等待 ${seconds} 秒后重新连接`,
    me: '你',
    server: '服务器的回答',
    other: '有人说',
    notConnected: '没有连接：文字会留在这里，等到可以发送。',
    tooBig: (kib) => `一条消息最多 64 KiB，这一条有 ${kib} KiB。`,
    badRoom: '这不是有效的房间名：需要 1 到 64 个字符，不能有控制字符或改变文字方向的字符。',
    unanswered: '没有收到回答，可能没有送达',
    restarting: '服务器正在重启，本页会自动回来。',
    willReturn: (code) => `连接已关闭：${code}。本页会自动重新连接。`,
    staysAway: (code) => `连接已关闭：${code}。本页不会自动重新连接，请按“连接”。`,
    received: (bytes) => `↓ 收到，${bytes} 字节`,
    receivedBinary: (bytes) => `↓ 收到，${bytes} 字节，二进制`,
    sent: (bytes) => `↑ 发出，${bytes} 字节`,
    errorSaysNothing: '浏览器不给出原因，随后是 close 事件',
  },
};

const KEY = 'echoroom.language';

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // Storage may be forbidden; the page works without it.
  }
}

let current = remembered() ?? (navigator.languages.find((tag) => /^(zh|en)/.test(tag)) ?? 'en').slice(0, 2);
if (!Object.hasOwn(WORDS, current)) current = 'en';

/** The language in use: `en` or `zh`. */
export function language() {
  return current;
}

/** Changes to the other language and remembers it. */
export function switchLanguage() {
  current = current === 'en' ? 'zh' : 'en';
  try {
    localStorage.setItem(KEY, current);
  } catch {
    // As above.
  }
}

/** The words for `key`; some take a value. */
export function words(key, value) {
  const found = WORDS[current][key];
  return typeof found === 'function' ? found(value) : found;
}
