//! Several nodes: servers that share their rooms by way of one Redis.
//!
//! Redis gives the messages of a room their order. A node hands what its sessions say to a [`link`], which has Redis
//! append it, a round of each room at a time. Redis publishes each record that it has appended on the channel of its
//! room, and every node, the sender's too, tells its members what it hears there, in the order of offsets. Names are
//! claimed in Redis, and changes of the users of a room are heard on the same channel.
//!
//! - [`contract`]: what the chat asks of a link, and what it hears from it.
//! - [`commands`]: what a link asks of Redis, and what Redis answers and publishes, as values.
//! - [`link`]: decides what is asked when; it has no clock, socket or thread.
//! - [`redis`]: the functions in Redis, calls and answers as bytes.
//! - [`model`]: Redis as a value, for tests and the simulation.
//!
//! `docs/nodes.md` describes promises and failures, `redis/functions/records.lua` the keys.

mod bounds;
pub mod commands;
pub mod contract;
pub mod link;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod model;
mod names;
pub(crate) mod redis;
mod relation;

pub use self::bounds::Bounds;
pub(crate) use self::bounds::KEEP_FOR;
pub use self::names::{NodeUid, Partition};
pub(crate) use crate::config::NodeName;
