//! Delivers finished broadcasts to the sessions of one worker thread.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message, dev::SendError};
use log::debug;
use slab::Slab;
use smallvec::SmallVec;

use super::{
    aim::{Reach, Recipients},
    batch::{AimedBatches, Batch},
    encoding::Encoding,
    lines::Broadcast,
    map::Map,
    messages::{
        Attach, Delivery, Detach, DismissAll, FanOutBroadcast, ForFanOut, Seat, Subscribe, Tell, ToFanOut,
        Unsubscribe,
    },
    outlets::Outlets,
    room_id::RoomId,
    turn::OneTurnLater,
};
use crate::{
    connection::{Direct, DirectOutlet, Ending},
    domain::{SessionId, WorkerId},
    metrics::Metrics,
};

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
    subscribers: Slab<Subscriber>,
    rooms: Map<RoomId, Room>,
    /// Indices into `subscribers`.
    by_session: Map<SessionId, usize>,
    /// Rooms with broadcasts that arrived in this turn.
    rooms_to_deliver: Vec<RoomId>,
}

/// Tells a server of rooms of a worker's fan-out, before any session of that worker registers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddWorker {
    /// The worker.
    pub worker: WorkerId,
    /// The fan-out on its thread.
    pub fanout: Addr<FanOut>,
}

/// A session of this worker, with the rooms that it is subscribed to.
#[derive(Debug)]
struct Subscriber {
    session: SessionId,
    seat: Seat,
    /// Direct delivery to the session; `None` if deliveries go through its mailbox.
    outlet: Option<Rc<dyn DirectOutlet>>,
    /// Its rooms, with its index in each room's `subscribers`.
    rooms: SmallVec<[(RoomId, usize); 1]>,
    /// Set during a delivery to a room: a line of it excludes the session.
    is_excluded: bool,
    /// Set during an aimed delivery: numbers of the lines that the session gets.
    lines: Vec<usize>,
}

/// A room with subscribers on this worker.
#[derive(Debug, Default)]
struct Room {
    /// Indices into [`FanOut::subscribers`].
    subscribers: Vec<usize>,
    /// Broadcasts that arrived in this turn.
    broadcasts: Vec<Arc<Broadcast>>,
}

/// Totals of one delivery.
#[derive(Debug, Default)]
struct Tally {
    messages: usize,
    bytes: usize,
    evicted: Vec<SessionId>,
}

impl FanOut {
    /// A fan-out without sessions. A session that it evicts is cut if it does not finish within `before_cut`.
    pub fn new(before_cut: Duration, outlets: Outlets, metrics: Arc<Metrics>) -> Self {
        Self {
            before_cut,
            metrics,
            outlets,
            subscribers: Slab::new(),
            rooms: Map::default(),
            by_session: Map::default(),
            rooms_to_deliver: Vec::new(),
        }
    }

    fn deliver_all(&mut self) {
        for room in std::mem::take(&mut self.rooms_to_deliver) {
            self.deliver(room);
        }
    }

    /// Delivers the broadcasts that wait for one room: one turn after they arrived, or before the room's
    /// subscribers change.
    fn deliver(&mut self, room: RoomId) {
        let Some(in_room) = self.rooms.get_mut(&room).filter(|in_room| !in_room.broadcasts.is_empty()) else {
            return;
        };
        let broadcasts = std::mem::take(&mut in_room.broadcasts);
        // Merge adjacent broadcasts with equal recipients; the order of broadcasts is kept.
        for run in broadcasts.chunk_by(|a, b| a.recipients() == b.recipients()) {
            let is_volatile = *run[0].recipients() == Recipients::Volatile;
            let mut tally = Tally::default();
            if let Recipients::Only(sessions) = run[0].recipients() {
                self.deliver_to(sessions, run, is_volatile, &mut tally);
            } else if run.iter().any(|broadcast| broadcast.is_aimed()) {
                self.deliver_aimed(room, run, is_volatile, &mut tally);
            } else {
                self.deliver_to_room(room, run, is_volatile, &mut tally);
            }
            if is_volatile {
                // A volatile delivery only skips; it evicts no session.
                tally.evicted.clear();
            }
            self.settle(run, tally);
        }
    }

    /// Delivers broadcasts to each subscriber of a room, without the lines that exclude it.
    fn deliver_to_room(
        &mut self,
        room: RoomId,
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        let Some(in_room) = self.rooms.get(&room) else {
            return;
        };
        let mut excluded = Vec::new();
        for session in broadcasts.iter().flat_map(|broadcast| broadcast.excluded()) {
            // Skip sessions of other workers and evicted ones: they have no index here.
            if let Some(&index) = self.by_session.get(&session)
                && self.subscribers[index].is_in(room)
                && !std::mem::replace(&mut self.subscribers[index].is_excluded, true)
            {
                excluded.push(index);
            }
        }

        // One batch per encoding, built when a subscriber needs it.
        let mut batches: [Option<Option<Batch>>; Encoding::COUNT] = Default::default();
        for index in &in_room.subscribers {
            let subscriber = &self.subscribers[*index];
            if !subscriber.is_excluded {
                let encoding = subscriber.seat.encoding;
                let batch = &mut batches[encoding.index()];
                if let Some(batch) = batch.get_or_insert_with(|| Batch::new(broadcasts, encoding)) {
                    subscriber.deliver(batch, is_volatile, tally);
                }
            }
        }

        for index in excluded {
            let subscriber = &mut self.subscribers[index];
            subscriber.is_excluded = false;
            if let Some(batch) = Batch::for_session(subscriber.session, broadcasts, subscriber.seat.encoding)
            {
                subscriber.deliver(&batch, is_volatile, tally);
            }
        }
    }

    /// Delivers broadcasts whose lines are for some subscribers only. Each subscriber collects the numbers of
    /// its lines; subscribers with equal numbers and encoding share a batch.
    fn deliver_aimed(
        &mut self,
        room: RoomId,
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        let mut receiving = Vec::new();
        let reaches = broadcasts.iter().flat_map(|broadcast| broadcast.reaches());
        for (line, reach) in reaches.enumerate() {
            match reach {
                Reach::All => self.note_line(line, &[room], &[], &mut receiving, |_| true),
                Reach::Exclude(excluded) => {
                    self.note_line(line, &[room], &[], &mut receiving, |subscriber| {
                        subscriber.session != *excluded
                    })
                }
                Reach::To(aim) => {
                    let is_wanted = |subscriber: &Subscriber| {
                        subscriber.is_in(room)
                            && !aim.exclude_sessions.contains(&subscriber.session)
                            && !aim.exclude_rooms.iter().any(|excluded| subscriber.is_in(*excluded))
                    };
                    let all = aim.all.then_some(room);
                    let rooms: SmallVec<[RoomId; 2]> = all.iter().chain(&aim.to_rooms).copied().collect();
                    self.note_line(line, &rooms, &aim.to_sessions, &mut receiving, is_wanted);
                }
            }
        }

        let mut batches = AimedBatches::new(broadcasts);
        for index in receiving {
            let subscriber = &mut self.subscribers[index];
            let lines = std::mem::take(&mut subscriber.lines);
            if let Some(batch) = batches.of(lines, subscriber.seat.encoding) {
                subscriber.deliver(batch, is_volatile, tally);
            }
        }
    }

    /// Adds a line's number to the subscribers in `rooms` and `sessions` for which `is_wanted` holds. Those
    /// that had no number before are added to `receiving`.
    fn note_line(
        &mut self,
        line: usize,
        rooms: &[RoomId],
        sessions: &[SessionId],
        receiving: &mut Vec<usize>,
        is_wanted: impl Fn(&Subscriber) -> bool,
    ) {
        let in_rooms =
            rooms.iter().filter_map(|room| self.rooms.get(room)).flat_map(|room| &room.subscribers);
        let alone = sessions.iter().filter_map(|session| self.by_session.get(session));
        for &index in in_rooms.chain(alone) {
            let subscriber = &mut self.subscribers[index];
            // A subscriber in two of the rooms gets the line once.
            if subscriber.lines.last() != Some(&line) && is_wanted(subscriber) {
                if subscriber.lines.is_empty() {
                    receiving.push(index);
                }
                subscriber.lines.push(line);
            }
        }
    }

    /// Delivers broadcasts to these sessions only, and reports each success to
    /// [`Handed`](super::lines::Handed).
    fn deliver_to(
        &self,
        sessions: &[SessionId],
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        for session in sessions {
            if let Some(subscriber) = self.subscriber(*session)
                && let Some(batch) = Batch::new(broadcasts, subscriber.seat.encoding)
                && subscriber.deliver(&batch, is_volatile, tally)
            {
                broadcasts
                    .iter()
                    .filter_map(|broadcast| broadcast.handed())
                    .for_each(|handed| handed.note(*session));
            }
        }
    }

    /// Records the metrics of a delivery and evicts the sessions that were too slow.
    fn settle(&mut self, broadcasts: &[Arc<Broadcast>], tally: Tally) {
        self.metrics.delivered(tally.messages, tally.bytes);
        for age in broadcasts.iter().filter_map(|broadcast| broadcast.age()) {
            self.metrics.relayed_after(age);
        }
        for session in tally.evicted {
            self.evict(session);
        }
    }

    fn subscriber(&self, session: SessionId) -> Option<&Subscriber> {
        self.subscribers.get(*self.by_session.get(&session)?)
    }

    /// Delivers the broadcasts that wait for any room of a session.
    fn deliver_around(&mut self, session: SessionId) {
        let Some(subscriber) = self.by_session.get(&session).and_then(|index| self.subscribers.get(*index))
        else {
            return;
        };
        for (room, _) in subscriber.rooms.clone() {
            self.deliver(room);
        }
    }

    fn evict(&mut self, session: SessionId) {
        if let Some(seat) = self.forget(session) {
            self.metrics.evicted();
            seat.deliveries.do_send(Delivery::Dismissed(Ending::SlowConsumer));
            seat.cutter.cut_after(self.before_cut);
        }
    }

    fn forget(&mut self, session: SessionId) -> Option<Seat> {
        let index = self.by_session.remove(&session)?;
        let Subscriber { rooms, seat, .. } = self.subscribers.try_remove(index)?;
        for (room, index) in rooms {
            self.take_out(room, index);
        }
        Some(seat)
    }

    /// Removes the subscriber at `index` from a room. The room's last subscriber takes that index.
    fn take_out(&mut self, room: RoomId, index: usize) {
        let Some(in_room) = self.rooms.get_mut(&room) else {
            return;
        };
        in_room.subscribers.swap_remove(index);
        if let Some(&moved) = in_room.subscribers.get(index)
            && let Some((_, its_index)) =
                self.subscribers[moved].rooms.iter_mut().find(|(its, _)| *its == room)
        {
            *its_index = index;
        }
        if in_room.subscribers.is_empty() {
            self.rooms.remove(&room);
        }
    }
}

impl Subscriber {
    fn is_in(&self, room: RoomId) -> bool {
        self.rooms.iter().any(|(its, _)| *its == room)
    }

    /// Delivers a batch. Returns false if the session was skipped, evicted, or gone.
    fn deliver(&self, batch: &Batch, is_volatile: bool, tally: &mut Tally) -> bool {
        // The session decides on a volatile batch. It evicts no session.
        if self.seat.backlog.is_over() && !is_volatile {
            debug!("{} has {} bytes unread", self.session, self.seat.backlog.bytes());
            tally.evicted.push(self.session);
            return false;
        }
        let direct =
            self.outlet.as_ref().map(|outlet| outlet.deliver(&batch.frames, batch.bytes, is_volatile));
        let is_delivered = match direct {
            Some(Direct::Taken) => true,
            Some(Direct::Gone | Direct::Skipped) => false,
            Some(Direct::BehindMail) | None => self.mail(batch, is_volatile, tally),
        };
        if is_delivered {
            tally.messages += batch.messages;
            tally.bytes += batch.bytes;
        }
        is_delivered
    }

    /// Delivers a batch through the session's mailbox. Returns false on failure.
    fn mail(&self, batch: &Batch, is_volatile: bool, tally: &mut Tally) -> bool {
        self.seat.backlog.add(batch.bytes);
        let (session, frames) = (self.session, Arc::clone(&batch.frames));
        let delivery = if is_volatile {
            Delivery::Volatile { session, frames }
        } else {
            Delivery::Frames { session, frames }
        };
        match self.seat.deliveries.try_send(delivery) {
            Ok(()) => {
                self.note_mail();
                return true;
            }
            // The session has stopped; its unregistration is on the way.
            Err(SendError::Closed(_)) => self.seat.backlog.subtract(batch.bytes),
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {} is full", self.session);
                self.seat.backlog.subtract(batch.bytes);
                tally.evicted.push(self.session);
            }
        }
        false
    }

    /// Sends a message after everything delivered before; later deliveries stay behind it.
    fn tell(&self, delivery: Delivery) {
        self.seat.deliveries.do_send(delivery);
        self.note_mail();
    }

    fn note_mail(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.note_mail();
        }
    }
}

impl ToFanOut for Addr<FanOut> {
    fn send(&self, message: ForFanOut) {
        match message {
            ForFanOut::Attach(message) => self.do_send(message),
            ForFanOut::Subscribe(message) => self.do_send(message),
            ForFanOut::Unsubscribe(message) => self.do_send(message),
            ForFanOut::Detach(message) => self.do_send(message),
            ForFanOut::Broadcast(message) => self.do_send(message),
            ForFanOut::Tell(message) => self.do_send(message),
            ForFanOut::DismissAll(message) => self.do_send(message),
        }
    }
}

impl Actor for FanOut {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(OneTurnLater::new(|fanout| !fanout.rooms_to_deliver.is_empty(), Self::deliver_all));
    }
}

impl Handler<FanOutBroadcast> for FanOut {
    type Result = ();

    fn handle(&mut self, FanOutBroadcast { room, broadcast }: FanOutBroadcast, _: &mut Self::Context) {
        // There are no subscribers if the last one left while the broadcast was on its way.
        if let Some(in_room) = self.rooms.get_mut(&room) {
            in_room.broadcasts.push(broadcast);
            if in_room.broadcasts.len() == 1 {
                self.rooms_to_deliver.push(room);
            }
        }
    }
}

impl Handler<Attach> for FanOut {
    type Result = ();

    fn handle(&mut self, Attach { session, seat }: Attach, _: &mut Self::Context) {
        let outlet = self.outlets.take(session);
        let (rooms, lines) = (SmallVec::new(), Vec::new());
        let index =
            self.subscribers.insert(Subscriber { session, seat, outlet, rooms, is_excluded: false, lines });
        let former = self.by_session.insert(session, index);
        debug_assert!(former.is_none(), "{session} attached twice");
    }
}

impl Handler<Subscribe> for FanOut {
    type Result = ();

    fn handle(&mut self, Subscribe { session, room, encoding }: Subscribe, _: &mut Self::Context) {
        self.deliver_around(session);
        self.deliver(room);
        let Some(&index) = self.by_session.get(&session) else {
            return;
        };
        self.subscribers[index].seat.encoding = encoding;
        if !self.subscribers[index].is_in(room) {
            let in_room = &mut self.rooms.entry(room).or_default().subscribers;
            self.subscribers[index].rooms.push((room, in_room.len()));
            in_room.push(index);
        }
    }
}

impl Handler<Unsubscribe> for FanOut {
    type Result = ();

    fn handle(&mut self, Unsubscribe { session, room }: Unsubscribe, _: &mut Self::Context) {
        self.deliver_around(session);
        let Some(&index) = self.by_session.get(&session) else {
            return;
        };
        let rooms = &mut self.subscribers[index].rooms;
        if let Some(at) = rooms.iter().position(|(its, _)| *its == room) {
            let (_, index) = rooms.remove(at);
            self.take_out(room, index);
        }
    }
}

impl Handler<Detach> for FanOut {
    type Result = ();

    /// Does not deliver waiting broadcasts first: many members may leave at one time.
    fn handle(&mut self, Detach { session }: Detach, _: &mut Self::Context) {
        self.forget(session);
    }
}

impl Handler<Tell> for FanOut {
    type Result = ();

    /// The news must come after the lines that were broadcast before it.
    fn handle(&mut self, Tell(all): Tell, _: &mut Self::Context) {
        for (session, news) in all {
            self.deliver_around(session);
            if let Some(subscriber) = self.subscriber(session) {
                subscriber.tell(Delivery::News { session, news });
            }
        }
    }
}

impl Handler<DismissAll> for FanOut {
    type Result = ();

    fn handle(&mut self, _: DismissAll, _: &mut Self::Context) {
        self.deliver_all();
        for (_, subscriber) in &self.subscribers {
            subscriber.tell(Delivery::Dismissed(Ending::Restart));
        }
    }
}
