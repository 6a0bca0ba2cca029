//! Replies to requests.

use serde::Serialize;

use super::{Profile, Said};

/// The reply to a request that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer<'a> {
    /// To `login`; without an ack it is the event `loginSuccess`.
    LoginSuccess(LoginSuccess),
    /// To `joinRoom`; without an ack it is the event `roomJoined`.
    RoomJoined(RoomJoined),
    /// To `sendMessage` and `sendImage`, once the message is durable.
    Receipt(Receipt),
    /// To `sendPrivate`, and to `sendImage` with `to`.
    PrivateReceipt(PrivateReceipt),
    /// To `history`.
    HistoryPage(HistoryPage<'a>),
    /// To `userList`; without an ack it is the event `userList`.
    UsersPage(UsersPage<'a>),
    /// To `ping`.
    Pong {
        /// The server's time, in milliseconds since 1970.
        at: u64,
    },
    /// To `typing` and `logout`.
    Done {},
}

/// Reply to `login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LoginSuccess {
    /// The nickname, normalized.
    pub username: String,
    /// The avatar: a name, or the address of a picture.
    pub avatar: String,
    /// The uid, a hash of the user's token.
    pub uid: String,
    /// The name of the room, normalized.
    pub room: String,
    /// The token, which proves at the next login that the client is this user.
    pub token: String,
    /// The epoch of the room's offsets.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
    /// Whether all messages after the client's own offset follow.
    pub recovered: bool,
    /// If not recovered: the number of messages since then that do not follow.
    pub missed: u64,
    /// Number of users in the room.
    pub count: usize,
}

/// Reply to `joinRoom`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RoomJoined {
    /// The name of the room, normalized.
    pub room: String,
    /// The epoch of the room's offsets.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
    /// Number of users in the room.
    pub count: usize,
}

/// Reply to `sendMessage` and `sendImage` for the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// The client's message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The offset of the message in its room.
    pub offset: u64,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// The text in upper case with `!!!`; `None` for a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
}

/// Reply to `sendPrivate`, and to `sendImage` with `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PrivateReceipt {
    /// The client's message id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// Whether a session received it; false while the receiver's nickname is held.
    pub delivered: bool,
}

/// Reply to `history`: messages in ascending order of their offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HistoryPage<'a> {
    /// The messages, at most [`MAX_HISTORY_LIMIT`](super::MAX_HISTORY_LIMIT).
    pub messages: Vec<HistoryMessage<'a>>,
    /// Whether older messages exist.
    pub more: bool,
}

/// Reply to `userList`: users in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct UsersPage<'a> {
    /// The users, at most [`USERS_PAGE`](super::USERS_PAGE).
    pub users: Vec<Profile<'a>>,
    /// Number of users in the room.
    pub count: usize,
    /// Whether more users follow these.
    pub more: bool,
}

/// One message of a page of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HistoryMessage<'a> {
    /// `message` or `image`.
    pub kind: &'static str,
    /// The content and its sender.
    #[serde(flatten)]
    pub message: Said<'a>,
}
