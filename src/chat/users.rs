//! A user of a room, and what others are told when users come and go.

use super::ids::Sender;
use crate::domain::{MemberId, Profile, Token};

/// A user that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// What others see of the user.
    pub profile: Profile,
    /// The secret that proves that a session is of this user.
    pub token: Token,
    /// The first half of the keys of the user's messages, hashed once.
    pub sender: Sender,
    /// The user's sessions, at least one.
    pub sessions: Vec<MemberId>,
}

/// What changed for the others. Both fields are set if a user changes nickname or profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The profile that has gone.
    pub left: Option<Profile>,
    /// The profile that has come.
    pub arrived: Option<Profile>,
}

impl Change {
    /// Whether nothing has changed.
    pub(crate) fn is_none(&self) -> bool {
        self.left.is_none() && self.arrived.is_none()
    }
}
