//! A member of the chat on a thread that blocks, which knows what it was told is kept.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{client::Client, program::PATIENCE};

/// How long to wait before the same is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A message that was acked.
pub type Acked = (u64, String);

/// Logged in to the room `tea`.
pub struct Talker {
    client: Client,
    last_ack: u64,
    /// What the login was answered.
    pub welcome: Value,
}

impl Talker {
    /// Logs in, again and again while the journal is not available.
    pub fn login(server: SocketAddr, name: &str) -> Self {
        Self::login_with(server, &json!({"username": name, "room": "tea"}))
    }

    pub fn login_with(server: SocketAddr, data: &Value) -> Self {
        let mut talker = Self::of(Client::websocket(server, "/chat"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = talker.ask("login", data).expect("the connection is open");
            if answer["data"].is_object() {
                talker.welcome = answer["data"].clone();
                return talker;
            }
            assert!(Instant::now() < deadline, "{answer}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Not logged in yet.
    pub fn of(client: Client) -> Self {
        Self { client, last_ack: 0, welcome: Value::Null }
    }

    /// Sends an event without asking for an answer.
    pub fn send(&mut self, event: &str, data: &Value) {
        self.client.send_text(&json!({"event": event, "data": data}).to_string());
    }

    /// Waits for an event that contains this.
    pub fn hear(&mut self, part: &str) {
        self.client.read_until(part);
    }

    /// The answer to a request, unless the connection ends before.
    pub fn ask(&mut self, event: &str, data: &Value) -> Option<Value> {
        self.last_ack += 1;
        let request = json!({"event": event, "data": data, "ack": self.last_ack}).to_string();
        if !self.client.try_send(&crate::client::frame(0x81, request.as_bytes())) {
            return None;
        }
        loop {
            let frame = self.client.try_read_frame().ok()?;
            if frame.first != 0x81 {
                continue;
            }
            let value: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            if value["ack"] == self.last_ack {
                return Some(value);
            }
        }
    }

    /// Says something until it is acked, each time with the same id. Nothing if the connection ends before.
    pub fn try_say(&mut self, text: &str) -> Option<Acked> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let id: String = text.chars().take(40).collect();
            let answer = self.ask("sendMessage", &json!({"msg": text, "id": id}))?;
            if let Some(offset) = answer["data"]["offset"].as_u64() {
                return Some((offset, text.to_owned()));
            }
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            assert!(["journal_unavailable", "not_kept_yet"].contains(&code), "{answer}");
            assert!(Instant::now() < deadline, "{answer}");
            std::thread::sleep(PAUSE);
        }
    }

    pub fn say(&mut self, text: &str) -> Acked {
        self.try_say(text).unwrap_or_else(|| panic!("the connection has ended, {}", self.welcome))
    }

    /// All that is kept of the room.
    pub fn history(&mut self) -> Vec<Acked> {
        let (mut all, mut before) = (Vec::new(), u64::MAX >> 1);
        loop {
            let answer = self.ask("history", &json!({"before": before, "limit": 200})).expect("an answer");
            let page = answer["data"]["messages"].as_array().unwrap_or_else(|| panic!("no page: {answer}"));
            let messages = page.iter().map(|message| {
                let offset = message["offset"].as_u64().expect("an offset");
                (offset, message["msg"].as_str().expect("a text").to_owned())
            });
            all.splice(0..0, messages);
            before = all.first().map_or(0, |(offset, _)| *offset);
            if answer["data"]["more"] == false {
                return all;
            }
        }
    }
}

/// Says one after the other, each until it is acked.
pub fn say_all(talker: &mut Talker, texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Acked> {
    texts.into_iter().map(|text| talker.say(text.as_ref())).collect()
}

/// What was acked is kept in its place, no offset is missing, and nothing is there twice.
pub fn check(kept: &[Acked], acked: &[Acked], when: &str) {
    let offsets: Vec<_> = kept.iter().map(|(offset, _)| *offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "{when}: a gap in {offsets:?}");
    for (offset, text) in acked {
        let index =
            offsets.binary_search(offset).unwrap_or_else(|_| panic!("{when}: {offset} {text} is lost"));
        assert_eq!(&kept[index].1, text, "{when}: at {offset}");
    }
    let mut texts: Vec<_> = kept.iter().map(|(_, text)| text).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), kept.len(), "{when}: something is there twice: {kept:?}");
}
