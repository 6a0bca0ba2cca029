//! Whether a private message was handed to its reader.

use std::sync::atomic::{AtomicBool, Ordering};

use actix::Addr;

use super::{
    fanout::FanOut,
    messages::{Delivery, Reply, Tell},
};
use crate::domain::SessionId;

/// Goes with the round of a private message to every worker that has a session of it. When the last of them has let go
/// of the round, the sender is answered: `delivered` is true if a session of the reader was handed the message.
#[derive(Debug)]
pub(super) struct Handing {
    /// Sessions of the reader.
    pub(super) readers: Vec<SessionId>,
    /// When the message was said, in milliseconds since 1970.
    pub(super) at: u64,
    /// The session that waits for the answer.
    pub(super) sender: SessionId,
    /// Its own number for the message.
    pub(super) ticket: u64,
    /// The fan-out of its worker.
    pub(super) fanout: Addr<FanOut>,
    pub(super) is_handed: AtomicBool,
}

impl Handing {
    /// A session was handed the message.
    pub(super) fn note(&self, session: SessionId) {
        if self.readers.contains(&session) {
            self.is_handed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        let (at, delivered) = (self.at, *self.is_handed.get_mut());
        let delivery = Delivery::Reply {
            session: self.sender,
            ticket: self.ticket,
            reply: Reply::Whispered { at, delivered },
        };
        self.fanout.do_send(Tell(vec![(self.sender, delivery)]));
    }
}
