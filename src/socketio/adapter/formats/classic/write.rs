//! Messages to bodies.

use bytes::Bytes;
use bytestring::ByteString;

use super::types;
use crate::{
    protocol::socketio,
    socketio::{
        adapter::formats::{
            WriteError,
            document::Document::{self, Args, Bool, First, List, Map, Number, Text},
            fields::{opts, sockets, target},
        },
        cluster::{Message, Opts},
    },
};

/// The type of a packet with an event.
const EVENT: u64 = 2;

/// The body of a message of a server. Fields are in the order in which Node writes them; what Node's server does not ask any
/// more is written as its old versions did.
///
/// # Errors
/// The arguments cannot be written, or the format has no such message.
pub(crate) fn write(uid: &str, namespace: &str, message: &Message) -> Result<Bytes, WriteError> {
    let body = match message {
        Message::Claim { .. } => return Err(WriteError::NotInFormat),
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
        Message::Ask { request, args, opts: to } => {
            let fields = [("packet", packet(args, namespace)), ("opts", opts(to))];
            request_document(uid, Some(request), types::ASK, fields)
        }
        Message::Join { opts, rooms, .. } => change_document(uid, types::JOIN, opts, Document::texts(rooms)),
        Message::Leave { opts, rooms, .. } => {
            change_document(uid, types::LEAVE, opts, Document::texts(rooms))
        }
        Message::Disconnect { opts, close, .. } => {
            let fields = [("opts", target(&opts.target)), ("close", Bool(*close))];
            request_document(uid, None, types::DISCONNECT, fields)
        }
        Message::ListSids { request, rooms } => {
            request_document(uid, Some(request), types::LIST_SIDS, [("rooms", Document::texts(rooms))])
        }
        Message::ListRooms { request } => request_document(uid, Some(request), types::LIST_ROOMS, []),
        Message::Fetch { request, opts } => {
            request_document(uid, Some(request), types::FETCH, [("opts", target(&opts.target))])
        }
        Message::ServerEvent { args, request } => {
            request_document(uid, request.as_ref(), types::SERVER_EVENT, [("data", Args(args))])
        }
        answer => answer_document(answer),
    }
}

/// A request puts these fields before its own.
fn request_document<'a, const N: usize>(
    uid: &'a str,
    request: Option<&'a ByteString>,
    kind: u64,
    own: [(&'static str, Document<'a>); N],
) -> Document<'a> {
    let mut fields = vec![("uid", Text(uid))];
    fields.extend(request.map(|request| ("requestId", Text(request))));
    fields.push(("type", Number(kind)));
    fields.extend(own);
    Map(fields)
}

fn change_document<'a>(uid: &'a str, kind: u64, opts: &'a Opts, rooms: Document<'a>) -> Document<'a> {
    request_document(uid, None, kind, [("opts", target(&opts.target)), ("rooms", rooms)])
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

fn packet<'a>(args: &'a socketio::Args, namespace: &'a str) -> Document<'a> {
    Map(vec![("type", Number(EVENT)), ("data", Args(args)), ("nsp", Text(namespace))])
}
