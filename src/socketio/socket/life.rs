//! How a socket begins and ends, for the client of its session.

use std::{
    any::Any,
    sync::{Arc, Mutex},
};

use log::error;

use super::{Data, Phase, Reason, Socket, SocketInfo, turns::Turn};
use crate::{
    broadcast::Encoding,
    domain::SocketId,
    protocol::socketio::ServerPacket,
    socketio::{
        Ending,
        rooms::messages::{BARE, Disconnect, EVENTS, Recovered, SetEncoding, SocketNews},
    },
};

impl Socket {
    pub(crate) fn socket_id(&self) -> SocketId {
        self.0.id
    }

    pub(crate) fn pid(&self) -> Option<&str> {
        self.0.pid.as_deref()
    }

    /// Sets the data, once.
    pub(crate) fn set_data(&self, data: Data) {
        let _ = self.0.data.set(data);
    }

    /// What others may see of the socket.
    pub(crate) fn info(&self) -> Arc<SocketInfo> {
        let data = || Arc::clone(self.0.data.get_or_init(|| Arc::new(())));
        let make = || {
            let keeper = Mutex::new(self.0.child.borrow().clone());
            let shared_data = self.0.definition.shared_data.clone();
            Arc::new(SocketInfo { handshake: self.0.handshake.clone(), data: data(), shared_data, keeper })
        };
        Arc::clone(self.0.info.get_or_init(make))
    }

    /// Takes what the room server has kept of the socket that this one was.
    pub(crate) fn take_info(&self, state: &Recovered) {
        if let Ok(info) = Arc::clone(&state.info).downcast::<SocketInfo>() {
            let _ = self.0.info.set(info);
        }
    }

    /// Takes the data that the socket had before.
    pub(crate) fn take_data_again(&self) {
        if let Some(info) = self.0.info.get() {
            self.set_data(Arc::clone(&info.data));
        }
    }

    /// Tells the client that it is connected, does what has waited for that, and calls the handlers.
    pub(crate) fn welcome(&self) {
        self.0.phase.set(Phase::Connected);
        self.send(ServerPacket::Connect { sid: &self.0.sid, pid: self.pid() }, &[]);
        if !self.0.definition.outgoing.is_empty() {
            self.listen_for_outgoing();
        }
        for action in self.0.waiting.take() {
            action(self);
        }
        self.take_turn(Turn::Connect, None);
    }

    /// Tells the client that the server has disconnected it, and has the session remove the socket. With `close`, the session
    /// ends.
    pub(super) fn send_away(&self, close: bool) {
        if close {
            self.0.handle.end(Ending::ClosedByServer);
        }
        if self.0.is_leaving.get() {
            // Its client may connect again at once, and must not take the packet for the new socket.
            return;
        }
        self.send(ServerPacket::Disconnect, &[]);
        self.0.phase.set(Phase::SentAway);
        self.0.was_put_out.set(true);
        self.0.handle.wake();
    }

    /// Whether the server has disconnected the socket, and its session must remove it.
    pub(crate) fn is_sent_away(&self) -> bool {
        self.0.phase.get() == Phase::SentAway
    }

    /// Whether the server has disconnected the socket, which its session need not remove yet.
    pub(crate) fn is_disconnected_by_server(&self) -> bool {
        matches!(self.0.phase.get(), Phase::Leaving | Phase::SentAway)
    }

    /// Whether the server closes the whole session.
    pub(crate) fn is_closing(&self) -> bool {
        self.0.handle.ending() == Some(Ending::ClosedByServer)
    }

    /// Notes an event or an ack. A client sends one only after it has read the reply to CONNECT.
    pub(crate) fn note_speech(&self) {
        self.0.has_spoken.set(true);
    }

    pub(crate) fn has_spoken(&self) -> bool {
        self.0.has_spoken.get()
    }

    /// Whether the client may send messages of the full size.
    pub(crate) fn is_trusted(&self) -> bool {
        self.0.is_trusted.get()
    }

    /// The session goes on over another transport.
    pub(crate) fn upgraded(&self) {
        self.note_compression();
        if !self.0.definition.upgrade.is_empty() {
            self.take_turn(Turn::Upgrade(self.transport()), None);
        }
    }

    /// Has events to rooms come compressed, if the client has agreed to that since it asked to connect.
    pub(crate) fn note_compression(&self) {
        if self.0.definition.has_rooms && self.0.handle.takes_compressed() {
            let dialect = if self.0.opts_out { BARE } else { EVENTS };
            let encoding = Encoding { dialect, deflated: true };
            self.0.desk.room_server.do_send(SetEncoding { socket: self.0.id, encoding });
        }
    }

    /// The socket leaves: its handlers are told, and nothing more goes to its client or comes from the room server.
    /// `may_return` keeps it for recovery.
    pub(crate) fn leave_namespace(&self, reason: Reason, may_return: bool) {
        self.0.is_leaving.set(true);
        self.note_leaving(&reason);
        self.0.phase.set(Phase::Gone);
        self.0.behind.forget_all();
        drop(self.0.waiting.take());
        self.0.awaited.forget_all();
        self.forget_rooms();
        self.0.handle.close_outlet(self.0.id);
        if self.0.definition.has_rooms {
            self.0.desk.outlets.take(self.0.id.member());
            self.0.desk.room_server.do_send(Disconnect { socket: self.0.id, may_return });
        }
        if !may_return && let Some(info) = self.0.info.get() {
            info.let_namespace_go();
        }
        drop(self.0.child.take());
        self.take_turn(Turn::Disconnect(reason), None);
    }

    /// Drops what the program keeps with a socket that has left: its handlers, and its value of this thread. They often own
    /// a clone of the socket, and the cycle would never be freed.
    pub(super) fn forget_handlers_if_gone(&self) {
        if self.0.phase.get() == Phase::Gone {
            self.forget_handlers();
        }
    }

    fn forget_handlers(&self) {
        self.0.local.close();
        drop(self.0.local_data.take());
    }

    /// The socket was never connected: drops what waits for that, and what the program keeps with it.
    pub(crate) fn abandon(&self) {
        self.0.phase.set(Phase::Gone);
        drop(self.0.waiting.take());
        self.0.awaited.forget_all();
        self.forget_rooms();
        drop(self.0.child.take());
        self.forget_handlers();
    }
}

impl Socket {
    /// Takes the data, the handlers, and what waits to be done, from a socket that was admitted in the place of this
    /// recovered one.
    pub(crate) fn take_over(&self, admitted: &Self) {
        if let Some(data) = admitted.0.data.get() {
            self.set_data(Arc::clone(data));
        }
        let waiting = admitted.0.waiting.take();
        self.0.waiting.borrow_mut().extend(waiting);
        self.take_over_rooms(admitted);
        self.0.awaited.take_over(&admitted.0.awaited);
        self.0.local.take_over(&admitted.0.local);
        self.0.local_data.replace(admitted.0.local_data.take());
        admitted.abandon();
    }

    /// Takes news of the room server.
    pub(crate) fn take_news(&self, news: SocketNews) {
        match news {
            SocketNews::Entered { room, is_in } => self.entered(&room, is_in),
            SocketNews::Left { room } => self.left(&room),
            SocketNews::Barrier => self.barrier_passed(),
            SocketNews::PutInto { rooms } => self.put_into(rooms),
            SocketNews::TakenOut { rooms } => self.taken_out(&rooms),
            SocketNews::Outgoing(args) => self.note_outgoing(&args),
            SocketNews::SentAway { close } => {
                self.all_barriers_passed();
                self.send_away(close);
            }
            // For the session, not for a socket.
            SocketNews::Recovered(_) | SocketNews::Replaced | SocketNews::NotAsked => {}
        }
    }

    /// Takes news of another server of this crate.
    pub(crate) fn take_other_news(&self, news: Box<dyn Any>) {
        match &self.0.definition.news {
            Some(handler) => handler(self, news),
            None => error!("{}: news of an unknown kind are dropped", self.0.id),
        }
    }
}
