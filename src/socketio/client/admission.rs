//! Admission to a namespace: the program's functions decide, at once or later.

use std::{
    cell::RefCell,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use actix_web::rt::{self, task::JoinHandle};
use bytestring::ByteString;
use futures_util::FutureExt as _;
use log::error;

use super::{Broken, Client, Held, Joined, note_nothing};
use crate::{
    broadcast::Seat,
    domain::SocketId,
    protocol::socketio::{Auth, Offset, ServerPacket},
    socketio::{
        Refusal,
        handle::SessionHandle,
        namespace::{ChildClient, Found},
        rooms::messages::{BARE, Connect, EVENTS},
        socket::{Definition, Handshake, Keeper, Place, Socket, handlers::Running, random_id, seat},
    },
};

/// What the program's functions have decided.
type Outcome = Result<(), Refusal>;

/// Outcomes of admissions that had to wait, until the session takes them.
#[derive(Default)]
pub(super) struct Inbox(RefCell<Vec<(SocketId, Outcome)>>);

impl Inbox {
    pub(super) fn take(&self) -> Vec<(SocketId, Outcome)> {
        self.0.take()
    }
}

/// A socket that waits for its admission.
pub(super) struct Admitting {
    pub(super) socket: Socket,
    pub(super) held: Held,
    place: Place,
    /// What the client wants to come back as, once it is admitted.
    comes_back: Option<ComesBack>,
    task: JoinHandle<()>,
}

/// The socket that a client was.
pub(super) struct ComesBack {
    pub(super) pid: ByteString,
    pub(super) offset: Offset,
}

impl Admitting {
    /// Stops the admission: the client has gone.
    pub(super) fn give_up(self) {
        self.task.abort();
        self.socket.abandon();
    }
}

impl Client {
    pub(super) fn connect(
        &mut self,
        namespace: ByteString,
        auth: ByteString,
        handle: &SessionHandle,
    ) -> Result<(), Broken> {
        if !note_nothing(&mut self.meter, handle) {
            refuse(&namespace, &Refusal::new("Too many packets"), handle);
            return Ok(());
        }
        if self.joined.len() >= self.setup.max_namespaces {
            refuse(&namespace, &Refusal::new("Too many namespaces"), handle);
            return Ok(());
        }
        let fields = Auth::read(&auth);
        let handshake = Handshake::new(Arc::clone(handle.request()), auth);
        let Found { definition, child } = match self.setup.table.find(&namespace, &handshake) {
            Ok(found) => found,
            Err(refusal) => {
                refuse(&namespace, &refusal, handle);
                return Ok(());
            }
        };
        // A client may opt out of recovery.
        let recovers = self.setup.can_recover && definition.recovers && definition.has_rooms;
        let fields = Some(fields).filter(|fields| recovers && !fields.no_recovery);
        let place = Place {
            id: SocketId::next(),
            namespace,
            handshake,
            definition,
            child: child.map(|child| -> Keeper { Arc::new(child) }),
            handle: handle.clone(),
            desk: self.setup.desk.clone(),
            first_ack: self.next_ack,
            may_return: fields.is_some(),
            // Without recovery for this client alone, its dialect has no offsets.
            opts_out: recovers && fields.is_none(),
            foreign: fields.as_ref().and_then(|fields| fields.offset.number()),
        };
        match fields.and_then(|fields| Some(ComesBack { pid: fields.pid?, offset: fields.offset })) {
            Some(comes_back)
                if self.setup.skips_admission
                    && (!self.setup.keeps_sessions || place.definition.can_revive()) =>
            {
                self.come_back(place, comes_back, None, Held::new());
                Ok(())
            }
            comes_back => self.admit(place, comes_back, Held::new()),
        }
    }

    /// Has the program's functions decide about a client.
    pub(super) fn admit(
        &mut self,
        place: Place,
        comes_back: Option<ComesBack>,
        held: Held,
    ) -> Result<(), Broken> {
        let sid = random_id().map_err(|_| Broken)?;
        let pid = place.may_return.then(random_id).transpose().map_err(|_| Broken)?;
        let socket = Socket::new(place.clone(), sid, pid);
        let handle = place.handle.clone();
        let Some(mut deciding) = decide(&socket, &place) else {
            self.admitted(socket, place, comes_back, held);
            return Ok(());
        };
        // Most decide at once. A task polls again with a waker of its own.
        if let Poll::Ready(outcome) = deciding.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.decided(outcome, socket, place, comes_back, held);
            return Ok(());
        }
        let (inbox, id) = (Rc::clone(&self.inbox), socket.socket_id());
        let task = rt::spawn(async move {
            let outcome = deciding.await;
            inbox.0.borrow_mut().push((id, outcome));
            handle.wake();
        });
        let namespace = place.namespace.clone();
        let admitting = Admitting { socket, held, place, comes_back, task };
        self.joined.insert(namespace, Joined::Admitting(Box::new(admitting)));
        Ok(())
    }

    /// Takes the outcome of an admission that had to wait.
    pub(super) fn settle(&mut self, id: SocketId, outcome: Outcome) {
        let is_it = |joined: &Joined| matches!(joined, Joined::Admitting(_)) && joined.id() == id;
        let found = self.joined.iter().find(|(_, joined)| is_it(joined)).map(|(name, _)| name.clone());
        if let Some(Joined::Admitting(admitting)) = found.and_then(|name| self.joined.remove(&name)) {
            let Admitting { socket, held, place, comes_back, .. } = *admitting;
            self.decided(outcome, socket, place, comes_back, held);
        }
    }

    fn decided(
        &mut self,
        outcome: Outcome,
        socket: Socket,
        place: Place,
        comes_back: Option<ComesBack>,
        held: Held,
    ) {
        match outcome {
            Ok(()) => self.admitted(socket, place, comes_back, held),
            Err(refusal) => self.refuse(&socket, &place, &refusal, held),
        }
    }

    /// Refuses a client that was asked for. What it has sent meanwhile is dropped, up to its next CONNECT.
    fn refuse(&mut self, socket: &Socket, place: &Place, refusal: &Refusal, held: Held) {
        socket.abandon();
        refuse(&place.namespace, refusal, &place.handle);
        self.dispatch_held(&place.namespace, held, &place.handle);
    }

    fn admitted(&mut self, socket: Socket, place: Place, comes_back: Option<ComesBack>, held: Held) {
        if socket.is_sent_away() {
            // A middleware has disconnected it.
            return self.refuse(&socket, &place, &Refusal::new("Disconnected"), held);
        }
        if !self.is_current(&place) {
            return self.refuse(&socket, &place, &Refusal::new("Invalid namespace"), held);
        }
        match comes_back {
            Some(comes_back) => self.come_back(place, comes_back, Some(socket), held),
            None => self.begin(&socket, &place, held),
        }
    }

    /// Connects an admitted socket, with the room server.
    pub(super) fn begin(&mut self, socket: &Socket, place: &Place, held: Held) {
        if place.definition.has_rooms {
            let Some(seat) = self.seat_of(place) else {
                return;
            };
            self.open_outlet(place);
            self.setup.desk.room_server.do_send(Connect {
                socket: place.id,
                worker: self.setup.desk.worker,
                seat,
                namespace: place.namespace.clone(),
                sid: socket.id().into(),
                pid: socket.pid().map(ByteString::from),
                foreign: place.foreign,
                info: socket.info(),
            });
        }
        self.welcome(socket, held, &place.handle);
        // The room server may have removed the namespace before it knew the socket.
        if !self.is_current(place) {
            socket.disconnect(false);
        }
    }

    /// Whether the namespace has not been removed since it was looked up.
    fn is_current(&self, place: &Place) -> bool {
        match &place.child {
            Some(child) => child.downcast_ref::<ChildClient>().is_none_or(ChildClient::is_current),
            None => self.setup.table.has_named(&place.namespace),
        }
    }

    /// Where the room server reaches the socket; `None` before the session's actor has started.
    pub(super) fn seat_of(&self, place: &Place) -> Option<Seat> {
        seat(&place.handle, if place.opts_out { BARE } else { EVENTS })
    }

    /// Opens the outlet of a socket that the room server is about to register. It takes the place of an outlet that was
    /// opened for the recovery of the socket and is used up.
    pub(super) fn open_outlet(&self, Place { id, handle, .. }: &Place) {
        handle.close_outlet(*id);
        self.setup.desk.outlets.add(id.member(), handle.open_outlet(*id));
    }
}

/// Refuses a client (`CONNECT_ERROR`).
fn refuse(namespace: &str, refusal: &Refusal, handle: &SessionHandle) {
    let json = serde_json::to_string(refusal).unwrap_or_else(|_| r#"{"message":"refused"}"#.to_owned());
    handle.packet(ServerPacket::ConnectError { json: &json }.to_message(namespace));
}

/// What the program's functions say of a client; `None` if there are none.
fn decide(socket: &Socket, place: &Place) -> Option<Running<Outcome>> {
    let definition = &place.definition;
    if definition.admission.is_none() && definition.middlewares.is_empty() {
        return None;
    }
    let (socket, place) = (socket.clone(), place.clone());
    let name = place.namespace.clone();
    let asked = async move { ask(&place.definition, &socket, place.handshake.clone()).await };
    let guarded = AssertUnwindSafe(asked).catch_unwind().map(move |outcome| {
        outcome.unwrap_or_else(|_| {
            error!("namespace {name}: its admission panicked; the client is refused");
            Err(Refusal::new("Internal error"))
        })
    });
    Some(Box::pin(guarded))
}

async fn ask(definition: &Definition, socket: &Socket, handshake: Handshake) -> Outcome {
    if let Some(admission) = &definition.admission {
        socket.set_data(admission(handshake).await?);
    }
    for middleware in &definition.middlewares {
        match middleware(socket) {
            Some(asking) => asking.await?,
            None => {
                error!("namespace {}: a middleware takes another type of data", socket.namespace());
                return Err(Refusal::new("Internal error"));
            }
        }
    }
    Ok(())
}
