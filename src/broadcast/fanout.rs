//! Delivers finished rounds to the sessions of one worker thread.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext as _, Context, Handler, dev::SendError};
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
    domain::SessionId,
    metrics::Metrics,
};

/// What a fan-out does with sessions that do not keep up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A session with more bytes waiting than this before a round is evicted.
    pub max_waiting: usize,
    /// How long an evicted session has to take its leave before its connection is cut.
    pub before_cut: Duration,
}

/// One per worker. It delivers one turn after a round has come, and merges the rounds that come until then: for each
/// session that is one write, which is what a delivery costs most of. A session whose socket is on this thread's hands
/// (see [`Outlets`]) is written to at once; another gets one message.
///
/// A session that has more than the bound waiting *before* a round is evicted; nobody ever waits for it.
#[derive(Debug)]
pub struct FanOut {
    patience: Patience,
    metrics: Arc<Metrics>,
    /// Of sessions that have begun and are not attached yet.
    outlets: Outlets,
    listeners: Slab<Listener>,
    rooms: Map<RoomId, RoomListeners>,
    /// Where each session is among the listeners.
    places: Map<SessionId, usize>,
    /// Rooms that a round has come for in this turn.
    rooms_to_deliver: Vec<RoomId>,
}

/// A session of this worker, in rooms or not.
#[derive(Debug)]
struct Listener {
    session: SessionId,
    seat: Seat,
    /// Its way to the socket, if that does not lead through its mailbox.
    outlet: Option<Rc<dyn DirectOutlet>>,
    /// The rooms it hears, and its place in each.
    rooms: SmallVec<[(RoomId, usize); 1]>,
    /// Set for the length of one delivery on those who do not hear all of it.
    is_deaf: bool,
    /// For the length of one aimed delivery: the numbers of the lines it hears.
    lines: Vec<usize>,
}

#[derive(Debug, Default)]
struct RoomListeners {
    /// Places among the listeners.
    members: Vec<usize>,
    rounds: Vec<Arc<Round>>,
}

/// How a delivery is made.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// A session with more bytes waiting is left out, and evicted.
    max_waiting: usize,
    /// A session whose transport is not writable is left out.
    is_volatile: bool,
}

/// What one delivery amounted to.
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

    /// Delivers what waits in one room: one turn after it came, and before the room's members change.
    fn deliver(&mut self, room: RoomId) {
        let Some(in_room) = self.rooms.get_mut(&room).filter(|in_room| !in_room.rounds.is_empty()) else {
            return;
        };
        let rounds = std::mem::take(&mut in_room.rounds);
        // Rounds for the same hearers go as one, and none before one that came earlier.
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
                // They do without; that is all.
                tally.evicted.clear();
            }
            self.settle(run, tally);
        }
    }

    /// One message to each member of a room: the rounds, without what it is not to hear.
    fn deliver_to_room(&mut self, room: RoomId, rounds: &[Arc<Round>], manner: Manner, tally: &mut Tally) {
        let Some(in_room) = self.rooms.get(&room) else {
            return;
        };
        let mut deaf = Vec::new();
        for session in rounds.iter().flat_map(|round| round.deaf()) {
            // A session of another worker, or one that was evicted, has no place here.
            if let Some(&place) = self.places.get(&session)
                && self.listeners[place].is_in(room)
                && !std::mem::replace(&mut self.listeners[place].is_deaf, true)
            {
                deaf.push(place);
            }
        }

        // For each encoding, once somebody wants it.
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

    /// The same for rounds with lines that only some of the room are to hear: each listener is given the numbers of its
    /// lines, and those with the same numbers share a batch.
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

    /// Gives a line's number to those in `rooms` and to `sessions`, if it is for them. Those who had none before are
    /// added to `hearing`.
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
            // Whoever is in two of the rooms hears it once.
            if listener.lines.last() != Some(&line) && hears(listener) {
                if listener.lines.is_empty() {
                    hearing.push(place);
                }
                listener.lines.push(line);
            }
        }
    }

    /// Delivers rounds to some sessions alone.
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

    /// Counts what a delivery amounted to, and carries out its evictions.
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

    /// Delivers what waits in the rooms of a session.
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

    /// Takes whoever is there out of a room, and puts the last one in that place.
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

    /// Hands it a batch; whether it was delivered.
    fn deliver(&self, batch: &Batch, manner: Manner, tally: &mut Tally) -> bool {
        let behind = self.seat.waiting.bytes();
        // What is volatile is for the session to judge, and evicts none.
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

    /// Delivers by way of the session's mailbox; whether it was delivered.
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
            // Gone already; its leaving is under way.
            Err(SendError::Closed(_)) => self.seat.waiting.subtract(batch.bytes),
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {} is full", self.session);
                self.seat.waiting.subtract(batch.bytes);
                tally.evicted.push(self.session);
            }
        }
        false
    }

    /// Tells the session something, behind what it has been handed and before what it is handed next.
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
        // No members here: the last one was evicted while the round was under way.
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

    /// What waits in its rooms goes to the others in its time: half of a room may be gone at once.
    fn handle(&mut self, Detach { session }: Detach, _: &mut Self::Context) {
        self.forget(session);
    }
}

impl Handler<Tell> for FanOut {
    type Result = ();

    /// An answer comes behind what had been said before it.
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
