//! Delivers finished rounds to the sessions of one worker thread.

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, AsyncContext as _, Context, Handler, dev::SendError};
use bytes::Bytes;
use log::debug;

use super::{
    messages::{Attach, Delivery, Detach, FanOutRound, Seat},
    rooms::RoomId,
    round::Round,
    turn::WhenMailboxIsEmpty,
};
use crate::domain::SessionId;

/// One per worker. Rounds that wait in its mailbox together are merged: each session gets one message for them.
///
/// A session that has more than the bound waiting *before* a round is evicted; nobody ever waits for it.
#[derive(Debug)]
pub struct FanOut {
    max_waiting: usize,
    rooms: HashMap<RoomId, RoomMembers>,
    /// Where each session stands in its room.
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

#[derive(Clone, Copy, Debug)]
struct Place {
    room: RoomId,
    index: usize,
}

impl FanOut {
    /// A fan-out that evicts sessions with more than `max_waiting` bytes unread.
    pub fn new(max_waiting: usize) -> Self {
        Self { max_waiting, rooms: HashMap::new(), places: HashMap::new(), rooms_to_deliver: Vec::new() }
    }

    fn deliver_all(&mut self) {
        for room in std::mem::take(&mut self.rooms_to_deliver) {
            self.deliver(room);
        }
    }

    /// Delivers what waits in one room: when the mailbox is empty, and before the room's members change.
    fn deliver(&mut self, room: RoomId) {
        let mut evicted = Vec::new();
        if let Some(in_room) = self.rooms.get_mut(&room)
            && !in_room.rounds.is_empty()
        {
            in_room.deliver(room, &self.places, self.max_waiting, &mut evicted);
        }
        for session in evicted {
            self.forget(session);
        }
    }

    fn forget(&mut self, session: SessionId) {
        let Some(place) = self.places.remove(&session) else {
            return;
        };
        let Some(in_room) = self.rooms.get_mut(&place.room) else {
            return;
        };
        in_room.members.swap_remove(place.index);
        if let Some(moved) = in_room.members.get(place.index) {
            self.places.insert(moved.session, place);
        }
        if in_room.members.is_empty() {
            self.rooms.remove(&place.room);
        }
    }
}

impl RoomMembers {
    /// One message to each member: the waiting rounds, without what it said itself.
    fn deliver(
        &mut self,
        room: RoomId,
        places: &HashMap<SessionId, Place>,
        max_waiting: usize,
        evicted: &mut Vec<SessionId>,
    ) {
        let rounds = std::mem::take(&mut self.rounds);
        let mut spoken = Vec::new();
        for sender in rounds.iter().flat_map(|round| round.senders()) {
            if let Some(place) = places.get(&sender).filter(|place| place.room == room)
                && !std::mem::replace(&mut self.members[place.index].has_spoken, true)
            {
                spoken.push(place.index);
            }
        }

        let for_listeners: Arc<[Bytes]> = rounds.iter().map(|round| round.frames().clone()).collect();
        let bytes = total_len(&for_listeners);
        for member in self.members.iter().filter(|member| !member.has_spoken) {
            member.deliver(&for_listeners, bytes, max_waiting, evicted);
        }

        for index in spoken {
            let member = &mut self.members[index];
            member.has_spoken = false;
            let of_others: Arc<[Bytes]> =
                rounds.iter().flat_map(|round| round.frames_without(member.session)).collect();
            if !of_others.is_empty() {
                member.deliver(&of_others, total_len(&of_others), max_waiting, evicted);
            }
        }
    }
}

impl Member {
    fn deliver(&self, frames: &Arc<[Bytes]>, bytes: usize, max_waiting: usize, evicted: &mut Vec<SessionId>) {
        let Seat { deliveries, waiting } = &self.seat;
        let behind = waiting.bytes();
        let refused = if behind > max_waiting {
            debug!("{} has {behind} bytes unread: evicted", self.session);
            true
        } else {
            waiting.add(bytes);
            match deliveries.try_send(Delivery::Frames(Arc::clone(frames))) {
                Ok(()) => false,
                // Gone already; its leaving is under way.
                Err(SendError::Closed(_)) => return,
                Err(SendError::Full(_)) => {
                    debug!("the mailbox of {} is full: evicted", self.session);
                    true
                }
            }
        };
        if refused {
            deliveries.do_send(Delivery::Evicted);
            evicted.push(self.session);
        }
    }
}

fn total_len(frames: &[Bytes]) -> usize {
    frames.iter().map(Bytes::len).sum()
}

impl Actor for FanOut {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(WhenMailboxIsEmpty(Self::deliver_all));
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
        self.deliver(room);
        let members = &mut self.rooms.entry(room).or_default().members;
        self.places.insert(session, Place { room, index: members.len() });
        members.push(Member { session, seat, has_spoken: false });
    }
}

impl Handler<Detach> for FanOut {
    type Result = ();

    fn handle(&mut self, Detach { session }: Detach, _: &mut Self::Context) {
        if let Some(place) = self.places.get(&session) {
            self.deliver(place.room);
            self.forget(session);
        }
    }
}
