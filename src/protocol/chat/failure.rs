//! What goes wrong: one table of codes.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use crate::protocol::retry::Retry;

/// What went wrong, in one stable word. The table of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The text is no JSON, or not a text.
    BadJson,
    /// A field is missing or of another type.
    BadField,
    /// There is no such event.
    UnknownEvent,
    /// A message before `login`.
    NotLoggedIn,
    /// The nickname breaks a rule.
    BadName,
    /// A user has the nickname or one that looks like it, or is expected back.
    NameTaken,
    /// The room's name breaks a rule.
    BadRoom,
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// The token is none.
    BadToken,
    /// Nobody of that name is in the room.
    NoSuchUser,
    /// An event for the others in a room, from a client that is in none.
    NotInRoom,
    /// The message or the picture is over its limit.
    TooLarge,
    /// The picture is none that we pass on.
    BadImage,
    /// Messages come faster than they may; this one was not taken.
    RateLimited,
    /// The message cannot be kept, so it was not taken; or what was kept cannot be read.
    JournalUnavailable,
    /// The room has heard the message; it is not kept yet, and will be as soon as the journal takes messages again.
    NotKeptYet,
    /// What was kept is not what was written, and stays so.
    Damaged,
}

/// One row of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The code.
    pub code: Code,
    /// The stable word.
    pub word: &'static str,
    /// The reason for people, unless there is a better one.
    pub reason: &'static str,
    /// When the same request may succeed.
    pub retry: Retry,
}

/// All codes.
pub const CODES: [CodeRow; 17] = [
    row(Code::BadJson, "bad_json", "the message is no JSON", Retry::Never),
    row(Code::BadField, "bad_field", "a field is missing or of another type", Retry::Never),
    row(Code::UnknownEvent, "unknown_event", "there is no such event", Retry::Never),
    row(Code::NotLoggedIn, "not_logged_in", "log in first", Retry::AfterLogin),
    row(Code::BadName, "bad_name", "this is no nickname", Retry::Never),
    row(
        Code::NameTaken,
        "name_taken",
        "a user in the room has this name or one that looks like it, or has just left with it",
        Retry::Later,
    ),
    row(Code::BadRoom, "bad_room", "this is no name of a room", Retry::Never),
    row(Code::TooManyRooms, "too_many_rooms", "there are too many rooms", Retry::Later),
    row(Code::BadToken, "bad_token", "a token is 32 hexadecimal digits", Retry::Never),
    row(Code::NoSuchUser, "no_such_user", "nobody of this name is in the room", Retry::Never),
    row(Code::NotInRoom, "not_in_room", "join a room first", Retry::Never),
    row(Code::TooLarge, "too_large", "the message is too large", Retry::Never),
    row(Code::BadImage, "bad_image", "this is no image that can be shown", Retry::Never),
    row(Code::RateLimited, "rate_limited", "too many messages, this one was not taken", Retry::Later),
    row(
        Code::JournalUnavailable,
        "journal_unavailable",
        "messages cannot be kept or read now, so none are taken",
        Retry::Later,
    ),
    row(
        Code::NotKeptYet,
        "not_kept_yet",
        "the room has heard the message; it will be kept as soon as that can be. Sent again with its id, it is not said twice",
        Retry::Later,
    ),
    row(Code::Damaged, "damaged", "what the server has kept of this room is damaged", Retry::Never),
];

const fn row(code: Code, word: &'static str, reason: &'static str, retry: Retry) -> CodeRow {
    CodeRow { code, word, reason, retry }
}

impl Code {
    /// Its row in the table.
    pub fn row(self) -> &'static CodeRow {
        // The table is in the order of the variants; a test holds it to that.
        &CODES[self as usize]
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().word)
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The stable word.
    pub code: Code,
    /// The reason for people.
    pub msg: Cow<'static, str>,
    /// When to try again, with [`Code::RateLimited`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// With the reason that the table gives.
    pub fn of(code: Code) -> Self {
        Self::with(code, code.row().reason)
    }

    /// A message came too fast; one would be taken after so long.
    pub fn too_fast(retry_after: Duration) -> Self {
        let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { retry_after_ms: Some(retry_after_ms), ..Self::of(Code::RateLimited) }
    }

    /// With a reason of its own.
    pub fn with(code: Code, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { code, msg: msg.into(), retry_after_ms: None }
    }
}
