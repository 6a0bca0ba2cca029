//! Failures: the table of error codes.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use crate::protocol::retry::Retry;

/// The error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The message is not JSON, or is binary.
    BadJson,
    /// A field is missing or of another type.
    BadField,
    /// The event is unknown.
    UnknownEvent,
    /// A request that needs a login, from a session without one.
    NotLoggedIn,
    /// The nickname breaks a rule of `Nickname`.
    BadName,
    /// The nickname, or one that looks like it, is in use, held or reserved.
    NameTaken,
    /// The name breaks a rule of `RoomName`.
    BadRoom,
    /// A new room would exceed the bound on rooms.
    TooManyRooms,
    /// The token is not 32 hexadecimal digits.
    BadToken,
    /// No user of this name is in the room.
    NoSuchUser,
    /// An event to the other members of a room, from a client without a room.
    NotInRoom,
    /// The message or the picture exceeds its limit.
    TooLarge,
    /// The picture is not of an accepted type, or is damaged.
    BadImage,
    /// The session exceeds its message rate; this message was rejected.
    RateLimited,
    /// The journal cannot store the message, so it was rejected; or kept messages cannot be read now.
    JournalUnavailable,
    /// The message was accepted but is not durable yet; it will be once the journal is available.
    NotKeptYet,
    /// Kept messages are damaged and cannot be read.
    Damaged,
}

/// One row of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The code.
    pub code: Code,
    /// The stable word of the code, as sent to clients.
    pub word: &'static str,
    /// The default sentence for users.
    pub reason: &'static str,
    /// When the request may succeed if repeated.
    pub retry: Retry,
}

/// The table of error codes.
pub const CODES: [CodeRow; 17] = [
    row(Code::BadJson, "bad_json", "the message is not JSON", Retry::Never),
    row(Code::BadField, "bad_field", "a field is missing or of another type", Retry::Never),
    row(Code::UnknownEvent, "unknown_event", "there is no such event", Retry::Never),
    row(Code::NotLoggedIn, "not_logged_in", "log in first", Retry::AfterLogin),
    row(Code::BadName, "bad_name", "this is not a nickname", Retry::Never),
    row(
        Code::NameTaken,
        "name_taken",
        "a user in the room has this name or one that looks like it, or has just left with it",
        Retry::Later,
    ),
    row(Code::BadRoom, "bad_room", "this is not a room name", Retry::Never),
    row(Code::TooManyRooms, "too_many_rooms", "there are too many rooms", Retry::Later),
    row(Code::BadToken, "bad_token", "a token is 32 hexadecimal digits", Retry::Never),
    row(Code::NoSuchUser, "no_such_user", "there is no user of this name in the room", Retry::Never),
    row(Code::NotInRoom, "not_in_room", "join a room first", Retry::Never),
    row(Code::TooLarge, "too_large", "the message is too large", Retry::Never),
    row(Code::BadImage, "bad_image", "this is not an image that can be shown", Retry::Never),
    row(Code::RateLimited, "rate_limited", "too many messages: this one was rejected", Retry::Later),
    row(
        Code::JournalUnavailable,
        "journal_unavailable",
        "messages cannot be stored or read now, so none are accepted",
        Retry::Later,
    ),
    row(
        Code::NotKeptYet,
        "not_kept_yet",
        "the message was accepted and will be stored as soon as possible. If it is sent again with its id, it is not said twice",
        Retry::Later,
    ),
    row(Code::Damaged, "damaged", "the stored history of this room is damaged", Retry::Never),
];

const fn row(code: Code, word: &'static str, reason: &'static str, retry: Retry) -> CodeRow {
    CodeRow { code, word, reason, retry }
}

impl Code {
    /// The row of the code in the table.
    pub fn row(self) -> &'static CodeRow {
        // The table is in the order of the variants; a test checks this.
        &CODES[self as usize]
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().word)
    }
}

/// A rejected request, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// The error code.
    pub code: Code,
    /// A sentence for users.
    pub msg: Cow<'static, str>,
    /// With [`Code::RateLimited`]: the time until the next message is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// More than the error of a computed time until a message is accepted.
const FLOAT_ERROR: Duration = Duration::from_micros(1);

impl Failure {
    /// A failure with the sentence from the table.
    pub(crate) fn of(code: Code) -> Self {
        Self::with(code, code.row().reason)
    }

    /// A message over the rate; the next one is accepted after `retry_after`.
    pub(crate) fn too_fast(retry_after: Duration) -> Self {
        // Rounded up, and a little more for the error of floating point: a client that waits this long is accepted.
        let millis = (retry_after + FLOAT_ERROR).as_nanos().div_ceil(1_000_000);
        let retry_after_ms = u64::try_from(millis).unwrap_or(u64::MAX);
        Self { retry_after_ms: Some(retry_after_ms), ..Self::of(Code::RateLimited) }
    }

    /// A failure with its own sentence.
    pub(crate) fn with(code: Code, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { code, msg: msg.into(), retry_after_ms: None }
    }
}
