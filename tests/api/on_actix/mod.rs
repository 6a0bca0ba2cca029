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
use serde_json::Value;

// All that these tests name of the crate.
use echoroom::{
    app::{Node, embed},
    config::{Period, Settings, Switch},
};

use crate::{
    doors::{DOORS, Door, next_close, next_code},
    helpers::{TestServer, settings},
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
