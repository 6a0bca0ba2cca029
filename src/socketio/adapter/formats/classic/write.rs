//! Messages to bodies.

use bytes::Bytes;

use super::types;
use crate::socketio::{
    adapter::formats::{
        WriteError,
        document::Document::{self, Args, Bool, First, List, Map, Number, Text},
        fields::{opts, sockets, target},
    },
    cluster::Message,
};

/// The type of a packet with an event.
const EVENT: u64 = 2;

/// The body of a message of a server. Fields are in the order in which Node writes them; what Node's server does not ask any
/// more is written as its old versions did.
///
/// # Errors
/// The arguments cannot be written.
pub(crate) fn write(uid: &str, namespace: &str, message: &Message) -> Result<Bytes, WriteError> {
    let body = match message {
        Message::Broadcast { .. } | Message::Ask { .. } | Message::Acked { .. } => {
            document(uid, namespace, message).to_msgpack()?
        }
        _ => document(uid, namespace, message).to_json()?,
    };
    Ok(body.into())
}

fn document<'a>(uid: &'a str, namespace: &'a str, message: &'a Message) -> Document<'a> {
    match message {
        Message::Broadcast { args, opts: to } => List(vec![Text(uid), packet(args, namespace), opts(to)]),
        Message::Ask { request, args, opts: to } => Map(vec![
            ("uid", Text(uid)),
            ("requestId", Text(request)),
            ("type", Number(types::ASK)),
            ("packet", packet(args, namespace)),
            ("opts", opts(to)),
        ]),
        Message::Join { opts, rooms, .. } => Map(vec![
            ("uid", Text(uid)),
            ("type", Number(types::JOIN)),
            ("opts", target(&opts.target)),
            ("rooms", Document::texts(rooms)),
        ]),
        Message::Leave { opts, rooms, .. } => Map(vec![
            ("uid", Text(uid)),
            ("type", Number(types::LEAVE)),
            ("opts", target(&opts.target)),
            ("rooms", Document::texts(rooms)),
        ]),
        Message::Disconnect { opts, close, .. } => Map(vec![
            ("uid", Text(uid)),
            ("type", Number(types::DISCONNECT)),
            ("opts", target(&opts.target)),
            ("close", Bool(*close)),
        ]),
        Message::ListSids { request, rooms } => {
            let mut fields = asking(uid, request, types::LIST_SIDS);
            fields.push(("rooms", Document::texts(rooms)));
            Map(fields)
        }
        Message::ListRooms { request } => Map(asking(uid, request, types::LIST_ROOMS)),
        Message::Fetch { request, opts } => {
            let mut fields = asking(uid, request, types::FETCH);
            fields.push(("opts", target(&opts.target)));
            Map(fields)
        }
        Message::ServerEvent { args, request } => {
            let mut fields = vec![("uid", Text(uid))];
            fields.extend(request.iter().map(|request| ("requestId", Text(request))));
            fields.extend([("type", Number(types::SERVER_EVENT)), ("data", Args(args))]);
            Map(fields)
        }
        answer => answer_document(answer),
    }
}

fn answer_document(message: &Message) -> Document<'_> {
    match message {
        Message::Asked { request, clients } => Map(vec![
            ("type", Number(types::ASKED)),
            ("requestId", Text(request)),
            ("clientCount", Number(*clients as u64)),
        ]),
        Message::Acked { request, args } => {
            Map(vec![("type", Number(types::ACKED)), ("requestId", Text(request)), ("packet", First(args))])
        }
        Message::Sockets { request, sockets: shown } => {
            Map(vec![("requestId", Text(request)), ("sockets", sockets(shown))])
        }
        Message::Sids { request, sids } => {
            Map(vec![("requestId", Text(request)), ("sockets", Document::texts(sids))])
        }
        Message::Rooms { request, rooms } => {
            Map(vec![("requestId", Text(request)), ("rooms", Document::texts(rooms))])
        }
        Message::Done { request } => Map(vec![("requestId", Text(request))]),
        Message::ServerAnswer { request, args } => Map(vec![
            ("type", Number(types::SERVER_EVENT)),
            ("requestId", Text(request)),
            ("data", First(args)),
        ]),
        _ => Map(Vec::new()),
    }
}

fn packet<'a>(args: &'a crate::protocol::socketio::Args, namespace: &'a str) -> Document<'a> {
    Map(vec![("type", Number(EVENT)), ("data", Args(args)), ("nsp", Text(namespace))])
}

/// The first fields of a request that is answered.
fn asking<'a>(uid: &'a str, request: &'a str, kind: u64) -> Vec<(&'static str, Document<'a>)> {
    vec![("uid", Text(uid)), ("requestId", Text(request)), ("type", Number(kind))]
}
