//! Clients of Socket.IO that know only packets.

use std::time::Duration;

use actix_web::{App, HttpServer, rt};
use awc::{ClientResponse, http::Method};
use echoroom::socketio::Server;
use serde_json::Value;

use crate::helpers::{RawClient, TestServer, soon, text};

/// Runs a program's own server of Socket.IO on some workers of actix-web.
pub fn serve(io: &Server, workers: usize) -> TestServer {
    let io = io.clone();
    let server = HttpServer::new(move || App::new().configure(io.routes()));
    let server = server.h1_allow_half_closed(false).workers(workers).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).expect("a port");
    let address = server.addrs()[0];
    rt::spawn(server.run());
    TestServer::elsewhere(&format!("http://{address}"))
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// An answer to a request at the door of Socket.IO.
pub async fn request(server: &TestServer, method: Method, query: &str, body: &str) -> Answer {
    let url = format!("http://{}/socket.io/?{query}", server.address);
    let request = awc::Client::new().request(method, url).timeout(Duration::from_secs(15));
    let mut response: ClientResponse<_> =
        soon("an answer", request.send_body(body.to_owned())).await.expect("an answer");
    let body = soon("a body", response.body()).await.expect("a body");
    Answer { status: response.status().as_u16(), body: String::from_utf8(body.to_vec()).expect("UTF-8") }
}

/// A session that polls.
pub struct Poller<'a> {
    server: &'a TestServer,
    pub sid: String,
}

impl<'a> Poller<'a> {
    pub async fn open(server: &'a TestServer) -> Self {
        let answer = request(server, Method::GET, "EIO=4&transport=polling", "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let open: Value =
            serde_json::from_str(answer.body.strip_prefix('0').expect("an open packet")).expect("JSON");
        Self::of(server, open["sid"].as_str().expect("a sid").to_owned())
    }

    /// A session that has begun.
    pub fn of(server: &'a TestServer, sid: String) -> Self {
        Self { server, sid }
    }

    /// The same, in the main namespace.
    pub async fn connected(server: &'a TestServer) -> Self {
        let poller = Self::open(server).await;
        assert_eq!(poller.post("40").await.status, 200);
        let answer = poller.poll().await;
        assert!(answer.body.starts_with(r#"40{"sid":""#), "{}", answer.body);
        poller
    }

    pub fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    pub async fn poll(&self) -> Answer {
        request(self.server, Method::GET, &self.query(), "").await
    }

    pub async fn post(&self, body: &str) -> Answer {
        request(self.server, Method::POST, &self.query(), body).await
    }

    /// A WebSocket that wants to carry the session.
    pub async fn websocket(&self) -> RawClient {
        self.server.connect_raw(&format!("/socket.io/?EIO=4&transport=websocket&sid={}", self.sid)).await
    }

    /// The WebSocket that carries the session from here on.
    pub async fn upgraded(&self) -> RawClient {
        let mut raw = self.websocket().await;
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        raw.send(&text("5")).await;
        raw
    }
}

/// A session on a WebSocket, and its open packet.
pub async fn websocket(server: &TestServer) -> (RawClient, Value) {
    let mut raw = server.connect_raw("/socket.io/?EIO=4&transport=websocket").await;
    let open = next_text(&mut raw).await;
    (raw, serde_json::from_str(open.strip_prefix('0').expect("an open packet")).expect("JSON"))
}

/// The same, in the main namespace.
pub async fn connected(server: &TestServer) -> RawClient {
    let (mut raw, _) = websocket(server).await;
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with(r#"40{"sid":""#));
    raw
}

/// The next frame, which must be a text.
pub async fn next_text(raw: &mut RawClient) -> String {
    let frame = raw.read_frame().await;
    assert_eq!(frame.first, 0x81, "{frame:?}");
    String::from_utf8(frame.payload).expect("UTF-8")
}

/// The server closes the WebSocket, whatever comes before.
pub async fn expect_closed(mut raw: RawClient) {
    while raw.read_frame().await.first != 0x88 {}
}

/// A session on a WebSocket that is in a namespace, and the answer to its CONNECT.
pub async fn joined(server: &TestServer, namespace: &str, auth: &str) -> (RawClient, Value) {
    let (mut raw, _) = websocket(server).await;
    raw.send(&text(&format!("40{namespace},{auth}"))).await;
    let answer = next_text(&mut raw).await;
    let json = answer.strip_prefix(&format!("40{namespace},")).unwrap_or_else(|| panic!("{answer}"));
    (raw, serde_json::from_str(json).expect("JSON"))
}
