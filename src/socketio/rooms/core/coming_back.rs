//! How sockets leave, and how recovery brings them back.

use std::sync::Arc;

use actix::Recipient;
use bytestring::ByteString;

use super::{
    Place, SocketRooms,
    effects::Effect,
    namespace::{Namespace, RoomKey},
    recovery::Absent,
    stay::Stay,
};
use crate::{
    broadcast::{Delivery, Member},
    domain::MemberId,
    socketio::rooms::messages::{Connect, Recover, Recovered, SocketNews},
};

impl SocketRooms {
    /// Removes a socket: the only way out of a namespace. Idempotent.
    pub(super) fn disconnect(&mut self, member_id: MemberId, may_return: bool) {
        let counted = self.counted_rooms(member_id);
        let Some(member) = self.broadcaster.remove(member_id) else {
            return;
        };
        if let Some((namespace, rooms)) = counted {
            self.note_exits(&namespace, &rooms);
        }
        let Place { namespace, pid, stay } = self.forget(member_id, member);
        if self.keeps_elsewhere() {
            pid.filter(|_| may_return).into_iter().for_each(|pid| self.keep(pid, &stay));
            return;
        }
        if let Some(pid) = pid.filter(|_| may_return)
            && let Some(namespace) = self.namespaces.get_mut(namespace)
            && let Some(recovery) = &mut namespace.recovery
        {
            recovery.keep(pid, Absent { stay, since: self.now });
        }
    }

    /// Forgets a socket that the broadcaster has removed.
    pub(super) fn forget(&mut self, member_id: MemberId, member: Member<Place>) -> Place {
        for id in member.rooms {
            self.broadcaster.rooms.retire(id);
        }
        self.acks.gone(member_id);
        let Place { namespace: id, pid, stay } = &member.own;
        if let Some(namespace) = self.namespaces.get_mut(*id) {
            namespace.sids.remove(&stay.sid);
            namespace.listeners.retain(|listener| *listener != member_id);
            pid.iter().for_each(|pid| _ = namespace.pids.remove(pid));
            if namespace.sids.is_empty() {
                self.namespaces.doubt(*id);
            }
        }
        member.own
    }

    /// A client comes back. If its former connection is not known to be lost yet, its former socket ends
    /// here.
    pub(super) fn recover(&mut self, recover: Recover) {
        self.release(&recover.namespace, &recover.pid);
        if self.keeps_elsewhere() {
            // What was said here before is before the end of what the client is given.
            return self.effects.push(Effect::Restore(Box::new(recover)));
        }
        let (member_id, deliveries) = (recover.socket.member(), recover.seat.deliveries.clone());
        match self.restore(recover) {
            Some(state) => {
                let state = Some(Arc::new(state));
                self.broadcaster.tell(member_id, SocketNews::Recovered(state));
            }
            None => self.not_recovered(member_id, deliveries),
        }
    }

    /// A client has come back, here or at another server: its former socket ends, if its connection is not known to be lost.
    pub(super) fn release(&mut self, namespace: &ByteString, pid: &ByteString) {
        if let Some(former) = self.socket_of(namespace, pid) {
            self.broadcaster.tell(former, SocketNews::Replaced);
            self.disconnect(former, true);
        }
    }

    /// Tells a session that its client is not recovered.
    pub(super) fn not_recovered(&mut self, member_id: MemberId, deliveries: Recipient<Delivery>) {
        let news = Box::new(SocketNews::Recovered(None));
        let delivery = Delivery::News { member: member_id, news };
        self.effects.push(Effect::Deliver(deliveries, delivery));
    }

    /// The socket of a client, which may have come back, if its connection is not known to be lost yet.
    pub(super) fn socket_of(&self, namespace: &ByteString, pid: &ByteString) -> Option<MemberId> {
        self.namespaces.get(self.namespaces.find(namespace)?)?.pids.get(pid).copied()
    }

    /// Restores a client's socket before it gets new events. `None` if that cannot be done.
    fn restore(&mut self, recover: Recover) -> Option<Recovered> {
        let Recover { socket, worker, seat, namespace, pid, offset, info, .. } = recover;
        let (member_id, id) = (socket.member(), self.namespaces.find(&namespace)?);
        // If nothing is recovered, it may have been the last one that could be.
        self.namespaces.doubt(id);
        let recovery = self.namespaces.get_mut(id)?.recovery.as_mut()?;
        let (mut stay, missed) = recovery.take(&pid, &offset, self.now)?;
        stay.info = info.unwrap_or(stay.info);
        let (sid, pid, info) = (stay.sid.clone(), Some(pid), Arc::clone(&stay.info));
        self.connect(Connect { socket, worker, seat, namespace, sid, pid, foreign: None, info });
        let rooms: Vec<_> = stay.rooms.iter().map(|(room, _)| room.clone()).collect();
        // Without one of its rooms the socket is not what it was, and its client must learn of it.
        if !rooms.iter().all(|room| self.put(member_id, id, room)) {
            self.disconnect(member_id, false);
            return None;
        }
        let state = Recovered { sid: stay.sid.clone(), rooms, info: Arc::clone(&stay.info), missed };
        // Keeps the former offsets: what the client was just given may be lost on its way.
        self.set_stay(member_id, stay);
        Some(state)
    }

    pub(super) fn set_stay(&mut self, member_id: MemberId, stay: Stay) {
        if let Some(place) = self.place(member_id) {
            place.stay = stay;
        }
    }

    /// Drops what is over the bounds of recovery, in all namespaces.
    pub(super) fn apply_recovery_bounds(&mut self) {
        let Self { namespaces, broadcaster, now, .. } = self;
        for id in namespaces.ids() {
            let Some(Namespace { recovery: Some(recovery), sids, .. }) = namespaces.get_mut(id) else {
                continue;
            };
            recovery.expire(*now);
            if recovery.is_forgetting_due() {
                recovery.forget(|name| {
                    sids.contains_key(name) || broadcaster.rooms.find(&RoomKey::new(id, name)).is_some()
                });
            }
            namespaces.doubt(id);
        }
    }
}
