// Where one says who one is.
import { find, make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { AVATARS, face } from './avatars.js';
import { codeInWords } from './entries.js';

/** Tells `on.enter({ username, avatar })`, and `on.discard(user)` when what waits for a user is to go. */
export class Login {
  #form = find('login');
  #on;
  #held = make('div', { id: 'held' });

  constructor(on, { username, avatar }) {
    this.#on = on;
    const faces = AVATARS.map((name) => {
      const input = make('input', { type: 'radio', name: 'avatar', value: name, className: 'hidden', checked: name === avatar });
      input.setAttribute('aria-label', name);
      return make('label', { className: 'face-choice', title: name }, input, face({ username: name, avatar: name }));
    });
    find('faces').append(...faces);
    if (!AVATARS.includes(avatar)) faces[Math.floor(Math.random() * faces.length)].firstElementChild.checked = true;
    find('username').value = username ?? '';
    find('login-hint').before(this.#held);
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Shows the form, with the reason if there is one, and how much waits for which users: `[[user, count], …]`. */
  show(room, code = null, held = []) {
    this.#held.replaceChildren(...held.map(([user, count]) => this.#heldLine(user, count)));
    find('welcome').hidden = false;
    find('room').hidden = true;
    tell(find('enter'), () => words('enter', room));
    tell(find('login-hint'), () => (code ? codeInWords(code) : ''));
    find('username').toggleAttribute('aria-invalid', code !== null);
    find('username').focus();
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
    find('welcome').hidden = true;
    find('room').hidden = false;
  }

  #submit() {
    const username = find('username').value.trim();
    if (username === '') return find('username').focus();
    tell(find('login-hint'), () => '');
    return this.#on.enter({ username, avatar: new FormData(this.#form).get('avatar') });
  }
}
