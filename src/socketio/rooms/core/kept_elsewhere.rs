//! Recovery where the cluster keeps lost sockets and events: at whatever server a client comes back.

use std::sync::Arc;

use bytestring::ByteString;

use super::{Place, SocketRooms, effects::Effect, stay::Stay};
use crate::{
    connection::Charge,
    domain::MemberId,
    protocol::socketio::Args,
    socketio::{
        cluster::{Restored, Session, StreamId},
        rooms::messages::{Connect, Emission, Info, Missed, Recall, Recover, Recovered, SocketNews},
    },
};

impl SocketRooms {
    /// Whether the cluster keeps lost sockets.
    pub(super) fn keeps_elsewhere(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.keeps_sessions())
    }

    /// The cluster goes on behind this offset.
    pub(super) fn note_position(&mut self, position: StreamId) {
        self.position = self.position.max(position);
    }

    /// Has the cluster keep a socket.
    pub(super) fn keep(&mut self, pid: ByteString, stay: &Stay) {
        let offset = |number: u64| ByteString::from(StreamId::of(number).to_string());
        let named = stay.rooms.iter().map(|(room, _)| room.clone());
        let rooms = std::iter::once(stay.sid.clone()).chain(named).collect();
        let entered = stay.rooms.iter().map(|(room, since)| (room.clone(), offset(*since)));
        let since = std::iter::once((stay.sid.clone(), offset(stay.began))).chain(entered).collect();
        let session = Session { sid: stay.sid.clone(), pid, rooms, data: ByteString::new(), since };
        self.effects.push(Effect::Keep { session, info: Arc::clone(&stay.info) });
    }

    /// Has the cluster keep a socket that is still here, if it is to keep each change.
    pub(super) fn keep_change(&mut self, member_id: MemberId) {
        if !self.cluster.as_ref().is_some_and(|cluster| cluster.keeps_changes()) {
            return;
        }
        if let Some(Place { pid: Some(pid), stay, .. }) = self.place(member_id) {
            let (pid, stay) = (pid.clone(), stay.clone());
            self.keep(pid, &stay);
        }
    }

    /// Has the cluster keep all sockets that are here for longer, if it is to keep each change.
    pub(super) fn keep_all_longer(&mut self) {
        if !self.cluster.as_ref().is_some_and(|cluster| cluster.keeps_changes()) {
            return;
        }
        // Twice in the time after which they are forgotten.
        if self.now < self.kept_at + self.limits.recovery.window / 2 {
            return;
        }
        self.kept_at = self.now;
        let ids = self.namespaces.ids().into_iter();
        let namespaces = ids.filter_map(|id| self.namespaces.get(id));
        let members: Vec<_> = namespaces.flat_map(|namespace| namespace.pids.values().copied()).collect();
        members.into_iter().for_each(|member_id| self.keep_change(member_id));
    }

    /// Takes what the cluster has of a lost socket.
    pub(super) fn recall(&mut self, Recall { recover, restored }: Recall) {
        let (member_id, deliveries) = (recover.socket.member(), recover.seat.deliveries.clone());
        match restored.and_then(|restored| self.restore_from(recover, restored)) {
            Some(state) => {
                self.broadcaster.tell(member_id, SocketNews::Recovered(Some(Arc::new(state))));
            }
            None => self.not_recovered(member_id, deliveries),
        }
    }

    /// Restores a client's socket from what the cluster has kept. `None` if that cannot be done.
    fn restore_from(&mut self, recover: Recover, restored: Restored) -> Option<Recovered> {
        let Recover { socket, worker, seat, namespace, pid, info, revive, .. } = recover;
        let Restored { session, missed, last } = restored;
        self.note_position(last);
        let is_here = |id| self.namespaces.get(id).is_some_and(|its| its.sids.contains_key(&session.sid));
        if session.pid != pid || self.namespaces.find(&namespace).is_some_and(is_here) {
            return None;
        }
        let info: Info = match info {
            Some(info) => info,
            None => (revive?.0)(&session.data)?,
        };
        let (member_id, sid, pid) = (socket.member(), session.sid.clone(), Some(pid));
        let name = namespace.clone();
        let info_kept = Arc::clone(&info);
        self.connect(Connect { socket, worker, seat, namespace, sid, pid, foreign: None, info });
        let id = self.namespaces.find(&name)?;
        let rooms: Vec<_> = session.rooms.iter().filter(|room| **room != session.sid).cloned().collect();
        // Without one of its rooms the socket is not what it was, and its client must learn of it.
        if !rooms.iter().all(|room| self.put(member_id, id, room)) {
            self.disconnect(member_id, false);
            return None;
        }
        let since = |name: &ByteString| {
            let since = session.since.iter().find(|(room, _)| room == name);
            since.and_then(|(_, since)| since.parse().ok()).unwrap_or(StreamId::default()).number()
        };
        let stay = Stay {
            sid: session.sid.clone(),
            began: since(&session.sid),
            foreign: None,
            rooms: rooms.iter().map(|room| (room.clone(), since(room))).collect(),
            info: Arc::clone(&info_kept),
        };
        self.set_stay(member_id, stay);
        self.keep_change(member_id);
        let missed = missed.into_iter().map(|(id, args)| self.missed(&name, id, args)).collect();
        Some(Recovered { sid: session.sid, rooms, info: info_kept, missed })
    }

    /// An event that a client has missed.
    fn missed(&self, namespace: &ByteString, id: StreamId, args: Args) -> Missed {
        let Emission { packet, attachments, .. } =
            Emission::new(namespace, args, Some(&id.to_string()), None);
        let len = packet.len() + attachments.iter().map(bytes::Bytes::len).sum::<usize>();
        let charge = Charge::new(len, self.broadcaster.budget());
        Missed {
            packet: charge.hold(packet.into_bytes()),
            attachments: attachments.into_iter().map(|attachment| charge.hold(attachment)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broadcast::ForFanOut,
        connection::Budget,
        socketio::{
            cluster::{Adapter, Mode, Order},
            rooms::{
                core::{
                    effects::Effect,
                    testing::{LIMITS, Stage},
                },
                messages::Release,
            },
        },
    };

    /// Keeps lost sockets.
    #[derive(Debug)]
    struct Keeping;

    impl Adapter for Keeping {
        fn order(&self, _: Order) {}

        fn mode(&self, _: &ByteString) -> Option<Mode> {
            None
        }

        fn position(&self) -> StreamId {
            StreamId::of(7)
        }

        fn keeps_sessions(&self) -> bool {
            true
        }

        fn keeps_changes(&self) -> bool {
            false
        }

        fn asks_for_rooms(&self) -> bool {
            false
        }
    }

    fn is_replaced(effect: &Effect) -> bool {
        matches!(effect, Effect::Send(_, ForFanOut::Tell(tell))
            if matches!(tell.news.downcast_ref(), Some(SocketNews::Replaced)))
    }

    #[actix::test]
    async fn a_socket_whose_client_has_come_back_elsewhere_ends_and_is_kept() {
        let mut stage = Stage::new();
        let rooms = SocketRooms::new(LIMITS, Budget::new(1 << 20), stage.now);
        stage.rooms = rooms.in_cluster(Some(Arc::new(Keeping)));
        stage.socket("a", &["room"]);
        stage.socket("b", &["room"]);
        let release = |pid: &str| Release { namespace: "/".into(), pid: pid.into() };
        let effects = stage.ask(release("secret of a"));
        assert_eq!(effects.iter().filter(|effect| is_replaced(effect)).count(), 1);
        let kept: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Keep { session, .. } => Some((&*session.sid, &*session.pid, session.rooms.len())),
                _ => None,
            })
            .collect();
        assert_eq!(kept, [("a", "secret of a", 2)]);
        assert_eq!(stage.emit("room"), 1, "the other one is there");
        // It is gone, and others are not known.
        assert!(stage.ask(release("secret of a")).is_empty());
        assert!(stage.ask(release("secret of c")).is_empty());
        let elsewhere = Release { namespace: "/x".into(), ..release("secret of b") };
        assert!(stage.ask(elsewhere).is_empty());
        stage.ask(release("secret of b"));
        assert_eq!(stage.emit("room"), 0);
    }
}
