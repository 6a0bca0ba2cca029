//! Delivers finished broadcasts to the sessions of one worker thread.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, Message, dev::SendError};
use log::debug;
use slab::Slab;
use smallvec::SmallVec;

use super::{
    aim::{Hearers, Reach},
    batch::{AimedBatches, Batch},
    encoding::Encoding,
    map::Map,
    messages::{Attach, Delivery, Detach, DismissAll, Dismissal, FanOutRound, Hear, Ignore, Seat, Tell},
    outlets::Outlets,
    rooms::RoomId,
    round::Round,
    turn::OneTurnLater,
};
use crate::{
    connection::{Direct, DirectOutlet},
    domain::{SessionId, WorkerId},
    metrics::Metrics,
};

/// Limits for sessions that do not read fast enough.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A session with more bytes than this waiting before a broadcast is evicted.
    pub max_waiting: usize,
    /// Time in which an evicted session must finish before its connection is cut.
    pub before_cut: Duration,
}

/// The actor of one worker that delivers broadcasts. It delivers one turn after a broadcast has arrived and
/// merges the broadcasts that arrive meanwhile, because each session's write is the largest cost. A session
/// with an outlet (see [`Outlets`]) is written to directly; others get one message.
///
/// A session whose backlog exceeds the limit *before* a broadcast is evicted, so no delivery waits for a slow
/// client.
#[derive(Debug)]
pub struct FanOut {
    patience: Patience,
    metrics: Arc<Metrics>,
    /// Outlets of new sessions that are not registered yet.
    outlets: Outlets,
    listeners: Slab<Listener>,
    rooms: Map<RoomId, RoomListeners>,
    /// Indices into `listeners`.
    places: Map<SessionId, usize>,
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

/// A session of this worker.
#[derive(Debug)]
struct Listener {
    session: SessionId,
    seat: Seat,
    /// Direct delivery to the session; `None` if deliveries go through its mailbox.
    outlet: Option<Rc<dyn DirectOutlet>>,
    /// The rooms that the session is subscribed to, with its index in each room's `members`.
    rooms: SmallVec<[(RoomId, usize); 1]>,
    /// Set during a delivery to a room: the session misses a line of it.
    is_deaf: bool,
    /// Set during an aimed delivery: numbers of the lines that the session gets.
    lines: Vec<usize>,
}

#[derive(Debug, Default)]
struct RoomListeners {
    /// Indices into `listeners`.
    members: Vec<usize>,
    rounds: Vec<Arc<Round>>,
}

/// Rules of one delivery.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// A session with more bytes waiting is evicted instead.
    max_waiting: usize,
    /// The delivery is volatile: sessions whose transport is not writable are skipped.
    is_volatile: bool,
}

/// Totals of one delivery.
#[derive(Debug, Default)]
struct Tally {
    messages: usize,
    bytes: usize,
    evicted: Vec<SessionId>,
}

impl FanOut {
    /// A fan-out without sessions.
    pub fn new(patience: Patience, outlets: Outlets, metrics: Arc<Metrics>) -> Self {
        Self {
            patience,
            metrics,
            outlets,
            listeners: Slab::new(),
            rooms: Map::default(),
            places: Map::default(),
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
        let Some(in_room) = self.rooms.get_mut(&room).filter(|in_room| !in_room.rounds.is_empty()) else {
            return;
        };
        let rounds = std::mem::take(&mut in_room.rounds);
        // Merge adjacent broadcasts with equal recipients; the order of broadcasts is kept.
        for run in rounds.chunk_by(|a, b| a.hearers() == b.hearers()) {
            let is_volatile = *run[0].hearers() == Hearers::Idle;
            let manner = Manner { max_waiting: self.patience.max_waiting, is_volatile };
            let mut tally = Tally::default();
            if let Hearers::Only(sessions) = run[0].hearers() {
                self.deliver_to(sessions, run, manner, &mut tally);
            } else if run.iter().any(|round| round.is_aimed()) {
                self.deliver_aimed(room, run, manner, &mut tally);
            } else {
                self.deliver_to_room(room, run, manner, &mut tally);
            }
            if is_volatile {
                // A volatile delivery only skips; it evicts no session.
                tally.evicted.clear();
            }
            self.settle(run, tally);
        }
    }

    /// Delivers broadcasts to each subscriber of a room, without the lines that exclude it.
    fn deliver_to_room(&mut self, room: RoomId, rounds: &[Arc<Round>], manner: Manner, tally: &mut Tally) {
        let Some(in_room) = self.rooms.get(&room) else {
            return;
        };
        let mut deaf = Vec::new();
        for session in rounds.iter().flat_map(|round| round.deaf()) {
            // Skip sessions of other workers and evicted ones: they have no index here.
            if let Some(&place) = self.places.get(&session)
                && self.listeners[place].is_in(room)
                && !std::mem::replace(&mut self.listeners[place].is_deaf, true)
            {
                deaf.push(place);
            }
        }

        // One batch per encoding, built when a subscriber needs it.
        let mut batches: [Option<Option<Batch>>; Encoding::COUNT] = Default::default();
        for place in &in_room.members {
            let listener = &self.listeners[*place];
            if !listener.is_deaf {
                let encoding = listener.seat.encoding;
                let batch = &mut batches[encoding.index()];
                if let Some(batch) = batch.get_or_insert_with(|| Batch::new(rounds, encoding)) {
                    listener.deliver(batch, manner, tally);
                }
            }
        }

        for place in deaf {
            let listener = &mut self.listeners[place];
            listener.is_deaf = false;
            if let Some(batch) = Batch::heard_by(listener.session, rounds, listener.seat.encoding) {
                listener.deliver(&batch, manner, tally);
            }
        }
    }

    /// Delivers broadcasts whose lines are for some subscribers only. Each listener collects the numbers of
    /// its lines; listeners with equal numbers and encoding share a batch.
    fn deliver_aimed(&mut self, room: RoomId, rounds: &[Arc<Round>], manner: Manner, tally: &mut Tally) {
        let mut hearing = Vec::new();
        let reaches = rounds.iter().flat_map(|round| round.reaches());
        for (line, reach) in reaches.enumerate() {
            match reach {
                Reach::All => self.note_line(line, &[room], &[], &mut hearing, |_| true),
                Reach::AllBut(deaf) => {
                    self.note_line(line, &[room], &[], &mut hearing, |listener| listener.session != *deaf)
                }
                Reach::Some(aim) => {
                    let hears = |listener: &Listener| {
                        listener.is_in(room)
                            && !aim.but_sessions.contains(&listener.session)
                            && !aim.but_rooms.iter().any(|but| listener.is_in(*but))
                    };
                    let all = aim.all.then_some(room);
                    let rooms: SmallVec<[RoomId; 2]> = all.iter().chain(&aim.rooms).copied().collect();
                    self.note_line(line, &rooms, &aim.sessions, &mut hearing, hears);
                }
            }
        }

        let mut batches = AimedBatches::new(rounds);
        for place in hearing {
            let listener = &mut self.listeners[place];
            let lines = std::mem::take(&mut listener.lines);
            if let Some(batch) = batches.of(lines, listener.seat.encoding) {
                listener.deliver(batch, manner, tally);
            }
        }
    }

    /// Adds a line's number to the listeners in `rooms` and `sessions` for which `hears` holds. Listeners
    /// that had no number before are added to `hearing`.
    fn note_line(
        &mut self,
        line: usize,
        rooms: &[RoomId],
        sessions: &[SessionId],
        hearing: &mut Vec<usize>,
        hears: impl Fn(&Listener) -> bool,
    ) {
        let in_rooms = rooms.iter().filter_map(|room| self.rooms.get(room)).flat_map(|room| &room.members);
        let alone = sessions.iter().filter_map(|session| self.places.get(session));
        for &place in in_rooms.chain(alone) {
            let listener = &mut self.listeners[place];
            // A listener in two of the rooms gets the line once.
            if listener.lines.last() != Some(&line) && hears(listener) {
                if listener.lines.is_empty() {
                    hearing.push(place);
                }
                listener.lines.push(line);
            }
        }
    }

    /// Delivers broadcasts to these sessions only, and reports each success to
    /// [`Handed`](super::round::Handed).
    fn deliver_to(&self, sessions: &[SessionId], rounds: &[Arc<Round>], manner: Manner, tally: &mut Tally) {
        for session in sessions {
            if let Some(listener) = self.listener(*session)
                && let Some(batch) = Batch::new(rounds, listener.seat.encoding)
                && listener.deliver(&batch, manner, tally)
            {
                rounds.iter().filter_map(|round| round.handing()).for_each(|handing| handing.note(*session));
            }
        }
    }

    /// Records the metrics of a delivery and evicts the sessions that were too slow.
    fn settle(&mut self, rounds: &[Arc<Round>], tally: Tally) {
        self.metrics.delivered(tally.messages, tally.bytes);
        for age in rounds.iter().filter_map(|round| round.age()) {
            self.metrics.relayed_after(age);
        }
        for session in tally.evicted {
            self.evict(session);
        }
    }

    fn listener(&self, session: SessionId) -> Option<&Listener> {
        self.listeners.get(*self.places.get(&session)?)
    }

    /// Delivers the broadcasts that wait for any room of a session.
    fn deliver_around(&mut self, session: SessionId) {
        let Some(listener) = self.places.get(&session).and_then(|place| self.listeners.get(*place)) else {
            return;
        };
        for (room, _) in listener.rooms.clone() {
            self.deliver(room);
        }
    }

    fn evict(&mut self, session: SessionId) {
        if let Some(seat) = self.forget(session) {
            self.metrics.evicted();
            seat.deliveries.do_send(Delivery::Dismissed(Dismissal::SlowConsumer));
            seat.cutter.cut_after(self.patience.before_cut);
        }
    }

    fn forget(&mut self, session: SessionId) -> Option<Seat> {
        let place = self.places.remove(&session)?;
        let Listener { rooms, seat, .. } = self.listeners.try_remove(place)?;
        for (room, index) in rooms {
            self.take_out(room, index);
        }
        Some(seat)
    }

    /// Removes the member at `index` from a room. The room's last member takes that index.
    fn take_out(&mut self, room: RoomId, index: usize) {
        let Some(in_room) = self.rooms.get_mut(&room) else {
            return;
        };
        in_room.members.swap_remove(index);
        if let Some(&moved) = in_room.members.get(index)
            && let Some((_, place)) = self.listeners[moved].rooms.iter_mut().find(|(its, _)| *its == room)
        {
            *place = index;
        }
        if in_room.members.is_empty() {
            self.rooms.remove(&room);
        }
    }
}

impl Listener {
    fn is_in(&self, room: RoomId) -> bool {
        self.rooms.iter().any(|(its, _)| *its == room)
    }

    /// Delivers a batch. Returns false if the session was skipped, evicted, or gone.
    fn deliver(&self, batch: &Batch, manner: Manner, tally: &mut Tally) -> bool {
        let behind = self.seat.waiting.bytes();
        // The session decides on a volatile batch. It evicts no session.
        if behind > manner.max_waiting && !manner.is_volatile {
            debug!("{} has {behind} bytes unread", self.session);
            tally.evicted.push(self.session);
            return false;
        }
        let direct =
            self.outlet.as_ref().map(|outlet| outlet.deliver(&batch.frames, batch.bytes, manner.is_volatile));
        let is_delivered = match direct {
            Some(Direct::Taken) => true,
            Some(Direct::Gone | Direct::Skipped) => false,
            Some(Direct::BehindMail) | None => self.mail(batch, manner, tally),
            Some(Direct::Full) => {
                debug!("{} has too much unread", self.session);
                tally.evicted.push(self.session);
                false
            }
        };
        if is_delivered {
            tally.messages += batch.messages;
            tally.bytes += batch.bytes;
        }
        is_delivered
    }

    /// Delivers a batch through the session's mailbox. Returns false on failure.
    fn mail(&self, batch: &Batch, manner: Manner, tally: &mut Tally) -> bool {
        self.seat.waiting.add(batch.bytes);
        let (session, frames) = (self.session, Arc::clone(&batch.frames));
        let delivery = if manner.is_volatile {
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
            Err(SendError::Closed(_)) => self.seat.waiting.subtract(batch.bytes),
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {} is full", self.session);
                self.seat.waiting.subtract(batch.bytes);
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

impl Actor for FanOut {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(OneTurnLater::new(|fanout| !fanout.rooms_to_deliver.is_empty(), Self::deliver_all));
    }
}

impl Handler<FanOutRound> for FanOut {
    type Result = ();

    fn handle(&mut self, FanOutRound { room, round }: FanOutRound, _: &mut Self::Context) {
        // There are no subscribers if the last one left while the broadcast was on its way.
        if let Some(in_room) = self.rooms.get_mut(&room) {
            in_room.rounds.push(round);
            if in_room.rounds.len() == 1 {
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
        let place = self.listeners.insert(Listener { session, seat, outlet, rooms, is_deaf: false, lines });
        let former = self.places.insert(session, place);
        debug_assert!(former.is_none(), "{session} attached twice");
    }
}

impl Handler<Hear> for FanOut {
    type Result = ();

    fn handle(&mut self, Hear { session, room, encoding }: Hear, _: &mut Self::Context) {
        self.deliver_around(session);
        self.deliver(room);
        let Some(&place) = self.places.get(&session) else {
            return;
        };
        self.listeners[place].seat.encoding = encoding;
        if !self.listeners[place].is_in(room) {
            let members = &mut self.rooms.entry(room).or_default().members;
            self.listeners[place].rooms.push((room, members.len()));
            members.push(place);
        }
    }
}

impl Handler<Ignore> for FanOut {
    type Result = ();

    fn handle(&mut self, Ignore { session, room }: Ignore, _: &mut Self::Context) {
        self.deliver_around(session);
        let Some(&place) = self.places.get(&session) else {
            return;
        };
        let rooms = &mut self.listeners[place].rooms;
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
            if let Some(listener) = self.listener(session) {
                listener.tell(Delivery::News { session, news });
            }
        }
    }
}

impl Handler<DismissAll> for FanOut {
    type Result = ();

    fn handle(&mut self, _: DismissAll, _: &mut Self::Context) {
        self.deliver_all();
        for (_, listener) in &self.listeners {
            listener.tell(Delivery::Dismissed(Dismissal::Restart));
        }
    }
}
