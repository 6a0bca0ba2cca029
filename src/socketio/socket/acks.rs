//! Acks that the server waits for: answers of the client to events of this socket.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::time::{Sleep, sleep};
use futures_util::FutureExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{Phase, Socket, SocketData};
use crate::{
    protocol::socketio::Args,
    socketio::{
        AckError,
        rooms::{FIRST_SHARED_ACK, messages},
    },
};

/// The acks that the server waits for, by their ids.
#[derive(Debug)]
pub(super) struct Awaited {
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<Args>>>,
}

impl Awaited {
    /// None yet; the first one has the id `first`.
    pub(super) fn from(first: u64) -> Self {
        Self { next: Cell::new(first), waiting: RefCell::default() }
    }

    /// Waits for one more ack, unless there are `max`.
    pub(super) fn expect(&self, max: usize) -> Option<(u64, oneshot::Receiver<Args>)> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= max {
            return None;
        }
        let id = self.next.replace(self.next.get() + 1);
        let (answer, answered) = oneshot::channel();
        waiting.insert(id, answer);
        Some((id, answered))
    }

    /// Forgets an ack: its answer will not be expected.
    fn forget(&self, id: u64) {
        self.waiting.borrow_mut().remove(&id);
    }

    /// Takes the acks of a socket in whose place this one is.
    pub(super) fn take_over(&self, other: &Self) {
        self.next.set(other.next.get());
        self.waiting.replace(other.waiting.take());
    }

    /// Forgets all: each [`Answer`] that waits learns that the client has left.
    pub(super) fn forget_all(&self) {
        drop(self.waiting.take());
    }
}

/// The client's answer to an event, when it comes. The event has been sent; dropping this only means that the answer is
/// not waited for.
#[derive(Debug)]
pub struct Answer<T> {
    socket: Socket,
    state: Waiting,
    deadline: Option<Pin<Box<Sleep>>>,
    expects: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Waiting {
    For(u64, oneshot::Receiver<Args>),
    Failed(AckError),
    Over,
}

impl<T> Answer<T> {
    pub(super) fn of(
        socket: Socket,
        id: u64,
        answered: oneshot::Receiver<Args>,
        timeout: Option<Duration>,
    ) -> Self {
        let deadline = timeout.map(|timeout| Box::pin(sleep(timeout)));
        Self { socket, state: Waiting::For(id, answered), deadline, expects: PhantomData }
    }

    pub(super) fn failed(socket: Socket, error: AckError) -> Self {
        Self { socket, state: Waiting::Failed(error), deadline: None, expects: PhantomData }
    }

    fn give_up(&mut self) {
        if let Waiting::For(id, _) = std::mem::replace(&mut self.state, Waiting::Over) {
            self.socket.0.awaited.forget(id);
        }
    }
}

impl<T: DeserializeOwned> Future for Answer<T> {
    type Output = Result<T, AckError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answered = match &mut this.state {
            Waiting::For(_, answered) => answered.poll_unpin(cx),
            Waiting::Failed(_) | Waiting::Over => {
                let failed = std::mem::replace(&mut this.state, Waiting::Over);
                let error = if let Waiting::Failed(error) = failed { error } else { AckError::Disconnected };
                return Poll::Ready(Err(error));
            }
        };
        match answered {
            Poll::Ready(args) => {
                this.state = Waiting::Over;
                let args = args.map_err(|_| AckError::Disconnected)?;
                Poll::Ready(args.decode_answer().map_err(AckError::BadAnswer))
            }
            Poll::Pending
                if this.deadline.as_mut().is_some_and(|deadline| deadline.poll_unpin(cx).is_ready()) =>
            {
                this.give_up();
                Poll::Ready(Err(AckError::Timeout))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Socket {
    /// The ack id that the next event would use.
    pub(crate) fn next_ack(&self) -> u64 {
        self.0.awaited.next.get()
    }

    /// Takes an ack of `len` bytes. Returns whether it was expected. Ids for many sockets are left to the room server,
    /// which says [`SocketNews::NotAsked`](messages::SocketNews) if it was not.
    pub(crate) fn acked(&self, id: &str, args: Args, len: usize) -> bool {
        let Ok(id) = id.parse::<u64>() else {
            return false;
        };
        if id >= FIRST_SHARED_ACK && self.0.definition.has_rooms {
            let accepted = self.0.handle.intake().accept(len);
            self.0.desk.room_server.do_send(messages::Answer { socket: self.0.id, id, args, accepted });
            return true;
        }
        let answer = self.0.awaited.waiting.borrow_mut().remove(&id);
        let was_awaited = answer.is_some();
        if let Some(answer) = answer {
            // The receiver may have given up.
            let _ = answer.send(args);
        }
        was_awaited
    }
}

impl<U: SocketData> Socket<U> {
    /// Whether an event can get an answer.
    pub(super) fn can_be_asked(&self) -> bool {
        matches!(self.0.phase.get(), Phase::Joining | Phase::Connected)
    }
}
