// Where one says who one is.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { AVATARS, avatarOf } from './avatars.js';
import { errorInWords } from './line-elements.js';

/** Tells `on.login({ username, avatar })`, and `on.discard(user)` when what waits for a user is to go. */
export class LoginForm {
  #at;
  #on;
  #unsent = make('div', { id: 'unsent' });

  /** `elements` are form, welcome, room, avatars, username, hint, enter. */
  constructor({ elements, on, profile: { username, avatar } }) {
    this.#at = elements;
    this.#on = on;
    const avatars = AVATARS.map((name) => {
      const input = make('input', { type: 'radio', name: 'avatar', value: name, className: 'hidden', checked: name === avatar });
      input.setAttribute('aria-label', name);
      return make('label', { className: 'avatar-choice', title: name }, input, avatarOf({ username: name, avatar: name }));
    });
    this.#at.avatars.append(...avatars);
    if (!AVATARS.includes(avatar)) avatars[Math.floor(Math.random() * avatars.length)].firstElementChild.checked = true;
    this.#at.username.value = username ?? '';
    this.#at.hint.before(this.#unsent);
    this.#at.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Shows the form, with the reason if there is one, and how much waits for which users: `[[user, count], …]`. */
  show(room, code = null, unsent = []) {
    this.#unsent.replaceChildren(...unsent.map(([user, count]) => this.#unsentLine(user, count)));
    this.#at.welcome.hidden = false;
    this.#at.room.hidden = true;
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

  hide() {
    this.#at.welcome.hidden = true;
    this.#at.room.hidden = false;
  }

  #submit() {
    const username = this.#at.username.value.trim();
    if (username === '') return this.#at.username.focus();
    localize(this.#at.hint, () => '');
    return this.#on.login({ username, avatar: new FormData(this.#at.form).get('avatar') });
  }
}
