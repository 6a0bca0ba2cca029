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
use crate::{protocol::socketio, socketio::cluster::Message};

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
/// Not a type of Node, which has those up to 13 and ignores others.
const CLAIM: u64 = 100;

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
        Message::Ask { request, args, opts: to } => {
            (BROADCAST, vec![("packet", event_packet(args)), id(request), ("opts", opts(to))])
        }
        Message::Join { opts: to, rooms, .. } => {
            (JOIN, vec![("opts", opts(to)), ("rooms", Document::texts(rooms))])
        }
        Message::Leave { opts: to, rooms, .. } => {
            (LEAVE, vec![("opts", opts(to)), ("rooms", Document::texts(rooms))])
        }
        Message::Disconnect { opts: to, close, .. } => {
            (DISCONNECT, vec![("opts", opts(to)), ("close", Bool(*close))])
        }
        Message::Fetch { request, opts: to } => (FETCH, vec![("opts", opts(to)), id(request)]),
        Message::ServerEvent { args, request } => {
            (SERVER_EVENT, request.iter().map(id).chain([("packet", Args(args))]).collect())
        }
        Message::Claim { pid } => (CLAIM, vec![("pid", Text(pid))]),
        answer => answer_fields(answer)?,
    };
    Ok((kind, Map(fields)))
}

type Fields<'a> = Vec<(&'static str, Document<'a>)>;

fn answer_fields(message: &Message) -> Result<(u64, Fields<'_>), WriteError> {
    Ok(match message {
        Message::Sockets { request, sockets: shown } => {
            (SOCKETS, vec![id(request), ("sockets", sockets(shown))])
        }
        Message::ServerAnswer { request, args } => {
            (SERVER_ANSWER, vec![id(request), ("packet", First(args))])
        }
        Message::Asked { request, clients } => {
            (ASKED, vec![id(request), ("clientCount", Number(*clients as u64))])
        }
        Message::Acked { request, args } => (ACKED, vec![id(request), ("packet", First(args))]),
        _ => return Err(WriteError::NotInFormat),
    })
}

fn id(request: &ByteString) -> (&'static str, Document<'_>) {
    ("requestId", Text(request))
}

fn event_packet(args: &socketio::Args) -> Document<'_> {
    Map(vec![("type", Number(EVENT)), ("data", Args(args))])
}

/// The data of a type, as a message.
///
/// # Errors
/// The type is unknown, or its fields are not what they should be.
pub(super) fn read_data(kind: u64, data: Option<Value<'_>>) -> Result<Message, Junk> {
    const DATA: Junk = Junk::Field("data");
    match kind {
        BROADCAST | FETCH | SERVER_EVENT => read_request(kind, data.ok_or(DATA)?),
        JOIN | LEAVE | DISCONNECT => read_change(kind, data.ok_or(DATA)?),
        CLAIM => {
            let [pid] = data.ok_or(DATA)?.fields(["pid"]).ok_or(DATA)?;
            Ok(Message::Claim { pid: name(pid, "pid")?.to_name() })
        }
        SOCKETS | SERVER_ANSWER | ASKED | ACKED => read_answer(kind, data.ok_or(DATA)?),
        _ => Err(Junk::UnknownType),
    }
}

/// Reads an event, or a request that is answered.
fn read_request(kind: u64, data: Value<'_>) -> Result<Message, Junk> {
    let [request, to, wanted] = data.fields(["requestId", "opts", "packet"]).ok_or(Junk::Field("data"))?;
    let request = optional_name(request, "requestId")?;
    if kind == SERVER_EVENT {
        let event = event(wanted, "packet")?;
        return Ok(Message::ServerEvent { args: event.to_args(), request: request.map(Value::to_name) });
    }
    if kind == FETCH {
        let (to, request) = (ReadOpts::check(to)?, request.ok_or(Junk::Field("requestId"))?);
        return Ok(Message::Fetch { request: request.to_name(), opts: to.to_opts() });
    }
    let (event, _) = packet(wanted)?;
    let to = ReadOpts::check(to)?;
    let (args, opts) = (event.to_args(), to.to_opts());
    Ok(match request {
        Some(request) => Message::Ask { request: request.to_name(), args, opts },
        None => Message::Broadcast { args, opts },
    })
}

/// Reads what changes sockets.
fn read_change(kind: u64, data: Value<'_>) -> Result<Message, Junk> {
    let [to, rooms, close] = data.fields(["opts", "rooms", "close"]).ok_or(Junk::Field("data"))?;
    let (to, rooms) = (ReadOpts::check(to)?, Names::check(rooms, "rooms")?);
    let opts = to.to_opts();
    Ok(match kind {
        JOIN => Message::Join { opts, rooms: rooms.to_names(), request: None },
        LEAVE => Message::Leave { opts, rooms: rooms.to_names(), request: None },
        _ => Message::Disconnect { opts, close: close.and_then(Value::bool).unwrap_or(false), request: None },
    })
}

fn read_answer(kind: u64, data: Value<'_>) -> Result<Message, Junk> {
    let [request, answer, clients, shown] =
        data.fields(["requestId", "packet", "clientCount", "sockets"]).ok_or(Junk::Field("data"))?;
    let request = name(request, "requestId")?;
    Ok(match kind {
        SOCKETS => {
            let shown = Sockets::check(shown)?;
            Message::Sockets { request: request.to_name(), sockets: shown.to_sockets() }
        }
        ASKED => {
            let clients = client_count(clients)?;
            Message::Asked { request: request.to_name(), clients }
        }
        SERVER_ANSWER => Message::ServerAnswer { request: request.to_name(), args: to_answer(answer) },
        _ => Message::Acked { request: request.to_name(), args: to_answer(answer) },
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
/// It is not a message.
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
