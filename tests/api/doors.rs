//! Every door that has WebSockets, so that a promise can be held against all of them.

use serde_json::json;

use crate::{
    helpers::{RawClient, RawFrame, TestServer, text},
    sockets::{Poller, connected, joined, next_text},
};

/// A way to come by a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Root,
    Plain,
    Echo,
    Chat,
    SocketIo,
    Upgraded,
    Relay,
}

pub const DOORS: [Door; 7] =
    [Door::Root, Door::Plain, Door::Echo, Door::Chat, Door::SocketIo, Door::Upgraded, Door::Relay];

impl Door {
    /// A client of the door.
    pub async fn open(self, server: &TestServer) -> RawClient {
        match self {
            Self::Root => server.connect_raw("/").await,
            Self::Plain => server.connect_raw("/ws").await,
            Self::Echo => server.connect_raw("/echo").await,
            Self::Chat => server.connect_raw("/chat").await,
            Self::SocketIo => connected(server).await,
            Self::Upgraded => Poller::connected(server).await.upgraded().await,
            Self::Relay => {
                let (mut raw, _) = joined(server, "/relay", "").await;
                raw.send(&text(r#"42/relay,0["join","a"]"#)).await;
                assert_eq!(next_text(&mut raw).await, r#"43/relay,0[{"room":"a"}]"#);
                raw
            }
        }
    }

    pub fn is_socketio(self) -> bool {
        matches!(self, Self::SocketIo | Self::Upgraded | Self::Relay)
    }

    /// A message that the door answers, with at least this many bytes.
    pub fn question(self, number: usize, len: usize) -> String {
        let filler = "x".repeat(len);
        match self {
            Self::Root | Self::Plain | Self::Echo => format!("{number}{filler}"),
            Self::Chat => json!({"event": "ping", "data": {"x": filler}, "ack": number}).to_string(),
            Self::SocketIo | Self::Upgraded => format!("42{number}{}", json!(["ping", {"x": filler}])),
            Self::Relay => format!("42/relay,{number}{}", json!(["x", filler])),
        }
    }

    /// How the answer to a question begins.
    pub fn answer(self, number: usize) -> String {
        match self {
            Self::Root | Self::Plain | Self::Echo => number.to_string(),
            Self::Chat => format!(r#"{{"ack":{number},"#),
            Self::SocketIo | Self::Upgraded => format!("43{number}["),
            Self::Relay => format!("43/relay,{number}["),
        }
    }
}

/// The payload of the next close frame, whatever comes before.
pub async fn next_close(raw: &mut RawClient) -> Vec<u8> {
    loop {
        let RawFrame { first, payload } = raw.read_frame().await;
        if first == 0x88 {
            return payload;
        }
    }
}

/// The code of the next close frame, whatever comes before.
pub async fn next_code(raw: &mut RawClient) -> Option<u16> {
    next_close(raw).await.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
