// Where one says who one is.
import { make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { AVATARS, face } from './avatars.js';
import { codeInWords } from './entries.js';

/** Tells `on.enter({ username, avatar })`, and `on.discard(user)` when what waits for a user is to go. */
export class Login {
  #at;
  #on;
  #held = make('div', { id: 'held' });

  /** `elements` are form, welcome, room, faces, username, hint, enter. */
  constructor({ elements, on, profile: { username, avatar } }) {
    this.#at = elements;
    this.#on = on;
    const faces = AVATARS.map((name) => {
      const input = make('input', { type: 'radio', name: 'avatar', value: name, className: 'hidden', checked: name === avatar });
      input.setAttribute('aria-label', name);
      return make('label', { className: 'face-choice', title: name }, input, face({ username: name, avatar: name }));
    });
    this.#at.faces.append(...faces);
    if (!AVATARS.includes(avatar)) faces[Math.floor(Math.random() * faces.length)].firstElementChild.checked = true;
    this.#at.username.value = username ?? '';
    this.#at.hint.before(this.#held);
    this.#at.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Shows the form, with the reason if there is one, and how much waits for which users: `[[user, count], …]`. */
  show(room, code = null, held = []) {
    this.#held.replaceChildren(...held.map(([user, count]) => this.#heldLine(user, count)));
    this.#at.welcome.hidden = false;
    this.#at.room.hidden = true;
    tell(this.#at.enter, () => words('enter', room));
    tell(this.#at.hint, () => (code ? codeInWords(code) : ''));
    this.#at.username.toggleAttribute('aria-invalid', code !== null);
    this.#at.username.focus();
  }

  #heldLine(user, count) {
    const discard = told('button', { type: 'button', className: 'quiet small' }, () => words('discard'));
    const line = make('p', { className: 'faint' }, told('span', {}, () => words('held', user, count)), ' ', discard);
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
    tell(this.#at.hint, () => '');
    return this.#on.enter({ username, avatar: new FormData(this.#at.form).get('avatar') });
  }
}
