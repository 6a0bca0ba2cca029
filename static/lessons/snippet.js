// Programs that a lesson shows, as plain text that can be copied.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';

const COPIED_MS = 3000;

/** Whether it could copy the text. Without HTTPS there is no clipboard; then it is selected, to be copied by hand. */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}

const isComment = (text) => text.trimStart().startsWith('//');

/**
 * A program under its title. Its parts are `{ step, lines }`, where a line is a text, or a function that gives it in the
 * language of the moment; `mark(step)` shows which parts run.
 */
export class Snippet {
  element;
  #code = make('code');
  #parts;
  #lines = [];

  constructor(titleKey, parts) {
    this.#parts = parts.map(({ step, lines }) => ({ step, element: make('span', { className: 'part' }, ...lines.map((one) => this.#line(one))) }));
    this.#code.append(...this.#parts.map(({ element }) => element));
    const area = make('pre', { className: 'code mono', tabIndex: 0, attributes: { role: 'group' } }, this.#code);
    localize(area, () => words(titleKey), 'aria-label');
    this.element = make('div', { className: 'snippet' }, this.#head(titleKey), area);
  }

  #line(line) {
    const phrase = () => `${typeof line === 'function' ? line() : line}\n`;
    const element = localized('span', { className: isComment(phrase()) ? 'comment' : '' }, phrase);
    this.#lines.push({ element, phrase });
    return element;
  }

  #head(titleKey) {
    const said = make('span', { className: 'soft', attributes: { role: 'status' } });
    let silence = 0;
    const click = async () => {
      const isCopied = await copy(this.#code);
      localize(said, () => words(isCopied ? 'lesCopied' : 'lesSelected'));
      clearTimeout(silence);
      silence = setTimeout(() => localize(said, () => ''), COPIED_MS);
    };
    const button = localized('button', { type: 'button', className: 'quiet', on: { click } }, () => words('lesCopy'));
    return make('div', { className: 'snippet-head' }, localized('h4', {}, () => words(titleKey)), said, button);
  }

  /** The program, ready to run. */
  get text() {
    return this.#code.textContent;
  }

  /** Writes the lines again, for other values. */
  write() {
    for (const { element, phrase } of this.#lines) element.textContent = phrase();
  }

  /** Marks the parts of a step, and no others. */
  mark(step) {
    for (const part of this.#parts) part.element.classList.toggle('marked', part.step === step);
  }
}
