// On a narrow page, rooms and people are a drawer over the log: opened by a button, closed by it, by Escape, and by a tap
// outside. On a wide page they stand beside the log, and none of this shows.

/** `elements` are room, side, toggle, shade. Calls `on.opened()`. */
export class Drawer {
  #on;
  #room;
  #side;
  #toggle;

  constructor({ room, side, toggle, shade }, on) {
    this.#room = room;
    this.#side = side;
    this.#toggle = toggle;
    this.#on = on;
    this.#toggle.addEventListener('click', () => this.show(!this.#isOpen));
    shade.addEventListener('click', () => this.show(false));
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
    const hadFocus = this.#side.contains(document.activeElement);
    this.#room.classList.toggle('shows-side', isOpen);
    this.#toggle.setAttribute('aria-expanded', String(isOpen));
    if (isOpen) this.#on.opened();
    // What had the focus is out of sight now.
    else if (hadFocus) this.#toggle.focus();
  }
}
