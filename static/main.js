// The page's frame: two views, the panel of the wire, language and theme.
import './words/shell.js';
import { mountChat } from './chat/index.js';
import { find } from './dom.js';
import { locale, localize, switchLanguage, translate, words } from './i18n.js';
import { browserStore } from './store.js';
import { mountWire } from './wire/index.js';
import { Recorder } from './wire/recorder.js';

const THEMES = ['auto', 'light', 'dark'];
const recorder = new Recorder();
let lessons = null;

/** The view that the address names: `#lessons`, else the chat. Lessons are loaded when they are first asked for. */
async function showView() {
  const name = location.hash.startsWith('#lessons') ? 'lessons' : 'chat';
  find('chat').hidden = name !== 'chat';
  find('lessons').hidden = name !== 'lessons';
  for (const link of document.querySelectorAll('#views a')) {
    if (link.dataset.view === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.body.dataset.view = name;
  if (name === 'lessons' && !lessons) {
    lessons = import('./lessons/index.js').then(({ mountLessons }) => mountLessons(find('lessons'), { recorder }));
    await lessons;
    translate(find('lessons'));
  }
}

function showTheme() {
  const theme = THEMES.find((known) => known === browserStore.getText('theme')) ?? 'auto';
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const name = `theme${theme[0].toUpperCase()}${theme.slice(1)}`;
  localize(find('theme'), () => words(name), 'aria-label');
  localize(find('theme'), () => words(name), 'title');
  find('theme').textContent = { auto: '◐', light: '☀', dark: '☾' }[theme];
}

function showWire(isOpen) {
  document.body.dataset.wire = isOpen ? 'open' : 'closed';
  find('wire').hidden = !isOpen;
  find('wire-toggle').setAttribute('aria-expanded', String(isOpen));
}

function listen() {
  find('language').addEventListener('click', switchLanguage);
  find('theme').addEventListener('click', () => {
    const next = (THEMES.indexOf(document.documentElement.dataset.theme ?? 'auto') + 1) % THEMES.length;
    browserStore.setText('theme', THEMES[next]);
    showTheme();
  });
  find('wire-toggle').addEventListener('click', () => {
    showWire(find('wire').hidden);
    browserStore.setText('wire', find('wire').hidden ? 'closed' : 'open');
  });
  addEventListener('hashchange', showView);
}

document.documentElement.lang = locale();
showTheme();
showWire((browserStore.getText('wire') ?? (matchMedia('(min-width: 72rem)').matches ? 'open' : 'closed')) === 'open');
listen();
const chat = mountChat(find('chat'), { recorder });
mountWire(find('wire'), { recorder, ping: () => chat.ping() });
translate();
showView();
