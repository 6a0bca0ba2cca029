//! Names of rooms.

use std::{fmt, sync::Arc};

use unicode_normalization::UnicodeNormalization as _;

use super::text::{self, Flaw, is_control_or_bidi};

/// The lobby: the room of a client that names none.
pub(crate) const DEFAULT_ROOM: &str = "lobby";

/// Maximum length of a room name, in code points after normalization.
pub(crate) const MAX_ROOM_NAME_CHARS: usize = 64;

/// Prefix of the rooms of the page's lessons.
pub(crate) const LESSON_ROOM_START: &str = "lesson-";

/// The room of pages without an origin. No text is parsed as this name: it has a control character.
const NO_ORIGIN_ROOM: &str = "\u{1}null";

/// The name of a room: NFKC, trimmed, 1 to 64 characters, without control or bidi characters.
/// [`check_new`](Self::check_new) has more rules for a new room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// Parse error of [`RoomName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Nothing is left after trimming.
    #[error("a room name needs at least 1 character")]
    Empty,
    /// More characters than [`MAX_ROOM_NAME_CHARS`].
    #[error("a room name has at most {MAX_ROOM_NAME_CHARS} characters, this one has more")]
    TooLong,
    /// A control, line-separator or text-direction character; in a new room also an invisible, unassigned or
    /// private-use one.
    #[error("a room name cannot contain the character U+{:04X}", u32::from(*.0))]
    Forbidden(char),
    /// A letter with more marks than its script needs, in a new room.
    #[error("a room name has at most a few marks on a letter, this one has too many on U+{:04X}", u32::from(*.0))]
    TooManyMarks(char),
}

impl RoomName {
    /// Normalizes and checks `text`.
    ///
    /// # Errors
    /// The text breaks a rule of [`RoomName`]; the error names the rule.
    pub fn parse(text: &str) -> Result<Self, RoomNameError> {
        // NFKC expands one character to at most 18, so a long text is rejected before that work.
        if text.chars().take(4 * MAX_ROOM_NAME_CHARS + 1).count() > 4 * MAX_ROOM_NAME_CHARS {
            return Err(RoomNameError::TooLong);
        }
        let normalized: String = text.nfkc().collect();
        let name = normalized.trim();
        if name.is_empty() {
            return Err(RoomNameError::Empty);
        }
        if name.chars().count() > MAX_ROOM_NAME_CHARS {
            return Err(RoomNameError::TooLong);
        }
        if let Some(found) = name.chars().find(|&c| is_control_or_bidi(c)) {
            return Err(RoomNameError::Forbidden(found));
        }
        Ok(Self(name.into()))
    }

    /// Checks that each character is visible: not invisible, unassigned or private-use, and without surplus
    /// marks that hide others. Existing rooms may predate this rule and stay open.
    ///
    /// # Errors
    /// A character breaks the rule; the error names it.
    pub fn check_new(&self) -> Result<(), RoomNameError> {
        text::check(&self.0).map_err(|flaw| match flaw {
            Flaw::Forbidden(found) => RoomNameError::Forbidden(found),
            Flaw::Marks(letter) => RoomNameError::TooManyMarks(letter),
        })
    }

    /// The common room of all pages without an origin: no client can name it.
    pub fn of_pages_without_origin() -> Self {
        Self(NO_ORIGIN_ROOM.into())
    }

    /// Parses a name from the journal.
    pub(crate) fn stored(name: &str) -> Option<Self> {
        if name == NO_ORIGIN_ROOM { Some(Self::of_pages_without_origin()) } else { Self::parse(name).ok() }
    }

    /// Whether the room is exempt from the bound on rooms: the lobby, and the room without origin.
    pub fn is_reserved(&self) -> bool {
        [DEFAULT_ROOM, NO_ORIGIN_ROOM].contains(&&*self.0)
    }

    /// Whether the room is listed. Rooms of lessons and the room of pages without an origin are not.
    pub fn is_listed(&self) -> bool {
        !self.0.starts_with(LESSON_ROOM_START) && &*self.0 != NO_ORIGIN_ROOM
    }

    /// Whether the journal keeps the room's messages. Not for pages without an origin: they cannot read
    /// history, and no client can name their room to forget it.
    pub fn is_kept(&self) -> bool {
        &*self.0 != NO_ORIGIN_ROOM
    }

    /// The normalized name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RoomName {
    fn default() -> Self {
        Self(DEFAULT_ROOM.into())
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_is_normalized_and_trimmed() {
        assert_eq!(RoomName::parse(" ＬＯＢＢＹ ").map(|n| n.to_string()), Ok("LOBBY".to_owned()));
        assert_eq!(RoomName::parse("聊天室").map(|n| n.to_string()), Ok("聊天室".to_owned()));
        assert_eq!(RoomName::default().as_str(), "lobby");
    }

    #[test]
    fn a_room_name_has_1_to_64_characters() {
        assert_eq!(RoomName::parse(""), Err(RoomNameError::Empty));
        assert_eq!(RoomName::parse(" \u{3000} "), Err(RoomNameError::Empty));
        assert!(RoomName::parse(&"房".repeat(64)).is_ok());
        assert_eq!(RoomName::parse(&"房".repeat(65)), Err(RoomNameError::TooLong));
        assert_eq!(RoomName::parse(&"x".repeat(1 << 20)), Err(RoomNameError::TooLong));
        // Each of these characters normalizes to 18.
        assert_eq!(RoomName::parse(&"\u{FDFA}".repeat(4)), Err(RoomNameError::TooLong));
    }

    #[test]
    fn no_text_names_the_room_of_pages_without_origin() {
        let reserved = RoomName::of_pages_without_origin();
        assert!(reserved.is_reserved() && !reserved.is_listed());
        for text in [NO_ORIGIN_ROOM, "null", " \u{1}null ", "\u{2401}null"] {
            assert_ne!(RoomName::parse(text).ok(), Some(reserved.clone()), "{text:?}");
        }
    }

    #[test]
    fn a_room_name_has_no_control_or_bidi_characters() {
        for bad in ['\0', '\n', '\u{7F}', '\u{202E}', '\u{2066}', '\u{200F}', '\u{2028}'] {
            let name = format!("a{bad}b");
            assert_eq!(RoomName::parse(&name), Err(RoomNameError::Forbidden(bad)));
        }
        for bad in [
            '\u{200B}',
            '\u{200D}',
            '\u{2060}',
            '\u{AD}',
            '\u{FE0F}',
            '\u{378}',
            '\u{E000}',
            '\u{FFFC}',
            '\u{FFFF}',
            '\u{E0041}',
        ] {
            let name = RoomName::parse(&format!("a{bad}b")).expect("a room may have had it");
            assert_eq!(name.check_new(), Err(RoomNameError::Forbidden(bad)), "U+{:04X}", u32::from(bad));
        }
        let marked = RoomName::parse("te\u{301}\u{302}\u{303}a").expect("a room may have had it");
        assert_eq!(marked.check_new(), Err(RoomNameError::TooManyMarks('é')));
        for legal in [
            "lobby",
            "聊天室",
            "Проект API",
            "👩🏽\u{200D}🚀 space",
            "می\u{200C}خوانم",
            "a  b",
            "lesson-1a2b",
            "№ 5",
        ] {
            assert_eq!(RoomName::parse(legal).and_then(|name| name.check_new()), Ok(()), "{legal}");
        }
        assert!(RoomNameError::Forbidden('\u{202E}').to_string().contains("U+202E"));
    }
}
