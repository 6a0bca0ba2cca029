// Error codes of the server, and of the page itself, in words.
import { words } from '../i18n.js';

const KNOWN_CODES = new Set([
  'bad_name', 'name_taken', 'bad_room', 'too_many_rooms', 'no_such_user', 'too_large', 'bad_image', 'rate_limited',
  'journal_unavailable', 'not_kept_yet', 'damaged', 'timeout', 'disconnected', 'ends_connection', 'not_logged_in',
  'rejected_after_login',
]);

/** An error code in words. */
export function errorInWords(code) {
  return KNOWN_CODES.has(code) ? words(`code_${code}`) : words('code_other', code);
}
