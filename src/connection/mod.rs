//! The connection of a session: its socket, the way in and the way out, and the bounds on what a client may make the
//! server hold. It knows frames and bytes; what they mean is for the floors above.

pub mod admission;
pub mod budget;
pub mod connections;
pub mod direct;
pub mod handshake;
pub mod handshakes;
pub mod hangup;
pub mod heartbeat;
pub mod hold;
pub mod inlet;
pub mod lease;
pub mod linger;
pub mod outlet;
pub mod permits;
pub mod pipe;
pub mod rate;
pub mod socket;
pub mod upload;
pub mod wire;

pub use self::{
    budget::{Accepted, Budget, Intake},
    direct::{Direct, DirectOutlet, Waiting},
    lease::{FREE_SHARE, Lease, OutOfMemory, counted, counted_anew},
};
