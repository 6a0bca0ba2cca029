//! The Socket.IO protocol of one session: its sockets, at most one per namespace.

use std::{
    any::Any,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;
use log::debug;
use prometheus::IntCounter;

use self::{
    admission::{Admitting, Inbox},
    returning::Returning,
};
use super::{
    Carried, Ending,
    desk::Desk,
    handle::SessionHandle,
    namespace::Table,
    rooms::messages::{Disconnect, SocketNews},
    socket::{Event, Reason, Socket, Turn},
};
use crate::{
    connection::{
        Accepted,
        rate::{Measure, Meter, RateLimit},
    },
    domain::SocketId,
    protocol::socketio::{self, Body, Decoder, Packet},
};

mod admission;
mod returning;

/// What the clients of one worker share.
pub(crate) struct Setup {
    pub(crate) table: Arc<Table>,
    pub(crate) desk: Desk,
    pub(crate) limits: socketio::Limits,
    pub(crate) rate: Option<RateLimit>,
    /// Counts events.
    pub(crate) events: IntCounter,
    /// Namespaces that one client may be connected to at a time.
    pub(crate) max_namespaces: usize,
    /// Whether the server has a recovery window.
    pub(crate) can_recover: bool,
    /// Whether a recovered client is not asked for admission again.
    pub(crate) skips_admission: bool,
    /// Whether the cluster keeps lost sockets, without what only this process knows of them.
    pub(crate) keeps_sessions: bool,
}

/// The Socket.IO client on one session.
pub(crate) struct Client {
    setup: Rc<Setup>,
    decoder: Decoder,
    joined: HashMap<ByteString, Joined>,
    has_joined: bool,
    /// First ack id of the next socket. Ids rise over the whole session, so a late ack to a socket that has left matches
    /// no new one.
    next_ack: u64,
    /// Rate limit of packets that are not events.
    meter: Option<Meter>,
    /// When the packet began whose attachments are missing.
    incomplete: Option<Instant>,
    /// Bytes of that packet that have arrived.
    unfinished_len: usize,
    /// Outcomes of admissions that had to wait.
    inbox: Rc<Inbox>,
}

/// A namespace that the client has joined, or wants to join.
enum Joined {
    In(Socket),
    /// Its admission waits. Boxed, as the next one: both are short.
    Admitting(Box<Admitting>),
    /// The room server has been asked to recover the socket.
    Returning(Box<Returning>),
}

/// Packets that arrived before the socket was connected, in order.
type Held = Vec<HeldPacket>;

/// A packet that waits until the socket is connected.
struct HeldPacket {
    body: Body,
    len: usize,
    /// Holds the packet's share of the session's intake limit.
    accepted: Accepted,
}

impl HeldPacket {
    fn new(body: Body, len: usize, handle: &SessionHandle) -> Self {
        Self { body, len, accepted: handle.intake().accept(len) }
    }
}

/// The client broke the protocol. The session must end.
struct Broken;

impl Client {
    pub(crate) fn new(setup: Rc<Setup>) -> Self {
        let decoder = Decoder::new(setup.limits);
        let meter = setup.rate.map(|limit| Meter::new(limit, Instant::now()));
        Self {
            setup,
            decoder,
            joined: HashMap::new(),
            has_joined: false,
            next_ack: 0,
            meter,
            incomplete: None,
            unfinished_len: 0,
            inbox: Rc::default(),
        }
    }

    fn take(
        &mut self,
        packet: Result<Option<Packet>, socketio::PacketError>,
        len: usize,
        handle: &SessionHandle,
    ) {
        // The length of an event includes its attachments.
        let len = self.unfinished_len + len;
        self.unfinished_len = if matches!(packet, Ok(None)) { len } else { 0 };
        if !matches!(packet, Ok(None)) {
            self.incomplete = None;
        }
        let outcome = match packet {
            Ok(None) => {
                self.incomplete.get_or_insert_with(Instant::now);
                Ok(())
            }
            Ok(Some(packet)) => self.dispatch(packet, len, handle),
            Err(error) => {
                debug!("a socket.io client broke the protocol: {error}");
                Err(Broken)
            }
        };
        if outcome.is_err() {
            handle.end(Ending::ParseError);
        }
        self.let_go();
    }

    fn dispatch(
        &mut self,
        Packet { namespace, body }: Packet,
        len: usize,
        handle: &SessionHandle,
    ) -> Result<(), Broken> {
        match (self.joined.get_mut(&namespace), body) {
            (None, Body::Connect(auth)) => {
                return self.connect(namespace, auth.unwrap_or(ByteString::from_static("{}")), handle);
            }
            (None, _) => return Err(Broken),
            (Some(Joined::Admitting(admitting)), body) => {
                admitting.held.push(HeldPacket::new(body, len, handle))
            }
            (Some(Joined::Returning(returning)), body) => {
                returning.held.push(HeldPacket::new(body, len, handle))
            }
            // The official client sends CONNECT twice if `connect()` is called again before it reads the first reply.
            // After its first event or ack it has read that reply, so a further CONNECT is an error.
            (Some(Joined::In(socket)), Body::Connect(_)) if socket.has_spoken() => return Err(Broken),
            (Some(Joined::In(_)), Body::Connect(_) | Body::Nothing) => {
                note_nothing(&mut self.meter, handle);
            }
            (Some(Joined::In(socket)), Body::Event { name, args, id }) => {
                socket.note_speech();
                self.setup.events.inc();
                let event = Event::new(socket, name, args, id);
                socket.take_turn(Turn::Event(event), Some(handle.intake().accept(len)));
            }
            (Some(Joined::In(socket)), Body::Ack { id, args }) => {
                socket.note_speech();
                if !socket.acked(&id, args, len) {
                    note_nothing(&mut self.meter, handle);
                }
            }
            (Some(Joined::In(_)), Body::Disconnect) => {
                self.take_out(&namespace, Reason::BY_CLIENT);
                note_nothing(&mut self.meter, handle);
            }
        }
        Ok(())
    }

    /// Handles the packets that arrived before the socket was connected.
    fn dispatch_held(&mut self, namespace: &ByteString, held: Held, handle: &SessionHandle) {
        for HeldPacket { body, len, accepted } in held {
            // Release the old share: handling charges the intake again.
            drop(accepted);
            match (self.joined.get(namespace), &body) {
                // The client sent it before it could know that it was refused, or has disconnected.
                (None, body) if !matches!(body, Body::Connect(_)) => continue,
                // The client sent it before it could know that it is connected.
                (Some(Joined::In(_)), Body::Connect(_)) => {
                    note_nothing(&mut self.meter, handle);
                    continue;
                }
                _ => {}
            }
            if self.dispatch(Packet { namespace: namespace.clone(), body }, len, handle).is_err() {
                return handle.end(Ending::ParseError);
            }
            self.let_go();
        }
    }

    fn take_news(&mut self, id: SocketId, news: SocketNews, handle: &SessionHandle) {
        match news {
            SocketNews::Recovered(state) => self.returned(id, state.as_deref(), handle),
            SocketNews::NotAsked if self.is_there(id) => {
                note_nothing(&mut self.meter, handle);
            }
            SocketNews::Replaced if self.is_there(id) => handle.end(Ending::Replaced),
            news => {
                if let Some(socket) = self.socket(id) {
                    socket.take_news(news);
                }
            }
        }
    }

    /// Notes a socket that is connected from now on, and handles what has waited for that.
    fn welcome(&mut self, socket: &Socket, held: Held, handle: &SessionHandle) {
        self.has_joined = true;
        let namespace = ByteString::from(socket.namespace());
        self.joined.insert(namespace.clone(), Joined::In(socket.clone()));
        socket.welcome();
        self.let_go();
        self.dispatch_held(&namespace, held, handle);
    }

    /// Removes sockets that the server disconnected: all of them, if it closes the session.
    fn let_go(&mut self) {
        let is_out = |joined: &Joined| matches!(joined, Joined::In(socket) if socket.is_sent_away());
        // Usually there is none.
        while let Some(name) =
            self.joined.iter().find(|(_, joined)| is_out(joined)).map(|(name, _)| name.clone())
        {
            self.take_out(&name, Reason::BY_SERVER);
            for joined in self.joined.values() {
                if let Joined::In(socket) = joined
                    && socket.is_closing()
                {
                    socket.disconnect(false);
                }
            }
        }
    }

    /// Removes a socket from its namespace, without recovery.
    fn take_out(&mut self, namespace: &ByteString, why: Reason) {
        if let Some(Joined::In(socket)) = self.joined.remove(namespace) {
            self.next_ack = self.next_ack.max(socket.next_ack());
            socket.leave_namespace(why, false);
        }
    }

    fn is_there(&self, id: SocketId) -> bool {
        self.joined.values().any(|joined| joined.id() == id)
    }

    /// Finds a connected socket by its id; `None` if it has left.
    fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.joined.values().find_map(|joined| match joined {
            Joined::In(socket) if socket.socket_id() == id => Some(socket),
            _ => None,
        })
    }
}

/// Counts a packet that is not an event against the rate. A flood ends the session. Returns whether the packet may be
/// handled.
fn note_nothing(meter: &mut Option<Meter>, handle: &SessionHandle) -> bool {
    match meter.as_mut().map(|meter| meter.measure(Instant::now())) {
        Some(Measure::Flood) => {
            handle.end(Ending::Flood);
            false
        }
        Some(Measure::TooFast { .. }) => false,
        Some(Measure::Fits) | None => true,
    }
}

impl Joined {
    fn id(&self) -> SocketId {
        match self {
            Self::In(socket) => socket.socket_id(),
            Self::Admitting(admitting) => admitting.socket.socket_id(),
            Self::Returning(returning) => returning.place.id,
        }
    }
}

impl Carried for Client {
    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        let packet = self.decoder.text(&text);
        self.take(packet, text.len(), handle);
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        let len = bytes.len();
        let packet = self.decoder.binary(bytes);
        self.take(packet, len, handle);
    }

    fn notified(&mut self, id: SocketId, news: Box<dyn Any>, handle: &SessionHandle) {
        match news.downcast() {
            Ok(news) => self.take_news(id, *news, handle),
            // The socket may have left.
            Err(news) => {
                if let Some(socket) = self.socket(id) {
                    socket.take_other_news(news);
                }
            }
        }
        self.let_go();
    }

    fn woken(&mut self, _: &SessionHandle) {
        for (id, outcome) in self.inbox.take() {
            self.settle(id, outcome);
        }
        self.let_go();
    }

    fn upgraded(&mut self, _: &SessionHandle) {
        for joined in self.joined.values() {
            if let Joined::In(socket) = joined {
                socket.upgraded();
            }
        }
        self.let_go();
    }

    fn is_stuck(&self, patience: Duration) -> bool {
        self.incomplete.is_some_and(|since| since.elapsed() > patience)
    }

    fn is_joined(&self) -> bool {
        self.has_joined
    }

    fn is_known(&self) -> bool {
        self.joined.values().any(|joined| match joined {
            Joined::In(socket) => socket.is_trusted(),
            Joined::Admitting(_) => false,
            Joined::Returning(_) => true,
        })
    }

    fn unfinished(&self) -> usize {
        self.unfinished_len
    }

    fn closed(&mut self, why: &Ending, _: &SessionHandle) {
        for (_, joined) in self.joined.drain() {
            match joined {
                Joined::In(socket) if socket.is_disconnected_by_server() => {
                    socket.leave_namespace(Reason::BY_SERVER, false);
                }
                Joined::In(socket) => {
                    socket.leave_namespace(Reason::of_session(why), why.is_recoverable());
                }
                Joined::Admitting(admitting) => admitting.give_up(),
                // The room server may have recovered the socket already; then it stays recoverable.
                Joined::Returning(returning) => {
                    returning.give_up();
                    let socket = returning.place.id;
                    self.setup.desk.outlets.take(socket.member());
                    self.setup.desk.room_server.do_send(Disconnect { socket, may_return: true });
                }
            }
        }
    }
}
