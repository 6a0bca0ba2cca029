// The words of the emoji picker.
import { addWords } from '../i18n.js';

addWords({
  en: {
    emoji: 'Emoji',
    emojiGroup_smileys: 'Smileys',
    emojiGroup_hands: 'Hands',
    emojiGroup_animals: 'Animals',
    emojiGroup_food: 'Food and drink',
    emojiGroup_things: 'Things',
    emojiGroup_signs: 'Signs',
  },
  zh: {
    emoji: '表情',
    emojiGroup_smileys: '笑脸',
    emojiGroup_hands: '手势',
    emojiGroup_animals: '动物',
    emojiGroup_food: '美食',
    emojiGroup_things: '物品',
    emojiGroup_signs: '符号',
  },
});
