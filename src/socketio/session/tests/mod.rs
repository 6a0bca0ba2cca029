//! A session without HTTP: its requests are made directly, and what it carries is recorded.

use std::{cell::RefCell, rc::Rc, time::Duration};

use bytestring::ByteString;
use tokio::sync::mpsc;

use super::*;
use crate::{
    connection::{
        Budget, Intake,
        host::HostEnd,
        outbound::PollAnswer,
        wire::{Arrivals, Wire},
    },
    metrics::Metrics,
    socketio::{carrier::Carrier, requests::Entry, settings::EngineSettings},
};

mod endings;
mod heart;
mod polls;
mod websocket;

/// What the session's messages and its end come to.
#[derive(Default)]
struct Seen {
    texts: Vec<String>,
    /// The session, once it was woken.
    handle: Option<SessionHandle>,
}

/// Echoes each text, behind the digit of a message.
struct Recorder {
    seen: Rc<RefCell<Seen>>,
    ended: mpsc::UnboundedSender<Ending>,
}

impl Carried for Recorder {
    fn woken(&mut self, handle: &SessionHandle) {
        self.seen.borrow_mut().handle = Some(handle.clone());
    }

    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        handle.packet(format!("4{text}"));
        self.seen.borrow_mut().texts.push(text.to_string());
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        handle.binary(bytes);
    }

    fn closed(&mut self, why: &Ending, _: &SessionHandle) {
        self.ended.send(why.clone()).expect("the test listens");
    }
}

/// A session, and what a test sees of it.
struct Stage {
    registry: Arc<Registry>,
    session: Addr<SocketIoSession>,
    sid: Sid,
    entry: Entry,
    seen: Rc<RefCell<Seen>>,
    ended: mpsc::UnboundedReceiver<Ending>,
}

fn settings() -> EngineSettings {
    EngineSettings { ping_interval: Duration::from_secs(600), ..EngineSettings::default() }
}

impl Stage {
    /// A session that polls.
    fn polling(settings: EngineSettings) -> Self {
        Self::begin(Registry::new(settings, Arc::new(Metrics::new()), Budget::new(1 << 24)), None)
    }

    /// A session on a WebSocket, its queue, and its client.
    fn websocket(settings: EngineSettings) -> (Self, Outbound, HostEnd) {
        let registry = Registry::new(settings, Arc::new(Metrics::new()), Budget::new(1 << 24));
        let (wire, client) = Wire::in_memory();
        wire.open();
        let bounds = registry.settings.bounds();
        let outbound =
            Outbound::on_wire(Rc::clone(&wire), bounds, Lease::of_waiting(registry.budget()), None);
        let arrivals = Arrivals::new(wire, Bytes::new());
        let incoming = Incoming::of(Carrier::carrying(outbound.clone()), arrivals);
        (Self::begin(registry, Some(incoming)), outbound, client)
    }

    fn begin(registry: Arc<Registry>, incoming: Option<Incoming>) -> Self {
        let reserved = registry.reserve(&Visitor::default().request).expect("random numbers");
        let sid = Arc::clone(reserved.sid());
        let gate = Arc::new(Gate::new(Intake::new(1 << 20, registry.budget())));
        gate.set_polling(incoming.is_none());
        let (seen, (ended, heard)) = (Rc::<RefCell<Seen>>::default(), mpsc::unbounded_channel());
        let carried = Box::new(Recorder { seen: Rc::clone(&seen), ended });
        let session = SocketIoSession::start(
            Arc::clone(&registry),
            Arc::clone(&sid),
            incoming,
            carried,
            Visitor::default(),
            Arc::clone(&gate),
        );
        let entry = Entry::new(session.clone().recipient(), gate);
        registry.add(Arc::clone(&sid), entry.clone());
        Self { registry, session, sid, entry, seen, ended: heard }
    }

    async fn post(&self, payload: &'static str) -> bool {
        self.entry.is_polling();
        self.entry.post(&payload.into()).await
    }

    /// The payload of the next poll; `None` if the session is over.
    async fn poll(&self) -> Option<String> {
        self.entry.is_polling();
        match self.entry.poll().await {
            PollAnswer::Payload(payload) => Some(payload),
            PollAnswer::Over => None,
            PollAnswer::BadRequest => panic!("another poll waits"),
        }
    }

    /// The session, from the side of what it carries.
    async fn handle(&self) -> SessionHandle {
        self.session.send(Flush).await.expect("it has begun");
        self.seen.borrow().handle.clone().expect("it was woken")
    }

    async fn until_forgotten(&self) {
        while self.registry.find(&self.sid).is_some() {
            tokio::task::yield_now().await;
        }
    }
}
