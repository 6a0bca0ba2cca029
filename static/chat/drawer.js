// On a narrow page, rooms and people are a drawer over the log: opened by a button, closed by it, by Escape, and by a tap
// outside. On a wide page they stand beside the log, and none of this shows.
import { find } from '../dom.js';

/** Calls `on.opened()`. */
export class Drawer {
  #on;
  #room = find('room');
  #toggle = find('side-toggle');

  constructor(on) {
    this.#on = on;
    this.#toggle.addEventListener('click', () => this.show(!this.#isOpen));
    find('side-shade').addEventListener('click', () => this.show(false));
    this.#room.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.#isOpen || event.defaultPrevented) return;
      event.preventDefault();
      this.show(false);
    });
  }

  get #isOpen() {
    return this.#room.classList.contains('shows-side');
  }

  show(isOpen) {
    if (isOpen === this.#isOpen) return;
    const hadFocus = find('side').contains(document.activeElement);
    this.#room.classList.toggle('shows-side', isOpen);
    this.#toggle.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) this.#on.opened();
    // What had the focus is out of sight now.
    else if (hadFocus) this.#toggle.focus();
  }
}
