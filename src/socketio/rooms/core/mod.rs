//! The rooms of all sockets: what the actor runs, and what a test can run without one. It has no clock, mailbox
//! or thread.

use std::{fmt, sync::Arc, time::Instant};

use bytestring::ByteString;

pub(super) use self::effects::{Effect, Input, Request};
pub(crate) use self::{acks::FIRST_SHARED_ACK, recovery::RecoveryLimits};
use self::{
    namespace::{Namespace, NamespaceId, RoomKey, SocketRoom},
    namespaces::Namespaces,
    recovery::Recovery,
    stay::Stay,
};
use super::messages::{
    Answer, Barrier, Connect, Disconnect, Emit, EnterRoom, Guarantee, Listen, QuitRoom, SetEncoding,
    SocketNews,
};
use crate::{
    broadcast::{Broadcaster, Found, RoomBound},
    connection::Budget,
    domain::MemberId,
};

mod acks;
mod beginning_again;
mod coming_back;
mod effects;
mod gone;
mod namespace;
mod namespaces;
mod outside;
mod recovery;
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
        }
    }

    /// Handles an input, and adds what is to be done to `effects`.
    pub(super) fn handle(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        self.now = now;
        match input {
            Input::Request(request) => self.request(request),
            Input::GiveUp(id) => self.acks.give_up(id),
            Input::Sweep => {
                self.apply_recovery_bounds();
                self.acks.forget_unheard();
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
            Request::Disconnect(Disconnect { socket, may_return }) => {
                self.disconnect(socket.member(), may_return);
            }
            Request::EnterRoom(EnterRoom { socket, room }) => {
                let is_in = self.enter(socket.member(), &room);
                self.broadcaster.tell(socket.member(), SocketNews::Entered { room, is_in });
            }
            Request::QuitRoom(QuitRoom { socket, room }) => {
                self.quit(socket.member(), &room);
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
        let (member_id, limits) = (socket.member(), self.limits.recovery);
        let Self { namespaces, broadcaster, .. } = self;
        let (id, namespace) =
            namespaces.open(&namespace, |id| broadcaster.rooms.make_uncounted(&RoomKey::of_all(id)));
        let budget = broadcaster.budget();
        namespace.sids.insert(sid.clone(), member_id);
        if let Some(pid) = &pid {
            namespace.pids.insert(pid.clone(), member_id);
            namespace.recovery.get_or_insert_with(|| Recovery::new(limits, Arc::clone(budget)));
        }
        let stay = Stay { sid, began: namespace.last_offset(), foreign, rooms: Vec::new(), info };
        broadcaster.register(member_id, worker, seat, Place { namespace: id, pid, stay });
        drop(broadcaster.subscribe(member_id));
        drop(broadcaster.enter(member_id, namespace.room));
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
        let last = self.namespaces.get(id).map_or(0, Namespace::last_offset);
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
        drop(self.broadcaster.enter(member_id, id));
        true
    }

    fn quit(&mut self, member_id: MemberId, room: &ByteString) {
        let Some(place) = self.place(member_id) else {
            return;
        };
        place.stay.rooms.retain(|(its, _)| its != room);
        let key = RoomKey::new(place.namespace, room);
        if let Some(id) = self.broadcaster.rooms.find(&key) {
            drop(self.broadcaster.leave(member_id, id));
            self.broadcaster.rooms.retire(id);
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
        let emission = namespace.record(args, target, guarantee, self.now).compressed(compress);
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
