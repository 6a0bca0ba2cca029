// Texts as JavaScript writes them.

/**
 * A text in quotes for JavaScript. JSON's escapes are JavaScript's; what could end a `<script>`, or be a line's end to
 * an older engine, is escaped as well.
 */
export function quoted(text) {
  const escapes = { '<': '\\x3C', '\u2028': '\\u2028', '\u2029': '\\u2029' };
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${inner.replace(/[<\u2028\u2029]/g, (character) => escapes[character])}'`;
}
