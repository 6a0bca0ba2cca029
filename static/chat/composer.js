// The composer: text, emoji and pictures, for the room or for one user. What is written is kept as the draft of its
// destination, and is sent to that destination only.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { isSameDestination } from './drafts.js';
import { mountEmojiPicker } from './emoji.js';
import { ImageRefused, prepareImage } from './images.js';

const TYPING_MS = 3_000;
const STOPPED_MS = 4_000;
const MOST_PICTURES = 10;

/**
 * Calls `on.send(destination, contents)`, which gives whether it was accepted: `destination` is `{ by, room, to }` as in [Drafts],
 * `contents` are `{ img }` and `{ msg }` in order. Calls `on.typing(isTyping)`, and `on.preparing(count)` with the number of
 * pictures that are being prepared.
 */
export class Composer {
  #at;
  #drafts;
  #on;
  #limits;
  /** The destination of what is being written; `null` while the page is not logged in. */
  #destination = null;
  /** Pictures that are being prepared: `{ destination, file }`. */
  #preparations = new Set();
  /** The destination whose draft is to be sent as soon as its pictures are prepared. */
  #sendsWhenReady = null;
  #toldTyping = 0;
  #stopped = 0;

  /** `elements` are form, text, hint, previews, privateBar, privateTo, privateStop, image, file, emoji, dropArea. */
  constructor({ elements, drafts, on, limits }) {
    this.#at = elements;
    this.#drafts = drafts;
    this.#on = on;
    this.#limits = limits;
    this.#listen();
    mountEmojiPicker(elements.emoji, (emoji) => this.#insert(emoji));
    this.#show();
  }

  focus() {
    this.#at.text.focus();
  }

  /** Shows the draft of a user in a room. If neither has changed, what is being written stays as it is. */
  open({ by, room }) {
    if (this.#destination?.by === by && this.#destination.room === room) return;
    this.#goTo({ by, room, to: this.#drafts.addressee({ by, room }) });
    this.hint();
  }

  /** Shows nothing: the page is not logged in. */
  close() {
    this.#goTo(null);
    this.hint();
  }

  /** The next message is private, to the user `{ username, uid }`, or with `null` for the room. */
  address(to) {
    if (!this.#destination) return;
    const before = this.#destination;
    this.#drafts.address(before, to);
    this.#goTo({ ...before, to });
    const isKept = before.to && !isSameDestination(before, this.#destination) && this.#drafts.at(before).text.trim() !== '';
    this.hint(isKept ? () => words('draftKept', before.to.username) : undefined);
    if (to) this.focus();
  }

  /** Puts what was not sent back into its draft. */
  restore(destination, content) {
    if (isSameDestination(destination, this.#destination)) this.#note();
    this.#drafts.restore(destination, content);
    if (isSameDestination(destination, this.#destination)) this.#show();
  }

  /** Shows a hint until the user writes on. */
  hint(phrase = () => '') {
    localize(this.#at.hint, phrase);
  }

  #goTo(destination) {
    this.#stopTyping();
    this.#note();
    this.#sendsWhenReady = null;
    this.#destination = destination;
    this.#show();
  }

  /** Stores the text of the box as the draft. */
  #note() {
    if (this.#destination) this.#drafts.change(this.#destination, { text: this.#at.text.value });
  }

  #show() {
    const { form, text, privateBar, privateTo } = this.#at;
    const name = this.#destination?.to?.username;
    privateBar.hidden = !name;
    form.classList.toggle('is-private', Boolean(name));
    if (name) localize(privateTo, () => words('privateTo', name));
    const draft = this.#destination && this.#drafts.at(this.#destination);
    const value = draft?.text ?? '';
    if (text.value !== value) text.value = value;
    this.#grow();
    this.#showPictures(draft?.pictures ?? []);
    const hasPictures = !this.#at.previews.hidden;
    localize(text, () => {
      if (name) return words('privatePlaceholder', name);
      return words(hasPictures ? 'captionPlaceholder' : 'placeholder');
    }, 'placeholder');
  }

  #showPictures(pictures) {
    const shown = pictures.map((img, index) => {
      const remove = make('button', { type: 'button', className: 'quiet small', on: { click: () => this.#removePicture(index) } }, '×');
      for (const attribute of ['aria-label', 'title']) localize(remove, () => words('removePicture'), attribute);
      return make('li', {}, make('img', { src: img, alt: '' }), remove);
    });
    shown.push(...this.#preparationsFor(this.#destination).map(() => localized('li', { className: 'faint' }, () => words('imagePreparing'))));
    this.#at.previews.replaceChildren(...shown);
    this.#at.previews.hidden = shown.length === 0;
  }

  #removePicture(index) {
    const { pictures } = this.#drafts.at(this.#destination);
    this.#note();
    this.#drafts.change(this.#destination, { pictures: pictures.filter((_, at) => at !== index) });
    this.#show();
    this.focus();
  }

  #listen() {
    const { form, text, file, image, privateStop, dropArea } = this.#at;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener('keydown', (event) => this.#pressed(event));
    text.addEventListener('input', () => {
      this.hint();
      this.#note();
      this.#grow();
      this.#noteTyping();
    });
    text.addEventListener('paste', (event) => this.#paste(event));
    privateStop.addEventListener('click', () => {
      this.address(null);
      this.focus();
    });
    image.addEventListener('click', () => file.click());
    file.addEventListener('change', () => {
      this.#addPictures([...file.files]);
      file.value = '';
    });
    this.#listenToDrops(dropArea);
  }

  #pressed(event) {
    if (event.key === 'Escape') {
      const { pictures } = this.#destination ? this.#drafts.at(this.#destination) : { pictures: [] };
      if (pictures.length > 0) this.#removePicture(pictures.length - 1);
      else if (this.#destination?.to) this.address(null);
      return;
    }
    // Enter that ends a composition belongs to the input method; 229 is how some browsers mark it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  }

  #listenToDrops(area) {
    const hasFiles = (event) => event.dataTransfer.types.includes('Files');
    area.addEventListener('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      area.classList.add('is-drop');
    });
    area.addEventListener('dragleave', (event) => {
      if (!area.contains(event.relatedTarget)) area.classList.remove('is-drop');
    });
    area.addEventListener('drop', (event) => {
      area.classList.remove('is-drop');
      if (!hasFiles(event)) return;
      // By default the browser would open the file in place of the page.
      event.preventDefault();
      this.#addPictures([...event.dataTransfer.files]);
    });
  }

  /** Office programs add a picture of the text to the text that was copied: then the text is pasted. */
  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const text = event.clipboardData?.getData('text/plain').trim() ?? '';
    // The text of a copied file is its name.
    if (files.length === 0 || (text !== '' && !files.some(({ name }) => name === text))) return;
    event.preventDefault();
    this.#addPictures(files);
  }

  /** Prepares pictures and adds them to the draft. They stay with the destination that they were given for. */
  async #addPictures(files) {
    const destination = this.#destination;
    if (!destination) return;
    if (destination.to && !this.#limits.private_images) return this.hint(() => words('noPrivatePictures'));
    this.hint();
    const most = MOST_PICTURES - this.#drafts.at(destination).pictures.length - this.#preparationsFor(destination).length;
    const preparations = files.slice(0, Math.max(most, 0)).map((file) => ({ destination, file }));
    if (preparations.length < files.length) this.hint(() => words('manyPictures', MOST_PICTURES));
    for (const preparation of preparations) this.#preparations.add(preparation);
    this.#preparationsChanged(destination);
    try {
      for (const preparation of preparations) await this.#prepare(preparation);
    } finally {
      for (const preparation of preparations) this.#preparations.delete(preparation);
      this.#preparationsChanged(destination);
    }
    const isToBeSent = isSameDestination(this.#sendsWhenReady, destination) && isSameDestination(destination, this.#destination);
    if (isToBeSent && this.#preparationsFor(destination).length === 0) this.#submit();
    return undefined;
  }

  async #prepare(preparation) {
    const { destination, file } = preparation;
    try {
      const img = await prepareImage(file, this.#limits);
      this.#drafts.change(destination, { pictures: [...this.#drafts.at(destination).pictures, img] });
    } catch (error) {
      this.#sendsWhenReady = null;
      if (!(error instanceof ImageRefused)) throw error;
      this.hint(() => words(error.key));
    } finally {
      this.#preparations.delete(preparation);
      this.#preparationsChanged(destination);
    }
  }

  #preparationsFor(destination) {
    return [...this.#preparations].filter((preparation) => isSameDestination(preparation.destination, destination));
  }

  #preparationsChanged(destination) {
    this.#on.preparing(this.#preparations.size);
    this.#showIfAt(destination);
  }

  #showIfAt(destination) {
    if (!isSameDestination(destination, this.#destination)) return;
    this.#note();
    this.#show();
  }

  #submit() {
    if (!this.#destination) return;
    this.#note();
    const destination = this.#destination;
    const { text, pictures } = this.#drafts.at(destination);
    if (this.#preparationsFor(destination).length > 0) {
      this.#sendsWhenReady = destination;
      return;
    }
    this.#sendsWhenReady = null;
    const contents = [...pictures.map((img) => ({ img })), ...(text.trim() === '' ? [] : [{ msg: text }])];
    if (contents.length === 0 || this.#isTooLong(text)) return;
    this.hint();
    if (!this.#on.send(destination, contents)) return;
    this.#drafts.change(destination, { text: '', pictures: [] });
    this.#show();
    this.#stopTyping();
    this.focus();
  }

  #isTooLong(text) {
    const most = this.#limits.max_message_size;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes <= most) return false;
    this.hint(() => words('tooLong', Math.ceil(bytes / 1024), Math.floor(most / 1024)));
    return true;
  }

  #insert(emoji) {
    const { text } = this.#at;
    text.setRangeText(emoji, text.selectionStart, text.selectionEnd, 'end');
    text.dispatchEvent(new Event('input'));
    this.focus();
  }

  /** As many rows as the text has, up to a third of the window. */
  #grow() {
    const { text } = this.#at;
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight + 2, innerHeight / 3)}px`;
  }

  #noteTyping() {
    if (this.#destination?.to || this.#at.text.value === '') return this.#stopTyping();
    clearTimeout(this.#stopped);
    this.#stopped = setTimeout(() => this.#stopTyping(), STOPPED_MS);
    if (Date.now() - this.#toldTyping < TYPING_MS) return undefined;
    this.#toldTyping = Date.now();
    return this.#on.typing(true);
  }

  #stopTyping() {
    clearTimeout(this.#stopped);
    if (this.#toldTyping === 0) return;
    this.#toldTyping = 0;
    this.#on.typing(false);
  }
}
