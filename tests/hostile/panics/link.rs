//! The connection of a client that is served or told: it ends, or something comes in time.

use std::{
    collections::VecDeque,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::client::{Client, frame, handshake};

/// The longest time for which nothing may come.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Stands for the code of a session that polls, which is told without one.
pub const POLLED: u16 = 0;

/// Stands for the code of a WebSocket that ends without one.
const CUT: u16 = 1006;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// A WebSocket, or a session of Socket.IO that polls.
pub enum Link {
    WebSocket(Client),
    Polling { server: SocketAddr, sid: String, packets: VecDeque<String> },
}

impl Link {
    /// A WebSocket at `path`; nothing if the server does not take it now.
    pub fn websocket(server: SocketAddr, path: &str) -> Option<Self> {
        let mut client = Client::connect_from(Ipv4Addr::LOCALHOST.into(), server).ok()?;
        client.set_read_timeout(LONGEST_WAIT);
        client.try_send(handshake(server, path).as_bytes()).then_some(())?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            client.stream.read_exact(&mut byte).ok()?;
            head.extend(byte);
        }
        head.starts_with(b"HTTP/1.1 101 ").then_some(Self::WebSocket(client))
    }

    /// A session of Socket.IO that polls; nothing if the server does not take it now.
    pub fn polling(server: SocketAddr) -> Option<Self> {
        let open = request(server, "GET", POLLING, "")?;
        let sid = open.split_once(r#""sid":""#)?.1.split('"').next()?.to_owned();
        Some(Self::Polling { server, sid, packets: VecDeque::new() })
    }

    /// Sends a text. Returns false if the connection has ended.
    pub fn send(&mut self, text: &str) -> bool {
        match self {
            Self::WebSocket(client) => client.try_send(&frame(0x81, text.as_bytes())),
            Self::Polling { server, sid, .. } => {
                request(*server, "POST", &format!("{POLLING}&sid={sid}"), text).is_some()
            }
        }
    }

    /// The next text, or the code with which the connection has ended.
    pub fn receive(&mut self) -> Result<String, u16> {
        loop {
            match self {
                Self::WebSocket(client) => {
                    let frame = client.try_read_frame().map_err(|error| {
                        let is_late = matches!(
                            error.kind(),
                            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                        );
                        assert!(!is_late, "nothing came for {LONGEST_WAIT:?}");
                        CUT
                    })?;
                    match frame.first {
                        0x81 if frame.payload == b"2" => {
                            _ = client.try_send(&crate::client::frame(0x81, b"3"))
                        }
                        0x81 => return Ok(frame.text()),
                        0x88 => return Err(frame.close_code().unwrap_or(CUT)),
                        0x89 => _ = client.try_send(&crate::client::frame(0x8A, &frame.payload)),
                        _ => {}
                    }
                }
                Self::Polling { server, sid, packets } => match packets.pop_front().as_deref() {
                    Some("2") => {
                        let path = format!("{POLLING}&sid={sid}");
                        request(*server, "POST", &path, "3").ok_or(POLLED)?;
                    }
                    Some("1") => return Err(POLLED),
                    Some(packet) => return Ok(packet.to_owned()),
                    None => {
                        let path = format!("{POLLING}&sid={sid}");
                        let body = request(*server, "GET", &path, "").ok_or(POLLED)?;
                        packets.extend(body.split('\u{1E}').map(str::to_owned));
                    }
                },
            }
        }
    }
}

/// The body of the answer to a request, if that is 200.
fn request(server: SocketAddr, method: &str, path: &str, body: &str) -> Option<String> {
    let mut client = Client::connect_from(Ipv4Addr::LOCALHOST.into(), server).ok()?;
    client.set_read_timeout(LONGEST_WAIT);
    let len = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    client.try_send(format!("{head}Content-Length: {len}\r\n\r\n{body}").as_bytes()).then_some(())?;
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).expect("an answer in time");
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}
