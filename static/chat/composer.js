// Where one writes: text, emoji, pictures, to the room or to one user alone. What is written is kept as a draft of its
// destination, and what is sent goes to the destination it was written in.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import { isSameDestination } from './drafts.js';
import { mountEmojiPicker } from './emoji.js';
import { ImageRefused, prepareImage } from './images.js';

const TYPING_MS = 3_000;
const STOPPED_MS = 4_000;
const MOST_PICTURES = 10;

/**
 * Tells `on.send(destination, contents)`, which says whether it was taken: `destination` is `{ by, room, to }` as in [Drafts], `contents`
 * are `{ img }` and `{ msg }` in order. And `on.typing(isTyping)`, `on.address(to)` when the addressee has changed.
 */
export class Composer {
  #at;
  #drafts;
  #on;
  #limits;
  /** Where what is written belongs; `null` while the page is not logged in. */
  #destination = null;
  /** Pictures that are being prepared: `{ destination }`. */
  #preparations = new Set();
  /** The draft that is to be sent as soon as its pictures are prepared. */
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

  /** A user is in a room, and finds there what was left; if nothing has changed, what is being written is not touched. */
  open({ by, room }) {
    if (this.#destination?.by === by && this.#destination.room === room) return;
    this.#goTo({ by, room, to: this.#drafts.addressee({ by, room }) });
    this.hint();
  }

  /** The page is not logged in. */
  close() {
    this.#goTo(null);
    this.hint();
  }

  /** Whom the next message is for alone, `{ username, uid }`; `null`: it is for the room. */
  address(to) {
    if (!this.#destination) return;
    const before = this.#destination;
    this.#drafts.address(before, to);
    this.#goTo({ ...before, to });
    const isKept = before.to && !isSameDestination(before, this.#destination) && this.#drafts.at(before).text.trim() !== '';
    this.hint(isKept ? () => words('draftKept', before.to.username) : undefined);
    if (to) this.focus();
  }

  /** Gives back what was not sent after all, to the draft it came from. */
  restore(destination, content) {
    if (isSameDestination(destination, this.#destination)) this.#note();
    this.#drafts.restore(destination, content);
    if (isSameDestination(destination, this.#destination)) this.#show();
  }

  /** What stands in the way; it goes when one writes on. */
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

  /** Keeps what stands in the box. */
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
    const preparing = [...this.#preparations].filter(({ destination }) => isSameDestination(destination, this.#destination));
    shown.push(...preparing.map(() => localized('li', { className: 'faint' }, () => words('imagePreparing'))));
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
      // Else the browser would leave the page for the file.
      event.preventDefault();
      this.#addPictures([...event.dataTransfer.files]);
    });
  }

  /** Office programs put a picture of words and cells beside their text: the text is what was copied. */
  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const text = event.clipboardData?.getData('text/plain').trim() ?? '';
    // The text of a copied file is its name.
    if (files.length === 0 || (text !== '' && !files.some(({ name }) => name === text))) return;
    event.preventDefault();
    this.#addPictures(files);
  }

  /** Prepares pictures, to be looked at before they are sent; they belong where they were given, wherever we are then. */
  async #addPictures(files) {
    const destination = this.#destination;
    if (!destination) return;
    if (destination.to && !this.#limits.private_images) return this.hint(() => words('noPrivatePictures'));
    this.hint();
    for (const file of files) {
      if (this.#drafts.at(destination).pictures.length >= MOST_PICTURES) return this.hint(() => words('manyPictures', MOST_PICTURES));
      await this.#addPicture(file, destination);
    }
    const isToBeSent = isSameDestination(this.#sendsWhenReady, destination) && isSameDestination(destination, this.#destination);
    if (isToBeSent && ![...this.#preparations].some((preparation) => isSameDestination(preparation.destination, destination))) this.#submit();
    return undefined;
  }

  async #addPicture(file, destination) {
    const preparation = { destination };
    this.#preparations.add(preparation);
    this.#showIfAt(destination);
    try {
      const img = await prepareImage(file, this.#limits);
      this.#drafts.change(destination, { pictures: [...this.#drafts.at(destination).pictures, img] });
    } catch (error) {
      this.#sendsWhenReady = null;
      if (!(error instanceof ImageRefused)) throw error;
      this.hint(() => words(error.key));
    } finally {
      this.#preparations.delete(preparation);
      this.#showIfAt(destination);
    }
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
    if ([...this.#preparations].some((preparation) => isSameDestination(preparation.destination, destination))) {
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
