//! Clients of all doors that go on whatever happens: they come back, and repeat what was not acked.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    CROWD, Storm,
    link::{LONGEST_WAIT, Link},
};
use crate::{program::PATIENCE, talker::Acked};

/// How long to wait before the same is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A door of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Chat,
    WebSocket,
    Polling,
}

/// A user of the chat, who has the same token all the time.
pub struct Chatter<'a> {
    storm: &'a Storm,
    door: Door,
    number: usize,
    name: String,
    room: String,
    link: Option<Link>,
    last_ack: u64,
    epoch: Value,
    /// What it has heard, without gaps but for its own messages; begun anew when it was not recovered.
    pub runs: Vec<Vec<Acked>>,
    pub acked: Vec<Acked>,
}

impl<'a> Chatter<'a> {
    pub fn new(storm: &'a Storm, door: Door, number: usize, room: String) -> Self {
        let name = format!("u{number}");
        let (link, runs, acked) = (None, vec![Vec::new()], Vec::new());
        Self { storm, door, number, name, room, link, last_ack: 0, epoch: Value::Null, runs, acked }
    }

    /// Talks until the storm is over.
    pub fn talk(&mut self) {
        for number in 0.. {
            if self.storm.is_over() {
                return;
            }
            self.say(&format!("{} {number}", self.name));
            if number % 8 == 0 {
                // Read from the file, as far as it is not in memory.
                drop(self.ask("history", &json!({"before": u64::MAX >> 1, "limit": 50})));
            }
            if number % 4 == 0 {
                // Whatever comes of it, it is answered.
                let to = format!("u{}", self.number / CROWD * CROWD + number % CROWD);
                drop(self.ask("sendPrivate", &json!({"to": to, "msg": "psst", "id": format!("p{number}")})));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Says something until it is acked, each time with the same id.
    fn say(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "{text} is not acked");
            if self.link.is_none() && !self.come() {
                thread::sleep(PAUSE);
                continue;
            }
            let sent = Instant::now();
            let Some(answer) = self.ask("sendMessage", &json!({"msg": text, "id": text})) else {
                continue;
            };
            if let Some(offset) = answer["data"]["offset"].as_u64() {
                self.storm.acked(sent);
                return self.acked.push((offset, text.to_owned()));
            }
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            assert!(["journal_unavailable", "not_kept_yet"].contains(&code), "{answer}");
            thread::sleep(PAUSE);
        }
    }

    /// Connects and logs in, with all that it knows. Returns whether it is in.
    fn come(&mut self) -> bool {
        let server = self.storm.server;
        let link = match self.door {
            Door::Chat => Link::websocket(server, "/chat"),
            Door::WebSocket => Link::websocket(server, "/socket.io/?EIO=4&transport=websocket"),
            Door::Polling => Link::polling(server),
        };
        self.link = link;
        let Some(link) = &mut self.link else {
            return false;
        };
        if self.door != Door::Chat && !link.send("40") {
            self.link = None;
            return false;
        }
        let token = format!("{:032x}", self.number + 1);
        let mut data = json!({"username": self.name, "room": self.room, "token": token});
        let last = self.runs.last().and_then(|run| run.last()).map(|(offset, _)| *offset);
        if let Some(offset) = last {
            (data["epoch"], data["offset"]) = (self.epoch.clone(), offset.into());
        }
        let Some(answer) = self.ask("login", &data) else {
            return false;
        };
        if answer["data"].is_object() {
            self.epoch = answer["data"]["epoch"].clone();
            if answer["data"]["recovered"] != true {
                self.runs.push(Vec::new());
            }
            return true;
        }
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        assert!(["journal_unavailable", "not_kept_yet"].contains(&code), "{answer}");
        self.link = None;
        false
    }

    /// The answer to a request, unless the connection ends before.
    fn ask(&mut self, event: &str, data: &Value) -> Option<Value> {
        self.last_ack += 1;
        let ack = self.last_ack;
        let request = match self.door {
            Door::Chat => json!({"event": event, "data": data, "ack": ack}).to_string(),
            Door::WebSocket | Door::Polling => format!("42{ack}{}", json!([event, data])),
        };
        let sent = Instant::now();
        if !self.link.as_mut()?.send(&request) {
            self.link = None;
            return None;
        }
        loop {
            let received = self.link.as_mut()?.receive();
            assert!(sent.elapsed() < LONGEST_WAIT, "{} waits for {request}", self.name);
            match received {
                Err(code) => {
                    self.storm.closed(code);
                    self.link = None;
                    return None;
                }
                Ok(text) => {
                    let Some(value) = self.envelope(&text) else {
                        continue;
                    };
                    if value["ack"] == ack {
                        return Some(value);
                    }
                    self.hear(&value);
                }
            }
        }
    }

    /// What `/chat` would have said.
    fn envelope(&self, text: &str) -> Option<Value> {
        if self.door == Door::Chat {
            return Some(serde_json::from_str(text).expect("JSON"));
        }
        let (kind, rest) = text.split_at_checked(2)?;
        let digits = rest.find('[')?;
        let json: Value = serde_json::from_str(&rest[digits..]).ok()?;
        match kind {
            "42" => Some(json!({"event": json[0], "data": json[1]})),
            "43" => {
                let ack: u64 = rest[..digits].parse().expect("a number");
                let error = &json[0]["error"];
                Some(if error.is_null() {
                    json!({"ack": ack, "data": json[0]})
                } else {
                    json!({"ack": ack, "error": error})
                })
            }
            _ => None,
        }
    }

    fn hear(&mut self, value: &Value) {
        let data = &value["data"];
        if value["event"] == "receiveMessage" {
            let offset = data["offset"].as_u64().expect("an offset");
            let text = data["msg"].as_str().expect("a text").to_owned();
            let run = self.runs.last_mut().expect("a run");
            let last = run.last().map_or(0, |(last, _)| *last);
            assert!(offset > last, "{} hears {offset} {text} behind {last}", self.name);
            run.push((offset, text));
        }
    }
}

/// A plain client says something in a room and hears it in upper case, until the storm is over. It cannot know what
/// is kept.
pub fn speak(storm: &Storm, number: usize, room: &str) {
    let mut link = None;
    for message in 0.. {
        if storm.is_over() {
            return;
        }
        if link.is_none() {
            link = Link::websocket(storm.server, &format!("/ws?room={room}"));
        }
        let text = format!("plain {number} {message}");
        let sent = Instant::now();
        if link.as_mut().is_some_and(|link| link.send(&text)) {
            let expected = format!("{}!!!", text.to_uppercase());
            loop {
                match link.as_mut().expect("a link").receive() {
                    Ok(text) if text == expected => break,
                    Ok(_) => assert!(sent.elapsed() < LONGEST_WAIT, "{number} waits for {expected}"),
                    Err(code) => {
                        storm.closed(code);
                        link = None;
                        break;
                    }
                }
            }
        } else {
            link = None;
        }
        thread::sleep(PAUSE);
    }
}

/// A client of the relay enters rooms and draws there, until the storm is over. What it hears of one other comes in
/// order and once, as long as its socket is recovered.
pub fn relay(storm: &Storm, number: usize) {
    let (mut link, mut last_ack, mut auth, mut sid) = (None, 0_u64, json!({}), String::new());
    let mut heard: std::collections::HashMap<u64, u64> = std::collections::HashMap::new();
    for stroke in 0_u64.. {
        if storm.is_over() {
            return;
        }
        if link.is_none() {
            link = Link::websocket(storm.server, "/socket.io/?EIO=4&transport=websocket");
            if let Some(link) = &mut link {
                link.send(&format!("40/relay,{auth}"));
            }
        }
        let Some(open) = &mut link else {
            thread::sleep(PAUSE);
            continue;
        };
        last_ack += 1;
        let room = format!("board-{}", stroke / 16 % 2);
        let event = match stroke % 16 {
            0 => json!(["join", room]),
            _ => json!(["stroke", number, stroke]),
        };
        let sent = Instant::now();
        let mut is_open = open.send(&format!("42/relay,{last_ack}{event}"));
        while is_open {
            assert!(sent.elapsed() < LONGEST_WAIT, "the relay does not answer {number}");
            let packet = match open.receive() {
                Ok(packet) => packet,
                Err(code) => {
                    storm.closed(code);
                    is_open = false;
                    continue;
                }
            };
            if packet.starts_with(&format!("43/relay,{last_ack}[")) {
                break;
            }
            if let Some(connected) = packet.strip_prefix("40/relay,") {
                let connected: Value = serde_json::from_str(connected).expect("JSON");
                let now = connected["sid"].as_str().expect("a sid").to_owned();
                if std::mem::replace(&mut sid, now.clone()) != now {
                    heard.clear();
                    auth = json!({"pid": connected["pid"]});
                }
            }
            if let Some(event) = packet.strip_prefix("42/relay,") {
                let event: Value = serde_json::from_str(event).expect("JSON");
                if let (Some(by), Some(stroke)) = (event[1].as_u64(), event[2].as_u64()) {
                    let last = heard.insert(by, stroke);
                    assert!(last < Some(stroke), "{number} hears {stroke} of {by} behind {last:?}");
                    auth["offset"] = event[3].clone();
                }
            }
        }
        if !is_open {
            link = None;
        }
        thread::sleep(PAUSE);
    }
}
