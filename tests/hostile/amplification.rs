//! What one client sends is not sent on many times larger: for each request, each member hears no more than its bytes and
//! a little.

use std::{thread, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    client::Client,
    crowd::{self, Door, drain},
    program::Program,
};

/// Members at each of the two doors.
const MEMBERS: usize = 150;

/// What a member may hear of a request beside its bytes.
const BESIDE: usize = 200;

/// After this time the room has been told what is told together.
const TOLD: Duration = Duration::from_millis(2500);

/// So many join a room, unless `HOSTILE_JOINING` says how many,
const JOINING: usize = 2500;
/// and so much may each of them be sent: 100 MB for 5,000.
const JOINING_BYTES: usize = 20_000;

/// A client in a room with many members.
struct Attacker {
    door: Door,
    client: Client,
    last_ack: u64,
    requests: usize,
    sent: usize,
    heard: usize,
}

impl Attacker {
    fn new(program: &Program, door: Door) -> Self {
        let mut client = crowd::log_in_by(door, program.address, "attacker", 1, "tea").remove(0);
        let mut attacker = Self {
            door,
            heard: drain(std::slice::from_mut(&mut client)),
            client,
            last_ack: 0,
            requests: 0,
            sent: 0,
        };
        attacker.request("login", &login("attacker", &picture(0)));
        attacker
    }

    /// Sends a request and waits for its answer.
    fn request(&mut self, event: &str, data: &str) {
        self.last_ack += 1;
        let frame = self.door.event(event, data, Some(self.last_ack));
        self.client.send(&frame);
        self.sent += frame.len();
        self.requests += 1;
        let answer = self.door.answer(self.last_ack);
        loop {
            let frame = self.client.read_frame();
            self.heard += 4 + frame.payload.len();
            if frame.payload.starts_with(answer.as_bytes()) {
                let text = frame.text();
                assert!(!text.contains(r#""error""#), "{event} {data:.80}: {text}");
                return;
            }
        }
    }

    fn reset(&mut self) {
        (self.requests, self.sent, self.heard) = (0, 0, 0);
    }
}

/// A picture of 4 KB as a data URL, another one for each number.
fn picture(number: u16) -> String {
    let mut gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF".to_vec();
    for frame in 0..190 {
        let pixel = if frame < 16 && number >> frame & 1 == 1 { 0x54 } else { 0x44 };
        gif.extend([0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, pixel, 0x01, 0]);
    }
    gif.push(0x3B);
    format!("data:image/gif;base64,{}", BASE64_STANDARD.encode(gif))
}

fn login(name: &str, avatar: &str) -> String {
    format!(r#"{{"username":"{name}","room":"tea","avatar":"{avatar}"}}"#)
}

/// What a client does again and again, given how often it has been done.
type Act = fn(&mut Attacker, u16);

const ACTS: [(&str, Act); 12] = [
    ("a message", |attacker, _| attacker.request("sendMessage", r#"{"msg":"a"}"#)),
    ("typing", |attacker, round| {
        attacker.request("typing", &format!(r#"{{"typing":{}}}"#, round % 2 == 0));
    }),
    ("a picture", |attacker, round| {
        attacker.request("sendImage", &format!(r#"{{"img":"{}"}}"#, picture(round)));
    }),
    ("a private message", |attacker, _| {
        attacker.request("sendPrivate", r#"{"to":"member0","msg":"a"}"#);
    }),
    ("another room and back", |attacker, _| {
        attacker.request("joinRoom", r#"{"room":"x"}"#);
        attacker.request("joinRoom", r#"{"room":"tea"}"#);
    }),
    ("a slow change of rooms", |attacker, _| {
        attacker.request("joinRoom", r#"{"room":"x"}"#);
        thread::sleep(Duration::from_millis(1100));
        attacker.request("joinRoom", r#"{"room":"tea"}"#);
        thread::sleep(Duration::from_millis(1100));
    }),
    ("another avatar", |attacker, round| {
        attacker.request("login", &login("attacker", &picture(100 + round)))
    }),
    ("another avatar of the set", |attacker, round| {
        attacker.request("login", &login("attacker", ["cat", "dog"][usize::from(round % 2)]));
    }),
    ("another name", |attacker, round| {
        attacker.request("login", &login(&format!("attacker {round}"), "fox"));
    }),
    ("out and in", |attacker, _| {
        attacker.request("logout", "{}");
        attacker.request("login", &login("attacker", "fox"));
    }),
    ("older messages", |attacker, _| attacker.request("history", r#"{"limit":200}"#)),
    ("the list of users", |attacker, _| attacker.request("userList", "{}")),
];

#[test]
fn each_member_hears_no_more_of_a_request_than_its_bytes_and_a_little() {
    crowd::raise_descriptor_limit();
    for door in [Door::Chat, Door::SocketIo] {
        let program = Program::start(&["--ping-interval", "10m"]);
        let mut members = crowd::log_in(program.address, "member", MEMBERS, "tea");
        members.extend(crowd::log_in_by(Door::SocketIo, program.address, "other", MEMBERS, "tea"));
        let mut attacker = Attacker::new(&program, door);
        // They have been told of each other.
        thread::sleep(Duration::from_secs(12));
        for (what, act) in ACTS {
            drain(&mut members);
            attacker.reset();
            // The third time is no dearer than the first.
            for round in 0..3 {
                act(&mut attacker, round);
            }
            thread::sleep(TOLD);
            let out =
                drain(&mut members) + attacker.heard + drain(std::slice::from_mut(&mut attacker.client));
            let budget = (attacker.sent + BESIDE * attacker.requests) * members.len();
            eprintln!("{door:?}, {what}: {} bytes in, {out} bytes out of {budget}", attacker.sent);
            assert!(
                out <= budget,
                "{door:?}, {what}: {} bytes in, {out} out, {budget} at most",
                attacker.sent
            );
        }
    }
}

#[test]
fn very_many_who_join_a_room_are_sent_little_of_each_other() {
    crowd::raise_descriptor_limit();
    let program = Program::start(&["--journal", "memory", "--ping-interval", "10m"]);
    let asked = std::env::var("HOSTILE_JOINING").ok().and_then(|joining| joining.parse().ok());
    let joining = asked.unwrap_or(JOINING);
    let mut crowd = crowd::log_in(program.address, "member", joining, "tea");
    thread::sleep(Duration::from_secs(11));
    let bytes = drain(&mut crowd);
    eprintln!("{joining} joins: {bytes} bytes");
    assert!(bytes < joining * JOINING_BYTES, "{bytes} bytes");
}
