//! Names of people.

use std::{fmt, sync::Arc};

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

use super::text::{is_control_or_bidi, is_invisible};

/// Longest nickname, in characters as people count them (extended grapheme clusters, Unicode annex 29).
pub const MAX_NICKNAME_GRAPHEMES: usize = 24;

/// Longest nickname in code points: one grapheme can hold any number of marks.
const MAX_CHARS: usize = 4 * MAX_NICKNAME_GRAPHEMES;

/// Names the server gives to sessions without one begin so.
const RESERVED: &str = "guest-";

const ZERO_WIDTH_JOINER: char = '\u{200D}';
const EMOJI_PRESENTATION: char = '\u{FE0F}';

/// How somebody is called in a room: NFKC, trimmed, white space as single spaces, 1 to 24 graphemes, nothing in it
/// that cannot be seen, and not beginning with `guest-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

/// What two nicknames have in common that look the same: compared instead of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NicknameKey(Arc<str>);

/// Why a text is not a nickname.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NicknameError {
    /// Nothing is left after trimming.
    #[error("a nickname needs at least 1 character")]
    Empty,
    /// More than [`MAX_NICKNAME_GRAPHEMES`], or one character with too many marks.
    #[error("a nickname has at most {MAX_NICKNAME_GRAPHEMES} characters, this one has more")]
    TooLong,
    /// A control, text-direction or zero-width character.
    #[error("a nickname cannot contain the character U+{:04X}", u32::from(*.0))]
    Forbidden(char),
    /// The server's own names.
    #[error("names that begin with {RESERVED:?} are for sessions without a name")]
    Reserved,
}

impl Nickname {
    /// Normalizes and checks `text`.
    ///
    /// # Errors
    /// Says which rule of [`Nickname`] the text breaks.
    pub fn parse(text: &str) -> Result<Self, NicknameError> {
        // NFKC turns one character into at most 18, so a long text is refused before that work.
        if text.chars().take(MAX_CHARS + 1).count() > MAX_CHARS {
            return Err(NicknameError::TooLong);
        }
        let normalized: String = text.nfkc().collect();
        // Before white space is folded, which would hide line breaks.
        if let Some(found) = normalized.trim().chars().find(|&c| is_control_or_bidi(c)) {
            return Err(NicknameError::Forbidden(found));
        }
        let name = normalized.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err(NicknameError::Empty);
        }
        let graphemes = name.graphemes(true).take(MAX_NICKNAME_GRAPHEMES + 1).count();
        if graphemes > MAX_NICKNAME_GRAPHEMES || name.chars().count() > MAX_CHARS {
            return Err(NicknameError::TooLong);
        }
        if let Some(found) = first_invisible(&name) {
            return Err(NicknameError::Forbidden(found));
        }
        let name = Self(name.into());
        if name.key().0.starts_with(RESERVED) { Err(NicknameError::Reserved) } else { Ok(name) }
    }

    /// The normalized name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What this name shares with those that look the same: its NFKC case folding.
    pub fn key(&self) -> NicknameKey {
        NicknameKey(self.0.chars().default_case_fold().nfkc().collect::<String>().into())
    }

    /// The shared text of the name.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first invisible character that is no part of an emoji: a joiner is one between two emoji, a presentation mark
/// is one behind an emoji.
fn first_invisible(name: &str) -> Option<char> {
    // The last character that was drawn, if it was an emoji.
    let mut behind_emoji = false;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if !is_invisible(c) {
            // Digits and `#` are emoji characters too, but a joiner behind them would not be seen.
            behind_emoji = c.is_emoji_char() && !c.is_ascii();
            continue;
        }
        let joins = c == ZERO_WIDTH_JOINER
            && chars.peek().is_some_and(|next| next.is_emoji_char() && !next.is_ascii());
        if !behind_emoji || !(joins || c == EMOJI_PRESENTATION) {
            return Some(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, NicknameError> {
        Nickname::parse(text).map(|name| name.to_string())
    }

    fn key(text: &str) -> NicknameKey {
        Nickname::parse(text).expect("a legal name").key()
    }

    #[test]
    fn a_nickname_is_normalized_trimmed_and_its_spaces_are_single() {
        assert_eq!(parse("  ＡＮＮ\u{3000} \u{A0}Lee "), Ok("ANN Lee".to_owned()));
        assert_eq!(parse("小明"), Ok("小明".to_owned()));
    }

    #[test]
    fn a_nickname_has_1_to_24_characters_as_people_count_them() {
        assert_eq!(parse(" \u{3000} "), Err(NicknameError::Empty));
        assert!(parse(&"名".repeat(24)).is_ok());
        assert_eq!(parse(&"名".repeat(25)), Err(NicknameError::TooLong));
        assert!(parse(&"👍🏽".repeat(24)).is_ok(), "an emoji with its skin tone is one");
        assert_eq!(parse(&format!("a{}", "\u{301}".repeat(200))), Err(NicknameError::TooLong));
        assert_eq!(parse(&"x".repeat(1 << 20)), Err(NicknameError::TooLong));
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for bad in [
            '\0',
            '\n',
            '\u{7F}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{202E}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{AD}',
            '\u{FE0F}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{34F}',
        ] {
            assert_eq!(
                parse(&format!("a{bad}b")),
                Err(NicknameError::Forbidden(bad)),
                "U+{:04X}",
                u32::from(bad)
            );
        }
        assert_eq!(parse("a\u{3164}b"), Err(NicknameError::Forbidden('\u{1160}')), "a filler, normalized");
        assert!(NicknameError::Forbidden('\u{200B}').to_string().contains("U+200B"));
    }

    #[test]
    fn a_joiner_is_legal_inside_an_emoji_only() {
        assert!(parse("👩\u{200D}💻").is_ok());
        assert!(parse("❤\u{FE0F}\u{200D}🔥").is_ok());
        assert!(parse("👩🏽\u{200D}🚀").is_ok());
        for bad in
            ["👩\u{200D}", "\u{200D}💻", "👩\u{200D}a", "1\u{200D}2", "👩\u{200D}\u{200D}💻", "a\u{FE0F}"]
        {
            assert!(matches!(parse(bad), Err(NicknameError::Forbidden(_))), "{bad:?}");
        }
    }

    #[test]
    fn names_of_the_server_are_reserved() {
        for bad in ["guest-1", "GUEST-", "Ｇuest-x"] {
            assert_eq!(parse(bad), Err(NicknameError::Reserved), "{bad}");
        }
        assert!(parse("guest").is_ok());
    }

    #[test]
    fn names_that_look_alike_have_one_key() {
        assert_eq!(key("Ann"), key("ａｎｎ"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
        assert_eq!(key("Café"), key("cafe\u{301}"));
        assert_eq!(key("ann  lee"), key("Ann Lee"));
        assert_ne!(key("ann"), key("anne"));
    }
}
