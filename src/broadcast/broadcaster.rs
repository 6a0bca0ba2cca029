//! The state of a server of rooms: who is in which room, and what was said there and is not sent yet.

use std::{any::Any, sync::Arc};

use smallvec::SmallVec;

use super::{
    aim::{Reach, Recipients},
    directory::AnyRoom,
    encoding::{Encode, Encoding},
    lines::{Broadcast, Handed, OpenBroadcast},
    messages::{Attach, Detach, Dismiss, FanOutBroadcast, ForFanOut, Seat, Subscribe, Tell, Unsubscribe},
    room_bound::RoomBound,
    room_id::RoomId,
    rooms::{Member, Remains, Rooms},
    subscribers::Subscribers,
};
use crate::{
    connection::{Accepted, Budget, Ending},
    domain::{MemberId, WorkerId},
    protocol::websocket::deflate::{Deflater, FULL_WINDOW},
};

/// Members, rooms and open broadcasts, and what is to be sent to the fan-outs. It has no addresses: its owner
/// sends what it takes by [`outgoing`](Self::outgoing).
///
/// A line waits in the open broadcast of its room, with those before it. An open broadcast ends, which sends
/// it to the fan-outs, when it is full, when its owner ends it, and before its recipients change: before a
/// member of the room enters or leaves a room, because lines may be aimed at other rooms than their own. So
/// each subscriber gets what is said while it is subscribed. It does not end for a member that is removed:
/// such a member gets nothing more, and many may be removed at one time.
#[derive(Debug)]
pub(crate) struct Broadcaster<R: AnyRoom> {
    /// The rooms and their members.
    pub rooms: Rooms<R>,
    /// What is to be sent to the fan-outs, in order.
    outgoing: Vec<(WorkerId, ForFanOut)>,
    /// Rooms with an open broadcast.
    open_rooms: Vec<RoomId>,
    /// Made for the first room with a subscriber that takes compressed frames.
    deflater: Option<Deflater>,
    budget: Arc<Budget>,
}

/// The broadcasts that were sent to the fan-outs, each with its room, in order. Their owner may have to keep
/// what was said in them.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Ended(SmallVec<[(RoomId, Arc<Broadcast>); 1]>);

impl IntoIterator for Ended {
    type Item = (RoomId, Arc<Broadcast>);
    type IntoIter = smallvec::IntoIter<[(RoomId, Arc<Broadcast>); 1]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<R: AnyRoom> Broadcaster<R> {
    /// Without members and rooms. Frames that wait for clients are charged to `budget`.
    pub(crate) fn new(bound: RoomBound, budget: Arc<Budget>) -> Self {
        Self {
            rooms: Rooms::new(bound),
            outgoing: Vec::new(),
            open_rooms: Vec::new(),
            deflater: None,
            budget,
        }
    }

    /// The memory budget of all clients.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Takes what is to be sent to the fan-outs, in order.
    pub(crate) fn outgoing(&mut self) -> std::vec::Drain<'_, (WorkerId, ForFanOut)> {
        self.outgoing.drain(..)
    }

    fn send_to(&mut self, worker: WorkerId, message: ForFanOut) {
        self.outgoing.push((worker, message));
    }

    /// Registers a session, in no room and not subscribed.
    pub(crate) fn register(&mut self, member: MemberId, worker: WorkerId, seat: Seat, own: R::Member) {
        self.rooms.register(member, worker, seat.encoding, own);
        self.send_to(worker, ForFanOut::Attach(Attach { member, seat }));
    }

    /// Takes a member out of its rooms and unregisters it. Idempotent. Returns what was known of it.
    pub(crate) fn remove(&mut self, member: MemberId) -> Option<Member<R::Member>> {
        let known = self.rooms.remove(member)?;
        self.send_to(known.worker, ForFanOut::Detach(Detach { member }));
        Some(known)
    }

    /// What is left for a server that begins again, because it has panicked.
    pub(crate) fn remains(self) -> Remains<R> {
        self.rooms.remains()
    }

    /// Goes on with what is left of a broadcaster that had the same fan-outs.
    pub(crate) fn adopt(&mut self, remains: Remains<R>) {
        self.rooms.adopt(remains);
    }

    /// Registers a session that another server of rooms has released: its fan-out knows it already.
    pub(crate) fn take_over(
        &mut self,
        member: MemberId,
        worker: WorkerId,
        encoding: Encoding,
        own: R::Member,
    ) {
        self.rooms.register(member, worker, encoding, own);
    }

    /// Unregisters a session that is in no room, for another server of rooms: its fan-out is not told.
    pub(crate) fn release(&mut self, member: MemberId) {
        self.rooms.remove(member);
    }

    /// Sends a session away. Its fan-out forgets it at once. Idempotent. Returns what was known of it.
    pub(crate) fn dismiss(&mut self, member: MemberId, ending: Ending) -> Option<Member<R::Member>> {
        let known = self.rooms.remove(member)?;
        self.send_to(known.worker, ForFanOut::Dismiss(Dismiss { member, ending }));
        Some(known)
    }

    /// Puts a member into a room. Idempotent.
    pub(crate) fn enter(&mut self, member: MemberId, room: RoomId) -> Ended {
        let Some(Member { rooms, is_subscribed, worker, encoding, .. }) = self.rooms.member(member) else {
            return Ended::default();
        };
        if rooms.contains(&room) {
            return Ended::default();
        }
        let (is_subscribed, worker, encoding) = (*is_subscribed, *worker, *encoding);
        let mut ended = Ended::default();
        if is_subscribed {
            self.end_around(member, &mut ended);
            self.end_into(room, &mut ended);
        }
        self.rooms.put(member, room);
        if is_subscribed {
            self.send_to(worker, ForFanOut::Subscribe(Subscribe { member, room, encoding }));
        }
        ended
    }

    /// Takes a member out of a room. Idempotent.
    pub(crate) fn leave(&mut self, member: MemberId, room: RoomId) -> Ended {
        let Some(Member { rooms, is_subscribed, worker, .. }) = self.rooms.member(member) else {
            return Ended::default();
        };
        if !rooms.contains(&room) {
            return Ended::default();
        }
        let (is_subscribed, worker) = (*is_subscribed, *worker);
        let mut ended = Ended::default();
        if is_subscribed {
            self.end_around(member, &mut ended);
        }
        self.rooms.take_out(member, room);
        if is_subscribed {
            self.send_to(worker, ForFanOut::Unsubscribe(Unsubscribe { member, room }));
        }
        ended
    }

    /// Subscribes a member to the rooms it is in and to those that it enters later. Idempotent.
    pub(crate) fn subscribe(&mut self, member: MemberId) -> Ended {
        let mut ended = Ended::default();
        let Some(known) = self.rooms.member(member).filter(|known| !known.is_subscribed) else {
            return ended;
        };
        let (rooms, worker, encoding) = (known.rooms.clone(), known.worker, known.encoding);
        self.end_around(member, &mut ended);
        self.rooms.set_subscribed(member, true);
        for room in rooms {
            self.send_to(worker, ForFanOut::Subscribe(Subscribe { member, room, encoding }));
        }
        ended
    }

    /// Has a subscribed member get what follows in another encoding. Idempotent.
    pub(crate) fn set_encoding(&mut self, member: MemberId, encoding: Encoding) -> Ended {
        let differs = |known: &&Member<R::Member>| known.is_subscribed && known.encoding != encoding;
        if self.rooms.member(member).filter(differs).is_none() {
            return Ended::default();
        }
        let ended = self.unsubscribe(member);
        self.rooms.set_encoding(member, encoding);
        // No broadcast is open around the member now.
        drop(self.subscribe(member));
        ended
    }

    /// Unsubscribes a member, which stays in its rooms. Idempotent.
    pub(crate) fn unsubscribe(&mut self, member: MemberId) -> Ended {
        let mut ended = Ended::default();
        let Some(known) = self.rooms.member(member).filter(|known| known.is_subscribed) else {
            return ended;
        };
        let (rooms, worker) = (known.rooms.clone(), known.worker);
        // The member is a subscriber while they end: others get its last lines, and it gets theirs.
        self.end_around(member, &mut ended);
        self.rooms.set_subscribed(member, false);
        for room in rooms {
            self.send_to(worker, ForFanOut::Unsubscribe(Unsubscribe { member, room }));
        }
        ended
    }

    /// Sends a member news, behind all that its fan-out has for it already. Ignored if it is not registered.
    pub(crate) fn tell<N: Any + Send>(&mut self, member: MemberId, news: N) {
        if let Some(worker) = self.rooms.member(member).map(|member| member.worker) {
            self.tell_at(worker, member, news);
        }
    }

    /// Sends news to a session of a worker, which need not be registered here any more.
    pub(crate) fn tell_at<N: Any + Send>(&mut self, worker: WorkerId, member: MemberId, news: N) {
        self.send_to(worker, ForFanOut::Tell(Tell { member, news: Box::new(news) }));
    }

    /// Adds a line to the broadcast of a room, which ends if it is full. `accepted` is held until the
    /// broadcast is delivered.
    pub(crate) fn push(
        &mut self,
        id: RoomId,
        line: &impl Encode,
        reach: Reach,
        accepted: Option<Accepted>,
    ) -> Ended {
        let Some(room) = self.rooms.room(id) else {
            return Ended::default();
        };
        let deflater = deflater(&mut self.deflater, &room.subscribers);
        let open = match &mut room.open {
            Some(open) => open,
            None => {
                self.open_rooms.push(id);
                room.open.insert(OpenBroadcast::new(&room.subscribers))
            }
        };
        open.push(line, reach, deflater);
        accepted.into_iter().for_each(|accepted| open.hold(accepted));
        if open.is_full() { self.end(id) } else { Ended::default() }
    }

    /// Sends a line to the writable subscribers of a room, as a broadcast of its own behind the open one.
    pub(crate) fn send_volatile(
        &mut self,
        id: RoomId,
        line: &impl Encode,
        reach: Reach,
        accepted: Option<Accepted>,
    ) -> Ended {
        let ended = self.end(id);
        if let Some(room) = self.rooms.room(id) {
            let mut open = OpenBroadcast::new(&room.subscribers);
            open.push(line, reach, deflater(&mut self.deflater, &room.subscribers));
            accepted.into_iter().for_each(|accepted| open.hold(accepted));
            let broadcast = Arc::new(open.finish(Recipients::Volatile, &self.budget));
            fan_out(&mut self.outgoing, id, &room.subscribers, &broadcast);
        }
        ended
    }

    /// Sends a line to these members of a room only, as a broadcast of its own behind the open one. `handed`
    /// learns which of them got it.
    pub(crate) fn send_only(
        &mut self,
        id: RoomId,
        members: Vec<MemberId>,
        line: &impl Encode,
        accepted: Option<Accepted>,
        handed: Option<Box<dyn Handed>>,
    ) -> Ended {
        let ended = self.end(id);
        let mut subscribers = Subscribers::default();
        for member in members.iter().filter_map(|member| self.rooms.member(*member)) {
            subscribers.add(member.worker, member.encoding);
        }
        let mut open = OpenBroadcast::new(&subscribers);
        open.push(line, Reach::All, deflater(&mut self.deflater, &subscribers));
        accepted.into_iter().for_each(|accepted| open.hold(accepted));
        let broadcast = open.finish(Recipients::Only(members), &self.budget).with_handed(handed);
        fan_out(&mut self.outgoing, id, &subscribers, &Arc::new(broadcast));
        ended
    }

    /// Ends the open broadcast of a room, if there is one.
    pub(crate) fn end(&mut self, id: RoomId) -> Ended {
        let mut ended = Ended::default();
        self.end_into(id, &mut ended);
        ended
    }

    /// Ends the open broadcasts of all rooms.
    pub(crate) fn end_all(&mut self) -> Ended {
        let mut ended = Ended::default();
        let mut rooms = std::mem::take(&mut self.open_rooms);
        for id in rooms.drain(..) {
            self.send_open(id, &mut ended);
        }
        // Empty again, with its memory for the next turn.
        self.open_rooms = rooms;
        ended
    }

    /// Ends the open broadcasts of the rooms that a member is in.
    fn end_around(&mut self, member: MemberId, ended: &mut Ended) {
        let Some(member) = self.rooms.member(member) else {
            return;
        };
        // A member may be in many rooms. Few of them have an open broadcast.
        let rooms = self.open_rooms.iter().copied().filter(|id| member.rooms.contains(id));
        for id in rooms.collect::<SmallVec<[RoomId; 2]>>() {
            self.end_into(id, ended);
        }
    }

    fn end_into(&mut self, id: RoomId, ended: &mut Ended) {
        if let Some(place) = self.open_rooms.iter().rposition(|open| *open == id) {
            self.open_rooms.swap_remove(place);
            self.send_open(id, ended);
        }
    }

    fn send_open(&mut self, id: RoomId, ended: &mut Ended) {
        if let Some(room) = self.rooms.room(id)
            && let Some(open) = room.open.take()
        {
            let broadcast = Arc::new(open.finish(Recipients::Room, &self.budget));
            fan_out(&mut self.outgoing, id, &room.subscribers, &broadcast);
            ended.0.push((id, broadcast));
        }
    }
}

/// The deflater, if a subscriber takes compressed frames.
fn deflater<'a>(deflater: &'a mut Option<Deflater>, subscribers: &Subscribers) -> Option<&'a mut Deflater> {
    subscribers.reads_deflated().then(|| deflater.get_or_insert_with(|| Deflater::new(FULL_WINDOW)))
}

/// Sends a broadcast to each worker with a subscriber.
fn fan_out(
    outgoing: &mut Vec<(WorkerId, ForFanOut)>,
    room: RoomId,
    subscribers: &Subscribers,
    broadcast: &Arc<Broadcast>,
) {
    outgoing.extend(subscribers.workers().map(|worker| {
        (worker, ForFanOut::Broadcast(FanOutBroadcast { room, broadcast: Arc::clone(broadcast) }))
    }));
}

#[cfg(test)]
mod tests;
