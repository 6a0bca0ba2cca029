//! Many clients of `/chat` in one room, on one thread.

use std::net::SocketAddr;

use crate::client::{Client, frame, handshake};

/// Handshakes under way at a time.
const BURST: usize = 64;

/// Logs in `count` users, `NAME0`, `NAME1` and so on, in one room. Each has been told that it is in.
pub fn log_in(server: SocketAddr, name: &str, count: usize, room: &str) -> Vec<Client> {
    let mut crowd = Vec::with_capacity(count);
    while crowd.len() < count {
        let first = crowd.len();
        let burst = (first..count.min(first + BURST)).map(|number| {
            let mut client = Client::connect(server);
            let login = format!(
                r#"{{"event":"login","data":{{"username":"{name}{number}","avatar":"owl","room":"{room}"}}}}"#
            );
            client.send(&[handshake(server, "/chat").into_bytes(), frame(0x81, login.as_bytes())].concat());
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

/// Allows this process as many descriptors as it may have.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("as much as is allowed");
}
