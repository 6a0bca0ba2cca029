//! One line of a broadcast, and its payload in each dialect.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use super::news::{Listed, Notice};
use crate::{
    broadcast::{Dialect, Encode},
    domain::{Profile, PublicId},
    journal::{Kind, NewEntry},
    protocol::{
        chat::{self, Event, Private, Said, UserChange},
        websocket::frame::OpCode,
    },
};

/// Texts and bytes, as they were said.
pub const PLAIN: Dialect = Dialect::of(0);

/// The events of [`protocol::chat`](crate::protocol::chat), as JSON.
pub const CHAT: Dialect = Dialect::of(1);

/// Like [`CHAT`], with every change of the users, and without lists of them.
pub const CHAT_CHANGES: Dialect = Dialect::of(2);

/// The events of the chat as events of Socket.IO.
pub const SOCKET_IO: Dialect = Dialect::of(3);

/// Like [`SOCKET_IO`], with every change of the users, and without lists of them.
pub const SOCKET_IO_CHANGES: Dialect = Dialect::of(4);

/// Dialects with every change of the users, and without lists of them.
pub const CHANGES: [Dialect; 2] = [CHAT_CHANGES, SOCKET_IO_CHANGES];

/// The dialect of the same protocol that has changes of the users, or lists.
pub fn with_changes(dialect: Dialect, wants_changes: bool) -> Dialect {
    match (dialect, wants_changes) {
        (CHAT | CHAT_CHANGES, false) => CHAT,
        (CHAT | CHAT_CHANGES, true) => CHAT_CHANGES,
        (SOCKET_IO | SOCKET_IO_CHANGES, false) => SOCKET_IO,
        (SOCKET_IO | SOCKET_IO_CHANGES, true) => SOCKET_IO_CHANGES,
        (other, _) => other,
    }
}

/// Whether a session with this dialect gets every change of the users, and no lists of them.
pub fn wants_changes(dialect: Dialect) -> bool {
    CHANGES.contains(&dialect)
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
    Users(&'a [chat::Profile<'a>]),
    /// The users of the room, after changes.
    UsersAgain(&'a [chat::Profile<'a>]),
    /// The room has another epoch from here on.
    Epoch(&'a str),
    /// A user begins or stops to write.
    Typing(&'a str, bool),
    /// A private message.
    Private(Private<'a>),
}

impl Encode for Line<'_> {
    fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)> {
        match dialect {
            PLAIN => self.plain(),
            CHAT | CHAT_CHANGES => {
                self.event(dialect).map(|event| (OpCode::Text, Cow::Owned(event.to_json())))
            }
            _ => self.event(dialect).map(|event| (OpCode::Text, Cow::Owned(event.to_packet().into_bytes()))),
        }
    }
}

impl<'a> Line<'a> {
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
            Self::Text(_) | Self::Binary(_) => return None,
            Self::UsersAgain(_) if wants_changes(dialect) => return None,
            Self::Notice(notice) if notice.has_come => Event::AddUser(user_change(notice, dialect)?),
            Self::Notice(notice) => Event::DelUser(user_change(notice, dialect)?),
            Self::Users(users) | Self::UsersAgain(users) => Event::UserList(users),
            Self::Epoch(epoch) => Event::Epoch { epoch },
            Self::Typing(username, typing) => Event::Typing { username, typing },
            Self::Private(private) => Event::ReceivePrivate(private),
        })
    }
}

/// The fields of a notice's event; `None` if subscribers of `dialect` learn of it by the list.
fn user_change(notice: &Notice, dialect: Dialect) -> Option<UserChange<'_>> {
    let Notice { profile, count, listed, .. } = notice;
    let (count, more) = match listed {
        _ if wants_changes(dialect) => (*count, 0),
        Listed::Whole => (*count, 0),
        Listed::Last { count, more } => (*count, *more),
        Listed::Not => return None,
    };
    let chat::Profile { username, avatar, uid } = shown(profile);
    Some(UserChange { username, avatar, uid, count, more })
}

/// A profile as events and answers have it.
pub fn shown(profile: &Profile) -> chat::Profile<'_> {
    chat::Profile {
        username: profile.nickname.as_str(),
        avatar: profile.avatar.as_str(),
        uid: profile.uid.as_ref().map(PublicId::as_str),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broadcast::{Broadcast, Encoding, OpenBroadcast, Reach, Recipients, Subscribers},
        connection::Budget,
        domain::{MemberId, WorkerId},
    };

    const PLAIN_ENCODING: Encoding = Encoding { dialect: PLAIN, deflated: false };
    const CHAT_ENCODING: Encoding = Encoding { dialect: CHAT, deflated: false };

    fn said(offset: u64, kind: Kind, body: &str) -> Line<'_> {
        Line::Said(offset, NewEntry { kind, at: 9, username: "u", avatar: "cat", uid: None, id: "", body })
    }

    fn broadcast(lines: &[(Line<'_>, Reach)]) -> Broadcast {
        let mut subscribers = Subscribers::default();
        [PLAIN_ENCODING, CHAT_ENCODING].iter().for_each(|encoding| subscribers.add(WorkerId(0), *encoding));
        let mut open = OpenBroadcast::new(&subscribers);
        lines.iter().for_each(|(line, reach)| open.push(line, reach.clone(), None));
        open.finish(Recipients::Room, &Budget::new(1 << 20))
    }

    #[test]
    fn each_dialect_gets_what_it_has_words_for() {
        let not_five = Reach::Exclude(MemberId::of(5));
        let broadcast = broadcast(&[
            (said(1, Kind::Message, "a"), Reach::All),
            (said(2, Kind::Image, "data:,"), Reach::All),
            (Line::Binary(&Bytes::from_static(b"x")), not_five.clone()),
            (said(3, Kind::Message, "b"), not_five),
        ]);
        let (plain, lines) = broadcast.frames(PLAIN_ENCODING).expect("lines");
        assert_eq!((&plain[..], lines), (&b"\x81\x01a\x82\x01x\x81\x01b"[..], 3));
        let (own, lines) = broadcast.frames_for(MemberId::of(5), PLAIN_ENCODING);
        assert_eq!((&*own.concat(), lines), (&b"\x81\x01a"[..], 1));
        let (chat, lines) = broadcast.frames(CHAT_ENCODING).expect("lines");
        let chat = String::from_utf8_lossy(chat);
        assert_eq!(lines, 3);
        assert!(chat.contains("receiveMessage") && chat.contains("receiveImage"), "{chat}");
    }
}
