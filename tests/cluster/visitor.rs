//! A chat client that does one thing after the other, for steps that a test spells out.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{program::PATIENCE, recording::identity, wire::Wire};

/// How long to wait before a request is made again.
const PAUSE: Duration = Duration::from_millis(20);

/// Logged in at a node.
pub struct Visitor {
    wire: Wire,
    last_ack: u64,
    /// Events that came and were not waited for yet.
    events: VecDeque<Value>,
    /// The names of those that were skipped.
    passed: Vec<String>,
    /// What the login was answered.
    pub welcome: Value,
}

impl Visitor {
    /// Logs in once; the error if that is refused.
    pub fn try_login(node: SocketAddr, data: &Value) -> Result<Self, Value> {
        let wire = Wire::open(node, "/chat", PATIENCE).expect("connected");
        let mut visitor =
            Self { wire, last_ack: 0, events: VecDeque::new(), passed: Vec::new(), welcome: Value::Null };
        let answer = visitor.answer("login", data);
        if !answer["error"].is_null() {
            return Err(answer["error"].clone());
        }
        visitor.welcome = answer["data"].clone();
        Ok(visitor)
    }

    /// Logs in, again and again while the node says that it may work later.
    pub fn login_with(node: SocketAddr, data: &Value) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_login(node, data) {
                Ok(visitor) => return visitor,
                Err(error) => {
                    assert_eq!(error["code"], "journal_unavailable", "{data}");
                    assert!(Instant::now() < deadline, "{error}");
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    pub fn login(node: SocketAddr, name: &str, room: &str) -> Self {
        Self::login_with(node, &json!({"username": name, "room": room}))
    }

    /// What it sends to log in as this user, as another tab does.
    pub fn data(&self) -> Value {
        let welcome = &self.welcome;
        json!({"username": welcome["username"], "room": welcome["room"], "token": welcome["token"]})
    }

    /// Sends an event without waiting for an answer.
    pub fn send(&mut self, event: &str, data: &Value) {
        self.last_ack += 1;
        self.wire.send(event, data, self.last_ack).expect("the connection is open");
    }

    /// The whole answer to a request.
    pub fn answer(&mut self, event: &str, data: &Value) -> Value {
        self.send(event, data);
        loop {
            let value = self.next(event);
            if value["ack"] == self.last_ack {
                return value;
            }
            self.events.push_back(value);
        }
    }

    /// What a request is answered, which must not fail.
    pub fn ask(&mut self, event: &str, data: &Value) -> Value {
        let answer = self.answer(event, data);
        assert!(answer["error"].is_null(), "{event} {data}: {answer}");
        answer["data"].clone()
    }

    /// Says something; gives back its offset.
    pub fn say(&mut self, text: &str) -> u64 {
        self.ask("sendMessage", &json!({"msg": text, "id": text}))["offset"].as_u64().expect("an offset")
    }

    /// The data of the next event of this name for which `is_it` holds. Others before it are skipped.
    pub fn hear(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value = self.events.pop_front().unwrap_or_else(|| self.next(name));
            if value["event"] == name && is_it(&value["data"]) {
                return value["data"].clone();
            }
            self.passed.push(value["event"].as_str().unwrap_or_default().to_owned());
        }
    }

    /// The number of events of this name about a user that have come since the last [`Visitor::hear`].
    pub fn count(&mut self, name: &str, user: &str) -> usize {
        // Whatever the node has sent before its answer is there.
        self.ask("ping", &json!({}));
        let is_it = |value: &&Value| value["event"] == name && value["data"]["username"] == user;
        self.events.iter().filter(is_it).count()
    }

    /// The number of events of this name that it was not waited for.
    pub fn passed_by(&self, name: &str) -> usize {
        self.passed.iter().filter(|event| *event == name).count()
    }

    /// Waits until a user is in the room.
    pub fn wait_for_user(&mut self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.users().iter().any(|user| user == name) {
            assert!(Instant::now() < deadline, "{name} does not come");
            thread::sleep(PAUSE);
        }
    }

    fn next(&mut self, what: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.wire.read() {
                Ok(Some(value)) => return value,
                Ok(None) => assert!(Instant::now() < deadline, "no {what}, {}", self.welcome),
                Err(error) => panic!("{error}, {:?}, waiting for {what}", self.wire.close_code),
            }
        }
    }

    /// Waits until the node closes its session; the code.
    pub fn closed(&mut self) -> Option<u16> {
        let deadline = Instant::now() + PATIENCE;
        while self.wire.read().is_ok() {
            assert!(Instant::now() < deadline, "not closed, {}", self.welcome);
        }
        self.wire.close_code
    }

    /// All that is kept of the room, by offsets, as [`identity`] has it.
    pub fn history(&mut self) -> Vec<(u64, String)> {
        let (mut all, mut before) = (Vec::new(), u64::MAX >> 1);
        loop {
            let answer = self.ask("history", &json!({"before": before, "limit": 200}));
            let page = answer["messages"].as_array().unwrap_or_else(|| panic!("no page: {answer}"));
            all.splice(0..0, page.iter().map(|message| identity(message).expect("a message")));
            before = all.first().map_or(0, |(offset, _)| *offset);
            if answer["more"] == false {
                return all;
            }
        }
    }

    /// The names of the users of the room, in their order.
    pub fn users(&mut self) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), json!({}));
        loop {
            let page = self.ask("userList", &after);
            let users = page["users"].as_array().expect("users").iter();
            names.extend(users.map(|user| user["username"].as_str().expect("a name").to_owned()));
            if page["more"] == false {
                return names;
            }
            after = json!({"after": names.last()});
        }
    }
}
