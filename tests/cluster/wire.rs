//! The WebSocket of a chat client, which reads without losing its place when nothing comes for a while.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::client::{Frame, frame, handshake};

/// How long a read waits for bytes.
pub const TICK: Duration = Duration::from_millis(10);

/// Bytes that are asked for at a time.
const READ: usize = 64 * 1024;

/// A connection to a node.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The code of the server's close frame.
    pub close_code: Option<u16>,
    /// When the last byte came.
    pub heard_at: Instant,
}

impl Wire {
    /// Opens a WebSocket at `path`. Fails if the node does not answer in time.
    pub fn open(node: SocketAddr, path: &str, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&node, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(patience))?;
        let mut wire = Self { stream, buffer: Vec::new(), close_code: None, heard_at: Instant::now() };
        wire.stream.write_all(handshake(node, path).as_bytes())?;
        let end = loop {
            if let Some(end) = wire.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            wire.fill()?;
            if wire.heard_at.elapsed() > patience {
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        if !wire.buffer.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        wire.buffer.drain(..end);
        Ok(wire)
    }

    /// Sends an event, answered by `ack`.
    pub fn send(&mut self, event: &str, data: &Value, ack: u64) -> io::Result<()> {
        self.send_text(&json!({"event": event, "data": data, "ack": ack}).to_string())
    }

    pub fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(&frame(0x81, text.as_bytes()))
    }

    /// The next text, unless none comes within a tick. Fails when the connection has ended.
    pub fn read_text(&mut self) -> io::Result<Option<String>> {
        loop {
            let Some(frame) = self.take_frame()? else {
                if self.fill()? {
                    continue;
                }
                return Ok(None);
            };
            match frame.first {
                0x81 => return Ok(Some(frame.text())),
                0x89 => self.stream.write_all(&crate::client::frame(0x8A, &frame.payload))?,
                0x88 => {
                    self.close_code = frame.close_code();
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
        }
    }

    /// The next text as JSON, unless none comes within a tick.
    pub fn read(&mut self) -> io::Result<Option<Value>> {
        let text = self.read_text()?;
        text.map(|text| serde_json::from_str(&text).map_err(io::Error::from)).transpose()
    }

    /// Reads what has come; whether there was anything.
    fn fill(&mut self) -> io::Result<bool> {
        let len = self.buffer.len();
        self.buffer.resize(len + READ, 0);
        let read = self.stream.read(&mut self.buffer[len..]);
        self.buffer.truncate(len + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                self.heard_at = Instant::now();
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes a whole frame out of the buffer.
    fn take_frame(&mut self) -> io::Result<Option<Frame>> {
        let Some(&[first, short]) = self.buffer.first_chunk() else { return Ok(None) };
        let (head, len) = match short {
            126 => (4, self.buffer.get(2..4).map(|len| u64::from(u16::from_be_bytes([len[0], len[1]])))),
            127 => (
                10,
                self.buffer.get(2..).and_then(|len| len.first_chunk()).map(|len| u64::from_be_bytes(*len)),
            ),
            len => (2, Some(u64::from(len))),
        };
        let Some(len) = len else { return Ok(None) };
        let end = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidData)? + head;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let payload = self.buffer[head..end].to_vec();
        self.buffer.drain(..end);
        Ok(Some(Frame { first, payload }))
    }
}
