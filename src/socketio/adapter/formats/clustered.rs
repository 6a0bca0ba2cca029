//! What the formats of `createShardedAdapter` and `@socket.io/redis-streams-adapter` share: types of messages and their data.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Envelope, Junk, WriteError,
    document::Document::{self, Args, Bool, First, Map, Number, Text},
    fields::{
        Names, ReadOpts, Sockets, client_count, event, name, optional_name, opts, packet, sockets, to_answer,
    },
    value::{Body, Value},
};
use crate::socketio::cluster::Message;

/// The type of an event for sockets.
pub(super) const BROADCAST: u64 = 3;
const JOIN: u64 = 4;
const LEAVE: u64 = 5;
const DISCONNECT: u64 = 6;
const FETCH: u64 = 7;
const SOCKETS: u64 = 8;
const SERVER_EVENT: u64 = 9;
const SERVER_ANSWER: u64 = 10;
const ASKED: u64 = 11;
const ACKED: u64 = 12;

/// The type of a packet with an event.
const EVENT: u64 = 2;

/// The channels of a namespace, for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    /// What is for all servers.
    pub(crate) all: ByteString,
    /// Answers for this server.
    pub(crate) own: ByteString,
}

impl Channels {
    /// The channels of a namespace under a key, such as `socket.io`, for the server with this uid.
    pub(crate) fn new(key: &str, namespace: &str, uid: &str) -> Self {
        Self { all: format!("{key}#{namespace}#").into(), own: format!("{key}#{namespace}#{uid}#").into() }
    }

    /// The channel of a room, or the one of answers for a server with this uid.
    pub(crate) fn of(&self, room_or_uid: &str) -> ByteString {
        format!("{}{room_or_uid}#", self.all).into()
    }
}

/// The type of a message, and its data.
///
/// # Errors
/// The format has no such message.
pub(super) fn kind_and_data(message: &Message) -> Result<(u64, Document<'_>), WriteError> {
    let (kind, fields) = match message {
        Message::Broadcast { args, opts: to } => {
            (BROADCAST, vec![("packet", event_packet(args)), ("opts", opts(to))])
        }
        Message::Ask { request, args, opts: to } => (
            BROADCAST,
            vec![("packet", event_packet(args)), ("requestId", Text(request)), ("opts", opts(to))],
        ),
        Message::Join { opts: to, rooms, .. } => {
            (JOIN, vec![("opts", opts(to)), ("rooms", Document::texts(rooms))])
        }
        Message::Leave { opts: to, rooms, .. } => {
            (LEAVE, vec![("opts", opts(to)), ("rooms", Document::texts(rooms))])
        }
        Message::Disconnect { opts: to, close, .. } => {
            (DISCONNECT, vec![("opts", opts(to)), ("close", Bool(*close))])
        }
        Message::Fetch { request, opts: to } => {
            (FETCH, vec![("opts", opts(to)), ("requestId", Text(request))])
        }
        Message::Sockets { request, sockets: shown } => {
            (SOCKETS, vec![("requestId", Text(request)), ("sockets", sockets(shown))])
        }
        Message::ServerEvent { args, request } => {
            let request = request.iter().map(|request| ("requestId", Text(request)));
            (SERVER_EVENT, request.chain([("packet", Args(args))]).collect())
        }
        Message::ServerAnswer { request, args } => {
            (SERVER_ANSWER, vec![("requestId", Text(request)), ("packet", First(args))])
        }
        Message::Asked { request, clients } => {
            (ASKED, vec![("requestId", Text(request)), ("clientCount", Number(*clients as u64))])
        }
        Message::Acked { request, args } => {
            (ACKED, vec![("requestId", Text(request)), ("packet", First(args))])
        }
        Message::ListSids { .. }
        | Message::ListRooms { .. }
        | Message::Sids { .. }
        | Message::Rooms { .. }
        | Message::Done { .. } => return Err(WriteError::NotInFormat),
    };
    Ok((kind, Map(fields)))
}

fn event_packet(args: &crate::protocol::socketio::Args) -> Document<'_> {
    Map(vec![("type", Number(EVENT)), ("data", Args(args))])
}

/// The data of a type, as a message.
pub(super) fn read_data(kind: u64, data: Option<Value<'_>>) -> Result<Message, Junk> {
    const DATA: Junk = Junk::Field("data");
    let names = ["requestId", "opts", "packet", "rooms", "close", "clientCount", "sockets"];
    if !(BROADCAST..=ACKED).contains(&kind) {
        return Err(Junk::UnknownType);
    }
    let [request, to, event_or_value, rooms, close, clients, shown] =
        data.ok_or(DATA)?.fields(names).ok_or(DATA)?;
    let asking = || name(request, "requestId").map(Value::to_name);
    Ok(match kind {
        BROADCAST => {
            let (event, _) = packet(event_or_value)?;
            let (to, request) = (ReadOpts::check(to)?, optional_name(request, "requestId")?);
            let (args, opts) = (event.to_args(), to.to_opts());
            match request {
                Some(request) => Message::Ask { request: request.to_name(), args, opts },
                None => Message::Broadcast { args, opts },
            }
        }
        JOIN | LEAVE => {
            let (to, rooms) = (ReadOpts::check(to)?, Names::check(rooms, "rooms")?);
            let (opts, rooms) = (to.to_opts(), rooms.to_names());
            if kind == JOIN {
                Message::Join { opts, rooms, request: None }
            } else {
                Message::Leave { opts, rooms, request: None }
            }
        }
        DISCONNECT => {
            let close = close.and_then(Value::bool).unwrap_or(false);
            Message::Disconnect { opts: ReadOpts::check(to)?.to_opts(), close, request: None }
        }
        FETCH => {
            let to = ReadOpts::check(to)?;
            Message::Fetch { request: asking()?, opts: to.to_opts() }
        }
        SERVER_EVENT => {
            let (event, request) = (event(event_or_value, "packet")?, optional_name(request, "requestId")?);
            Message::ServerEvent { args: event.to_args(), request: request.map(Value::to_name) }
        }
        SOCKETS => {
            let shown = Sockets::check(shown)?;
            Message::Sockets { request: asking()?, sockets: shown.to_sockets() }
        }
        ASKED => Message::Asked { clients: client_count(clients)?, request: asking()? },
        SERVER_ANSWER => Message::ServerAnswer { request: asking()?, args: to_answer(event_or_value) },
        _ => Message::Acked { request: asking()?, args: to_answer(event_or_value) },
    })
}

/// The whole message: its type, its data, its server and its namespace, in the order of Node.
pub(super) fn document<'a>(
    uid: &'a str,
    namespace: &'a str,
    message: &'a Message,
) -> Result<Document<'a>, WriteError> {
    let (kind, data) = kind_and_data(message)?;
    Ok(Map(vec![("type", Number(kind)), ("data", data), ("uid", Text(uid)), ("nsp", Text(namespace))]))
}

/// Reads a published body.
///
/// # Errors
/// It is no message.
pub(crate) fn read(body: &Bytes) -> Result<Envelope, Junk> {
    let body = Body::of(body)?;
    let [kind, data, uid, namespace] =
        body.value().fields(["type", "data", "uid", "nsp"]).ok_or(Junk::Field("type"))?;
    let kind = kind.and_then(Value::count).ok_or(Junk::Field("type"))?;
    let (uid, namespace) = (optional_name(uid, "uid")?, optional_name(namespace, "nsp")?);
    let message = read_data(kind, data)?;
    Ok(Envelope { uid: uid.map(Value::to_name), namespace: namespace.map(Value::to_name), message })
}

/// How the bodies end that one server publishes for a namespace: tells them from others without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnBodies {
    json: Vec<u8>,
    msgpack: Vec<u8>,
}

impl OwnBodies {
    /// Those of the server with this uid.
    pub(crate) fn new(uid: &str, namespace: &str) -> Self {
        let end = Map(vec![("uid", Text(uid)), ("nsp", Text(namespace))]);
        let [mut json, mut msgpack] = [end.to_json(), end.to_msgpack()].map(Result::unwrap_or_default);
        // What stands before the first field is not a part of the end.
        json.splice(..json.len().min(1), []);
        msgpack.splice(..msgpack.len().min(1), []);
        json.splice(..0, *b",");
        Self { json, msgpack }
    }

    /// Whether a body was published by this server.
    pub(crate) fn contain(&self, body: &[u8]) -> bool {
        body.ends_with(if body.starts_with(b"{") { &self.json } else { &self.msgpack })
    }
}
