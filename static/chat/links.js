// Finds the links in a text.
import { make } from '../dom.js';

/**
 * What may be a URL: up to white space, quotes, angle brackets, invisible characters (they can turn around what is read),
 * or Chinese, Japanese and Korean, whose texts have no spaces around a link.
 */
const CANDIDATE = /\bhttps?:\/\/[^\s"'`<>\u2018-\u201f\u3000-\u30ff\u3100-\u318f\u31a0-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\u{20000}-\u{3ffff}\p{Cc}\p{Cf}]+/giu;

const TRAILING = '.,;:!?)]}>\'"…。，；：！？）】》」';

/** The candidate without the punctuation of the sentence around it; a bracket that was opened within it stays. */
function trimmed(candidate) {
  let open = 0;
  for (const letter of candidate) open += (letter === '(') - (letter === ')');
  let end = candidate.length;
  for (; TRAILING.includes(candidate[end - 1]); end -= 1) {
    if (candidate[end - 1] !== ')') continue;
    if (open >= 0) break;
    open += 1;
  }
  return candidate.slice(0, end);
}

function isWeb(url) {
  try {
    return /^https?:$/.test(new URL(url).protocol);
  } catch {
    return false;
  }
}

/** The text in pieces: strings, and links where it has http or https URLs. */
export function linked(text) {
  const pieces = [];
  let told = 0;
  for (const { 0: candidate, index } of text.matchAll(CANDIDATE)) {
    const url = trimmed(candidate);
    if (!isWeb(url)) continue;
    if (index > told) pieces.push(text.slice(told, index));
    pieces.push(make('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' }, url));
    told = index + url.length;
  }
  if (told < text.length) pieces.push(text.slice(told));
  return pieces;
}
