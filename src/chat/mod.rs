//! The chat: its rooms, their users, and what is said there.
//!
//! The rooms are spread over shards; a session speaks to the shard of its room ([`shards`]). A shard orders what
//! is said in the broadcasts of its [`Broadcaster`](crate::broadcast::Broadcaster), and gives the journal what is
//! to be kept. Callers: `session` (register, publish, log in and out), `app` (starts the actors), `routes` (asks
//! for a summary).
//!
//! [`server`] is the actor, a thin shell: it hands inputs to a [`shard`] and carries out its [`effects`]. A shard
//! has no clock, mailbox or thread. It is the [`core`], which may panic and begin again, and beside it what must
//! survive that: the [`keeper`] of the journal, the [`openings`] of rooms, and the [`calls`] of the server.
//! [`transfer`] is what shards tell each other, [`common`] what they share.
//!
//! By default this server alone gives messages their order. In a chat that shares its rooms with other nodes
//! ([`Sharing`]), Redis does, by way of a link, and [`people`] has the users of all nodes.
//!
//! Plain structs decide: [`room`], [`presence`] (users), [`log`] (offsets, recovery, repeated messages),
//! [`mod@line`] (what is said), [`kept`] (what the journal is to keep of a broadcast), [`commits`] (the queue to
//! the journal).

mod alarms;
mod all_nodes;
pub(crate) mod avatars;
pub(crate) mod calls;
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
mod people;
pub(crate) mod position;
pub(crate) mod presence;
pub(crate) mod reservations;
pub(crate) mod room;
pub(crate) mod server;
pub(crate) mod shard;
mod shards;
pub(crate) mod transfer;
mod users;

pub(crate) use self::{
    avatars::AvatarStore,
    common::{ChatLimits, ShardId, Sharing},
    ids::IdLimits,
    messages::{AskedRoom, ListedRoom, MayEnter, Payload, Publish, Register, Rejected, Summary, Unregister},
    shards::{Shards, Unstarted, Way},
};
