//! The sessions of one worker, and the broadcasts that wait for them: a fan-out without its actor.

use std::{mem, sync::Arc, time::Duration};

use super::{subscriber::Tally, subscriptions::Subscriptions};
use crate::{
    broadcast::{
        lines::Broadcast,
        messages::{
            Attach, Delivery, Detach, Dismiss, FanOutBroadcast, ForFanOut, Seat, Subscribe, Tell, Unsubscribe,
        },
        outlets::Outlets,
        room_id::RoomId,
    },
    connection::Ending,
    domain::MemberId,
    metrics::Metrics,
};

/// The sessions of a worker, their rooms, and the broadcasts that wait.
///
/// A session whose backlog exceeds the limit *before* a broadcast is evicted, so no delivery waits for a slow
/// client.
#[derive(Debug)]
pub struct Sessions {
    /// Time in which an evicted session must finish before its connection is cut.
    before_cut: Duration,
    metrics: Arc<Metrics>,
    /// Outlets of new sessions that are not attached yet.
    outlets: Outlets,
    subscriptions: Subscriptions,
    /// Rooms with broadcasts that arrived in this turn.
    rooms_to_deliver: Vec<RoomId>,
}

/// The session of a message that is lost, because the fan-out panicked over it, if it was not attached before.
#[derive(Debug, Default)]
pub struct Lost(Option<(MemberId, Seat)>);

impl Lost {
    /// What is lost with this message.
    pub fn of(message: &ForFanOut) -> Self {
        match message {
            ForFanOut::Attach(Attach { member, seat }) => Self(Some((*member, seat.clone()))),
            _ => Self(None),
        }
    }
}

impl Sessions {
    /// No sessions yet, see [`FanOut::start`](super::FanOut::start).
    pub fn new(before_cut: Duration, outlets: Outlets, metrics: Arc<Metrics>) -> Self {
        Self {
            before_cut,
            metrics,
            outlets,
            subscriptions: Subscriptions::default(),
            rooms_to_deliver: Vec::new(),
        }
    }

    /// Goes on after a panic: sends all sessions away, because what they have got is not certain. Their clients
    /// come back and recover what they missed. What waited for them is dropped.
    pub fn begin_again(&mut self, Lost(newcomer): Lost) {
        let broken = mem::take(&mut self.subscriptions);
        self.rooms_to_deliver.clear();
        for (_, subscriber) in &broken.subscribers {
            subscriber.tell(Delivery::Dismissed(Ending::Restart));
            subscriber.seat.cutter.cut_after(self.before_cut);
        }
        if let Some((member, seat)) = newcomer.filter(|(member, _)| broken.subscriber(*member).is_none()) {
            drop(self.outlets.take(member));
            seat.deliveries.do_send(Delivery::Dismissed(Ending::Restart));
        }
    }

    /// How a session is delivered to.
    #[cfg(test)]
    pub(super) fn seat(&self, member: MemberId) -> Option<Seat> {
        self.subscriptions.subscriber(member).map(|subscriber| subscriber.seat.clone())
    }

    /// Whether broadcasts wait.
    pub(super) fn has_work(&self) -> bool {
        !self.rooms_to_deliver.is_empty()
    }

    /// Handles one message of a server of rooms.
    pub fn take(&mut self, message: ForFanOut) {
        match message {
            ForFanOut::Attach(message) => self.attach(message),
            ForFanOut::Subscribe(message) => self.subscribe(message),
            ForFanOut::Unsubscribe(message) => self.unsubscribe(message),
            ForFanOut::Detach(message) => self.detach(message),
            ForFanOut::Dismiss(message) => self.dismiss(message),
            ForFanOut::Broadcast(message) => self.add(message),
            ForFanOut::Tell(message) => self.tell(message),
            ForFanOut::DismissAll(_) => self.dismiss_all(),
        }
    }

    /// Delivers the broadcasts that wait for any room.
    pub fn deliver_all(&mut self) {
        for room in mem::take(&mut self.rooms_to_deliver) {
            self.deliver(room);
        }
    }

    /// Delivers the broadcasts that wait for one room: one turn after they arrived, or before the room's
    /// subscribers change.
    fn deliver(&mut self, room: RoomId) {
        let broadcasts = self.subscriptions.take_waiting(room);
        // Merge adjacent broadcasts with equal recipients; the order of broadcasts is kept.
        for run in broadcasts.chunk_by(|a, b| a.recipients() == b.recipients()) {
            let tally = self.subscriptions.deliver(room, run);
            self.settle(run, tally);
        }
    }

    /// Records the metrics of a delivery and evicts the sessions that were too slow.
    fn settle(&mut self, broadcasts: &[Arc<Broadcast>], tally: Tally) {
        self.metrics.delivered(tally.messages, tally.bytes);
        let relayed = broadcasts.iter().filter(|_| tally.messages > 0);
        for age in relayed.filter_map(|broadcast| broadcast.age()) {
            self.metrics.relayed_after(age);
        }
        for member in tally.evicted {
            self.evict(member);
        }
    }

    /// Delivers the broadcasts that wait for any room of a session.
    fn deliver_around(&mut self, member: MemberId) {
        let Some(subscriber) = self.subscriptions.subscriber(member) else {
            return;
        };
        for (room, _) in subscriber.rooms.clone() {
            self.deliver(room);
        }
    }

    fn evict(&mut self, member: MemberId) {
        if let Some(seat) = self.subscriptions.remove(member) {
            self.metrics.evicted();
            seat.deliveries.do_send(Delivery::Dismissed(Ending::SlowConsumer));
            seat.cutter.cut_after(self.before_cut);
        }
    }

    pub(super) fn add(&mut self, FanOutBroadcast { room, broadcast }: FanOutBroadcast) {
        if self.subscriptions.wait(room, broadcast) {
            self.rooms_to_deliver.push(room);
        }
    }

    pub(super) fn attach(&mut self, Attach { member, seat }: Attach) {
        self.subscriptions.add(member, seat, self.outlets.take(member));
    }

    pub(super) fn subscribe(&mut self, Subscribe { member, room, encoding }: Subscribe) {
        self.deliver_around(member);
        self.deliver(room);
        self.subscriptions.subscribe(member, room, encoding);
    }

    pub(super) fn unsubscribe(&mut self, Unsubscribe { member, room }: Unsubscribe) {
        self.deliver_around(member);
        self.subscriptions.unsubscribe(member, room);
    }

    /// Does not deliver waiting broadcasts first: many members may leave at one time.
    pub(super) fn detach(&mut self, Detach { member }: Detach) {
        self.subscriptions.remove(member);
    }

    /// The session gets what was broadcast before.
    fn dismiss(&mut self, Dismiss { member, ending }: Dismiss) {
        self.deliver_around(member);
        if let Some(seat) = self.subscriptions.remove(member) {
            seat.deliveries.do_send(Delivery::Dismissed(ending));
        }
    }

    /// The news must come after the lines that were broadcast before it.
    pub(super) fn tell(&mut self, Tell { member, news }: Tell) {
        self.deliver_around(member);
        if let Some(subscriber) = self.subscriptions.subscriber(member) {
            subscriber.tell(Delivery::News { member, news });
        }
    }

    pub(super) fn dismiss_all(&mut self) {
        self.deliver_all();
        for (_, subscriber) in &self.subscriptions.subscribers {
            subscriber.tell(Delivery::Dismissed(Ending::Restart));
        }
    }
}
