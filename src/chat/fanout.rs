//! Delivers finished rounds to the sessions of one worker thread.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext as _, Context, Handler, dev::SendError};
use bytes::Bytes;
use log::debug;

use super::{
    messages::{Attach, Delivery, Detach, DismissAll, Dismissal, FanOutRound, Seat},
    rooms::RoomId,
    round::{Encoding, Round},
    turn::OneTurnLater,
};
use crate::{domain::SessionId, metrics::Metrics};

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
    /// Set for the length of one delivery on those who said something in it.
    has_spoken: bool,
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
        let tally = in_room.deliver(room, &rounds, &self.places, self.patience.max_waiting);
        self.metrics.delivered(tally.messages, tally.bytes);
        for round in &rounds {
            self.metrics.relayed_after(round.age());
        }
        for session in tally.evicted {
            self.evict(session);
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
    /// One message to each member: the rounds, without what it said itself.
    fn deliver(
        &mut self,
        room: RoomId,
        rounds: &[Arc<Round>],
        places: &HashMap<SessionId, Place>,
        max_waiting: usize,
    ) -> Tally {
        let mut tally = Tally::default();
        let mut spoken = Vec::new();
        for sender in rounds.iter().flat_map(|round| round.senders()) {
            // A sender of another worker, or one that was evicted, has no place here.
            if let Some(&Place::InRoom { room: its_room, index }) = places.get(&sender)
                && its_room == room
                && !std::mem::replace(&mut self.members[index].has_spoken, true)
            {
                spoken.push(index);
            }
        }

        let plain = Batch::new(rounds, Encoding::Plain);
        let deflated =
            rounds.iter().any(|round| round.is_deflated()).then(|| Batch::new(rounds, Encoding::Deflated));
        for member in self.members.iter().filter(|member| !member.has_spoken) {
            let batch = match member.seat.encoding {
                Encoding::Deflated => deflated.as_ref().unwrap_or(&plain),
                Encoding::Plain => &plain,
            };
            member.deliver(batch, max_waiting, &mut tally);
        }

        for index in spoken {
            let member = &mut self.members[index];
            member.has_spoken = false;
            let batch = Batch::without(rounds, member.session, member.seat.encoding);
            if !batch.frames.is_empty() {
                member.deliver(&batch, max_waiting, &mut tally);
            }
        }
        tally
    }
}

/// Frames for one or many sessions.
#[derive(Debug)]
struct Batch {
    frames: Arc<[Bytes]>,
    messages: usize,
    bytes: usize,
}

impl Batch {
    fn new(rounds: &[Arc<Round>], encoding: Encoding) -> Self {
        let messages = rounds.iter().map(|round| round.len()).sum();
        Self::of(rounds.iter().map(|round| round.frames(encoding).clone()), messages)
    }

    fn without(rounds: &[Arc<Round>], session: SessionId, encoding: Encoding) -> Self {
        let messages =
            rounds.iter().flat_map(|round| round.senders()).filter(|sender| *sender != session).count();
        Self::of(rounds.iter().flat_map(|round| round.frames_without(session, encoding)), messages)
    }

    fn of(frames: impl Iterator<Item = Bytes>, messages: usize) -> Self {
        let frames: Arc<[Bytes]> = frames.collect();
        let bytes = frames.iter().map(Bytes::len).sum();
        Self { frames, messages, bytes }
    }
}

impl Member {
    fn deliver(&self, batch: &Batch, max_waiting: usize, tally: &mut Tally) {
        let Seat { deliveries, waiting, .. } = &self.seat;
        let behind = waiting.bytes();
        if behind > max_waiting {
            debug!("{} has {behind} bytes unread: evicted", self.session);
            return tally.evicted.push(self.session);
        }
        waiting.add(batch.bytes);
        match deliveries.try_send(Delivery::Frames(Arc::clone(&batch.frames))) {
            Ok(()) => {
                tally.messages += batch.messages;
                tally.bytes += batch.bytes;
            }
            // Gone already; its leaving is under way.
            Err(SendError::Closed(_)) => {}
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {} is full: evicted", self.session);
                tally.evicted.push(self.session);
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

    fn handle(&mut self, Attach { session, room, seat }: Attach, _: &mut Self::Context) {
        let Some(room) = room else {
            self.places.insert(session, Place::Outside(seat));
            return;
        };
        self.deliver(room);
        let members = &mut self.rooms.entry(room).or_default().members;
        self.places.insert(session, Place::InRoom { room, index: members.len() });
        members.push(Member { session, seat, has_spoken: false });
    }
}

impl Handler<Detach> for FanOut {
    type Result = ();

    fn handle(&mut self, Detach { session }: Detach, _: &mut Self::Context) {
        if let Some(&Place::InRoom { room, .. }) = self.places.get(&session) {
            self.deliver(room);
        }
        self.forget(session);
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
