//! Rooms that go on where others have panicked.
//!
//! The rooms, their sockets, and who is in which of them go on as they were: the fan-outs and the sessions know
//! of them. Lost are the input that panicked, and events that were not sent to the fan-outs yet. So recovery
//! begins with an empty memory: a client that comes back with an offset from before is told that it has not
//! been recovered.

use std::{mem, sync::Arc, time::Instant};

use super::{
    Place, SocketRooms,
    effects::{Effect, Input, Request},
};
use crate::{
    broadcast::{Delivery, Member, Remains, Seat},
    connection::Ending,
    domain::MemberId,
    socketio::rooms::messages::{
        Barrier, Connect, Disconnect, DisconnectMany, EnterMany, EnterRoom, Listen, QuitMany, QuitRoom,
        Recall, Recover, Release, RemoveNamespace, SetEncoding, Target,
    },
};

/// What is to be done about an input that is lost, because the rooms panicked over it.
#[derive(Debug)]
pub(in crate::socketio::rooms) enum Lost {
    /// Nothing: the input is one of many, or not answered.
    Nothing,
    /// The socket is not connected. The former socket of its client may have been disconnected.
    Newcomer {
        /// The socket.
        member: MemberId,
        /// Where its session takes deliveries.
        seat: Seat,
        /// The socket that it was to replace.
        former: Option<MemberId>,
    },
    /// What is known of these sockets is not certain.
    Places(Vec<MemberId>),
}

impl SocketRooms {
    /// What is to be done if this input is lost.
    pub(in crate::socketio::rooms) fn lost_with(&self, input: &Input) -> Lost {
        let (Input::Request(request) | Input::InTurn(request, _)) = input else {
            return Lost::Nothing;
        };
        match request {
            Request::Connect(Connect { socket, seat, .. }) => {
                Lost::Newcomer { member: socket.member(), seat: seat.clone(), former: None }
            }
            Request::Recover(recover) | Request::Recall(Recall { recover, .. }) => {
                let Recover { socket, seat, namespace, pid, .. } = recover;
                let former = self.socket_of(namespace, pid);
                Lost::Newcomer { member: socket.member(), seat: seat.clone(), former }
            }
            Request::Release(Release { namespace, pid }) => {
                Lost::Places(self.socket_of(namespace, pid).into_iter().collect())
            }
            Request::Disconnect(Disconnect { socket, .. })
            | Request::EnterRoom(EnterRoom { socket, .. })
            | Request::Listen(Listen { socket })
            | Request::SetEncoding(SetEncoding { socket, .. })
            | Request::Barrier(Barrier { socket })
            | Request::QuitRoom(QuitRoom { socket, .. }) => Lost::Places(vec![socket.member()]),
            Request::EnterMany(EnterMany { namespace, target, .. })
            | Request::QuitMany(QuitMany { namespace, target, .. })
            | Request::DisconnectMany(DisconnectMany { namespace, target, .. }) => {
                Lost::Places(self.recipients(namespace, target))
            }
            Request::RemoveNamespace(RemoveNamespace { namespace }) => {
                Lost::Places(self.recipients(namespace, &Target::default()))
            }
            Request::Emit(_)
            | Request::EmitWithAck(_)
            | Request::Answer(_)
            | Request::Look(_)
            | Request::LookRooms(_)
            | Request::TellServers(_)
            | Request::CountServers(_) => Lost::Nothing,
        }
    }

    /// Goes on after a panic with what is left. `lost` is what is to be done about the input that panicked.
    pub(in crate::socketio::rooms) fn begin_again(
        &mut self,
        now: Instant,
        lost: Lost,
        effects: &mut Vec<Effect>,
    ) {
        let fresh = Self::new(self.limits, Arc::clone(self.broadcaster.budget()), now);
        let former = mem::replace(self, fresh);
        (self.cluster, self.occupancy) = (former.cluster, former.occupancy);
        (self.position, self.kept_at) = (former.position, former.kept_at);
        let Self { broadcaster, namespaces, acks, .. } = former;
        self.acks = acks.begin_again();
        self.namespaces = namespaces.begin_again();
        let Remains { mut rooms, mut members } = broadcaster.remains();
        rooms.retain(|(_, room, _)| self.namespaces.get(room.namespace()).is_some());
        members.retain(|(_, member)| self.namespaces.get(member.own.namespace).is_some());
        for (id, Member { own: Place { namespace, pid, stay }, .. }) in &members {
            let Some(namespace) = self.namespaces.get_mut(*namespace) else {
                continue;
            };
            namespace.sids.insert(stay.sid.clone(), *id);
            namespace.pids.extend(pid.clone().map(|pid| (pid, *id)));
        }
        let ids: Vec<_> = rooms.iter().map(|(id, ..)| *id).collect();
        let ids_of_members: Vec<_> = members.iter().map(|(id, _)| *id).collect();
        self.broadcaster.adopt(Remains { rooms, members });
        self.count_rooms_again(&ids_of_members);
        self.make_good(lost);
        ids.into_iter().for_each(|id| _ = self.broadcaster.rooms.retire(id));
        self.drop_empty();
        self.take_effects(effects);
    }

    /// Sends the sockets away whose places are not certain. Their clients come back and connect anew.
    fn make_good(&mut self, lost: Lost) {
        match lost {
            Lost::Nothing => {}
            Lost::Newcomer { member, seat, former } => {
                self.disconnect(member, false);
                self.effects.push(Effect::Deliver(seat.deliveries, Delivery::Dismissed(Ending::Restart)));
                former.into_iter().for_each(|former| self.send_away(former));
            }
            Lost::Places(members) => members.into_iter().for_each(|member| self.send_away(member)),
        }
    }

    fn send_away(&mut self, member_id: MemberId) {
        match self.broadcaster.dismiss(member_id, Ending::Restart) {
            Some(member) => drop(self.forget(member_id, member)),
            // The fan-out may not have learned yet that the socket is gone.
            None => self.effects.push(Effect::SendAway(member_id)),
        }
    }
}

#[cfg(test)]
mod tests;
