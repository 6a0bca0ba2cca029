//! Events of a room.

use serde::Serialize;

use super::{event, json_text};

/// An event to all members of a room, or to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `addUser`
    AddUser(UserChange<'a>),
    /// `delUser`
    DelUser(UserChange<'a>),
    /// `userList`
    UserList(&'a [Profile<'a>]),
    /// `receiveMessage`
    ReceiveMessage(Said<'a>),
    /// `receiveImage`
    ReceiveImage(Said<'a>),
    /// `receivePrivate`
    ReceivePrivate(Private<'a>),
    /// `epoch`: the room's epoch has changed; what the client has processed is of this one now.
    Epoch {
        /// The epoch, as with `loginSuccess`.
        epoch: &'a str,
    },
    /// `typing`
    Typing {
        /// The nickname.
        username: &'a str,
        /// Whether the user is typing.
        typing: bool,
    },
}

/// Data of `addUser` and `delUser`: a user logged in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserChange<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The avatar: a name, or the address of a picture.
    pub avatar: &'a str,
    /// The uid, a hash of the user's token; `None` for guests and in messages kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// Number of users in the room now.
    pub count: usize,
    /// Number of further users that came or went at once and have no event; `userList` has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// The profile of a user, in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Profile<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The avatar: a name, or the address of a picture.
    pub avatar: &'a str,
    /// The uid, a hash of the user's token; `None` for guests and in messages kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
}

/// A message of the room: a text in `msg` or a picture in `img`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said<'a> {
    /// The sender's nickname or guest name.
    pub username: &'a str,
    /// The sender's avatar: a name, or the address of a picture.
    pub avatar: &'a str,
    /// The uid, a hash of the user's token; `None` for guests and in messages kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'a str>,
    /// The picture, a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img: Option<&'a str>,
    /// The offset in the room.
    pub offset: u64,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// The message id from its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// Whether it was sent before its receiver subscribed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
}

/// A message to one user: a text in `msg` or a picture in `img`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Private<'a> {
    /// The sender's nickname or guest name.
    pub username: &'a str,
    /// The sender's avatar: a name, or the address of a picture.
    pub avatar: &'a str,
    /// The uid, a hash of the user's token; `None` for guests and in messages kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// The nickname of the receiver.
    pub to: &'a str,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'a str>,
    /// The picture, a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img: Option<&'a str>,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// The message id from its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Event<'_> {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddUser(_) => "addUser",
            Self::DelUser(_) => "delUser",
            Self::UserList(_) => "userList",
            Self::ReceiveMessage(_) => "receiveMessage",
            Self::ReceiveImage(_) => "receiveImage",
            Self::ReceivePrivate(_) => "receivePrivate",
            Self::Epoch { .. } => "epoch",
            Self::Typing { .. } => "typing",
        }
    }

    /// The whole event as a JSON text, in its envelope.
    pub fn to_json(&self) -> Vec<u8> {
        self.write(|name, data| event(name, &data))
    }

    /// The event as a packet of Engine.IO, for sockets of the main namespace.
    pub fn to_packet(&self) -> String {
        self.write(|name, data| format!("42{}", json_text(&(name, data))))
    }

    fn write<T>(&self, write: impl Fn(&str, Data<'_>) -> T) -> T {
        let data = match *self {
            Self::AddUser(data) | Self::DelUser(data) => Data::UserChange(data),
            Self::UserList(data) => Data::UserList(data),
            Self::ReceiveMessage(data) | Self::ReceiveImage(data) => Data::Said(data),
            Self::ReceivePrivate(data) => Data::Private(data),
            Self::Epoch { epoch } => Data::Epoch { epoch },
            Self::Typing { username, typing } => Data::Typing { username, typing },
        };
        write(self.name(), data)
    }
}

/// The data of an event, without its name.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    UserChange(UserChange<'a>),
    UserList(&'a [Profile<'a>]),
    Said(Said<'a>),
    Private(Private<'a>),
    Epoch { epoch: &'a str },
    Typing { username: &'a str, typing: bool },
}
