//! Messages between shards: a session that logs in to a room of another shard moves there.
//!
//! The session's shard keeps what the session sends meanwhile, and asks the room's shard by [`Arrive`]. The
//! room's shard logs the session in, but tells only the other shard, by [`ToShard::LoginDone`]: that one takes
//! the session out of its former room, tells the session, and hands over what the session has sent behind the
//! login. From then on the session speaks to the room's shard.

use std::{fmt, net::IpAddr};

use actix::Message;

use super::{
    common::ShardId,
    handing::Decided,
    messages::{Login, Reply, Request},
};
use crate::{
    broadcast::Encoding,
    domain::{MemberId, RoomName, WorkerId},
};

/// A message of one shard to another.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToShard {
    /// A session of the sender logs in to a room of this shard.
    Arrive(Box<Arrive>),
    /// What became of that login.
    LoginDone {
        /// The session.
        member: MemberId,
        /// The shard that has handled the login.
        by: ShardId,
        /// The session's number for the login.
        ticket: u64,
        /// `LoggedIn`, or why not.
        reply: Reply,
    },
    /// A request that the session sent to its former shard.
    Request(Request),
    /// The session sends to the new shard now.
    Settled(MemberId),
    /// Nothing is left of these rooms of this shard in the journal, because all was too old when it was asked at this
    /// time, in milliseconds since 1970.
    Forgotten(Vec<RoomName>, u64),
    /// Another shard has made a room over the bound: the longest silent room of this shard gives way.
    GiveWay,
}

/// A session that logs in to a room of another shard.
#[derive(Debug)]
pub struct Arrive {
    /// The shard that the session comes from.
    pub from: ShardId,
    /// The worker on whose thread it lives.
    pub worker: WorkerId,
    /// The encoding of its frames.
    pub encoding: Encoding,
    /// The address of its client, if known.
    pub address: Option<IpAddr>,
    /// The login.
    pub login: Login,
}

/// The way of a shard to the others and to itself, from any thread.
pub(crate) trait Peers: fmt::Debug + Send + Sync {
    /// Sends a message to a shard. Never waits.
    fn send(&self, to: ShardId, message: ToShard);

    /// Tells a shard what has become of a private message. Never waits.
    fn decided(&self, by: ShardId, decided: Decided);

    /// Counts a shard that is done with the journal. True for the last one.
    fn is_last_to_close(&self) -> bool;
}
