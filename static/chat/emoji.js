// A small picker of emoji: a panel behind a button, for mouse and keyboard.
import { localized, make } from '../dom.js';
import { localize, words } from '../i18n.js';
import '../words/emoji.js';

const GROUPS = {
  smileys: '😀 😄 😁 😂 🤣 😊 😉 😍 🥰 😘 😜 🤪 😎 🤓 🤗 🤔 🤨 😐 🙄 😴 😌 😢 😭 😡 🤯 😱 🥳 😇',
  hands: '👍 👎 👏 🙌 🙏 👋 🤝 💪 👌 ✌️ 🤞 🤘 👉 👈 👆 👇',
  animals: '🦊 🐱 🐶 🐻 🐼 🐨 🐰 🐯 🦉 🐧 🐸 🐳 🦄 🐝 🦋 🐢 🐙 🌸',
  food: '🍎 🍌 🍉 🍓 🥑 🍞 🧀 🍕 🍔 🍟 🍜 🍣 🥟 🍚 🍰 🍪 ☕ 🍵 🍺 🥂',
  things: '🎉 🎁 🎂 🎈 🎵 🎸 📷 💻 📱 💡 📚 ✏️ 📎 🔑 ⏰ 🚀 🚲 ⚽',
  signs: '❤️ 💔 💯 ✨ ⭐ 🔥 ⚡ ☀️ 🌙 🌈 ✅ ❌ ❓ ❗ ⚠️ ♻️',
};

/**
 * The button whose turn it is after `from` when an arrow key is pressed. Rows are what the style sheet has made of the
 * grid, so up and down go by where the buttons are.
 */
function next(buttons, from, key) {
  const at = buttons.indexOf(from);
  if (key === 'ArrowLeft') return buttons[at - 1];
  if (key === 'ArrowRight') return buttons[at + 1];
  if (key === 'Home') return buttons[0];
  if (key === 'End') return buttons.at(-1);
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return undefined;
  const { left, top } = from.getBoundingClientRect();
  const way = key === 'ArrowUp' ? -1 : 1;
  let best;
  let row;
  let least = Infinity;
  for (let index = at + way; buttons[index]; index += way) {
    const place = buttons[index].getBoundingClientRect();
    if (Math.abs(place.top - top) < 2) continue; // The same row.
    row ??= place.top;
    if (Math.abs(place.top - row) >= 2) break; // The row after the next.
    const distance = Math.abs(place.left - left);
    if (distance < least) [best, least] = [buttons[index], distance];
  }
  return best;
}

/**
 * Makes `button` open a panel of emoji right after it, and calls `onPick` with each that is picked. The panel closes with
 * a pick, unless Shift is held.
 */
export function mountEmojiPicker(button, onPick) {
  const panel = make('div', { className: 'emoji-panel', hidden: true, attributes: { role: 'dialog' } });
  localize(panel, () => words('emoji'), 'aria-label');

  const buttons = [];
  for (const [name, emoji] of Object.entries(GROUPS)) {
    const title = () => words(`emojiGroup_${name}`);
    const inGroup = emoji.split(' ').map((one) => make(
      'button',
      { type: 'button', tabIndex: -1, attributes: { 'aria-label': one }, on: { click: (event) => pick(one, event) } },
      one,
    ));
    buttons.push(...inGroup);
    const group = make(
      'div',
      { className: 'emoji-group', attributes: { role: 'group' } },
      localized('h3', { className: 'emoji-title', attributes: { 'aria-hidden': 'true' } }, title),
      make('div', { className: 'emoji-grid' }, ...inGroup),
    );
    localize(group, title, 'aria-label');
    panel.append(group);
  }

  // One of the buttons is in the tab order: the one that was reached last.
  let current = buttons[0];
  function reach(one) {
    current.tabIndex = -1;
    current = one;
    current.tabIndex = 0;
    current.focus();
  }

  function toggle(open) {
    panel.hidden = !open;
    button.setAttribute('aria-expanded', open);
    const change = open ? 'addEventListener' : 'removeEventListener';
    document[change]('pointerdown', outside);
    document[change]('keydown', escape);
  }

  function outside({ target }) {
    if (!panel.contains(target) && !button.contains(target)) toggle(false);
  }

  function escape(event) {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    button.focus();
    toggle(false);
  }

  function pick(one, { shiftKey, currentTarget }) {
    if (!shiftKey) {
      button.focus(); // Whoever picks up the emoji may move it on.
      toggle(false);
    }
    onPick(one);
    if (shiftKey) reach(currentTarget);
  }

  panel.addEventListener('keydown', (event) => {
    if (event.key === 'Tab') {
      // On to what comes after the button, or back to the button.
      button.focus();
      toggle(false);
      if (event.shiftKey) event.preventDefault();
      return;
    }
    const one = next(buttons, event.target, event.key);
    if (/^(Arrow|Home$|End$)/.test(event.key)) event.preventDefault();
    if (one) reach(one);
  });

  button.setAttribute('aria-haspopup', 'dialog');
  toggle(false);
  button.addEventListener('click', () => {
    toggle(panel.hidden);
    if (!panel.hidden) reach(current);
  });
  button.after(panel);
}
