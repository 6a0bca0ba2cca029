//! One WebSocket of a Socket.IO session: the one that carries it, or one that its client probes.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::rt;
use tokio::sync::Notify;

use crate::{
    connection::{Ending, outbound::Outbound},
    protocol::websocket::Message,
};

/// A WebSocket of a session. Clones are the same WebSocket.
#[derive(Clone, Debug)]
pub(super) struct Carrier(Rc<RefCell<Role>>);

#[derive(Debug)]
enum Role {
    /// The client probes it. It has a queue of its own.
    Probed(Outbound),
    /// It carries the session, whose queue this is.
    Carries(Outbound),
}

impl Carrier {
    /// A WebSocket that carries a session.
    pub(super) fn carrying(outbound: Outbound) -> Self {
        Self(Rc::new(RefCell::new(Role::Carries(outbound))))
    }

    /// A WebSocket that the client of a polling session probes.
    pub(super) fn probed(outbound: Outbound) -> Self {
        Self(Rc::new(RefCell::new(Role::Probed(outbound))))
    }

    /// Whether both are the same WebSocket.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The probe has succeeded: the WebSocket carries the session, whose queue is `outbound`.
    pub(super) fn carry(&self, outbound: Outbound) {
        self.0.replace(Role::Carries(outbound));
    }

    /// Whether it carries the session, and is not only probed.
    pub(super) fn carries(&self) -> bool {
        matches!(&*self.0.borrow(), Role::Carries(_))
    }

    /// The outgoing queue.
    pub(super) fn outbound(&self) -> Outbound {
        match &*self.0.borrow() {
            Role::Probed(outbound) | Role::Carries(outbound) => outbound.clone(),
        }
    }
}

/// Closes the WebSockets of sessions that have ended, and counts them until their last bytes are written.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    /// A client that does not take its last bytes in this time is cut.
    stall_timeout: Duration,
    count: Arc<AtomicUsize>,
    /// Told when one is done.
    gone: Arc<Notify>,
}

impl Closing {
    pub(super) fn new(stall_timeout: Duration, gone: Arc<Notify>) -> Self {
        Self { stall_timeout, count: Arc::default(), gone }
    }

    /// The number of WebSockets whose last bytes are still written.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Ends a connection after what waits, with this finished close frame. The first end counts.
    pub(super) fn close(&self, outbound: &Outbound, frame: &[u8]) {
        if outbound.has_ended() {
            return;
        }
        outbound.end_with(frame);
        self.count.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&self.count), Arc::clone(&self.gone));
        let (outbound, patience) = (outbound.clone(), self.stall_timeout);
        rt::spawn(async move {
            outbound.finish(patience).await;
            drop(counted);
        });
    }
}

/// Counts one WebSocket until it is dropped.
struct Counted(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_waiters();
    }
}

/// What comes on a WebSocket.
#[derive(Debug)]
pub(super) struct Heard {
    /// The WebSocket.
    pub carrier: Carrier,
    /// What came.
    pub inbound: Inbound,
}

/// One item from a WebSocket.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A data message or a control frame.
    Frame(Message),
    /// The WebSocket ends for this reason; the last item.
    End(Ending),
}
