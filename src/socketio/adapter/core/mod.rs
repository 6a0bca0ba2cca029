//! Decides what is said to the other servers, and what becomes of what they say. It has no clock, connection or thread.
//!
//! - [`link`]: whether Redis can be reached, and which subscriptions are confirmed.
//! - [`namespaces`]: the namespaces of this server, their rooms, and what waits for its place in the order ([`queue`]).
//! - [`telling`]: takes the orders of this server. [`hearing`]: takes what others say.
//! - [`asked`]: what this server has asked the others. [`asking`]: what others have asked this one.
//! - [`restoring`]: lost sockets that are found again, with what their clients have missed.

use std::{sync::Arc, time::Instant};

use log::{debug, warn};

use self::{
    asked::Asked,
    asking::Asking,
    link::{Link, State},
    namespaces::Namespaces,
    restoring::Restoring,
};
use super::{
    figures::Figures,
    speech::{Sending, Speech},
    traffic::{Decide, Here, Input, Output, Query, QueryId, Reply},
};

mod asked;
mod asking;
mod hearing;
mod link;
mod namespaces;
mod queue;
mod restoring;
mod telling;
#[cfg(test)]
mod tests;

/// The bounds of an adapter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long servers may take to answer, where the one who asks has not said it.
    pub(crate) requests_timeout: std::time::Duration,
    /// Requests of other servers that are answered at a time.
    pub(crate) max_foreign_requests: usize,
    /// Bytes of what waits until the subscriptions are confirmed.
    pub(crate) max_held_bytes: usize,
    /// Entries of a stream that are read at once for a client that has come back.
    pub(crate) read_count: usize,
    /// About the number of entries that a stream is trimmed to.
    pub(crate) stream_len: usize,
    /// Bytes of events that one client may have missed.
    pub(crate) max_missed: usize,
    /// How long a lost socket is kept.
    pub(crate) session_time: std::time::Duration,
}

/// The core of an adapter.
pub(crate) struct Core {
    speech: Speech,
    bounds: Bounds,
    figures: Arc<Figures>,
    link: Link,
    namespaces: Namespaces,
    asked: Asked,
    asking: Asking,
    restoring: Restoring,
    last_query: u64,
    /// What is sent once all subscriptions are confirmed.
    held: Vec<Output>,
    held_bytes: usize,
    stopping: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Core {
    /// Speaks so, within these bounds.
    pub(crate) fn new(speech: Speech, bounds: Bounds, figures: Arc<Figures>) -> Self {
        Self {
            link: Link::new(speech.stream().cloned()),
            speech,
            bounds,
            figures,
            namespaces: Namespaces::default(),
            asked: Asked::default(),
            asking: Asking::default(),
            restoring: Restoring::default(),
            last_query: 0,
            held: Vec::new(),
            held_bytes: 0,
            stopping: None,
        }
    }

    fn query(&mut self, query: Query, out: &mut Vec<Output>) -> QueryId {
        self.last_query += 1;
        let id = QueryId(self.last_query);
        self.send(Output::Query(id, query), out);
        id
    }

    /// Sends something to Redis, once that can be reached; drops it if it is not known when that is.
    fn send(&mut self, output: Output, out: &mut Vec<Output>) {
        match self.link.state() {
            State::Ready => out.push(output),
            State::Joining if self.can_hold() => {
                self.held_bytes += output.len();
                self.held.push(output);
            }
            State::Joining | State::Away => self.figures.count_only_here(usize::from(output.is_message())),
        }
    }

    fn send_message(&mut self, sending: Sending, out: &mut Vec<Output>) {
        self.send(sending.into_output(&self.speech), out);
    }

    /// Whether more may wait until the subscriptions are confirmed.
    fn can_hold(&self) -> bool {
        self.held_bytes < self.bounds.max_held_bytes
    }

    /// Sends what was held, if all subscriptions are confirmed.
    fn check_ready(&mut self, out: &mut Vec<Output>) {
        if self.link.check_ready() {
            self.held_bytes = 0;
            out.append(&mut self.held);
        }
    }

    fn replied(&mut self, now: Instant, id: QueryId, reply: Result<Reply, String>, out: &mut Vec<Output>) {
        if self.restoring.has_asked(id) {
            return self.restore_on(now, id, reply, out);
        }
        if self.link.has_asked(id) {
            return match self.link.position(&reply, out) {
                Some(position) => {
                    out.push(Output::Here(Here::Position(position)));
                    self.check_ready(out);
                }
                None => self.down(out),
            };
        }
        match reply {
            Ok(Reply::Count(count)) => self.counted(id, count),
            Ok(_) => {}
            Err(why) => {
                warn!("the servers cannot be counted: {why}");
                self.counted(id, 1);
            }
        }
    }

    fn counted(&mut self, id: QueryId, count: usize) {
        if let Some(namespace) = self.asked.counted(id, count)
            && !self.namespaces.is_served(&namespace)
        {
            self.asked.forget(&namespace);
        }
    }

    fn down(&mut self, out: &mut Vec<Output>) {
        self.link.down();
        self.held_bytes = 0;
        self.figures.count_only_here(self.held.drain(..).filter(Output::is_message).count());
        self.deliver_all(out);
        self.asked.give_up_all();
        self.asking.forget_all();
        out.extend(self.restoring.give_up_all());
    }

    /// Has all done here that waits to be heard: which of it is refused is not known.
    fn deliver_all(&mut self, out: &mut Vec<Output>) {
        out.extend(self.namespaces.all_waiting().map(|deliver| Output::Deliver(deliver, None)));
    }

    fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.asked.give_up_at(now);
        self.asking.forget_at(now);
        self.look_again(now, out);
        let overdue = self.namespaces.overdue(now);
        out.extend(overdue.into_iter().map(|deliver| Output::Deliver(deliver, None)));
    }
}

impl Decide for Core {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Up => {
                if let Some(query) = self.link.up(out) {
                    self.last_query += 1;
                    let id = QueryId(self.last_query);
                    self.link.asks_position(id);
                    out.push(Output::Query(id, query));
                }
                self.check_ready(out);
            }
            Input::Down(why) => {
                debug!("events reach the sockets of this server only: {why}");
                self.down(out);
            }
            Input::Subscribed(channel) => {
                self.link.confirmed(&channel);
                self.check_ready(out);
            }
            Input::Published { by, channel, body } => self.published(now, &by, &channel, body, out),
            Input::Entries(entries) => self.read(now, entries, out),
            Input::Replied(id, reply) => self.replied(now, id, reply, out),
            Input::Refused => self.deliver_all(out),
            Input::Order(order) => self.take_order(now, order, out),
            Input::FromHere(answer) => self.take_answer(answer, out),
            Input::Wake => self.wake(now, out),
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let own = [self.asked.next_deadline(), self.namespaces.next_overdue()];
        [self.asking.next_deadline(), self.restoring.next_try()].into_iter().chain(own).flatten().min()
    }

    fn begin_again(&mut self, out: &mut Vec<Output>) {
        self.down(out);
    }
}
