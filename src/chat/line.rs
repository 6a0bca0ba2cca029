//! One line of a broadcast, and its payload in each dialect.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    messages::Emission,
    news::{Listed, Notice},
};
use crate::{
    domain::PublicId,
    journal::{Kind, NewEntry},
    protocol::{
        chat::{Event, Private, Said, Somebody, UserRef},
        websocket::frame::OpCode,
    },
};

/// The words in which a line is encoded for a kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Texts and bytes without an envelope.
    Plain,
    /// The events of [`protocol::chat`](crate::protocol::chat), as JSON.
    Chat,
    /// The events of [`Chat`](Self::Chat) as Socket.IO packets.
    SocketIo,
    /// [`Chat`](Self::Chat) with every change of the users, and no list of users.
    ChatChanges,
    /// [`SocketIo`](Self::SocketIo) with every change of the users, and no list of users.
    SocketIoChanges,
    /// [`SocketIo`](Self::SocketIo) without offsets, for clients that do not come back.
    BareSocketIo,
}

impl Dialect {
    /// All dialects, each at its [`index`](Self::index).
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Chat,
        Self::SocketIo,
        Self::ChatChanges,
        Self::SocketIoChanges,
        Self::BareSocketIo,
    ];

    /// The dialects that get every change of the users, and no list after it.
    pub const CHANGES: [Self; 2] = [Self::ChatChanges, Self::SocketIoChanges];

    /// Index into tables of dialects.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The dialect of this protocol for changes (true) or for lists (false).
    #[must_use]
    pub fn with_changes(self, wants_changes: bool) -> Self {
        match (self, wants_changes) {
            (Self::Plain, _) => Self::Plain,
            (Self::Chat | Self::ChatChanges, false) => Self::Chat,
            (Self::Chat | Self::ChatChanges, true) => Self::ChatChanges,
            (Self::SocketIo | Self::SocketIoChanges, false) => Self::SocketIo,
            (Self::SocketIo | Self::SocketIoChanges, true) => Self::SocketIoChanges,
            // It carries no lines of the chat.
            (Self::BareSocketIo, _) => Self::BareSocketIo,
        }
    }

    /// Whether it gets every change of the users, and no list after it.
    pub fn wants_changes(self) -> bool {
        Self::CHANGES.contains(&self)
    }
}

/// One message, notice or event of a broadcast.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// A message with its offset.
    Said(u64, NewEntry<'a>),
    /// A text of a plain session, in a room that keeps no history.
    Text(&'a ByteString),
    /// Bytes of a plain session, which are never kept.
    Binary(&'a Bytes),
    /// A user came or went.
    Notice(&'a Notice),
    /// The users of the room, for a session that has just subscribed.
    Users(&'a [UserRef<'a>]),
    /// The users of the room, after changes.
    UsersAgain(&'a [UserRef<'a>]),
    /// A user begins or stops to write.
    Typing(&'a str, bool),
    /// A private message.
    Private(Private<'a>),
    /// An event of Socket.IO.
    Emitted(&'a Emission),
}

impl<'a> Line<'a> {
    /// The payload of the line's first frame in `dialect`; `None` if that dialect leaves the line out.
    pub fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'a, [u8]>)> {
        match (dialect, *self) {
            (Dialect::SocketIo, Self::Emitted(emission)) => {
                Some((OpCode::Text, Cow::Borrowed(emission.packet.as_bytes())))
            }
            (Dialect::BareSocketIo, Self::Emitted(emission)) => {
                Some((OpCode::Text, as_bytes(emission.bare())))
            }
            (Dialect::Plain, _) => self.plain(),
            (Dialect::Chat | Dialect::ChatChanges, _) => {
                self.event(dialect).map(|event| (OpCode::Text, Cow::Owned(event.to_json())))
            }
            (Dialect::SocketIo | Dialect::SocketIoChanges | Dialect::BareSocketIo, _) => {
                self.event(dialect).map(|event| (OpCode::Text, Cow::Owned(event.to_packet().into_bytes())))
            }
        }
    }

    /// Payloads of the binary frames that follow the first frame.
    pub fn attachments(&self) -> &'a [Bytes] {
        match *self {
            Self::Emitted(emission) => &emission.attachments,
            _ => &[],
        }
    }

    fn plain(&self) -> Option<(OpCode, Cow<'a, [u8]>)> {
        match self {
            Self::Said(_, NewEntry { kind: Kind::Message, body, .. }) => {
                Some((OpCode::Text, Cow::Borrowed(body.as_bytes())))
            }
            Self::Text(text) => Some((OpCode::Text, Cow::Borrowed(text.as_bytes()))),
            Self::Binary(bytes) => Some((OpCode::Binary, Cow::Borrowed(bytes))),
            _ => None,
        }
    }

    fn event(&self, dialect: Dialect) -> Option<Event<'a>> {
        Some(match *self {
            Self::Said(offset, entry) => said_event(offset, entry, false),
            Self::Text(_) | Self::Binary(_) | Self::Emitted(_) => return None,
            Self::UsersAgain(_) if dialect.wants_changes() => return None,
            Self::Notice(notice) if notice.has_come => Event::AddUser(somebody(notice, dialect)?),
            Self::Notice(notice) => Event::DelUser(somebody(notice, dialect)?),
            Self::Users(users) | Self::UsersAgain(users) => Event::UserList(users),
            Self::Typing(username, typing) => Event::Typing { username, typing },
            Self::Private(private) => Event::ReceivePrivate(private),
        })
    }
}

fn as_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The fields of a notice's event; `None` if subscribers of `dialect` learn of it by the list.
fn somebody(notice: &Notice, dialect: Dialect) -> Option<Somebody<'_>> {
    let Notice { face, count, listed, .. } = notice;
    let (count, more) = match listed {
        _ if dialect.wants_changes() => (*count, 0),
        Listed::Whole => (*count, 0),
        Listed::Last { count, more } => (*count, *more),
        Listed::Not => return None,
    };
    let uid = face.uid.as_ref().map(PublicId::as_str);
    Some(Somebody { username: face.nickname.as_str(), avatar: face.avatar.as_str(), uid, count, more })
}

/// A message as an event, live or from the journal.
pub fn said_event(offset: u64, entry: NewEntry<'_>, replay: bool) -> Event<'_> {
    let said = said(offset, entry, replay);
    match entry.kind {
        Kind::Message => Event::ReceiveMessage(said),
        Kind::Image => Event::ReceiveImage(said),
    }
}

/// The fields of a message's event.
pub fn said(offset: u64, entry: NewEntry<'_>, replay: bool) -> Said<'_> {
    let NewEntry { kind, at, username, avatar, uid, id, body } = entry;
    let (msg, img) = match kind {
        Kind::Message => (Some(body), None),
        Kind::Image => (None, Some(body)),
    };
    let uid = uid.map(PublicId::as_str);
    Said { username, avatar, uid, msg, img, offset, at, id: (!id.is_empty()).then_some(id), replay }
}
