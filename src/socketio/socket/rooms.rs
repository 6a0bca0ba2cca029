//! The rooms of a socket.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

use bytestring::ByteString;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::{Phase, Socket, SocketData};
use crate::socketio::{
    into_rooms::IntoRooms,
    rooms::messages::{EnterRoom, QuitRoom},
};

/// Rooms that the room server has been asked to add the socket to, in order of the requests.
#[derive(Debug, Default)]
pub(super) struct Entering(RefCell<Vec<(ByteString, oneshot::Sender<bool>)>>);

/// Rooms that the room server has been asked to take the socket out of, in order of the requests.
#[derive(Debug, Default)]
pub(super) struct Leaving(RefCell<Vec<ByteString>>);

/// Why a socket could not join a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJoined {
    /// The room is new, and there are as many rooms as [`max_rooms`](crate::socketio::Builder::max_rooms) allows.
    #[error("there are too many rooms")]
    TooManyRooms,
    /// The socket has left, or the part of the server that keeps the rooms has begun again.
    #[error("the socket has left")]
    Gone,
}

/// The outcome of [`Socket::join`]. It need not be awaited: what the socket emits later to the room reaches its members in
/// the right order anyway.
#[derive(Debug)]
pub struct Joining(Vec<oneshot::Receiver<bool>>);

impl Future for Joining {
    type Output = Result<(), NotJoined>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(next) = self.0.last_mut() {
            match next.poll_unpin(cx) {
                Poll::Ready(Ok(true)) => drop(self.0.pop()),
                Poll::Ready(Ok(false)) => return Poll::Ready(Err(NotJoined::TooManyRooms)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(NotJoined::Gone)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<U: SocketData> Socket<U> {
    /// Joins a room, or several. A room is created by its first member. Idempotent. Before the client is connected, the
    /// rooms are joined as soon as it is, and the outcome is not waited for.
    pub fn join(&self, rooms: impl IntoRooms) -> Joining {
        if matches!(self.0.phase.get(), Phase::Leaving | Phase::SentAway | Phase::Gone) {
            let (_, gone) = oneshot::channel();
            return Joining(vec![gone]);
        }
        let outcomes = rooms.into_rooms().into_iter().map(|room| self.enter(room)).collect();
        // A middleware that waited for the outcome would wait for its own end.
        Joining(if self.0.phase.get() == Phase::Joining { Vec::new() } else { outcomes })
    }

    fn enter(&self, room: ByteString) -> oneshot::Receiver<bool> {
        let (answer, answered) = oneshot::channel();
        if room != self.0.sid {
            self.0.rooms.borrow_mut().insert(room.clone());
        }
        self.0.entering.0.borrow_mut().push((room.clone(), answer));
        self.once_connected(move |socket| {
            socket.0.desk.room_server.do_send(EnterRoom { socket: socket.0.id, room });
        });
        answered
    }

    /// Leaves a room, or several. Idempotent. A socket stays in the room of its id.
    pub fn leave(&self, rooms: impl IntoRooms) {
        for room in rooms.into_rooms() {
            if room == self.0.sid {
                continue;
            }
            self.0.rooms.borrow_mut().remove(&room);
            self.once_connected(move |socket| {
                socket.0.leaving.0.borrow_mut().push(room.clone());
                socket.0.desk.room_server.do_send(QuitRoom { socket: socket.0.id, room });
            });
        }
    }

    /// Names of the rooms that the socket is in or has asked to join, in order of the alphabet. One of them is its own
    /// [id](Self::id). Empty once it has left; a [`disconnecting`](crate::socketio::Namespace::disconnecting) handler still
    /// sees them.
    pub fn rooms(&self) -> Vec<ByteString> {
        let mut rooms: Vec<_> = self.0.rooms.borrow().iter().cloned().collect();
        if self.has_own_room() {
            let place = rooms.partition_point(|room| *room < self.0.sid);
            rooms.insert(place, self.0.sid.clone());
        }
        rooms
    }

    /// Whether the socket is in the room of its id, which is not among its other rooms: most sockets are in no other.
    fn has_own_room(&self) -> bool {
        self.0.definition.has_rooms && self.0.phase.get() != Phase::Gone
    }

    /// Whether the socket is in a room, or has asked to join it.
    pub fn is_in(&self, room: &str) -> bool {
        self.0.rooms.borrow().contains(room) || self.has_own_room() && self.0.sid == room
    }
}

impl Socket {
    /// The room server's reply to a request to join a room.
    pub(super) fn entered(&self, room: &ByteString, is_in: bool) {
        let (answer, is_asked_again) = {
            let mut entering = self.0.entering.0.borrow_mut();
            let place = entering.iter().position(|(entering, _)| entering == room);
            let answer = place.map(|place| entering.remove(place).1);
            (answer, entering.iter().any(|(entering, _)| entering == room))
        };
        // If the room was requested again, the last reply decides.
        if !is_in && !is_asked_again {
            self.0.rooms.borrow_mut().remove(room);
        }
        if let Some(answer) = answer {
            // The program may not wait for it.
            let _ = answer.send(is_in);
        }
    }

    /// The room server's reply to a request to leave a room.
    pub(super) fn left(&self, room: &ByteString) {
        let mut leaving = self.0.leaving.0.borrow_mut();
        if let Some(place) = leaving.iter().position(|leaving| leaving == room) {
            leaving.remove(place);
        }
    }

    /// Others have put the socket into these rooms. Its own requests to leave them, which the room server has not
    /// answered yet, come later and decide.
    pub(super) fn put_into(&self, rooms: Vec<ByteString>) {
        let leaving = self.0.leaving.0.borrow();
        self.0
            .rooms
            .borrow_mut()
            .extend(rooms.into_iter().filter(|room| !leaving.contains(room) && *room != self.0.sid));
    }

    /// Others have taken the socket out of these rooms. Its own requests to join them, which the room server has
    /// not answered yet, come later and decide.
    pub(super) fn taken_out(&self, rooms: &[ByteString]) {
        let entering = self.0.entering.0.borrow();
        let returns = |room: &ByteString| entering.iter().any(|(entering, _)| entering == room);
        let mut own = self.0.rooms.borrow_mut();
        let gone = rooms.iter().filter(|room| !returns(room));
        gone.for_each(|room| _ = own.remove(room));
    }

    /// Takes the rooms that a socket has asked for in whose place this one is.
    pub(super) fn take_over_rooms(&self, other: &Self) {
        self.0.rooms.borrow_mut().extend(other.0.rooms.take());
        self.0.entering.0.replace(other.0.entering.0.take());
    }

    /// Forgets the rooms: the socket has left.
    pub(super) fn forget_rooms(&self) {
        drop(self.0.rooms.take());
        drop(self.0.entering.0.take());
        drop(self.0.leaving.0.take());
    }
}
