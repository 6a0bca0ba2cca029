//! What a room hears.

use serde::Serialize;

use super::{event, json_text};

/// What everybody in a room, or one session of it, is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `addUser`
    AddUser(Somebody<'a>),
    /// `delUser`
    DelUser(Somebody<'a>),
    /// `userList`
    UserList(&'a [UserRef<'a>]),
    /// `receiveMessage`
    ReceiveMessage(Said<'a>),
    /// `receiveImage`
    ReceiveImage(Said<'a>),
    /// `receivePrivate`
    ReceivePrivate(Private<'a>),
    /// `typing`
    Typing {
        /// Who.
        username: &'a str,
        /// Whether they write.
        typing: bool,
    },
}

/// Somebody came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Somebody<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The face.
    pub avatar: &'a str,
    /// What tells the user from others of the same name, a hash of the user's token; missing for guests and in messages that were
    /// kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// How many people are in the room now.
    pub count: usize,
    /// How many more came or went at once, whom no event names: the list of users has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// Somebody who is in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserRef<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The face.
    pub avatar: &'a str,
    /// What tells the user from others of the same name, a hash of the user's token; missing for guests and in messages that were
    /// kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
}

/// A message of the room: a text or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said<'a> {
    /// Who said it.
    pub username: &'a str,
    /// The speaker's face.
    pub avatar: &'a str,
    /// What tells the user from others of the same name, a hash of the user's token; missing for guests and in messages that were
    /// kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'a str>,
    /// The picture, a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img: Option<&'a str>,
    /// Its place in the room.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// The name its client gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// Whether it was said before its reader came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
}

/// A message for one user: a text or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Private<'a> {
    /// Who said it.
    pub username: &'a str,
    /// The speaker's face.
    pub avatar: &'a str,
    /// What tells the user from others of the same name, a hash of the user's token; missing for guests and in messages that were
    /// kept by earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// To whom.
    pub to: &'a str,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'a str>,
    /// The picture, a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img: Option<&'a str>,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// The name its client gave it.
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
            Self::Typing { .. } => "typing",
        }
    }

    /// The whole event as a JSON text, in its envelope.
    pub fn to_json(&self) -> Vec<u8> {
        self.write(|name, data| event(name, &data))
    }

    /// The event as a message of Engine.IO, for sockets of the main namespace.
    pub fn to_packet(&self) -> String {
        self.write(|name, data| format!("42{}", json_text(&(name, data))))
    }

    fn write<T>(&self, write: impl Fn(&str, Data<'_>) -> T) -> T {
        let data = match *self {
            Self::AddUser(data) | Self::DelUser(data) => Data::Somebody(data),
            Self::UserList(data) => Data::UserList(data),
            Self::ReceiveMessage(data) | Self::ReceiveImage(data) => Data::Said(data),
            Self::ReceivePrivate(data) => Data::Private(data),
            Self::Typing { username, typing } => Data::Typing { username, typing },
        };
        write(self.name(), data)
    }
}

/// What an event says, without its name.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Somebody(Somebody<'a>),
    UserList(&'a [UserRef<'a>]),
    Said(Said<'a>),
    Private(Private<'a>),
    Typing { username: &'a str, typing: bool },
}
