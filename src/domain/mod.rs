//! Values that are checked once, when they are parsed; used on every floor.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

pub(crate) use self::map::Map;
#[cfg(feature = "program")]
pub use self::{
    avatar::Avatar,
    nickname::{Nickname, NicknameKey},
    profile::Profile,
    room_name::RoomName,
    token::{OwnerHash, PublicId, Token},
};
#[cfg(feature = "program")]
pub(crate) use self::{
    avatar::{AVATARS_PATH, Picture, PictureId},
    image::{ImageError, ImageLimits},
    nickname::{Look, NicknameError},
    room_name::{LESSON_ROOM_START, RoomNameError},
};

#[cfg(feature = "program")]
pub(crate) mod avatar;
#[cfg(feature = "program")]
pub(crate) mod image;
mod map;
#[cfg(feature = "program")]
pub(crate) mod nickname;
#[cfg(feature = "program")]
mod profile;
#[cfg(feature = "program")]
pub(crate) mod room_name;
#[cfg(feature = "program")]
mod text;
#[cfg(feature = "program")]
pub(crate) mod token;

/// The next unused number of a session or a member. Never reused within a process.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// The id of a session, one client on one connection, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// The next unused id.
    pub(crate) fn next() -> Self {
        Self(next_number())
    }

    /// The session as the one member that it is in rooms. Sessions of Socket.IO are none: their sockets are.
    pub(crate) fn member(self) -> MemberId {
        MemberId(self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// The id of a member of rooms: a session, or a socket of Socket.IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// The next unused id.
    pub fn next() -> Self {
        Self(next_number())
    }

    /// The number of the id.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The name that users see for a member without a nickname.
    pub fn guest_name(self) -> String {
        format!("guest-{}", self.0)
    }

    /// The name that users of all nodes see for a member of the node `node` without a nickname.
    pub fn guest_name_at(self, node: &str) -> String {
        format!("guest-{node}-{}", self.0)
    }

    /// The id with this number.
    pub fn of(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// The id of a socket: a client in one namespace of Socket.IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketId(MemberId);

impl SocketId {
    /// The next unused id.
    pub(crate) fn next() -> Self {
        Self(MemberId::next())
    }

    /// The socket that is this member of rooms.
    pub(crate) fn of(member: MemberId) -> Self {
        Self(member)
    }

    /// The socket as a member of rooms.
    pub(crate) fn member(self) -> MemberId {
        self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One worker thread of the HTTP server, numbered from 0 in the order they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_never_reused() {
        assert_ne!(SessionId::next(), SessionId::next());
    }
}
