//! One chat client for every door of the chat, so that a promise can be held against all of them.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, RawFrame, TestServer, frame, text},
    sockets::{Poller, connected},
};

/// A door of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatDoor {
    /// `/chat`.
    Plain,
    /// Socket.IO, over a WebSocket from the beginning.
    WebSocket,
    /// Socket.IO, over a WebSocket that was upgraded to.
    Upgraded,
    /// Socket.IO, over polling.
    Polling,
}

/// All of them.
pub const CHAT_DOORS: [ChatDoor; 4] =
    [ChatDoor::Plain, ChatDoor::WebSocket, ChatDoor::Upgraded, ChatDoor::Polling];

/// The WebSocket doors.
pub const CHAT_WEBSOCKETS: [ChatDoor; 3] = [ChatDoor::Plain, ChatDoor::WebSocket, ChatDoor::Upgraded];

/// A client of the chat.
pub struct Chatter<'a> {
    line: Line<'a>,
    /// What came while something else was waited for.
    heard: VecDeque<Value>,
    last_ack: u64,
    /// What the login was answered.
    pub welcome: Value,
}

enum Line<'a> {
    Plain(RawClient),
    WebSocket(RawClient),
    Polling(Poller<'a>),
}

impl<'a> Chatter<'a> {
    /// A client that has not logged in.
    pub async fn stranger(server: &'a TestServer, door: ChatDoor) -> Self {
        let line = match door {
            ChatDoor::Plain => Line::Plain(server.connect_raw("/chat").await),
            ChatDoor::WebSocket => Line::WebSocket(connected(server).await),
            ChatDoor::Upgraded => Line::WebSocket(Poller::connected(server).await.upgraded().await),
            ChatDoor::Polling => Line::Polling(Poller::connected(server).await),
        };
        Self { line, heard: VecDeque::new(), last_ack: 0, welcome: Value::Null }
    }

    /// A client that has logged in with `data`.
    pub async fn login(server: &'a TestServer, door: ChatDoor, data: Value) -> Self {
        let mut chatter = Self::stranger(server, door).await;
        chatter.send("login", &data).await;
        chatter.welcome = chatter.next_named("loginSuccess").await;
        chatter
    }

    /// A client that has logged in to the room `tea`, and hears it.
    pub async fn settled(server: &'a TestServer, door: ChatDoor, name: &str) -> Self {
        let mut chatter = Self::login(server, door, json!({"username": name, "room": "tea"})).await;
        let is_in =
            |list: &Value| list.as_array().expect("a list").iter().any(|user| user["username"] == name);
        while !is_in(&chatter.next_named("userList").await) {}
        chatter
    }

    /// Lets the kernel hold so much for a client that does not read.
    pub fn hold(&self, bytes: usize) {
        if let Line::Plain(raw) | Line::WebSocket(raw) = &self.line {
            let socket = socket2::SockRef::from(&raw.stream);
            socket.set_recv_buffer_size(bytes).expect("a buffer");
        }
    }

    /// The data of a login that comes back with all that this one knows.
    pub fn return_data(&self, offset: u64) -> Value {
        let welcome = &self.welcome;
        json!({
            "username": welcome["username"], "room": welcome["room"], "token": welcome["token"],
            "epoch": welcome["epoch"], "offset": offset,
        })
    }

    /// Sends an event without asking for an answer.
    pub async fn send(&mut self, event: &str, data: &Value) {
        self.say(event, data, None).await;
    }

    /// Sends a request and gives back its number, for [`answer_to`](Self::answer_to).
    pub async fn request(&mut self, event: &str, data: &Value) -> u64 {
        self.last_ack += 1;
        self.say(event, data, Some(self.last_ack)).await;
        self.last_ack
    }

    async fn say(&mut self, event: &str, data: &Value, ack: Option<u64>) {
        let packet = || {
            let number = ack.map(|ack| ack.to_string()).unwrap_or_default();
            format!("42{number}{}", json!([event, data]))
        };
        match &mut self.line {
            Line::Plain(raw) => {
                let envelope = match ack {
                    Some(ack) => json!({"event": event, "data": data, "ack": ack}),
                    None => json!({"event": event, "data": data}),
                };
                raw.send(&text(&envelope.to_string())).await;
            }
            Line::WebSocket(raw) => raw.send(&text(&packet())).await,
            Line::Polling(poller) => assert_eq!(poller.post(&packet()).await.status, 200),
        }
    }

    /// The answer to a request, `{"ack", "data" or "error"}`. What else comes is kept.
    pub async fn answer_to(&mut self, ack: u64) -> Value {
        self.take(|value| value["ack"] == ack).await
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, event: &str, data: &Value) -> Value {
        let ack = self.request(event, data).await;
        self.answer_to(ack).await
    }

    /// The data of the next event of that name. What comes before it is kept.
    pub async fn next_named(&mut self, event: &str) -> Value {
        self.take(|value| value["event"] == event).await["data"].take()
    }

    /// The next event or answer.
    pub async fn next(&mut self) -> Value {
        while self.heard.is_empty() {
            self.receive().await;
        }
        self.heard.pop_front().expect("something came")
    }

    /// The next texts as they came, where reading each as JSON would take too long. Nothing must have been kept.
    pub async fn next_unread(&mut self) -> Vec<String> {
        assert!(self.heard.is_empty(), "{:?}", self.heard);
        match &mut self.line {
            Line::Plain(raw) | Line::WebSocket(raw) => {
                let RawFrame { first, payload } = raw.read_frame().await;
                assert_eq!(first, 0x81);
                vec![String::from_utf8(payload).expect("UTF-8")]
            }
            Line::Polling(poller) => {
                let answer = poller.poll().await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                answer.body.split('\u{1E}').map(str::to_owned).collect()
            }
        }
    }

    /// Whether an event of that name has come while something else was waited for.
    pub fn has_heard(&self, event: &str) -> bool {
        self.heard.iter().any(|value| value["event"] == event)
    }

    /// Resets the connection of a client with a WebSocket.
    pub fn reset(self) {
        let (Line::Plain(raw) | Line::WebSocket(raw)) = self.line else {
            panic!("who polls has no connection");
        };
        socket2::SockRef::from(&raw.stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    }

    /// Takes what comes until the session ends: the code of the close frame, if it was one.
    pub async fn until_the_end(mut self) -> Option<u16> {
        match &mut self.line {
            Line::Plain(raw) | Line::WebSocket(raw) => loop {
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

    async fn take(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(&is_it) {
                return self.heard.remove(at).expect("it is there");
            }
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        match &mut self.line {
            Line::Plain(raw) => match raw.read_frame().await {
                RawFrame { first: 0x81, payload } => {
                    self.heard.push_back(serde_json::from_slice(&payload).expect("JSON"));
                }
                RawFrame { first: 0x89, payload } => raw.send(&frame(0x8A, &payload)).await,
                other => panic!("{other:?}"),
            },
            Line::WebSocket(raw) => {
                let frame = raw.read_frame().await;
                assert_eq!(frame.first, 0x81, "{frame:?}");
                let packet = String::from_utf8(frame.payload).expect("UTF-8");
                if packet == "2" {
                    raw.send(&text("3")).await;
                }
                self.heard.extend(envelope_of(&packet));
            }
            Line::Polling(poller) => {
                let answer = poller.poll().await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                for packet in answer.body.split('\u{1E}') {
                    if packet == "2" {
                        assert_eq!(poller.post("3").await.status, 200);
                    }
                    self.heard.extend(envelope_of(packet));
                }
            }
        }
    }
}

/// What `/chat` would have said; nothing if the packet is none of the chat.
fn envelope_of(packet: &str) -> Option<Value> {
    let (kind, rest) = packet.split_at_checked(2)?;
    let digits = rest.find('[')?;
    let json: Value = serde_json::from_str(&rest[digits..]).expect("JSON");
    match kind {
        "42" => Some(json!({"event": json[0], "data": json[1]})),
        "43" => {
            let ack: u64 = rest[..digits].parse().expect("a number");
            Some(match json[0].get("error") {
                Some(error) => json!({"ack": ack, "error": error}),
                None => json!({"ack": ack, "data": json[0]}),
            })
        }
        _ => None,
    }
}
