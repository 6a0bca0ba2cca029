//! One client of `/relay` for every way to come there, so that a promise can be held against all of them.

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, RawFrame, TestServer, frame, text},
    sockets::{Poller, websocket},
};

/// A way to `/relay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    WebSocket,
    /// Over a WebSocket that was upgraded to.
    Upgraded,
    Polling,
}

/// All of them.
pub const WAYS: [Way; 3] = [Way::WebSocket, Way::Upgraded, Way::Polling];

/// A packet of Socket.IO as its client sees it: with the `4` of Engine.IO, and attachments as their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Text(String),
    Attachment(Vec<u8>),
}

impl Packet {
    /// The text, which this must be.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Attachment(bytes) => panic!("an attachment of {} bytes", bytes.len()),
        }
    }
}

impl From<&str> for Packet {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A client of `/relay`.
pub struct Relayer<'a> {
    line: Line<'a>,
    /// What came and has not been asked for.
    heard: VecDeque<Packet>,
}

enum Line<'a> {
    WebSocket(RawClient),
    Polling(Poller<'a>),
}

impl<'a> Relayer<'a> {
    /// A client that has sent CONNECT with `auth`, and has heard nothing of it.
    pub async fn connecting(server: &'a TestServer, way: Way, auth: &Value) -> Self {
        let line = match way {
            Way::WebSocket => Line::WebSocket(websocket(server).await.0),
            Way::Upgraded => Line::WebSocket(Poller::open(server).await.upgraded().await),
            Way::Polling => Line::Polling(Poller::open(server).await),
        };
        let mut relayer = Self { line, heard: VecDeque::new() };
        relayer.send(&format!("40/relay,{auth}")).await;
        relayer
    }

    /// A client in a room, and the answer to its CONNECT.
    pub async fn in_room(server: &'a TestServer, way: Way, room: &str, auth: &Value) -> (Self, Value) {
        let mut relayer = Self::connecting(server, way, auth).await;
        let answer = relayer.next_text().await;
        let answer = answer.strip_prefix("40/relay,").unwrap_or_else(|| panic!("{answer}"));
        let answer = serde_json::from_str(answer).expect("JSON");
        relayer.send(&format!("42/relay,0{}", json!(["join", room]))).await;
        assert_eq!(relayer.next_text().await, format!("43/relay,0{}", json!([{"room": room}])), "{way:?}");
        (relayer, answer)
    }

    /// Sends one packet.
    pub async fn send(&mut self, packet: &str) {
        self.send_all(&[packet.into()]).await;
    }

    /// Sends packets in one go: over polling, in one post.
    pub async fn send_all(&mut self, packets: &[Packet]) {
        match &mut self.line {
            Line::WebSocket(raw) => {
                let frames = packets.iter().map(|packet| match packet {
                    Packet::Text(packet) => text(packet),
                    Packet::Attachment(bytes) => frame(0x82, bytes),
                });
                raw.send(&frames.collect::<Vec<_>>().concat()).await;
            }
            Line::Polling(poller) => {
                let packets = packets.iter().map(|packet| match packet {
                    Packet::Text(packet) => packet.clone(),
                    Packet::Attachment(bytes) => format!("b{}", STANDARD.encode(bytes)),
                });
                let payload = packets.collect::<Vec<_>>().join("\u{1E}");
                assert_eq!(poller.post(&payload).await.status, 200);
            }
        }
    }

    /// The next packet.
    pub async fn next(&mut self) -> Packet {
        loop {
            match self.heard.pop_front() {
                Some(packet) => return packet,
                None => self.receive().await,
            }
        }
    }

    /// The next packet, which must be a text.
    pub async fn next_text(&mut self) -> String {
        self.next().await.text().to_owned()
    }

    /// Lets the kernel hold so much for a client that does not read.
    pub fn hold(&self, bytes: usize) {
        if let Line::WebSocket(raw) = &self.line {
            socket2::SockRef::from(&raw.stream).set_recv_buffer_size(bytes).expect("a buffer");
        }
    }

    /// Is lost: a connection breaks off, a client that polls just comes no more.
    pub fn reset(self) {
        if let Line::WebSocket(raw) = self.line {
            raw.reset();
        }
    }

    /// Takes what comes until the session ends: the code of the close frame, if it was one.
    pub async fn until_the_end(mut self) -> Option<u16> {
        match &mut self.line {
            Line::WebSocket(raw) => loop {
                let RawFrame { first, payload } = raw.read_frame().await;
                if first == 0x88 {
                    return payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
            },
            Line::Polling(poller) => {
                while poller.poll().await.status == 200 {}
                None
            }
        }
    }

    async fn receive(&mut self) {
        match &mut self.line {
            Line::WebSocket(raw) => match raw.read_frame().await {
                RawFrame { first: 0x81, payload } if payload == b"2" => raw.send(&text("3")).await,
                RawFrame { first: 0x81, payload } => {
                    self.heard.push_back(Packet::Text(String::from_utf8(payload).expect("UTF-8")));
                }
                RawFrame { first: 0x82, payload } => self.heard.push_back(Packet::Attachment(payload)),
                other => panic!("{other:?}"),
            },
            Line::Polling(poller) => {
                let answer = poller.poll().await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                for packet in answer.body.split('\u{1E}') {
                    match packet.strip_prefix('b') {
                        Some(bytes) => {
                            let bytes = STANDARD.decode(bytes).expect("base64");
                            self.heard.push_back(Packet::Attachment(bytes));
                        }
                        None if packet == "2" => assert_eq!(poller.post("3").await.status, 200),
                        None => self.heard.push_back(packet.into()),
                    }
                }
            }
        }
    }
}
