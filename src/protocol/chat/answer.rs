//! What a request is answered.

use serde::Serialize;

use super::{Said, UserRef};

/// What a request is answered when it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer<'a> {
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

/// Somebody is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoginSuccess {
    /// The nickname, normalized.
    pub username: String,
    /// The face that others see.
    pub avatar: String,
    /// What others know the user by beside the name.
    pub uid: String,
    /// The room.
    pub room: String,
    /// The secret to come back with.
    pub token: String,
    /// What offsets count in.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
    /// Whether all that was said since the client's own offset follows.
    pub recovered: bool,
    /// If not: how many messages since then do not follow.
    pub missed: u64,
    /// How many users are in the room.
    pub count: usize,
}

/// Somebody has changed rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomJoined {
    /// The room.
    pub room: String,
    /// What offsets count in.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
    /// How many users are in the room.
    pub count: usize,
}

/// A message is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The client's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its place in the room.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// A text in upper case with `!!!`; a picture has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
}

/// A private message has been dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrivateReceipt {
    /// The client's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// Whether somebody got it; not so while its reader is away and expected back.
    pub delivered: bool,
}

/// Older messages, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryPage<'a> {
    /// The messages.
    pub messages: Vec<HistoryMessage<'a>>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Users in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsersPage<'a> {
    /// The users.
    pub users: Vec<UserRef<'a>>,
    /// How many are in the room.
    pub count: usize,
    /// Whether there are more behind these.
    pub more: bool,
}

/// One message of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryMessage<'a> {
    /// `message` or `image`.
    pub kind: &'static str,
    /// The message.
    #[serde(flatten)]
    pub message: Said<'a>,
}
