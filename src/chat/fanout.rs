//! Delivers finished rounds to the sessions of one worker thread.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext as _, Context, Handler, dev::SendError};
use bytes::Bytes;
use log::debug;

use super::{
    messages::{Attach, Delivery, Detach, DismissAll, Dismissal, FanOutRound, MoveTo, Seat, Tell},
    rooms::RoomId,
    round::{Encoding, Hearers, Round},
    turn::OneTurnLater,
};
use crate::{domain::SessionId, metrics::Metrics};

/// A session with more bytes waiting than this does without what is only for those who are idle.
const IDLE_BYTES: usize = 16 * 1024;

/// What a fan-out does with sessions that do not keep up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A session with more bytes waiting than this before a round is evicted.
    pub max_waiting: usize,
    /// How long an evicted session has to take its leave before its connection is cut.
    pub before_cut: Duration,
}

/// One per worker. It delivers one turn after a round has come, and merges the rounds that come until then: each
/// session gets one message for them, and the kernel one write, which is what a delivery costs most of.
///
/// A session that has more than the bound waiting *before* a round is evicted; nobody ever waits for it.
#[derive(Debug)]
pub struct FanOut {
    patience: Patience,
    metrics: Arc<Metrics>,
    rooms: HashMap<RoomId, RoomMembers>,
    /// Where each session is to be found.
    places: HashMap<SessionId, Place>,
    /// Rooms that a round has come for in this turn.
    rooms_to_deliver: Vec<RoomId>,
}

#[derive(Debug, Default)]
struct RoomMembers {
    members: Vec<Member>,
    rounds: Vec<Arc<Round>>,
}

#[derive(Debug)]
struct Member {
    session: SessionId,
    seat: Seat,
    /// Set for the length of one delivery on those who do not hear all of it.
    is_deaf: bool,
}

#[derive(Debug)]
enum Place {
    InRoom { room: RoomId, index: usize },
    Outside(Seat),
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
    pub fn new(patience: Patience, metrics: Arc<Metrics>) -> Self {
        Self {
            patience,
            metrics,
            rooms: HashMap::new(),
            places: HashMap::new(),
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
        // Only rounds that go to the same people can go as one.
        for run in rounds.chunk_by(|a, b| *a.hearers() == Hearers::Room && *b.hearers() == Hearers::Room) {
            let Some(in_room) = self.rooms.get_mut(&room) else {
                return;
            };
            let mut tally = Tally::default();
            match run[0].hearers() {
                Hearers::Idle => in_room.deliver(room, run, &self.places, IDLE_BYTES, &mut tally),
                _ => in_room.deliver(room, run, &self.places, self.patience.max_waiting, &mut tally),
            }
            let spare_them = *run[0].hearers() == Hearers::Idle;
            self.settle(run, if spare_them { Tally { evicted: Vec::new(), ..tally } } else { tally });
        }
    }

    /// Delivers a round to some sessions alone, in rooms or not.
    fn deliver_to(&mut self, sessions: &[SessionId], round: Arc<Round>) {
        let rounds = [round];
        let mut tally = Tally::default();
        for session in sessions {
            if let Some(seat) = self.seat_of(*session)
                && let Some(batch) = Batch::new(&rounds, seat.encoding)
            {
                seat.deliver(*session, &batch, self.patience.max_waiting, &mut tally);
            }
        }
        self.settle(&rounds, tally);
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

    fn seat_of(&self, session: SessionId) -> Option<&Seat> {
        match self.places.get(&session)? {
            Place::Outside(seat) => Some(seat),
            Place::InRoom { room, index } => Some(&self.rooms.get(room)?.members.get(*index)?.seat),
        }
    }

    /// Delivers what waits in the room of a session.
    fn deliver_around(&mut self, session: SessionId) {
        if let Some(&Place::InRoom { room, .. }) = self.places.get(&session) {
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
        match self.places.remove(&session)? {
            Place::Outside(seat) => Some(seat),
            Place::InRoom { room, index } => {
                let in_room = self.rooms.get_mut(&room)?;
                let member = in_room.members.swap_remove(index);
                if let Some(moved) = in_room.members.get(index) {
                    self.places.insert(moved.session, Place::InRoom { room, index });
                }
                if in_room.members.is_empty() {
                    self.rooms.remove(&room);
                }
                Some(member.seat)
            }
        }
    }
}

impl RoomMembers {
    /// One message to each member: the rounds, without what it is not to hear. Who has more than `max_waiting` waiting
    /// is left out and put down for eviction.
    fn deliver(
        &mut self,
        room: RoomId,
        rounds: &[Arc<Round>],
        places: &HashMap<SessionId, Place>,
        max_waiting: usize,
        tally: &mut Tally,
    ) {
        let mut deaf = Vec::new();
        for session in rounds.iter().flat_map(|round| round.deaf()) {
            // A session of another worker, or one that was evicted, has no place here.
            if let Some(&Place::InRoom { room: its_room, index }) = places.get(&session)
                && its_room == room
                && !std::mem::replace(&mut self.members[index].is_deaf, true)
            {
                deaf.push(index);
            }
        }

        // For each encoding, once somebody wants it.
        let mut batches: [Option<Option<Batch>>; Encoding::COUNT] = Default::default();
        for Member { session, seat, .. } in self.members.iter().filter(|member| !member.is_deaf) {
            let batch = &mut batches[seat.encoding.index()];
            if let Some(batch) = batch.get_or_insert_with(|| Batch::new(rounds, seat.encoding)) {
                seat.deliver(*session, batch, max_waiting, tally);
            }
        }

        for index in deaf {
            let Member { session, seat, is_deaf } = &mut self.members[index];
            *is_deaf = false;
            if let Some(batch) = Batch::heard_by(*session, rounds, seat.encoding) {
                seat.deliver(*session, &batch, max_waiting, tally);
            }
        }
    }
}

/// Frames for one or many sessions, at least one.
#[derive(Debug)]
struct Batch {
    frames: Arc<[Bytes]>,
    messages: usize,
    bytes: usize,
}

impl Batch {
    /// All that was said.
    fn new(rounds: &[Arc<Round>], encoding: Encoding) -> Option<Self> {
        let mut messages = 0;
        let frames = rounds.iter().filter_map(|round| {
            let (frames, lines) = round.frames(encoding)?;
            messages += lines;
            Some(frames.clone())
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    /// What one session is to hear of it.
    fn heard_by(session: SessionId, rounds: &[Arc<Round>], encoding: Encoding) -> Option<Self> {
        let mut messages = 0;
        let frames = rounds.iter().flat_map(|round| {
            let (frames, lines) = round.frames_for(session, encoding);
            messages += lines;
            frames
        });
        let frames = frames.collect();
        Self::of(frames, messages)
    }

    fn of(frames: Arc<[Bytes]>, messages: usize) -> Option<Self> {
        let bytes = frames.iter().map(Bytes::len).sum();
        (bytes > 0).then_some(Self { frames, messages, bytes })
    }
}

impl Seat {
    fn deliver(&self, session: SessionId, batch: &Batch, max_waiting: usize, tally: &mut Tally) {
        let behind = self.waiting.bytes();
        if behind > max_waiting {
            debug!("{session} has {behind} bytes unread");
            return tally.evicted.push(session);
        }
        self.waiting.add(batch.bytes);
        match self.deliveries.try_send(Delivery::Frames(Arc::clone(&batch.frames))) {
            Ok(()) => {
                tally.messages += batch.messages;
                tally.bytes += batch.bytes;
            }
            // Gone already; its leaving is under way.
            Err(SendError::Closed(_)) => {}
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {session} is full");
                self.waiting.subtract(batch.bytes);
                tally.evicted.push(session);
            }
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
        if let Hearers::Only(sessions) = round.hearers() {
            return self.deliver_to(sessions, Arc::clone(&round));
        }
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
        self.places.insert(session, Place::Outside(seat));
    }
}

impl Handler<MoveTo> for FanOut {
    type Result = ();

    fn handle(&mut self, MoveTo { session, room }: MoveTo, _: &mut Self::Context) {
        self.deliver_around(session);
        let Some(seat) = self.forget(session) else {
            return;
        };
        let Some(room) = room else {
            self.places.insert(session, Place::Outside(seat));
            return;
        };
        self.deliver(room);
        let members = &mut self.rooms.entry(room).or_default().members;
        self.places.insert(session, Place::InRoom { room, index: members.len() });
        members.push(Member { session, seat, is_deaf: false });
    }
}

impl Handler<Detach> for FanOut {
    type Result = ();

    fn handle(&mut self, Detach { session }: Detach, _: &mut Self::Context) {
        self.deliver_around(session);
        self.forget(session);
    }
}

impl Handler<Tell> for FanOut {
    type Result = ();

    fn handle(&mut self, Tell(deliveries): Tell, _: &mut Self::Context) {
        for (session, delivery) in deliveries {
            if let Some(seat) = self.seat_of(session) {
                seat.deliveries.do_send(delivery);
            }
        }
    }
}

impl Handler<DismissAll> for FanOut {
    type Result = ();

    fn handle(&mut self, _: DismissAll, _: &mut Self::Context) {
        self.deliver_all();
        let in_rooms = self.rooms.values().flat_map(|room| room.members.iter().map(|member| &member.seat));
        let outside = self.places.values().filter_map(|place| match place {
            Place::Outside(seat) => Some(seat),
            Place::InRoom { .. } => None,
        });
        for seat in in_rooms.chain(outside) {
            seat.deliveries.do_send(Delivery::Dismissed(Dismissal::Restart));
        }
    }
}
