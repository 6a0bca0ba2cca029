//! The sessions of a worker, and the rooms that they are subscribed to.

use std::{rc::Rc, sync::Arc};

use slab::Slab;

use super::subscriber::Subscriber;
use crate::{
    broadcast::{encoding::Encoding, lines::Broadcast, messages::Seat, room_id::RoomId},
    connection::DirectOutlet,
    domain::{Map, MemberId},
};

/// All sessions of a worker, by session and by room.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub(super) subscribers: Slab<Subscriber>,
    pub(super) rooms: Map<RoomId, Room>,
    /// Indices into `subscribers`.
    pub(super) by_session: Map<MemberId, usize>,
}

/// A room with subscribers on this worker.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Indices into [`Subscriptions::subscribers`].
    pub(super) subscribers: Vec<usize>,
    /// Broadcasts that wait for their delivery.
    broadcasts: Vec<Arc<Broadcast>>,
}

impl Subscriptions {
    /// Adds a session, without rooms.
    pub(super) fn add(&mut self, member: MemberId, seat: Seat, outlet: Option<Rc<dyn DirectOutlet>>) {
        let index = self.subscribers.insert(Subscriber::new(member, seat, outlet));
        let former = self.by_session.insert(member, index);
        debug_assert!(former.is_none(), "{member} attached twice");
    }

    /// Subscribes a session to a room. Its frames have this encoding from now on.
    pub(super) fn subscribe(&mut self, member: MemberId, room: RoomId, encoding: Encoding) {
        let Some(&index) = self.by_session.get(&member) else {
            return;
        };
        self.subscribers[index].seat.encoding = encoding;
        if !self.subscribers[index].is_in(room) {
            let in_room = &mut self.rooms.entry(room).or_default().subscribers;
            self.subscribers[index].rooms.push((room, in_room.len()));
            in_room.push(index);
        }
    }

    /// Unsubscribes a session from a room.
    pub(super) fn unsubscribe(&mut self, member: MemberId, room: RoomId) {
        let Some(&index) = self.by_session.get(&member) else {
            return;
        };
        let rooms = &mut self.subscribers[index].rooms;
        if let Some(at) = rooms.iter().position(|(its, _)| *its == room) {
            let (_, index) = rooms.remove(at);
            self.take_out(room, index);
        }
    }

    /// Removes a session from all its rooms. Returns its seat, if it is known.
    pub(super) fn remove(&mut self, member: MemberId) -> Option<Seat> {
        let index = self.by_session.remove(&member)?;
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

    /// A session of this worker.
    pub(super) fn subscriber(&self, member: MemberId) -> Option<&Subscriber> {
        self.subscribers.get(*self.by_session.get(&member)?)
    }

    /// Keeps a broadcast until its room is delivered to. Returns whether it is the first one that waits; none
    /// waits for a room without subscribers.
    pub(super) fn wait(&mut self, room: RoomId, broadcast: Arc<Broadcast>) -> bool {
        let Some(in_room) = self.rooms.get_mut(&room) else {
            return false;
        };
        in_room.broadcasts.push(broadcast);
        in_room.broadcasts.len() == 1
    }

    /// Takes the broadcasts that wait for a room.
    pub(super) fn take_waiting(&mut self, room: RoomId) -> Vec<Arc<Broadcast>> {
        self.rooms.get_mut(&room).map(|in_room| std::mem::take(&mut in_room.broadcasts)).unwrap_or_default()
    }
}
