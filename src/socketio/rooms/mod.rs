//! Namespaces of Socket.IO: the rooms of their sockets, and the order of their events.
//!
//! One [`RoomServer`] serves all workers, as the `ChatServer` does for the chat.
//! Both own a `Broadcaster`. All events of a namespace have one order,
//! whichever of its rooms they are for: all its sockets are in one room, whose broadcasts have all events, and
//! their lines are aimed at the others.

pub(crate) use self::core::{RecoveryLimits, RoomLimits};
pub(super) use self::{
    core::{FIRST_SHARED_ACK, Request},
    server::{InCluster, InTurn, Position, RoomServer},
};

mod core;
pub(super) mod messages;
mod server;
