//! Delivers finished broadcasts to the sessions of one worker thread.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message};

use self::{subscriber::Tally, subscriptions::Subscriptions};
use super::{
    lines::Broadcast,
    messages::{
        Attach, Delivery, Detach, Dismiss, FanOutBroadcast, ForFanOut, Mail, Subscribe, Tell, ToFanOut,
        Unsubscribe,
    },
    outlets::Outlets,
    room_id::RoomId,
    turn::OneTurnLater,
};
use crate::{
    connection::Ending,
    domain::{MemberId, WorkerId},
    metrics::Metrics,
};

mod delivery;
mod subscriber;
mod subscriptions;
#[cfg(test)]
mod tests;

/// The actor of one worker that delivers broadcasts. It delivers one turn after a broadcast has arrived and
/// merges the broadcasts that arrive meanwhile, because each session's write is the largest cost. A session
/// with an outlet (see [`Outlets`]) is written to directly; others get one message.
///
/// A session whose backlog exceeds the limit *before* a broadcast is evicted, so no delivery waits for a slow
/// client.
#[derive(Debug)]
pub struct FanOut {
    /// Time in which an evicted session must finish before its connection is cut.
    before_cut: Duration,
    metrics: Arc<Metrics>,
    /// Outlets of new sessions that are not attached yet.
    outlets: Outlets,
    subscriptions: Subscriptions,
    /// Rooms with broadcasts that arrived in this turn.
    rooms_to_deliver: Vec<RoomId>,
}

/// Tells a server of rooms of a worker's fan-out, before any session of that worker registers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AddWorker {
    /// The worker.
    pub(crate) worker: WorkerId,
    /// The fan-out on its thread.
    pub(crate) fanout: Arc<dyn ToFanOut>,
}

impl FanOut {
    /// A fan-out without sessions. A session that it evicts is cut if it does not finish within `before_cut`.
    pub fn new(before_cut: Duration, outlets: Outlets, metrics: Arc<Metrics>) -> Self {
        Self {
            before_cut,
            metrics,
            outlets,
            subscriptions: Subscriptions::default(),
            rooms_to_deliver: Vec::new(),
        }
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
        for room in std::mem::take(&mut self.rooms_to_deliver) {
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
        for age in broadcasts.iter().filter_map(|broadcast| broadcast.age()) {
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

    fn add(&mut self, FanOutBroadcast { room, broadcast }: FanOutBroadcast) {
        if self.subscriptions.wait(room, broadcast) {
            self.rooms_to_deliver.push(room);
        }
    }

    fn attach(&mut self, Attach { member, seat }: Attach) {
        self.subscriptions.add(member, seat, self.outlets.take(member));
    }

    fn subscribe(&mut self, Subscribe { member, room, encoding }: Subscribe) {
        self.deliver_around(member);
        self.deliver(room);
        self.subscriptions.subscribe(member, room, encoding);
    }

    fn unsubscribe(&mut self, Unsubscribe { member, room }: Unsubscribe) {
        self.deliver_around(member);
        self.subscriptions.unsubscribe(member, room);
    }

    /// Does not deliver waiting broadcasts first: many members may leave at one time.
    fn detach(&mut self, Detach { member }: Detach) {
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
    fn tell(&mut self, Tell { member, news }: Tell) {
        self.deliver_around(member);
        if let Some(subscriber) = self.subscriptions.subscriber(member) {
            subscriber.tell(Delivery::News { member, news });
        }
    }

    fn dismiss_all(&mut self) {
        self.deliver_all();
        for (_, subscriber) in &self.subscriptions.subscribers {
            subscriber.tell(Delivery::Dismissed(Ending::Restart));
        }
    }
}

impl ToFanOut for Addr<FanOut> {
    fn send(&self, mail: Mail) {
        self.do_send(mail);
    }
}

impl Actor for FanOut {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(OneTurnLater::new(|fanout| !fanout.rooms_to_deliver.is_empty(), Self::deliver_all));
    }
}

impl Handler<Mail> for FanOut {
    type Result = ();

    fn handle(&mut self, Mail(messages): Mail, _: &mut Self::Context) {
        messages.into_iter().for_each(|message| self.take(message));
    }
}
