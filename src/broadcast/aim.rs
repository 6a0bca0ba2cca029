//! Which members of a room get a broadcast, and which of them a line of it.

use std::sync::Arc;

use super::room_id::RoomId;
use crate::domain::MemberId;

/// The subscribers that get a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// All subscribers of its room.
    #[default]
    Room,
    /// The writable subscribers of its room. The broadcast is volatile: it is left out for the others.
    Volatile,
    /// Only these subscribers of its room.
    Only(Vec<MemberId>),
}

/// Which of the subscribers that get a broadcast get one of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All that get the broadcast.
    All,
    /// All except this session.
    Exclude(MemberId),
    /// The subscribers that the aim selects.
    To(Arc<Aim>),
}

/// Selects subscribers of a room by other rooms and by session, with exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// Whether to start with all subscribers of the room.
    pub all: bool,
    /// Include the members of these rooms.
    pub to_rooms: Vec<RoomId>,
    /// Include these sessions.
    pub to_sessions: Vec<MemberId>,
    /// Exclude the members of these rooms.
    pub exclude_rooms: Vec<RoomId>,
    /// Exclude these sessions.
    pub exclude_sessions: Vec<MemberId>,
}
