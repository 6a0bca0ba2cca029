//! The access of one worker to the rooms of all sockets.

use actix::Addr;

use super::hub::Hub;
use crate::{broadcast::Outlets, domain::WorkerId};

/// One worker's access to the hub of an engine.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The hub, which keeps the rooms of all sockets.
    pub hub: Addr<Hub>,
    /// The worker's id.
    pub worker: WorkerId,
    /// Outlets of new sockets, which the worker's fan-out picks up.
    pub outlets: Outlets,
}
