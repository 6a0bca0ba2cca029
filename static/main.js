// The page's frame: two views, the panel of the wire, language and theme. Its elements are in index.html.
import './words/shell.js';
import { mountChat } from './chat/index.js';
import { locale, localize, switchLanguage, translate, words } from './i18n.js';
import { browserStore } from './store.js';
import { mountWire } from './wire/index.js';
import { Recorder } from './wire/recorder.js';

const THEMES = ['auto', 'light', 'dark'];
const byId = (id) => document.getElementById(id);
const recorder = new Recorder();
const chat = mountChat(byId('chat'), { recorder });
const wire = mountWire(byId('wire'), { recorder, ping: () => chat.ping() });
let lessons = null;

/** The view that the address names: `#lessons`, else the chat. Lessons are loaded when they are first asked for. */
async function showView() {
  const name = location.hash.startsWith('#lessons') ? 'lessons' : 'chat';
  byId('chat').hidden = name !== 'chat';
  byId('lessons').hidden = name !== 'lessons';
  for (const link of document.querySelectorAll('#views a')) {
    if (link.dataset.view === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.body.dataset.view = name;
  if (name === 'lessons' && !lessons) {
    lessons = import('./lessons/index.js').then(({ mountLessons }) => mountLessons(byId('lessons'), { recorder }));
    await lessons;
    translate(byId('lessons'));
  }
}

function showTheme() {
  const theme = THEMES.find((known) => known === browserStore.getText('theme')) ?? 'auto';
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const name = `theme${theme[0].toUpperCase()}${theme.slice(1)}`;
  localize(byId('theme'), () => words(name), 'aria-label');
  localize(byId('theme'), () => words(name), 'title');
  byId('theme').textContent = { auto: '◐', light: '☀', dark: '☾' }[theme];
}

const isWireOpen = () => document.body.dataset.wire === 'open';

function showWire(isOpen) {
  document.body.dataset.wire = isOpen ? 'open' : 'closed';
  wire.show(isOpen);
  byId('wire-toggle').setAttribute('aria-expanded', String(isOpen));
}

function listen() {
  byId('language').addEventListener('click', switchLanguage);
  byId('theme').addEventListener('click', () => {
    const next = (THEMES.indexOf(document.documentElement.dataset.theme ?? 'auto') + 1) % THEMES.length;
    browserStore.setText('theme', THEMES[next]);
    showTheme();
  });
  byId('wire-toggle').addEventListener('click', () => {
    showWire(!isWireOpen());
    browserStore.setText('wire', document.body.dataset.wire);
  });
  addEventListener('hashchange', showView);
}

document.documentElement.lang = locale();
showTheme();
showWire((browserStore.getText('wire') ?? (matchMedia('(min-width: 72rem)').matches ? 'open' : 'closed')) === 'open');
listen();
translate();
showView();
