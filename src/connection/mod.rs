//! The connection of a session: its socket, its inlet, its outgoing queue, and the limits on what a client may make
//! the server hold. The code knows only frames and bytes, not their meaning.

pub(crate) mod admission;
#[cfg(feature = "program")]
pub(crate) mod body;
pub(crate) mod budget;
#[cfg(feature = "program")]
pub(crate) mod connections;
pub(crate) mod detached;
pub(crate) mod direct;
pub(crate) mod ending;
pub(crate) mod handover;
pub(crate) mod handshake;
pub(crate) mod handshakes;
pub(crate) mod hangup;
pub(crate) mod heartbeat;
pub(crate) mod host;
mod host_payload;
mod host_state;
#[cfg(feature = "program")]
pub(crate) mod inlet;
pub(crate) mod lease;
pub(crate) mod outbound;
#[cfg(feature = "program")]
pub(crate) mod pause;
pub(crate) mod permits;
pub(crate) mod rate;
pub(crate) mod socket;
pub(crate) mod upgraded;
pub(crate) mod upload;
pub(crate) mod wire;

pub(crate) use self::{
    budget::OutOfMemory,
    lease::{Charge, FREE_SHARE, counted},
};
pub use self::{
    budget::{Accepted, Budget, Intake},
    direct::{Backlog, Direct, DirectOutlet},
    ending::Ending,
    lease::Lease,
};

/// How long a connection lingers after its last byte: the server reads on and drops what comes, so that the client
/// sees that last byte (a close frame, a refusal) instead of a reset; then it closes TCP, before the client.
pub(crate) const LINGER: std::time::Duration = std::time::Duration::from_millis(100);
