// The login form: a nickname and an avatar.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { AVATARS, avatarOf } from './avatars.js';
import { errorInWords } from './error-codes.js';

/** Calls `on.login({ username, avatar })`, and `on.discard(user)` when the reader discards what a user has not sent. */
export class LoginForm {
  #at;
  #on;

  /** `elements` are form, avatars, username, unsent, hint, enter. */
  constructor({ elements, on, profile: { username, avatar } }) {
    this.#at = elements;
    this.#on = on;
    const avatars = AVATARS.map((name) => {
      const input = make('input', { type: 'radio', name: 'avatar', value: name, className: 'hidden', checked: name === avatar });
      input.setAttribute('aria-label', name);
      return make('label', { className: 'avatar-choice', title: name }, input, avatarOf({ avatar: name }));
    });
    this.#at.avatars.append(...avatars);
    if (!AVATARS.includes(avatar)) avatars[Math.floor(Math.random() * avatars.length)].firstElementChild.checked = true;
    this.#at.username.value = username ?? '';
    this.#at.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /**
   * Prepares the form for a login to `room`. `code` says why the last one was rejected; `unsent` is what users of this tab have
   * not sent: `[[user, count], …]`.
   */
  show(room, code = null, unsent = []) {
    this.#at.unsent.replaceChildren(...unsent.map(([user, count]) => this.#unsentLine(user, count)));
    localize(this.#at.enter, () => words('enter', room));
    localize(this.#at.hint, () => (code ? errorInWords(code) : ''));
    this.#at.username.toggleAttribute('aria-invalid', code !== null);
    this.#at.username.focus();
  }

  #unsentLine(user, count) {
    const discard = localized('button', { type: 'button', className: 'quiet small' }, () => words('discard'));
    const line = make('p', { className: 'faint' }, localized('span', {}, () => words('unsent', user, count)), ' ', discard);
    discard.addEventListener('click', () => {
      this.#on.discard(user);
      line.remove();
    });
    return line;
  }

  #submit() {
    const username = this.#at.username.value.trim();
    if (username === '') return this.#at.username.focus();
    localize(this.#at.hint, () => '');
    return this.#on.login({ username, avatar: new FormData(this.#at.form).get('avatar') });
  }
}
