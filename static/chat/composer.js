// Where one writes: text, emoji, pictures, to the room or to somebody alone.
import { find } from '../dom.js';
import { tell, words } from '../i18n.js';
import { mountEmojiPicker } from './emoji.js';
import { ImageRefused, imageFiles, prepareImage } from './images.js';

const TYPING_MS = 3_000;
const STOPPED_MS = 4_000;

/** Tells `on.text(text)` and `on.privately(to, text)`, which say whether it was taken, `on.image(img)`, `on.typing(isTyping)`. */
export class Composer {
  #form = find('composer');
  #text = find('text');
  #hint = find('hint');
  #on;
  #limits;
  #to = null;
  #toldTyping = 0;
  #stopped = 0;

  constructor(on, limits) {
    this.#on = on;
    this.#limits = limits;
    this.#listen();
    mountEmojiPicker(find('emoji'), (emoji) => this.#insert(emoji));
    this.address(null);
  }

  focus() {
    this.#text.focus();
  }

  /** Whom the next message is for alone; nobody: it is for the room. */
  address(name) {
    this.#to = name;
    find('private-bar').hidden = !name;
    this.#form.classList.toggle('is-private', Boolean(name));
    if (name) tell(find('private-to'), () => words('privateTo', name));
    tell(this.#text, () => (name ? words('privatePlaceholder', name) : words('placeholder')), 'placeholder');
    if (name) this.focus();
  }

  /** What stands in the way; nothing clears it. */
  hint(teller = () => '') {
    tell(this.#hint, teller);
  }

  #listen() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#to) return this.address(null);
      // Enter that ends a composition belongs to the input method; 229 is how some browsers mark it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return undefined;
      event.preventDefault();
      return this.#submit();
    });
    this.#text.addEventListener('input', () => {
      this.#grow();
      this.#noteTyping();
    });
    this.#text.addEventListener('paste', (event) => this.#take(event, event.clipboardData));
    find('private-stop').addEventListener('click', () => {
      this.address(null);
      this.focus();
    });
    find('image').addEventListener('click', () => find('file').click());
    find('file').addEventListener('change', () => {
      this.#sendImages([...find('file').files]);
      find('file').value = '';
    });
    this.#listenToDrops(find('room'));
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
      this.#sendImages([...event.dataTransfer.files]);
    });
  }

  #take(event, data) {
    const images = imageFiles(data);
    if (images.length === 0) return;
    event.preventDefault();
    this.#sendImages(images);
  }

  async #sendImages(files) {
    this.hint();
    for (const file of files) {
      try {
        this.#on.image(await prepareImage(file, this.#limits));
      } catch (error) {
        if (!(error instanceof ImageRefused)) throw error;
        this.hint(() => words(error.key));
      }
    }
  }

  #submit() {
    const text = this.#text.value;
    if (text.trim() === '') return;
    const most = this.#limits.max_message_size;
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > most) {
      this.hint(() => words('tooLong', Math.ceil(bytes / 1024), Math.floor(most / 1024)));
      return;
    }
    this.hint();
    const wasTaken = this.#to ? this.#on.privately(this.#to, text) : this.#on.text(text);
    if (!wasTaken) return;
    this.#text.value = '';
    this.#grow();
    this.#stopTyping();
    this.focus();
  }

  #insert(emoji) {
    this.#text.setRangeText(emoji, this.#text.selectionStart, this.#text.selectionEnd, 'end');
    this.#text.dispatchEvent(new Event('input'));
    this.focus();
  }

  /** As many rows as the text has, up to a third of the window. */
  #grow() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + 2, innerHeight / 3)}px`;
  }

  #noteTyping() {
    if (this.#to || this.#text.value === '') return this.#stopTyping();
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
