// The lessons: a list of them, and the one that the address names (`#lessons/echo`). Loaded when it is first asked for.
import '../words/lessons.js';
import '../words/lessons-polling-break.js';
import '../words/lessons-server.js';
import { localized, make } from '../dom.js';
import { translate, words } from '../i18n.js';
import { mountBreak } from './break.js';
import { mountDoors } from './doors.js';
import { mountPolling } from './polling.js';
import { mountServer } from './server.js';
import { mountSocket } from './socket.js';
import { Scope } from './scope.js';

const LESSONS = [
  { name: 'socket', title: 'lesSocketTitle', short: 'lesSocketShort', mount: mountSocket },
  { name: 'doors', title: 'lesDoorsTitle', short: 'lesDoorsShort', mount: mountDoors },
  { name: 'polling', title: 'lesPollingTitle', short: 'lesPollingShort', mount: mountPolling },
  { name: 'break', title: 'lesBreakTitle', short: 'lesBreakShort', mount: mountBreak },
  { name: 'server', title: 'lesServerTitle', short: 'lesServerShort', mount: mountServer },
];

class Lessons {
  #recorder;
  #panel = make('section', { className: 'lesson', tabIndex: -1 });
  #links;
  #current = null;
  #scope = null;

  constructor(root, recorder) {
    this.#recorder = recorder;
    this.#links = LESSONS.map(({ name, title, short }) =>
      make('a', { href: `#lessons/${name}` }, localized('b', {}, () => words(title)), localized('span', {}, () => words(short))));
    const nav = make('nav', { className: 'lesson-list', dataset: { label: 'lesList' } },
      make('ol', {}, ...this.#links.map((link) => make('li', {}, link))));
    const head = make('div', { className: 'lessons-head' }, localized('h2', {}, () => words('lesTitle')), localized('p', {}, () => words('lesIntro')));
    root.append(head, make('div', { className: 'lessons-body' }, nav, this.#panel));
    addEventListener('hashchange', () => this.#show(true));
    this.#show(false);
  }

  /** Shows the lesson that the address names; a lesson that is left closes what it has opened. */
  #show(isMove) {
    const [view, name] = location.hash.slice(1).split('/');
    const lesson = view === 'lessons' ? LESSONS.find((one) => one.name === name) ?? LESSONS[0] : null;
    if (lesson === this.#current) return;
    this.#current = lesson;
    this.#scope?.leave();
    this.#scope = null;
    this.#panel.replaceChildren();
    if (!lesson) return;
    this.#links.forEach((link, at) => {
      if (LESSONS[at] === lesson) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    });
    this.#scope = new Scope(this.#recorder);
    this.#panel.append(localized('h3', {}, () => words(lesson.title)));
    lesson.mount(this.#panel, this.#scope);
    translate(this.#panel);
    if (isMove && name) this.#panel.focus({ preventScroll: true });
    this.#panel.scrollIntoView?.({ block: 'nearest' });
  }
}

/** Loads the sheet of the lessons; goes on without it if it cannot be had. */
function dress() {
  const sheet = make('link', { rel: 'stylesheet', href: new URL('lessons.css', import.meta.url).href });
  return new Promise((resolve) => {
    sheet.addEventListener('load', resolve);
    sheet.addEventListener('error', resolve);
    document.head.append(sheet);
  });
}

/** Fills `element` with the lessons. */
export async function mountLessons(element, { recorder }) {
  await dress();
  new Lessons(element, recorder);
}
