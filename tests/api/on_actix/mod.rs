//! Every door on actix's own test server, a plain `HttpServer`, as a program that embeds the routes tests itself. There
//! actix-http carries the connections, and nothing takes a socket over.
//! Many of these tests go through all pairs of doors, which takes them a second or two.

mod conversation;
mod endings;
mod order;
mod page;
mod plain;
mod relay;
mod slow_readers;
mod socketio;
mod stopping;
mod volatile;

use std::{net::SocketAddr, ops::Deref, sync::Arc};

use actix_web::App;
use serde_json::{Value, json};

// All that these tests name of the crate.
use echoroom::{
    app::{Node, embed},
    config::{Period, Settings, Switch},
};

use crate::{
    helpers::{RawClient, RawFrame, TestServer, settings, text},
    sockets::{Poller, connected, joined, next_text},
};

/// A running server of actix; stopped when dropped.
struct OnActix {
    /// Its clients are those of any server.
    clients: TestServer,
    node: Arc<Node>,
    _server: actix_test::TestServer,
}

impl OnActix {
    fn start() -> Self {
        Self::with(open())
    }

    /// Two workers, so that rooms span threads.
    fn with(settings: Settings) -> Self {
        let node = Arc::new(Node::new(settings).expect("a journal"));
        let of_workers = Arc::clone(&node);
        let server = actix_test::start_with(actix_test::config().workers(2), move || {
            let node = Arc::clone(&of_workers);
            App::new().configure(move |cfg| embed::configure(cfg, node.start_worker()))
        });
        let address: SocketAddr = server.addr();
        Self { clients: TestServer::elsewhere(&format!("http://{address}")), node, _server: server }
    }
}

impl Deref for OnActix {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.clients
    }
}

/// Settings with the relay.
fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

fn time(text: &str) -> Period {
    text.parse().expect("a time")
}

/// A way to come by a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Root,
    Plain,
    Echo,
    Chat,
    SocketIo,
    Upgraded,
    Relay,
}

const DOORS: [Door; 7] =
    [Door::Root, Door::Plain, Door::Echo, Door::Chat, Door::SocketIo, Door::Upgraded, Door::Relay];

impl Door {
    async fn open(self, server: &TestServer) -> RawClient {
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

    fn is_socketio(self) -> bool {
        matches!(self, Self::SocketIo | Self::Upgraded | Self::Relay)
    }

    /// A message that the door answers, with at least this many bytes.
    fn question(self, number: usize, len: usize) -> String {
        let filler = "x".repeat(len);
        match self {
            Self::Root | Self::Plain | Self::Echo => format!("{number}{filler}"),
            Self::Chat => json!({"event": "ping", "data": {"x": filler}, "ack": number}).to_string(),
            Self::SocketIo | Self::Upgraded => format!("42{number}{}", json!(["ping", {"x": filler}])),
            Self::Relay => format!("42/relay,{number}{}", json!(["x", filler])),
        }
    }

    /// How the answer to a question begins.
    fn answer(self, number: usize) -> String {
        match self {
            Self::Root | Self::Plain | Self::Echo => number.to_string(),
            Self::Chat => format!(r#"{{"ack":{number},"#),
            Self::SocketIo | Self::Upgraded => format!("43{number}["),
            Self::Relay => format!("43/relay,{number}["),
        }
    }
}

/// The payload of the next close frame, whatever comes before.
async fn next_close(raw: &mut RawClient) -> Vec<u8> {
    loop {
        let RawFrame { first, payload } = raw.read_frame().await;
        if first == 0x88 {
            return payload;
        }
    }
}

/// The code of the next close frame, whatever comes before.
async fn next_code(raw: &mut RawClient) -> Option<u16> {
    next_close(raw).await.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The status, the head and the body of an answer.
async fn get(server: &TestServer, path: &str) -> (String, String, String) {
    let answer = server.get_raw(path, "").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("a status").to_owned(), head.to_lowercase(), body.to_owned())
}

/// The JSON at an address.
async fn get_json(server: &TestServer, path: &str) -> Value {
    let (status, _, body) = get(server, path).await;
    assert_eq!(status, "200", "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}
