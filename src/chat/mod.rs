//! The chat: its rooms, their users, and what is said there.
//!
//! Sessions speak to one [`ChatServer`]. It orders what they publish in the broadcasts of its
//! [`Broadcaster`](crate::broadcast::Broadcaster), and gives the journal what is to be kept. Callers: `session` (register, publish, log in and out), `app` (starts the actor), `routes` (asks for a summary).
//!
//! The actor is in [`server`]. Plain structs decide: [`room`], [`presence`] (users), [`log`] (offsets,
//! recovery, repeated messages), [`mod@line`] (what is said), [`kept`] (what the journal is to
//! keep of a broadcast), [`commits`] (the queue to the journal).

mod alarms;
pub(crate) mod avatars;
pub(crate) mod commits;
pub(crate) mod common;
pub(crate) mod core;
pub(crate) mod effects;
pub(crate) mod handing;
pub(crate) mod ids;
mod keeper;
pub(crate) mod kept;
pub mod line;
pub(crate) mod listing;
pub(crate) mod log;
mod looks;
pub(crate) mod messages;
mod new_rooms;
pub(crate) mod news;
mod openings;
pub(crate) mod position;
pub(crate) mod presence;
pub(crate) mod reservations;
pub(crate) mod room;
pub(crate) mod server;
pub(crate) mod shard;
mod shards;
pub(crate) mod transfer;

pub(crate) use self::{
    avatars::AvatarStore,
    common::{ChatLimits, ShardId},
    ids::IdLimits,
    messages::{AskedRoom, ListedRoom, MayEnter, Payload, Publish, Register, Rejected, Summary, Unregister},
    shards::{Shards, Unstarted, Way},
};
