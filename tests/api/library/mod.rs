//! A program's own server of Socket.IO, by packets over each transport.

use std::collections::VecDeque;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::sync::{
    Mutex,
    mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use crate::{
    helpers::{RawClient, TestServer, frame, soon, text},
    sockets::{Poller, next_text, websocket},
};

mod admission;
mod alone;
mod arguments;
mod asking;
mod bounds;
mod dynamic;
mod forgotten_handlers;
mod handlers;
mod mounting;
mod nameless;
mod outgoing;
mod panics;
mod reasons;
mod recovered_middlewares;
mod recovery;
mod transport;

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    WebSocket,
    Polling,
}

const EACH: [By; 2] = [By::WebSocket, By::Polling];

/// A client that knows packets of Socket.IO, by either transport.
enum Peer<'a> {
    WebSocket(RawClient),
    Polling(Poller<'a>, VecDeque<String>),
}

impl<'a> Peer<'a> {
    /// A session without a namespace.
    async fn open(server: &'a TestServer, by: By) -> Self {
        match by {
            By::WebSocket => Self::WebSocket(websocket(server).await.0),
            By::Polling => Self::Polling(Poller::open(server).await, VecDeque::new()),
        }
    }

    /// A session in the main namespace.
    async fn connected(server: &'a TestServer, by: By) -> Self {
        let mut peer = Self::open(server, by).await;
        peer.join("").await;
        peer
    }

    /// Joins a namespace, such as `/news,`.
    async fn join(&mut self, namespace: &str) {
        self.send(&format!("0{namespace}")).await;
        let reply = self.next().await;
        assert!(reply.starts_with(&format!("0{namespace}{{")), "{reply}");
    }

    /// Sends a packet, without the type digit of Engine.IO.
    async fn send(&mut self, packet: &str) {
        match self {
            Self::WebSocket(raw) => raw.send(&text(&format!("4{packet}"))).await,
            // A packet by which the session ends is refused.
            Self::Polling(poller, _) => _ = poller.post(&format!("4{packet}")).await,
        }
    }

    /// Sends packets in one go.
    async fn send_all(&mut self, packets: &[&str]) {
        match self {
            Self::WebSocket(raw) => {
                let frames = packets.iter().flat_map(|packet| text(&format!("4{packet}")));
                raw.send(&frames.collect::<Vec<_>>()).await;
            }
            Self::Polling(poller, _) => {
                let packets: Vec<_> = packets.iter().map(|packet| format!("4{packet}")).collect();
                assert_eq!(poller.post(&packets.join("\u{1E}")).await.status, 200);
            }
        }
    }

    async fn send_binary(&mut self, bytes: &[u8]) {
        match self {
            Self::WebSocket(raw) => raw.send(&frame(0x82, bytes)).await,
            Self::Polling(poller, _) => {
                let packet = format!("b{}", BASE64_STANDARD.encode(bytes));
                assert_eq!(poller.post(&packet).await.status, 200);
            }
        }
    }

    /// The next packet of Engine.IO on a session that polls.
    async fn polled(poller: &Poller<'_>, waiting: &mut VecDeque<String>) -> String {
        loop {
            if let Some(packet) = waiting.pop_front() {
                return packet;
            }
            let answer = poller.poll().await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            waiting.extend(answer.body.split('\u{1E}').map(str::to_owned));
        }
    }

    /// The next packet, without the type digit of Engine.IO.
    async fn next(&mut self) -> String {
        let packet = match self {
            Self::WebSocket(raw) => next_text(raw).await,
            Self::Polling(poller, waiting) => Self::polled(poller, waiting).await,
        };
        packet.strip_prefix('4').unwrap_or_else(|| panic!("not a message: {packet}")).to_owned()
    }

    async fn next_binary(&mut self) -> Vec<u8> {
        match self {
            Self::WebSocket(raw) => {
                let frame = raw.read_frame().await;
                assert_eq!(frame.first, 0x82, "{frame:?}");
                frame.payload
            }
            Self::Polling(poller, waiting) => {
                let packet = Self::polled(poller, waiting).await;
                let base64 = packet.strip_prefix('b').expect("a binary packet");
                BASE64_STANDARD.decode(base64).expect("base64")
            }
        }
    }

    /// Sends an event and expects this reply next.
    async fn expect(&mut self, packet: &str, reply: &str) {
        self.send(packet).await;
        assert_eq!(self.next().await, reply, "to {packet}");
    }

    /// Ends the session: the connection is cut, or the session is closed by a post.
    async fn leave(self) {
        match self {
            Self::WebSocket(raw) => raw.reset(),
            Self::Polling(poller, _) => assert_eq!(poller.post("1").await.status, 200),
        }
    }
}

/// What handlers tell the test.
struct Told(Mutex<UnboundedReceiver<String>>);

/// Tells the test.
#[derive(Clone)]
struct Tell(UnboundedSender<String>);

impl Tell {
    fn tell(&self, what: impl Into<String>) {
        // The test may be over.
        let _ = self.0.send(what.into());
    }
}

impl Told {
    fn new() -> (Tell, Self) {
        let (tell, told) = mpsc::unbounded_channel();
        (Tell(tell), Self(Mutex::new(told)))
    }

    async fn next(&self) -> String {
        soon("a handler tells", self.0.lock().await.recv()).await.expect("the server lives")
    }

    async fn expect<const N: usize>(&self, expected: [&str; N]) {
        for expected in expected {
            assert_eq!(self.next().await, expected);
        }
    }

    /// Nothing was told that the test has not heard.
    async fn is_quiet(&self) -> bool {
        self.0.lock().await.is_empty()
    }
}

/// Waits until something holds that no event tells of.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}
