// Keeps secrets out of what the panel shows, searches and copies. With a token another client could act as the user, and with the
// session id of Engine.IO in that session.

/** Stands in the place of a secret; a URL and a JSON text stay what they are with it. */
export const MASK = '***';

/** Names whose values are secrets, in JSON and in addresses. */
const NAMES = '[\\w-]*token|[\\w-]*passw(?:or)?d|pass|[\\w-]*secret|authorization|cookie|jwt|[\\w-]*api[-_]?key|credentials?|sid|pid|session[-_]?id';
/** Each text with a secret matches this. It is tried first, since most texts have none. */
const HINT = /token|pass|secret|auth|cookie|jwt|api[-_]?key|credential|sid|pid|session|eyJ|bearer|:\/\/[^\s/@]*:[^\s/@]*@/i;

/**
 * Where secrets are; the last group is the value. A JSON text may itself be a string of JSON, then its quotes are escaped;
 * and a text that was cut may end in the middle of a value.
 */
const PATTERNS = [
  new RegExp(`(\\\\{0,7}")(?:${NAMES})\\1\\s*:\\s*\\\\{0,7}"((?:(?!\\1)(?:\\\\[^]|[^\\\\]))*)`, 'gid'),
  new RegExp(`\\\\{0,7}"(?:${NAMES})\\\\{0,7}"\\s*:\\s*(-?[\\d][\\d.eE+-]*)`, 'gid'),
  new RegExp(`(?:^|[?&;#\\s])(?:${NAMES})=([^&;#\\s"']+)`, 'gid'),
  /\bbearer[ :]+([\w.~+/=-]+)/gid,
  /:\/\/[^\s/:@]*:([^\s/@]+)@/gd,
  /\b(eyJ[\w-]*\.[\w-]+\.[\w-]*)/gd,
];

/** A learned value that is shorter could be a word of the talk. */
const LEARNED_CHARS = 16;
const LEARNED = 32;
/** A value that was masked once is masked in all later texts. */
const learned = new Set();

function learn(value) {
  if (value.length < LEARNED_CHARS || value.length > 4096) return;
  learned.delete(value);
  learned.add(value);
  if (learned.size > LEARNED) learned.delete(learned.values().next().value);
}

/** Where the secrets of a text are: `[start, end]` in order, without overlaps. */
export function secretsIn(text) {
  const found = [];
  if (HINT.test(text)) {
    for (const pattern of PATTERNS) {
      for (const match of text.matchAll(pattern)) {
        const [start, end] = match.indices.at(-1);
        if (end === start) continue;
        found.push([start, end]);
        learn(text.slice(start, end));
      }
    }
  }
  for (const value of learned) {
    for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + value.length)) found.push([at, at + value.length]);
  }
  found.sort(([one], [other]) => one - other);
  return found.reduce((apart, [start, end]) => {
    const last = apart.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else apart.push([start, end]);
    return apart;
  }, []);
}

/** The text with its secrets masked. */
export function masked(text) {
  const parts = [];
  let from = 0;
  for (const [start, end] of secretsIn(text)) {
    // A number becomes a text, so that JSON stays JSON.
    const isNumber = /^-?\d/.test(text.slice(start, end)) && /:\s*$/.test(text.slice(Math.max(0, start - 8), start));
    parts.push(text.slice(from, start), isNumber ? `"${MASK}"` : MASK);
    from = end;
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(from);
}
