//! The Socket.IO protocol of one session: its sockets, at most one per namespace.

use std::{
    any::Any,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;
use log::debug;
use prometheus::IntCounter;

use super::{
    AckTo, Event, Namespaces, Refusal, SocketHandler,
    socket::{self, Place, Socket},
};
use crate::{
    broadcast::{Cutter, Dialect, Encoding, Seat},
    connection::{
        Accepted,
        rate::{Measure, Meter, RateLimit},
    },
    domain::SocketId,
    protocol::socketio::{self, Auth, Body, Decoder, Offset, Packet, ServerPacket},
    socketio::{
        Carried, Ending,
        desk::Desk,
        handle::SessionHandle,
        rooms::messages::{BARE, Connect, Disconnect, EVENTS, Recover, Recovered, SocketNews},
    },
};

/// Disconnect reason when the server disconnects a socket; the words of the reference server.
const BY_SERVER: &str = "server namespace disconnect";

/// The Socket.IO client on one session.
pub(super) struct Client {
    namespaces: Rc<Namespaces>,
    desk: Desk,
    decoder: Decoder,
    joined: HashMap<ByteString, Joined>,
    has_joined: bool,
    /// First ack id of the next socket. Ids rise over the whole session, so a late ack to a socket that has
    /// left matches no new one.
    next_ack: u64,
    /// Rate limit of packets that are not events.
    meter: Option<Meter>,
    events: IntCounter,
    /// When the packet began whose attachments are missing.
    incomplete: Option<Instant>,
    /// Bytes of that packet that have arrived.
    unfinished_len: usize,
}

/// A namespace that the client has joined, or is recovering.
enum Joined {
    In(Socket, Box<dyn SocketHandler>),
    /// The room server has been asked to recover the socket. Boxed, because recoveries are few and short.
    Returning(Box<Returning>),
}

/// A socket that waits for the room server's reply to a recovery.
struct Returning {
    place: Place,
    pid: ByteString,
    handler: Box<dyn SocketHandler>,
    /// Packets that arrived meanwhile, in order.
    held: Vec<Held>,
}

/// A packet that waits for the room server's reply.
struct Held {
    body: Body,
    len: usize,
    /// Holds the packet's share of the session's intake limit.
    accepted: Accepted,
}

/// The client broke the protocol. The session must end.
struct Broken;

impl Client {
    pub(super) fn new(
        namespaces: Rc<Namespaces>,
        desk: Desk,
        rate: Option<RateLimit>,
        events: IntCounter,
    ) -> Self {
        let decoder = Decoder::new(namespaces.limits);
        let meter = rate.map(|limit| Meter::new(limit, Instant::now()));
        Self {
            namespaces,
            desk,
            decoder,
            joined: HashMap::new(),
            has_joined: false,
            next_ack: 0,
            meter,
            events,
            incomplete: None,
            unfinished_len: 0,
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
                return self.connect(namespace, auth.as_deref().unwrap_or("{}"), handle);
            }
            (None, _) => return Err(Broken),
            (Some(Joined::Returning(returning)), body) => {
                returning.held.push(Held { body, len, accepted: handle.intake().accept(len) });
            }
            // The official client sends CONNECT twice if `connect()` is called again before it reads the
            // first reply. After its first event or ack it has read that reply, so a further CONNECT is an
            // error.
            (Some(Joined::In(socket, _)), Body::Connect(_)) if socket.has_spoken() => return Err(Broken),
            (Some(Joined::In(..)), Body::Connect(_) | Body::Nothing) => {
                note_nothing(&mut self.meter, handle);
            }
            (Some(Joined::In(socket, handler)), Body::Event { name, args, id }) => {
                socket.note_speech();
                self.events.inc();
                let ack = id.map(|id| AckTo { id, socket: socket.clone() });
                let accepted = handle.intake().accept(len);
                handler.event(socket, Event { name, args, ack, accepted });
            }
            (Some(Joined::In(socket, _)), Body::Ack { id, args }) => {
                socket.note_speech();
                if !socket.acked(&id, args, len) {
                    note_nothing(&mut self.meter, handle);
                }
            }
            (Some(Joined::In(..)), Body::Disconnect) => {
                self.take_out(&namespace, "client namespace disconnect");
                note_nothing(&mut self.meter, handle);
            }
        }
        Ok(())
    }

    /// Handles the packets that arrived during recovery.
    fn dispatch_held(&mut self, namespace: &ByteString, held: Vec<Held>, handle: &SessionHandle) {
        for Held { body, len, accepted } in held {
            // Release the old share: handling charges the intake again.
            drop(accepted);
            if self.dispatch(Packet { namespace: namespace.clone(), body }, len, handle).is_err() {
                return handle.end(Ending::ParseError);
            }
            self.let_go();
        }
    }

    fn connect(&mut self, namespace: ByteString, auth: &str, handle: &SessionHandle) -> Result<(), Broken> {
        let may_come = note_nothing(&mut self.meter, handle);
        let behind = self.namespaces.by_name.get(&*namespace);
        let admitted = match behind {
            _ if !may_come => Err(Refusal::new("Too many packets")),
            Some(behind) => behind.admit(auth),
            None => Err(Refusal::new("Invalid namespace")),
        };
        let handler = match admitted {
            Ok(handler) => handler,
            Err(refusal) => {
                let json = serde_json::to_string(&refusal).expect("a refusal is JSON");
                handle.packet(ServerPacket::ConnectError { json: &json }.to_message(&namespace));
                return Ok(());
            }
        };
        let has_rooms = behind.is_some_and(|behind| behind.has_rooms());
        let recovers = self.namespaces.can_recover && behind.is_some_and(|behind| behind.recovers());
        // A client may opt out of recovery.
        let auth = recovers.then(|| Auth::read(auth)).filter(|auth| !auth.no_recovery);
        let dialect = if recovers && auth.is_none() { BARE } else { EVENTS };
        let place = Place {
            id: SocketId::next(),
            namespace,
            handle: handle.clone(),
            desk: self.desk.clone(),
            has_rooms,
            first_ack: self.next_ack,
            may_return: auth.is_some(),
            foreign: auth.as_ref().and_then(|auth| auth.offset.number()),
        };
        let Some(seat) = seat(handle, dialect).filter(|_| has_rooms) else {
            let socket = Socket::new(place, socket::random_id().map_err(|_| Broken)?, None);
            self.welcome(socket, handler);
            return Ok(());
        };
        match auth {
            Some(Auth { pid: Some(pid), offset, .. }) => {
                self.come_back(place, seat, pid, offset, handler);
                Ok(())
            }
            _ => self.begin(place, seat, handler),
        }
    }

    /// Opens the outlet of a socket that the room server is about to register. It takes the place of an outlet that was
    /// opened for the recovery of the socket and is used up.
    fn open_outlet(&self, Place { id, handle, .. }: &Place) {
        handle.close_outlet(*id);
        self.desk.outlets.add(id.member(), handle.open_outlet(*id));
    }

    /// Asks the room server to recover a socket.
    fn come_back(
        &mut self,
        place: Place,
        seat: Seat,
        pid: ByteString,
        offset: Offset,
        handler: Box<dyn SocketHandler>,
    ) {
        self.open_outlet(&place);
        let Desk { room_server, worker, .. } = &self.desk;
        let (socket, worker, namespace) = (place.id, *worker, place.namespace.clone());
        room_server.do_send(Recover {
            socket,
            worker,
            seat,
            namespace: namespace.clone(),
            pid: pid.clone(),
            offset,
        });
        let returning = Returning { place, pid, handler, held: Vec::new() };
        self.joined.insert(namespace, Joined::Returning(Box::new(returning)));
    }

    /// Connects a new socket, with the room server.
    fn begin(&mut self, place: Place, seat: Seat, handler: Box<dyn SocketHandler>) -> Result<(), Broken> {
        let sid = socket::random_id().map_err(|_| Broken)?;
        let pid = place.may_return.then(socket::random_id).transpose().map_err(|_| Broken)?;
        self.open_outlet(&place);
        let Desk { room_server, worker, .. } = &self.desk;
        room_server.do_send(Connect {
            socket: place.id,
            worker: *worker,
            seat,
            namespace: place.namespace.clone(),
            sid: sid.clone(),
            pid: pid.clone(),
            foreign: place.foreign,
        });
        self.welcome(Socket::new(place, sid, pid), handler);
        Ok(())
    }

    fn take_news(&mut self, id: SocketId, news: SocketNews, handle: &SessionHandle) {
        match news {
            SocketNews::Recovered(state) => self.returned(id, state.as_deref(), handle),
            SocketNews::Entered { room, is_in } => {
                if let Some((socket, _)) = self.socket(id) {
                    socket.entered(&room, is_in);
                }
            }
            SocketNews::NotAsked if self.is_there(id) => {
                note_nothing(&mut self.meter, handle);
            }
            SocketNews::Replaced if self.is_there(id) => handle.end(Ending::Replaced),
            // The socket has left since the room server sent this.
            SocketNews::NotAsked | SocketNews::Replaced => {}
        }
    }

    /// Takes the room server's reply to a recovery.
    fn returned(&mut self, session: SocketId, state: Option<&Recovered>, handle: &SessionHandle) {
        let is_it =
            |joined: &Joined| matches!(joined, Joined::Returning(returning) if returning.place.id == session);
        let found = self.joined.iter().find(|(_, joined)| is_it(joined)).map(|(name, _)| name.clone());
        let Some(Joined::Returning(returning)) = found.and_then(|name| self.joined.remove(&name)) else {
            return;
        };
        let Returning { place, pid, handler, held } = *returning;
        let namespace = place.namespace.clone();
        match (state, seat(handle, EVENTS)) {
            (Some(state), _) => {
                // First the missed events, then the CONNECT reply.
                for missed in &state.missed {
                    handle.missed(missed.packet.clone(), &missed.attachments);
                }
                self.welcome(Socket::again(place, pid, state), handler);
            }
            (None, Some(seat)) => {
                if self.begin(place, seat, handler).is_err() {
                    return handle.end(Ending::ParseError);
                }
            }
            (None, None) => return,
        }
        self.dispatch_held(&namespace, held, handle);
    }

    /// Sends the CONNECT reply and informs the handler.
    fn welcome(&mut self, socket: Socket, mut handler: Box<dyn SocketHandler>) {
        socket.send(ServerPacket::Connect { sid: socket.sid(), pid: socket.pid() }, &[]);
        self.has_joined = true;
        handler.connected(&socket);
        self.joined.insert(socket.namespace().into(), Joined::In(socket, handler));
    }

    /// Removes sockets that the server disconnected.
    fn let_go(&mut self) {
        let is_out = |joined: &Joined| matches!(joined, Joined::In(socket, _) if socket.is_out());
        // Usually there is none.
        while let Some(name) =
            self.joined.iter().find(|(_, joined)| is_out(joined)).map(|(name, _)| name.clone())
        {
            self.take_out(&name, BY_SERVER);
        }
    }

    /// Removes a socket from its namespace, without recovery.
    fn take_out(&mut self, namespace: &ByteString, why: &str) {
        if let Some(Joined::In(socket, mut handler)) = self.joined.remove(namespace) {
            self.next_ack = self.next_ack.max(socket.next_ack());
            socket.gone(false);
            handler.disconnected(&socket, why);
        }
    }

    fn is_there(&self, session: SocketId) -> bool {
        self.joined.values().any(|joined| joined.id() == session)
    }

    /// Finds a connected socket by its id; `None` if it has left.
    fn socket(&mut self, id: SocketId) -> Option<(&Socket, &mut Box<dyn SocketHandler>)> {
        self.joined.values_mut().find_map(|joined| match joined {
            Joined::In(socket, handler) if socket.id() == id => Some((&*socket, handler)),
            Joined::In(..) | Joined::Returning(_) => None,
        })
    }
}

/// Counts a packet that is not an event against the rate. A flood ends the session. Returns whether the
/// packet may be handled.
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
            Self::In(socket, _) => socket.id(),
            Self::Returning(returning) => returning.place.id,
        }
    }
}

/// The address of a socket for the room server; `None` before the session's actor has started.
fn seat(handle: &SessionHandle, dialect: Dialect) -> Option<Seat> {
    Some(Seat {
        deliveries: handle.address()?,
        backlog: handle.backlog(),
        encoding: Encoding { dialect, deflated: handle.takes_compressed() },
        // There is no connection to cut: the session does not run inside one.
        cutter: Cutter::new(|_| {}),
    })
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

    fn notified(&mut self, socket: SocketId, news: Box<dyn Any>, handle: &SessionHandle) {
        match news.downcast() {
            Ok(news) => self.take_news(socket, *news, handle),
            Err(news) => {
                if let Some((socket, handler)) = self.socket(socket) {
                    handler.notified(socket, news);
                }
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
            Joined::In(_, handler) => handler.is_known(),
            Joined::Returning { .. } => true,
        })
    }

    fn unfinished(&self) -> usize {
        self.unfinished_len
    }

    fn closed(&mut self, why: &Ending) {
        for (_, joined) in self.joined.drain() {
            match joined {
                Joined::In(socket, mut handler) => {
                    socket.gone(why.is_recoverable());
                    if why.is_loss() {
                        socket.lost();
                    }
                    handler.disconnected(&socket, why.socketio_reason());
                }
                // The room server may have recovered the socket already; then it stays recoverable.
                Joined::Returning(returning) => {
                    let socket = returning.place.id;
                    self.desk.outlets.take(socket.member());
                    self.desk.room_server.do_send(Disconnect { socket, may_return: true });
                }
            }
        }
    }
}
