//! Many clients of the chat in one room, on one thread.

use std::{io::Read as _, net::SocketAddr};

use crate::client::{Client, frame, handshake};

/// Handshakes under way at a time.
const BURST: usize = 64;

/// A door of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Chat,
    SocketIo,
}

impl Door {
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// What makes the client of a fresh WebSocket one of the chat.
    fn hello(self) -> Vec<u8> {
        match self {
            Self::Chat => Vec::new(),
            Self::SocketIo => frame(0x81, b"40"),
        }
    }

    /// An event as a frame, answered by `ack` if that is a number.
    pub fn event(self, name: &str, data: &str, ack: Option<u64>) -> Vec<u8> {
        let text = match (self, ack) {
            (Self::Chat, None) => format!(r#"{{"event":"{name}","data":{data}}}"#),
            (Self::Chat, Some(ack)) => format!(r#"{{"event":"{name}","data":{data},"ack":{ack}}}"#),
            (Self::SocketIo, None) => format!(r#"42["{name}",{data}]"#),
            (Self::SocketIo, Some(ack)) => format!(r#"42{ack}["{name}",{data}]"#),
        };
        frame(0x81, text.as_bytes())
    }

    /// How the answer with that number begins.
    pub fn answer(self, ack: u64) -> String {
        match self {
            Self::Chat => format!(r#"{{"ack":{ack},"#),
            Self::SocketIo => format!("43{ack}["),
        }
    }
}

/// Logs in `count` users, `NAME0`, `NAME1` and so on, in one room at `/chat`. Each has been told that it is in.
pub fn log_in(server: SocketAddr, name: &str, count: usize, room: &str) -> Vec<Client> {
    log_in_by(Door::Chat, server, name, count, room)
}

/// Logs in `count` users as [`log_in`] does, by a door.
pub fn log_in_by(door: Door, server: SocketAddr, name: &str, count: usize, room: &str) -> Vec<Client> {
    let mut crowd = Vec::with_capacity(count);
    while crowd.len() < count {
        let first = crowd.len();
        let burst = (first..count.min(first + BURST)).map(|number| {
            let mut client = Client::connect(server);
            let data = format!(r#"{{"username":"{name}{number}","avatar":"owl","room":"{room}"}}"#);
            let handshake = handshake(server, door.path()).into_bytes();
            client.send(&[handshake, door.hello(), door.event("login", &data, None)].concat());
            client
        });
        crowd.extend(burst);
        for client in &mut crowd[first..] {
            let head = client.read_head();
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            client.read_until("loginSuccess");
        }
    }
    crowd
}

/// Reads what has come for a crowd by now; how many bytes that is.
pub fn drain(crowd: &mut [Client]) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    for client in crowd {
        client.stream.set_nonblocking(true).expect("a mode");
        while let Ok(read @ 1..) = client.stream.read(&mut buffer) {
            bytes += read;
        }
        client.stream.set_nonblocking(false).expect("a mode");
    }
    bytes
}

/// Allows this process as many descriptors as it may have.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("as much as is allowed");
}
