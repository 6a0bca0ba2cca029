//! The access of one worker to the rooms of all sockets.

use super::rooms::RoomServer;
use crate::{broadcast::Outlets, domain::WorkerId, parts::Mailbox};

/// One worker's access to the room server of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    /// The room server, which keeps the rooms of all sockets.
    pub room_server: Mailbox<RoomServer>,
    /// The worker's id.
    pub worker: WorkerId,
    /// Outlets of new sockets, which the worker's fan-out picks up.
    pub outlets: Outlets,
    /// Answers that the server waits for of one socket.
    pub max_pending_acks: usize,
}
