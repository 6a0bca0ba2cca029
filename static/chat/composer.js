// Where one writes: text, emoji, pictures, to the room or to one user alone. What is written is kept as a draft of its
// place, and what is sent goes to the place it was written in.
import { make, told } from '../dom.js';
import { tell, words } from '../i18n.js';
import { isSamePlace } from './drafts.js';
import { mountEmojiPicker } from './emoji.js';
import { ImageRefused, prepareImage } from './images.js';

const TYPING_MS = 3_000;
const STOPPED_MS = 4_000;
const MOST_PICTURES = 10;

/**
 * Tells `on.send(place, contents)`, which says whether it was taken: `place` is `{ by, room, to }` as in [Drafts], `contents`
 * are `{ img }` and `{ msg }` in order. And `on.typing(isTyping)`, `on.address(to)` when the addressee has changed.
 */
export class Composer {
  #at;
  #drafts;
  #on;
  #limits;
  /** Where what is written belongs; `null` while the page is not logged in. */
  #place = null;
  /** Pictures that are being prepared: `{ place }`. */
  #jobs = new Set();
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
  enter({ by, room }) {
    if (this.#place?.by === by && this.#place.room === room) return;
    this.#goTo({ by, room, to: this.#drafts.addressee({ by, room }) });
    this.hint();
  }

  /** The page is not logged in. */
  leave() {
    this.#goTo(null);
    this.hint();
  }

  /** Whom the next message is for alone, `{ username, uid }`; `null`: it is for the room. */
  address(to) {
    if (!this.#place) return;
    const before = this.#place;
    this.#drafts.address(before, to);
    this.#goTo({ ...before, to });
    const isKept = before.to && !isSamePlace(before, this.#place) && this.#drafts.at(before).text.trim() !== '';
    this.hint(isKept ? () => words('draftKept', before.to.username) : undefined);
    if (to) this.focus();
  }

  /** Gives back what was not sent after all, to the draft it came from. */
  restore(place, content) {
    if (isSamePlace(place, this.#place)) this.#note();
    this.#drafts.restore(place, content);
    if (isSamePlace(place, this.#place)) this.#show();
  }

  /** What stands in the way; it goes when one writes on. */
  hint(teller = () => '') {
    tell(this.#at.hint, teller);
  }

  #goTo(place) {
    this.#stopTyping();
    this.#note();
    this.#sendsWhenReady = null;
    this.#place = place;
    this.#show();
  }

  /** Keeps what stands in the box. */
  #note() {
    if (this.#place) this.#drafts.change(this.#place, { text: this.#at.text.value });
  }

  #show() {
    const { form, text, privateBar, privateTo } = this.#at;
    const name = this.#place?.to?.username;
    privateBar.hidden = !name;
    form.classList.toggle('is-private', Boolean(name));
    if (name) tell(privateTo, () => words('privateTo', name));
    const draft = this.#place && this.#drafts.at(this.#place);
    const value = draft?.text ?? '';
    if (text.value !== value) text.value = value;
    this.#grow();
    this.#showPictures(draft?.pictures ?? []);
    const hasPictures = !this.#at.previews.hidden;
    tell(text, () => {
      if (name) return words('privatePlaceholder', name);
      return words(hasPictures ? 'captionPlaceholder' : 'placeholder');
    }, 'placeholder');
  }

  #showPictures(pictures) {
    const shown = pictures.map((img, index) => {
      const remove = make('button', { type: 'button', className: 'quiet small', on: { click: () => this.#removePicture(index) } }, '×');
      for (const attribute of ['aria-label', 'title']) tell(remove, () => words('removePicture'), attribute);
      return make('li', {}, make('img', { src: img, alt: '' }), remove);
    });
    const preparing = [...this.#jobs].filter(({ place }) => isSamePlace(place, this.#place));
    shown.push(...preparing.map(() => told('li', { className: 'faint' }, () => words('imagePreparing'))));
    this.#at.previews.replaceChildren(...shown);
    this.#at.previews.hidden = shown.length === 0;
  }

  #removePicture(index) {
    const { pictures } = this.#drafts.at(this.#place);
    this.#note();
    this.#drafts.change(this.#place, { pictures: pictures.filter((_, at) => at !== index) });
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
      const { pictures } = this.#place ? this.#drafts.at(this.#place) : { pictures: [] };
      if (pictures.length > 0) this.#removePicture(pictures.length - 1);
      else if (this.#place?.to) this.address(null);
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
    const place = this.#place;
    if (!place) return;
    if (place.to && !this.#limits.private_images) return this.hint(() => words('noPrivatePictures'));
    this.hint();
    for (const file of files) {
      if (this.#drafts.at(place).pictures.length >= MOST_PICTURES) return this.hint(() => words('manyPictures', MOST_PICTURES));
      await this.#addPicture(file, place);
    }
    const isToBeSent = isSamePlace(this.#sendsWhenReady, place) && isSamePlace(place, this.#place);
    if (isToBeSent && ![...this.#jobs].some((job) => isSamePlace(job.place, place))) this.#submit();
    return undefined;
  }

  async #addPicture(file, place) {
    const job = { place };
    this.#jobs.add(job);
    this.#showIfAt(place);
    try {
      const img = await prepareImage(file, this.#limits);
      this.#drafts.change(place, { pictures: [...this.#drafts.at(place).pictures, img] });
    } catch (error) {
      this.#sendsWhenReady = null;
      if (!(error instanceof ImageRefused)) throw error;
      this.hint(() => words(error.key));
    } finally {
      this.#jobs.delete(job);
      this.#showIfAt(place);
    }
  }

  #showIfAt(place) {
    if (!isSamePlace(place, this.#place)) return;
    this.#note();
    this.#show();
  }

  #submit() {
    if (!this.#place) return;
    this.#note();
    const place = this.#place;
    const { text, pictures } = this.#drafts.at(place);
    if ([...this.#jobs].some((job) => isSamePlace(job.place, place))) {
      this.#sendsWhenReady = place;
      return;
    }
    this.#sendsWhenReady = null;
    const contents = [...pictures.map((img) => ({ img })), ...(text.trim() === '' ? [] : [{ msg: text }])];
    if (contents.length === 0 || this.#isTooLong(text)) return;
    this.hint();
    if (!this.#on.send(place, contents)) return;
    this.#drafts.change(place, { text: '', pictures: [] });
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
    if (this.#place?.to || this.#at.text.value === '') return this.#stopTyping();
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
