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
    namespace::Namespace,
};
use crate::{
    broadcast::{Delivery, Member, Remains, Seat},
    connection::Ending,
    domain::MemberId,
    socketio::rooms::messages::{Connect, Disconnect, EnterRoom, Keep, QuitRoom, Recover},
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
    /// What is known of the socket is not certain.
    Place(MemberId),
}

impl SocketRooms {
    /// What is to be done if this input is lost.
    pub(in crate::socketio::rooms) fn lost_with(&self, input: &Input) -> Lost {
        let Input::Request(request) = input else {
            return Lost::Nothing;
        };
        match request {
            Request::Connect(Connect { socket, seat, .. }) => {
                Lost::Newcomer { member: socket.member(), seat: seat.clone(), former: None }
            }
            Request::Recover(Recover { socket, seat, namespace, pid, .. }) => {
                let index = self.by_name.get(namespace);
                let former = index.and_then(|index| self.namespaces[*index].pids.get(pid).copied());
                Lost::Newcomer { member: socket.member(), seat: seat.clone(), former }
            }
            Request::Disconnect(Disconnect { socket, .. })
            | Request::Keep(Keep { socket, .. })
            | Request::EnterRoom(EnterRoom { socket, .. })
            | Request::QuitRoom(QuitRoom { socket, .. }) => Lost::Place(socket.member()),
            Request::Emit(_) | Request::EmitWithAck(_) | Request::Answer(_) => Lost::Nothing,
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
        let Self { broadcaster, namespaces, by_name, acks, .. } = mem::replace(self, fresh);
        self.acks = acks.begin_again();
        self.namespaces = namespaces.into_iter().map(Namespace::begin_again).collect();
        self.by_name = by_name;
        let Remains { mut rooms, mut members } = broadcaster.remains();
        let known = self.namespaces.len();
        rooms.retain(|(_, room, _)| room.namespace() < known);
        members.retain(|(_, member)| member.own.namespace < known);
        for (id, Member { own: Place { namespace, pid, stay }, .. }) in &members {
            let namespace = &mut self.namespaces[*namespace];
            namespace.sids.insert(stay.sid.clone(), *id);
            namespace.pids.extend(pid.clone().map(|pid| (pid, *id)));
        }
        let ids: Vec<_> = rooms.iter().map(|(id, ..)| *id).collect();
        self.broadcaster.adopt(Remains { rooms, members });
        self.make_good(lost);
        ids.into_iter().for_each(|id| _ = self.broadcaster.rooms.retire(id));
        self.take_effects(effects);
    }

    /// Sends the socket away whose request is lost. Its client comes back and connects anew.
    fn make_good(&mut self, lost: Lost) {
        match lost {
            Lost::Nothing => {}
            Lost::Newcomer { member, seat, former } => {
                self.disconnect(member, false);
                self.effects.push(Effect::Deliver(seat.deliveries, Delivery::Dismissed(Ending::Restart)));
                former.into_iter().for_each(|former| self.send_away(former));
            }
            Lost::Place(member) => self.send_away(member),
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
