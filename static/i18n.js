// The texts of the page in two languages. Modules add theirs; a localized element changes its text with the language.

import { browserStore } from './store.js';

const WORDS = { en: {}, zh: {} };
const listeners = new Set();

/** The phrases of each localized element, by attribute. A phrase is a function that gives a text in the current language. */
const phrases = new WeakMap();

let current = browserStore.getText('language') ?? (navigator.languages.find((tag) => /^(zh|en)/.test(tag)) ?? 'en').slice(0, 2);
if (!Object.hasOwn(WORDS, current)) current = 'en';

/** The language in use: `en` or `zh`. */
export function language() {
  return current;
}

/** The language in use as a tag for `lang` and `Intl`. */
export function locale() {
  return current === 'zh' ? 'zh-CN' : 'en-GB';
}

/** Adds words: `{ en: { key: 'text' }, zh: { key: 'text' } }`; a function as the text takes values. Both have all keys. */
export function addWords({ en, zh }) {
  for (const [tongue, added] of Object.entries({ en, zh })) {
    for (const key of Object.keys(added)) {
      if (Object.hasOwn(WORDS[tongue], key)) throw new Error(`the words "${key}" are there already`);
    }
    Object.assign(WORDS[tongue], added);
  }
}

/** The words for `key`; some take values. */
export function words(key, ...values) {
  const found = WORDS[current][key];
  if (found === undefined) throw new Error(`there are no words "${key}" in ${current}`);
  return typeof found === 'function' ? found(...values) : found;
}

/** Sets the text of an element, or an attribute, to what `phrase` gives, now and after each change of the language. */
export function localize(element, phrase, attribute = 'text') {
  const known = phrases.get(element) ?? new Map();
  phrases.set(element, known.set(attribute, phrase));
  element.dataset.localized = '';
  say(element, phrase, attribute);
}

function say(element, phrase, attribute) {
  if (attribute === 'text') element.textContent = phrase();
  else element.setAttribute(attribute, phrase());
}

/** Fills in what `root` and all in it say: `data-text`, `data-placeholder`, `data-label`, `data-title`, and localized elements. */
export function translate(root = document) {
  const fill = (name, set) => {
    for (const element of root.querySelectorAll(`[data-${name}]`)) set(element, words(element.dataset[name]));
  };
  fill('text', (element, text) => { element.textContent = text; });
  fill('placeholder', (element, text) => { element.placeholder = text; });
  fill('label', (element, text) => element.setAttribute('aria-label', text));
  fill('title', (element, text) => { element.title = text; });
  for (const element of root.querySelectorAll('[data-localized]')) {
    for (const [attribute, phrase] of phrases.get(element) ?? []) say(element, phrase, attribute);
  }
}

/** Calls `listener` whenever the language has changed, before the page is filled in again. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** Changes to the other language, remembers it, and fills the page in again. */
export function switchLanguage() {
  current = current === 'en' ? 'zh' : 'en';
  browserStore.setText('language', current);
  document.documentElement.lang = locale();
  for (const listener of listeners) listener();
  translate();
}
