//! What others see of a user.

use super::{Avatar, Nickname, PublicId};

/// What others see of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Unique in the room, also by its look.
    pub nickname: Nickname,
    /// The name of an avatar, or the address of a picture.
    pub avatar: Avatar,
    /// Tells users of one nickname apart. `None` until the user is in the room.
    pub uid: Option<PublicId>,
}
