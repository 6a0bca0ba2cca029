//! A client that speaks the events of `/chat`.

use std::collections::VecDeque;

use awc::ws::Frame;
use serde_json::{Value, json};

use crate::helpers::{Client, TestServer};

/// Somebody at `/chat`.
pub struct Person {
    client: Client,
    /// What came while something else was waited for.
    heard: VecDeque<Value>,
    last_ack: u64,
    /// What the login was answered.
    pub welcome: Value,
}

impl Person {
    /// Somebody who has not logged in.
    pub async fn stranger(server: &TestServer) -> Self {
        let client = server.connect("/chat").await;
        Self { client, heard: VecDeque::new(), last_ack: 0, welcome: Value::Null }
    }

    /// Somebody who has, in the room `tea`.
    pub async fn named(server: &TestServer, name: &str) -> Self {
        Self::login(server, json!({"username": name, "room": "tea"})).await
    }

    /// Somebody who has logged in with `data`.
    pub async fn login(server: &TestServer, data: Value) -> Self {
        let mut person = Self::stranger(server).await;
        person.send("login", data).await;
        person.welcome = person.next_named("loginSuccess").await;
        person
    }

    /// Like [`login`](Self::login), once its list of users shows that it hears the room.
    pub async fn settled(server: &TestServer, name: &str) -> Self {
        let mut person = Self::named(server, name).await;
        person.until_listed(name).await;
        person
    }

    /// Waits for a list with a name in it.
    pub async fn until_listed(&mut self, name: &str) {
        while !self
            .next_named("userList")
            .await
            .as_array()
            .expect("a list")
            .iter()
            .any(|user| user["username"] == name)
        {}
    }

    /// The data of a login that comes back with all that this one knows.
    pub fn return_data(&self, offset: u64) -> Value {
        let welcome = &self.welcome;
        json!({
            "username": welcome["username"], "room": welcome["room"], "token": welcome["token"],
            "epoch": welcome["epoch"], "offset": offset,
        })
    }

    pub fn token(&self) -> Value {
        self.welcome["token"].clone()
    }

    /// Sends an event without asking for an answer.
    pub async fn send(&mut self, event: &str, data: Value) {
        self.client.send(&json!({"event": event, "data": data}).to_string()).await;
    }

    /// Sends a text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.client.send(text).await;
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.client.send_binary(bytes).await;
    }

    /// Sends a request and gives back its number, for [`answer_to`](Self::answer_to).
    pub async fn request(&mut self, event: &str, data: Value) -> u64 {
        self.last_ack += 1;
        self.client.send(&json!({"event": event, "data": data, "ack": self.last_ack}).to_string()).await;
        self.last_ack
    }

    /// The answer to a request, `{"ack", "data" or "error"}`. What else comes is kept.
    pub async fn answer_to(&mut self, ack: u64) -> Value {
        self.take(|value| value["ack"] == ack).await
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, event: &str, data: Value) -> Value {
        let ack = self.request(event, data).await;
        self.answer_to(ack).await
    }

    /// Says something and waits until it is durable.
    pub async fn say(&mut self, msg: &str) -> Value {
        let answer = self.ask("sendMessage", json!({"msg": msg})).await;
        assert!(answer["error"].is_null(), "{answer}");
        answer["data"].clone()
    }

    /// The next event or answer.
    pub async fn next(&mut self) -> Value {
        match self.heard.pop_front() {
            Some(value) => value,
            None => self.receive().await,
        }
    }

    /// The data of the next event of that name. What comes before it is kept.
    pub async fn next_named(&mut self, event: &str) -> Value {
        self.take(|value| value["event"] == event).await["data"].take()
    }

    /// The texts of the next messages.
    pub async fn next_messages(&mut self, count: usize) -> Vec<Value> {
        let mut messages = Vec::new();
        for _ in 0..count {
            messages.push(self.next_named("receiveMessage").await);
        }
        messages
    }

    /// Asks for an answer and expects that nothing of that name came before it.
    pub async fn expect_none(&mut self, event: &str) {
        let ack = self.request("ping", json!({})).await;
        loop {
            let value = self.next().await;
            assert_ne!(value["event"], event, "{value}");
            if value["ack"] == ack {
                return;
            }
        }
    }

    /// The code of the close frame that comes next but for events.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            match self.client.next().await {
                Frame::Close(Some(reason)) => return reason.code.into(),
                Frame::Text(text) => self.heard.push_back(serde_json::from_slice(&text).expect("JSON")),
                _ => {}
            }
        }
    }

    async fn take(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.heard.iter().position(&is_it) {
            return self.heard.remove(index).expect("there");
        }
        loop {
            let value = self.receive().await;
            if is_it(&value) {
                return value;
            }
            self.heard.push_back(value);
        }
    }

    async fn receive(&mut self) -> Value {
        loop {
            match self.client.next().await {
                Frame::Text(text) => return serde_json::from_slice(&text).expect("JSON"),
                Frame::Ping(bytes) => self.client.pong(bytes).await,
                Frame::Pong(_) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }
}

/// A picture of 1 pixel, as a data URL.
pub const PIXEL: &str = "data:image/png;base64,\
    iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub fn offsets(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["offset"].as_u64().expect("an offset")).collect()
}

pub fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["msg"].as_str().expect("a text")).collect()
}
