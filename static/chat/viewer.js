// Shows a picture of the log in full size, in a dialog.
import { words } from '../i18n.js';

export class Viewer {
  #dialog;
  #picture;

  constructor({ dialog, picture }) {
    this.#dialog = dialog;
    this.#picture = picture;
  }

  /** Shows a picture that `username` sent. */
  show(username, img) {
    this.#picture.src = img;
    this.#picture.alt = words('picture', username);
    this.#dialog.showModal();
  }
}
