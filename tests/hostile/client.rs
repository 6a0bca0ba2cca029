//! Clients that write and read bytes, from any loopback address, on threads that block.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use crate::program::PATIENCE;

/// A connection to the server.
pub struct Client {
    pub stream: TcpStream,
    server: SocketAddr,
}

/// A frame as it came from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> String {
        assert_eq!(self.first, 0x81, "expected a text, got {self:?}");
        String::from_utf8(self.payload.clone()).expect("UTF-8")
    }

    /// The code of a close frame.
    pub fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        code.filter(|_| self.first == 0x88)
    }
}

/// No server sends a larger frame in these tests.
const MAX_FRAME: usize = 1 << 30;

impl Client {
    /// Connects from 127.0.0.1.
    pub fn connect(server: SocketAddr) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST.into(), server).expect("connected")
    }

    /// Connects from the given loopback address, which the server takes for the client's.
    pub fn connect_from(source: IpAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, server })
    }

    /// A WebSocket at `path`.
    pub fn websocket(server: SocketAddr, path: &str) -> Self {
        let mut client = Self::connect(server);
        let head = client.shake_hands(path);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Asks for a WebSocket at `path`; gives back the head of the answer.
    pub fn shake_hands(&mut self, path: &str) -> String {
        let request = handshake(self.server, path);
        self.send(request.as_bytes());
        self.read_head()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// Sends bytes, unless the connection has ended.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The answer to a POST without a body on a connection of its own, whole.
    pub fn post(server: SocketAddr, path: &str) -> String {
        let mut client = Self::connect(server);
        let head = format!("POST {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
        client.send(format!("{head}Content-Length: 0\r\n\r\n").as_bytes());
        client.read_to_end()
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) {
        self.send(&frame(0x81, text.as_bytes()));
    }

    /// Reads up to and with the empty line behind an HTTP head.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).expect("the connection is open");
            head.extend(byte);
        }
        String::from_utf8(head).expect("UTF-8")
    }

    /// The answer to a GET on a connection of its own, whole.
    pub fn get(server: SocketAddr, path: &str) -> String {
        let mut client = Self::connect(server);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").as_bytes());
        client.read_to_end()
    }

    /// Everything up to the end of the connection.
    pub fn read_to_end(&mut self) -> String {
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub fn read_frame(&mut self) -> Frame {
        self.try_read_frame().expect("the connection is open")
    }

    /// The next frame, unless the connection has ended or none came within the read timeout.
    pub fn try_read_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                self.stream.read_exact(&mut len)?;
                u16::from_be_bytes(len).into()
            }
            127 => {
                let mut len = [0; 8];
                self.stream.read_exact(&mut len)?;
                u64::from_be_bytes(len)
            }
            len => len.into(),
        };
        // A client that gave up waiting for the answer to its handshake reads that as frames.
        let len =
            usize::try_from(len).ok().filter(|len| *len <= MAX_FRAME).ok_or(io::ErrorKind::InvalidData)?;
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { first: head[0], payload })
    }

    /// The next text that contains `part`; what comes before it is skipped.
    pub fn read_until(&mut self, part: &str) -> String {
        loop {
            let frame = self.read_frame();
            assert_ne!(frame.first, 0x88, "closed while waiting for {part:?}: {frame:?}");
            if frame.first == 0x81 && String::from_utf8_lossy(&frame.payload).contains(part) {
                return frame.text();
            }
        }
    }

    pub fn set_read_timeout(&self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).expect("a timeout");
    }

    pub fn set_write_timeout(&self, timeout: Duration) {
        self.stream.set_write_timeout(Some(timeout)).expect("a timeout");
    }

    /// Ends the connection with a reset instead of a FIN.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// A correct handshake request.
pub fn handshake(server: SocketAddr, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A masked client frame with the given first byte (FIN, reserved bits, opcode).
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame_head(first, payload.len() as u64);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// The head of a masked client frame that announces `len` bytes, mask included.
pub fn frame_head(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first];
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=65_535 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(len.to_be_bytes());
        }
    }
    out.extend(MASK);
    out
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
