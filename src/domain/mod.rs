//! Values that are checked once, when they are parsed; used on every floor.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

pub use self::room_name::RoomName;
pub(crate) use self::{
    avatar::{AVATARS_PATH, Avatar, Picture, PictureId},
    image::{ImageError, ImageLimits},
    nickname::{Look, Nickname, NicknameError, NicknameKey},
    profile::Profile,
    room_name::{LESSON_ROOM_START, RoomNameError},
    token::{OwnerHash, PublicId, Token},
};

pub(crate) mod avatar;
pub(crate) mod image;
pub(crate) mod nickname;
mod profile;
pub(crate) mod room_name;
mod text;
pub(crate) mod token;

/// The id of a session, and of each socket and chat member. Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// The next unused id of this process, counting from 1.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The name that users see for a session without a nickname.
    pub fn guest_name(self) -> String {
        format!("guest-{}", self.0)
    }

    /// A given id, for tests of structs that only compare ids.
    #[cfg(test)]
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
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
