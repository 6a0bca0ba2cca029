//! Names of rooms.

use std::{fmt, sync::Arc};

use unicode_normalization::UnicodeNormalization as _;

use super::text::{self, Flaw, is_control_or_bidi};

/// The room of a client that names none.
pub const DEFAULT_ROOM: &str = "lobby";

/// Longest room name, in characters after normalization.
pub const MAX_ROOM_NAME_CHARS: usize = 64;

/// What the names of rooms begin with that are there for a lesson of the page.
pub const LESSON_ROOM_START: &str = "lesson-";

/// The room of pages that have no origin. No text is read as this name: it has a control character.
const NO_ORIGIN_ROOM: &str = "\u{1}null";

/// The name of a room: NFKC, trimmed, 1 to 64 characters, none of them a control or bidi character. A room that is new
/// keeps to [more rules](Self::check_new).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// Why a text is not a room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Nothing is left after trimming.
    #[error("a room name needs at least 1 character")]
    Empty,
    /// More characters than [`MAX_ROOM_NAME_CHARS`].
    #[error("a room name has at most {MAX_ROOM_NAME_CHARS} characters, this one has more")]
    TooLong,
    /// A control, line-separator or text-direction character, or in a new room an invisible, unassigned or private-use one.
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
    /// Says which rule of [`RoomName`] the text breaks.
    pub fn parse(text: &str) -> Result<Self, RoomNameError> {
        // NFKC turns one character into at most 18, so a long text is refused before that work.
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

    /// Checks that each character of the name is seen: invisible, unassigned and private-use characters are not, and heaps of
    /// marks hide others. Rooms that have members or history are older than this rule, and stay open to all.
    ///
    /// # Errors
    /// Says which character breaks the rule.
    pub fn check_new(&self) -> Result<(), RoomNameError> {
        text::check(&self.0).map_err(|flaw| match flaw {
            Flaw::Forbidden(found) => RoomNameError::Forbidden(found),
            Flaw::Marks(letter) => RoomNameError::TooManyMarks(letter),
        })
    }

    /// The one room of pages that have no origin, and of no others: no client can name it.
    pub fn of_pages_without_origin() -> Self {
        Self(NO_ORIGIN_ROOM.into())
    }

    /// The room of a name as the journal has it.
    pub(crate) fn stored(name: &str) -> Option<Self> {
        if name == NO_ORIGIN_ROOM { Some(Self::of_pages_without_origin()) } else { Self::parse(name).ok() }
    }

    /// Whether a room of this name may always be entered: the default one, and that of pages without origin.
    pub fn is_reserved(&self) -> bool {
        [DEFAULT_ROOM, NO_ORIGIN_ROOM].contains(&&*self.0)
    }

    /// Whether it may be shown to those who are not in the room. Those of lessons and of pages without origin may not.
    pub fn is_listed(&self) -> bool {
        !self.0.starts_with(LESSON_ROOM_START) && &*self.0 != NO_ORIGIN_ROOM
    }

    /// Whether what is said there is kept in the journal. What pages without origin say is not: they cannot read it again, and
    /// no one can name their room to have it forgotten.
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
        // One character that normalizes to 18.
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
