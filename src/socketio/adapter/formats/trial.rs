//! Reading of bodies, for this crate's tests.

use bytes::Bytes;
use bytestring::ByteString;

use super::{Envelope, Junk, classic, clustered, sessions, sharded, streams};
use crate::{
    protocol::socketio::Args,
    socketio::cluster::{Flags, Message, Opts, Session, SocketShown, Target},
};

/// What reads a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A broadcast of the classic format.
    Broadcast,
    /// A request of the classic format.
    Request,
    /// An answer of the classic format.
    Response,
    /// What is published in the sharded format, or beside streams.
    Clustered,
    /// The data of an entry of a stream, of any type.
    Entry,
    /// The value of a key of a session.
    Session,
}

impl Reading {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Broadcast, Self::Request, Self::Response, Self::Clustered, Self::Entry, Self::Session];

    /// Reads a body. True if it is one of this kind.
    pub fn accepts(self, body: &Bytes) -> bool {
        let is_good = |read: Result<Envelope, Junk>| read.is_ok();
        match self {
            Self::Broadcast => {
                // Peeks first, as the adapter does.
                _ = classic::uid_of(body);
                is_good(classic::read_broadcast(body))
            }
            Self::Request => is_good(classic::read_request(body)),
            Self::Response => is_good(classic::read_response(body)),
            Self::Clustered => is_good(clustered::read(body)),
            Self::Entry => [b"3", b"4", b"5", b"6"].iter().any(|kind| {
                is_good(streams::read_entry(&[
                    (Bytes::from_static(b"type"), Bytes::from_static(*kind)),
                    (Bytes::from_static(b"data"), body.clone()),
                ]))
            }),
            Self::Session => sessions::read(body).is_ok(),
        }
    }
}

/// Bodies of servers, each with what reads it.
pub fn samples() -> Vec<(Reading, Bytes)> {
    let mut samples = Vec::new();
    for message in messages() {
        let reading = match message {
            Message::Broadcast { .. } => Reading::Broadcast,
            Message::Asked { .. }
            | Message::Acked { .. }
            | Message::Sockets { .. }
            | Message::Rooms { .. }
            | Message::ServerAnswer { .. } => Reading::Response,
            _ => Reading::Request,
        };
        samples.extend(classic::write("abc123", "/", &message).map(|body| (reading, body)));
        samples
            .extend(sharded::write("0123456789abcdef", "/", &message).map(|body| (Reading::Clustered, body)));
        if streams::is_published(&message) {
            let body = streams::write_published("0123456789abcdef", "/", &message);
            samples.extend(body.map(|body| (Reading::Clustered, body)));
        } else if let Ok(fields) = streams::write_entry("0123456789abcdef", "/", &message) {
            samples.extend(
                fields.into_iter().filter(|field| field.0 == "data").map(|field| (Reading::Entry, field.1)),
            );
        }
    }
    let session = Session {
        sid: "UYZkVqYSxxdEgqrKAAAA".into(),
        pid: "XLEltjtmfeB--vggAAAB".into(),
        rooms: vec!["UYZkVqYSxxdEgqrKAAAA".into(), "red".into()],
        data: r#"{"who":"a1"}"#.into(),
        since: vec![("red".into(), "1795690810621-0".into())],
    };
    samples.extend(sessions::write(&session).map(|value| (Reading::Session, value)));
    samples
}

fn messages() -> Vec<Message> {
    let request = || ByteString::from_static("3LdeYO");
    let text =
        Args { json: r#"["one","ünï",{"a":[1,-70000,2.5,null,true]}]"#.into(), attachments: Vec::new() };
    let binary = Args {
        json: r#"["bin",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]"#.into(),
        attachments: vec![Bytes::from_static(&[0, 1, 2, 255]), Bytes::from_static(b"hi")],
    };
    let opts = || Opts {
        target: Target { to: vec!["red".into(), "blue".into()], except: vec!["42".into()] },
        flags: Flags { volatile: true, compress: false, timeout: Some(1000), expect_single_response: true },
    };
    let rooms = || vec!["green".into(), "g2".into()];
    let socket = SocketShown {
        id: "P7Xl6q1XLhAJ2XngAAAA".into(),
        rooms: vec!["P7Xl6q1XLhAJ2XngAAAA".into(), "red".into()],
        handshake: r#"{"headers":{"host":"127.0.0.1:7802"},"issued":1795690597328,"auth":{"who":"b1"}}"#
            .into(),
        data: r#"{"who":"b1"}"#.into(),
    };
    vec![
        Message::Broadcast { args: text.clone(), opts: opts() },
        Message::Broadcast { args: binary.clone(), opts: Opts::default() },
        Message::Ask { request: request(), args: binary.clone(), opts: opts() },
        Message::Join { opts: opts(), rooms: rooms(), request: None },
        Message::Leave { opts: opts(), rooms: rooms(), request: None },
        Message::Disconnect { opts: opts(), close: true, request: None },
        Message::ListSids { request: request(), rooms: rooms() },
        Message::ListRooms { request: request() },
        Message::Fetch { request: request(), opts: opts() },
        Message::ServerEvent { args: text.clone(), request: None },
        Message::ServerEvent { args: binary.clone(), request: Some(request()) },
        Message::Asked { request: request(), clients: 7 },
        Message::Acked { request: request(), args: text.clone() },
        Message::Acked { request: request(), args: binary },
        Message::Sockets { request: request(), sockets: vec![socket.clone(), socket] },
        Message::Rooms { request: request(), rooms: rooms() },
        Message::ServerAnswer { request: request(), args: text },
        Message::Claim { pid: request() },
    ]
}
