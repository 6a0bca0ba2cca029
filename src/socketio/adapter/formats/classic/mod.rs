//! The format of `@socket.io/redis-adapter` over `PUBLISH`, which the emitter for Redis speaks too.

pub(crate) use self::{
    channels::Channels,
    read::{read_broadcast, read_request, read_response, uid_of},
    write::write,
};

mod channels;
mod read;
mod write;

/// The types of requests and answers.
mod types {
    pub(super) const LIST_SIDS: u64 = 0;
    pub(super) const LIST_ROOMS: u64 = 1;
    pub(super) const JOIN: u64 = 2;
    pub(super) const LEAVE: u64 = 3;
    pub(super) const DISCONNECT: u64 = 4;
    pub(super) const FETCH: u64 = 5;
    pub(super) const SERVER_EVENT: u64 = 6;
    pub(super) const ASK: u64 = 7;
    pub(super) const ASKED: u64 = 8;
    pub(super) const ACKED: u64 = 9;
}
