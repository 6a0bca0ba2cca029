//! Bodies to messages.

use bytes::Bytes;

use super::types;
use crate::{
    protocol::socketio::msgpack::first_text,
    socketio::{
        adapter::formats::{
            Envelope, Junk,
            fields::{
                Names, ReadOpts, Sockets, client_count, event, name, optional_name, packet, present,
                to_answer,
            },
            value::{Body, Value},
        },
        cluster::{Flags, Message, Opts, Target},
    },
};

/// The server that sent a broadcast, read without the rest of it. The emitter for Redis calls itself `emitter`.
pub(crate) fn uid_of(body: &[u8]) -> Option<&[u8]> {
    first_text(body)
}

/// Reads what came on a channel of broadcasts: a list of uid, packet and options.
///
/// # Errors
/// It is not that.
pub(crate) fn read_broadcast(body: &Bytes) -> Result<Envelope, Junk> {
    let body = Body::of(body)?;
    let mut parts = body.value().elements().ok_or(Junk::Field("packet"))?;
    let (uid, event_packet, opts) = (parts.next(), parts.next(), parts.next());
    let uid = optional_name(uid, "uid")?;
    let (data, namespace) = packet(event_packet)?;
    let opts = ReadOpts::check(opts)?;
    let message = Message::Broadcast { args: data.to_args(), opts: opts.to_opts() };
    Ok(Envelope { uid: uid.map(Value::to_name), namespace: namespace.map(Value::to_name), message })
}

/// Reads what came on the channel of requests.
///
/// # Errors
/// It is not a request.
pub(crate) fn read_request(body: &Bytes) -> Result<Envelope, Junk> {
    let body = Body::of(body)?;
    let fields = body.value();
    let [uid, request, kind] = fields.fields(["uid", "requestId", "type"]).ok_or(Junk::Field("type"))?;
    let uid = optional_name(uid, "uid")?;
    let request = optional_name(request, "requestId")?;
    let mut namespace = None;
    let message = match kind.and_then(Value::count).ok_or(Junk::Field("type"))? {
        kind @ (types::JOIN | types::LEAVE | types::DISCONNECT) => read_change(kind, request, fields)?,
        types::SERVER_EVENT => {
            let [data] = fields.fields(["data"]).unwrap_or_default();
            let data = event(data, "data")?;
            Message::ServerEvent { args: data.to_args(), request: request.map(Value::to_name) }
        }
        types::ASK => {
            let request = name(request, "requestId")?;
            let [asked, opts] = fields.fields(["packet", "opts"]).unwrap_or_default();
            let (data, of_packet) = packet(asked)?;
            let opts = ReadOpts::check(opts)?;
            namespace = of_packet.map(Value::to_name);
            Message::Ask { request: request.to_name(), args: data.to_args(), opts: opts.to_opts() }
        }
        kind @ (types::LIST_SIDS | types::LIST_ROOMS | types::FETCH) => {
            read_question(kind, name(request, "requestId")?, fields)?
        }
        _ => return Err(Junk::UnknownType),
    };
    Ok(Envelope { uid: uid.map(Value::to_name), namespace, message })
}

/// Reads what asks for sockets or rooms.
fn read_question(kind: u64, request: Value<'_>, fields: Value<'_>) -> Result<Message, Junk> {
    let [opts, rooms] = fields.fields(["opts", "rooms"]).unwrap_or_default();
    Ok(match kind {
        types::LIST_SIDS => {
            let rooms = Names::check(rooms, "rooms")?;
            Message::ListSids { request: request.to_name(), rooms: rooms.to_names() }
        }
        types::LIST_ROOMS => Message::ListRooms { request: request.to_name() },
        _ => {
            let opts = ReadOpts::check(opts)?;
            Message::Fetch { request: request.to_name(), opts: opts.to_opts() }
        }
    })
}

/// Reads what changes sockets. Old servers name one socket and one room, and want an answer.
fn read_change(kind: u64, request: Option<Value<'_>>, fields: Value<'_>) -> Result<Message, Junk> {
    let names = ["opts", "rooms", "sid", "room", "close"];
    let [opts, rooms, sid, room, close] = fields.fields(names).unwrap_or_default();
    let close = close.and_then(Value::bool).unwrap_or(false);
    let (opts, rooms, request) = if let Some(opts) = present(opts) {
        let (opts, rooms) = (ReadOpts::check(Some(opts))?, Names::check(rooms, "rooms")?);
        (opts.to_opts(), rooms.to_names(), None)
    } else {
        let sid = name(sid, "sid")?;
        let room = (kind != types::DISCONNECT).then(|| name(room, "room")).transpose()?;
        let target = Target { to: vec![sid.to_name()], except: Vec::new() };
        let rooms = room.map(Value::to_name).into_iter().collect();
        (Opts { target, flags: Flags::default() }, rooms, request.map(Value::to_name))
    };
    Ok(match kind {
        types::JOIN => Message::Join { opts, rooms, request },
        types::LEAVE => Message::Leave { opts, rooms, request },
        _ => Message::Disconnect { opts, close, request },
    })
}

/// Reads what came on a channel of answers. Which request an answer is for decides what an empty list of sockets is; here it
/// is [`Message::Sockets`].
///
/// # Errors
/// It is not an answer.
pub(crate) fn read_response(body: &Bytes) -> Result<Envelope, Junk> {
    let body = Body::of(body)?;
    let [request, kind, clients, packet, data, sockets, rooms] = body
        .value()
        .fields(["requestId", "type", "clientCount", "packet", "data", "sockets", "rooms"])
        .ok_or(Junk::Field("requestId"))?;
    let request = name(request, "requestId")?;
    let id = || request.to_name();
    let message = match kind.and_then(Value::count) {
        Some(types::ASKED) => {
            let clients = client_count(clients)?;
            Message::Asked { request: id(), clients }
        }
        Some(types::ACKED) => Message::Acked { request: id(), args: to_answer(packet) },
        Some(types::SERVER_EVENT) => Message::ServerAnswer { request: id(), args: to_answer(data) },
        _ => match (present(sockets), present(rooms)) {
            (Some(list), _) => read_sockets(list, request)?,
            (None, Some(rooms)) => {
                let rooms = Names::check(Some(rooms), "rooms")?;
                Message::Rooms { request: id(), rooms: rooms.to_names() }
            }
            (None, None) => Message::Done { request: id() },
        },
    };
    Ok(Envelope { uid: None, namespace: None, message })
}

/// Sockets, or their sids alone.
fn read_sockets(list: Value<'_>, request: Value<'_>) -> Result<Message, Junk> {
    let first = list.elements().ok_or(Junk::Field("sockets"))?.next();
    if first.is_some_and(|first| !first.is_object()) {
        let sids = Names::check(Some(list), "sockets")?;
        return Ok(Message::Sids { request: request.to_name(), sids: sids.to_names() });
    }
    let sockets = Sockets::check(Some(list))?;
    Ok(Message::Sockets { request: request.to_name(), sockets: sockets.to_sockets() })
}
