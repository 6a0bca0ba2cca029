// The words of the page's frame.
import { addWords } from '../i18n.js';

addWords({
  en: {
    otherLanguage: '中文',
    viewChat: 'Chat',
    viewLessons: 'Lessons',
    views: 'Views',
    wire: 'On the wire',
    themeAuto: 'Theme: as the system',
    themeLight: 'Theme: light',
    themeDark: 'Theme: dark',
    readyStateName: (state) => ['connecting', 'open', 'closing', 'closed'][state],
    readyState: (state) => `readyState ${state} ${['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'][state]}`,
  },
  zh: {
    otherLanguage: 'English',
    viewChat: '聊天',
    viewLessons: '教程',
    views: '视图',
    wire: '连接实况',
    themeAuto: '主题：跟随系统',
    themeLight: '主题：浅色',
    themeDark: '主题：深色',
    readyStateName: (state) => ['正在连接', '已打开', '正在关闭', '已关闭'][state],
    readyState: (state) => `readyState ${state}（${['正在连接', '已打开', '正在关闭', '已关闭'][state]}）`,
  },
});
