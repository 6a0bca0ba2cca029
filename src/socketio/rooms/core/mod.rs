//! The rooms of all sockets: what the actor runs, and what a test can run without one. It has no clock, mailbox
//! or thread.

use std::{fmt, sync::Arc, time::Instant};

use bytestring::ByteString;

pub(in crate::socketio) use self::effects::Request;
pub(super) use self::effects::{Effect, Input};
pub(crate) use self::{acks::FIRST_SHARED_ACK, recovery::RecoveryLimits};
use self::{
    namespace::{Namespace, NamespaceId, RoomKey, SocketRoom},
    namespaces::Namespaces,
    occupancy::Occupancy,
    recovery::Recovery,
    stay::Stay,
};
use super::messages::{
    Answer, Barrier, Connect, Disconnect, Emit, EnterRoom, Guarantee, Listen, QuitRoom, Release, SetEncoding,
    SocketNews,
};
use crate::{
    broadcast::{Broadcaster, Found, RoomBound},
    connection::Budget,
    domain::MemberId,
    socketio::cluster::{Adapter, StreamId},
};

mod acks;
mod beginning_again;
mod coming_back;
mod effects;
mod gone;
mod kept_elsewhere;
mod namespace;
mod namespaces;
mod occupancy;
mod outside;
mod recovery;
mod routing;
mod stay;
mod targets;
#[cfg(test)]
mod testing;

/// The bounds of a room server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomLimits {
    /// Rooms at a time, in all namespaces together.
    pub max_rooms: usize,
    /// The bounds of recovery in each namespace.
    pub recovery: RecoveryLimits,
}

/// The rooms of each socket and the order of all events. Recovery keeps an event when it is emitted, so
/// broadcasts that have ended are dropped here.
pub(super) struct SocketRooms {
    limits: RoomLimits,
    broadcaster: Broadcaster<SocketRoom>,
    namespaces: Namespaces,
    acks: acks::Acks,
    now: Instant,
    /// What is to be done beside [`Broadcaster::outgoing`].
    effects: Vec<Effect>,
    /// Tells other servers, if there are any.
    cluster: Option<Arc<dyn Adapter>>,
    /// Rooms with sockets of this server, if other servers' events for other rooms are dropped unread.
    occupancy: Option<Occupancy>,
    /// The offset of the request in hand, if the cluster keeps it.
    arrived: Option<StreamId>,
    /// The offset of the last event of the cluster.
    position: StreamId,
    /// When the cluster was last told of all sockets.
    kept_at: Instant,
}

/// The namespace of a socket, and what recovery keeps of the socket.
#[derive(Debug)]
pub(crate) struct Place {
    namespace: NamespaceId,
    /// The secret for recovery; `None` if the client cannot come back.
    pid: Option<ByteString>,
    /// What recovery restores.
    stay: Stay,
}

impl SocketRooms {
    /// Without sockets; the events that wait for clients are charged to `budget`.
    pub(super) fn new(limits: RoomLimits, budget: Arc<Budget>, now: Instant) -> Self {
        Self {
            limits,
            broadcaster: Broadcaster::new(RoomBound::new(limits.max_rooms), budget),
            namespaces: Namespaces::default(),
            acks: acks::Acks::default(),
            now,
            effects: Vec::new(),
            cluster: None,
            occupancy: None,
            arrived: None,
            position: StreamId::default(),
            kept_at: now,
        }
    }

    /// Has the server be one of a cluster.
    pub(super) fn in_cluster(mut self, cluster: Option<Arc<dyn Adapter>>) -> Self {
        let linger = self.limits.recovery.window;
        let asks = cluster.as_ref().is_some_and(|cluster| cluster.asks_for_rooms());
        self.occupancy = asks.then(|| Occupancy::new(linger));
        self.position = cluster.as_ref().map(|cluster| cluster.position()).unwrap_or_default();
        self.cluster = cluster;
        self
    }

    /// Handles an input, and adds what is to be done to `effects`.
    pub(super) fn handle(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        self.now = now;
        match input {
            Input::Request(request) => {
                if let Some(request) = self.route(request) {
                    self.request(request);
                }
            }
            Input::InTurn(request, offset) => {
                self.arrived = offset;
                offset.into_iter().for_each(|offset| self.note_position(offset));
                self.request(request);
                self.arrived = None;
            }
            Input::Position(position) => self.note_position(position),
            Input::GiveUp(id) => self.acks.give_up(id),
            Input::Sweep => {
                self.apply_recovery_bounds();
                self.acks.forget_unheard();
                self.sweep_rooms();
                self.keep_all_longer();
            }
            Input::TurnEnded => drop(self.broadcaster.end_all()),
        }
        self.drop_empty();
        self.take_effects(effects);
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Connect(connect) => self.connect(connect),
            Request::Recover(recover) => self.recover(recover),
            Request::Recall(recall) => self.recall(recall),
            Request::Release(Release { namespace, pid }) => self.release(&namespace, &pid),
            Request::Disconnect(Disconnect { socket, may_return }) => {
                self.disconnect(socket.member(), may_return);
            }
            Request::EnterRoom(EnterRoom { socket, room }) => {
                let is_in = self.enter(socket.member(), &room);
                self.keep_change(socket.member());
                self.broadcaster.tell(socket.member(), SocketNews::Entered { room, is_in });
            }
            Request::QuitRoom(QuitRoom { socket, room }) => {
                self.quit(socket.member(), &room);
                self.keep_change(socket.member());
                self.broadcaster.tell(socket.member(), SocketNews::Left { room });
            }
            Request::Listen(Listen { socket }) => self.listen(socket.member()),
            Request::SetEncoding(SetEncoding { socket, encoding }) => {
                drop(self.broadcaster.set_encoding(socket.member(), encoding));
            }
            Request::Barrier(Barrier { socket }) => self.barrier(socket.member()),
            Request::Emit(emit) => self.emit(emit),
            Request::EmitWithAck(emit) => self.emit_with_ack(emit),
            Request::Answer(Answer { socket, id, args, accepted }) => {
                if !self.acks.answered(id, socket.member(), args) {
                    self.broadcaster.tell(socket.member(), SocketNews::NotAsked);
                }
                drop(accepted);
            }
            Request::Look(look) => self.look(look),
            Request::LookRooms(look) => self.look_rooms(look),
            Request::EnterMany(enter) => self.enter_many(enter),
            Request::QuitMany(quit) => self.quit_many(quit),
            Request::DisconnectMany(disconnect) => self.disconnect_many(&disconnect),
            Request::RemoveNamespace(remove) => self.remove_namespace(&remove),
            Request::TellServers(tell) => outside::tell_servers(tell),
            Request::CountServers(count) => outside::count_servers(count),
        }
    }

    /// Takes what is to be done.
    fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
        effects.extend(self.broadcaster.outgoing().map(|(worker, message)| Effect::Send(worker, message)));
    }

    /// Removes the namespaces that have become empty: clients choose their names, so none is kept without use.
    fn drop_empty(&mut self) {
        for Namespace { room, .. } in self.namespaces.take_empty() {
            drop(self.broadcaster.end(room));
            if let Some(room) = self.broadcaster.rooms.get(room) {
                room.note_end();
            }
            self.broadcaster.rooms.retire(room);
        }
    }

    fn place(&mut self, member_id: MemberId) -> Option<&mut Place> {
        self.broadcaster.rooms.own_of(member_id)
    }

    fn connect(&mut self, connect: Connect) {
        let Connect { socket, worker, seat, namespace, sid, pid, foreign, info } = connect;
        let (member_id, limits, is_kept) = (socket.member(), self.limits.recovery, self.keeps_elsewhere());
        self.note_entry(&namespace, &sid);
        let Self { namespaces, broadcaster, position, .. } = self;
        let (id, namespace) =
            namespaces.open(&namespace, |id| broadcaster.rooms.make_uncounted(&RoomKey::of_all(id)));
        let budget = broadcaster.budget();
        namespace.sids.insert(sid.clone(), member_id);
        if let Some(pid) = &pid {
            namespace.pids.insert(pid.clone(), member_id);
            match is_kept {
                true => namespace.is_kept_elsewhere = true,
                false => {
                    _ = namespace.recovery.get_or_insert_with(|| Recovery::new(limits, Arc::clone(budget)))
                }
            }
        }
        let began = if is_kept { position.number() } else { namespace.last_offset() };
        let stay = Stay { sid, began, foreign, rooms: Vec::new(), info };
        broadcaster.register(member_id, worker, seat, Place { namespace: id, pid, stay });
        drop(broadcaster.subscribe(member_id));
        drop(broadcaster.enter(member_id, namespace.room));
        self.keep_change(member_id);
    }

    /// Puts a socket into a room, and notes that for recovery. A socket is always in the room that has its sid as its
    /// name. False if the socket is gone or there are too many rooms.
    fn enter(&mut self, member_id: MemberId, room: &ByteString) -> bool {
        let Some(Place { namespace, stay, .. }) = self.place(member_id) else {
            return false;
        };
        let id = *namespace;
        if stay.sid == *room {
            return true;
        }
        if !self.put(member_id, id, room) {
            return false;
        }
        let last = self.last_offset(id);
        if let Some(place) = self.place(member_id).filter(|place| place.pid.is_some())
            && !place.stay.rooms.iter().any(|(its, _)| its == room)
        {
            place.stay.rooms.push((room.clone(), last));
        }
        true
    }

    /// Puts a socket into a room. False if there are too many rooms.
    fn put(&mut self, member_id: MemberId, namespace: NamespaceId, room: &ByteString) -> bool {
        // Rooms of a namespace have no history, so a new one never replaces another one.
        let Ok(Found { id, .. }) = self.broadcaster.rooms.find_or_make(&RoomKey::new(namespace, room)) else {
            return false;
        };
        let is_new = self.broadcaster.rooms.member(member_id).is_some_and(|its| !its.rooms.contains(&id));
        drop(self.broadcaster.enter(member_id, id));
        if is_new && let Some(name) = self.counted_name(namespace) {
            self.note_entry(&name, room);
        }
        true
    }

    /// The name of a namespace, if its rooms are counted.
    fn counted_name(&self, id: NamespaceId) -> Option<ByteString> {
        self.occupancy.as_ref()?;
        Some(self.namespaces.get(id)?.name.clone())
    }

    /// The offset of the last event of a namespace.
    fn last_offset(&self, id: NamespaceId) -> u64 {
        match self.keeps_elsewhere() {
            true => self.position.number(),
            false => self.namespaces.get(id).map_or(0, Namespace::last_offset),
        }
    }

    fn quit(&mut self, member_id: MemberId, room: &ByteString) {
        let Some(place) = self.place(member_id) else {
            return;
        };
        let namespace = place.namespace;
        // A room without sockets costs little, however many rooms the socket is in.
        if let Some(id) = self.broadcaster.rooms.find(&RoomKey::new(namespace, room)) {
            if let Some(place) = self.place(member_id) {
                place.stay.rooms.retain(|(its, _)| its != room);
            }
            let was_in = self.broadcaster.rooms.member(member_id).is_some_and(|its| its.rooms.contains(&id));
            drop(self.broadcaster.leave(member_id, id));
            self.broadcaster.rooms.retire(id);
            if was_in && let Some(name) = self.counted_name(namespace) {
                self.note_exit(&name, room);
            }
        }
    }

    /// Tells a socket behind the events before.
    fn barrier(&mut self, member_id: MemberId) {
        let Some(Place { namespace, .. }) = self.place(member_id) else {
            return;
        };
        let id = *namespace;
        if let Some(room) = self.namespaces.get(id).map(|namespace| namespace.room) {
            drop(self.broadcaster.end(room));
        }
        self.broadcaster.tell(member_id, SocketNews::Barrier);
    }

    /// Adds an event to the broadcast of its namespace. A volatile event is a broadcast of its own.
    fn emit(&mut self, emit: Emit) {
        let Emit { namespace: name, target, args, guarantee, compress, accepted, .. } = emit;
        // Without sockets, and lost ones that can be recovered, there is nothing to do.
        let Some(id) = self.namespaces.find(&name) else {
            return;
        };
        let reach = self.reach(id, &target);
        self.tell_listeners(id, &target, &args);
        let Some(namespace) = self.namespaces.get_mut(id) else {
            return;
        };
        let room = namespace.room;
        let offset = self.arrived.unwrap_or(self.position);
        let emission = namespace.record(args, target, guarantee, self.now, offset).compressed(compress);
        // Kept for recovery, but no socket gets it now.
        let Some(reach) = reach else {
            return;
        };
        if guarantee == Guarantee::Volatile {
            drop(self.broadcaster.send_volatile(room, &emission, reach, accepted));
        } else {
            drop(self.broadcaster.push(room, &emission, reach, accepted));
        }
    }
}

impl fmt::Debug for SocketRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRooms")
            .field("sockets", &self.broadcaster.rooms.member_count())
            .finish_non_exhaustive()
    }
}
