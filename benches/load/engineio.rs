//! Engine.IO clients without a library: packets over a WebSocket or over polling, with answers to pings.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
};

use mio::{Interest, Registry, Token, net::TcpStream};

use crate::{
    frames::{frame_at, push_text, shake_hands},
    polling::Polling,
};

/// The transport of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    Polling,
}

/// Takes a message: a packet of type 4 without the digit.
pub type Take<'a> = dyn FnMut(&[u8]) -> Result<(), Box<dyn Error>> + 'a;

/// One client. Its tokens are twice its index and the next number, because polling has two connections.
pub struct Client {
    carrier: Carrier,
}

enum Carrier {
    WebSocket(WebSocket),
    Polling(Polling),
}

struct WebSocket {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// Performs the handshake and sends CONNECT for the namespace.
    pub fn open(
        port: u16,
        transport: Transport,
        namespace: &str,
        index: usize,
        registry: &Registry,
    ) -> Result<Self, Box<dyn Error>> {
        let carrier = match transport {
            Transport::WebSocket => {
                let mut stream = shake_hands(port, "/socket.io/?EIO=4&transport=websocket")?;
                registry.register(&mut stream, Token(2 * index), Interest::READABLE)?;
                Carrier::WebSocket(WebSocket { stream, input: Vec::new(), output: Vec::new() })
            }
            Transport::Polling => Carrier::Polling(Polling::open(port, index, registry)?),
        };
        let mut client = Self { carrier };
        client.queue(if namespace == "/" { "40".to_owned() } else { format!("40{namespace},") }.as_bytes());
        client.flush(registry)?;
        Ok(client)
    }

    /// Queues a packet with its type digit.
    pub fn queue(&mut self, packet: &[u8]) {
        match &mut self.carrier {
            Carrier::WebSocket(carrier) => push_text(&mut carrier.output, packet),
            Carrier::Polling(carrier) => carrier.queue(packet),
        }
    }

    /// Sends the queued packets; over polling, after the response to the former post.
    pub fn flush(&mut self, registry: &Registry) -> Result<(), Box<dyn Error>> {
        match &mut self.carrier {
            Carrier::WebSocket(carrier) => Ok(carrier.flush()?),
            Carrier::Polling(carrier) => carrier.flush(registry),
        }
    }

    /// Closes the connection for posts until the next post, as a client's connection pool does.
    pub fn rest(&mut self) {
        if let Carrier::Polling(carrier) = &mut self.carrier {
            carrier.rest();
        }
    }

    /// Reads all available input of one of the client's tokens.
    pub fn read(
        &mut self,
        token: Token,
        registry: &Registry,
        buffer: &mut [u8],
        take: &mut Take<'_>,
    ) -> Result<(), Box<dyn Error>> {
        match &mut self.carrier {
            Carrier::WebSocket(carrier) => carrier.read(buffer, take)?,
            Carrier::Polling(carrier) => carrier.read(token, registry, buffer, take)?,
        }
        self.flush(registry)
    }
}

impl WebSocket {
    fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            // A few events always fit the socket: they are answered before more are sent.
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], take: &mut Take<'_>) -> Result<(), Box<dyn Error>> {
        while let Some(count) = read_some(&mut self.stream, buffer)? {
            if count == 0 {
                return Err("the server closed a WebSocket".into());
            }
            self.input.extend(&buffer[..count]);
            let mut at = 0;
            while let Some((packet, end)) = frame_at(&self.input, at) {
                if self.input[at] != 0x81 {
                    return Err(format!("unexpected frame {:#x}", self.input[at]).into());
                }
                if is_ping(packet, take)? {
                    push_text(&mut self.output, PONG);
                }
                at = end;
            }
            self.input.drain(..at);
        }
        Ok(())
    }
}

/// The answer to a ping.
pub const PONG: &[u8] = b"3";

/// Handles a packet. Returns whether it is a ping, which needs an answer.
pub fn is_ping(packet: &[u8], take: &mut Take<'_>) -> Result<bool, Box<dyn Error>> {
    match packet.split_first() {
        Some((b'4', message)) => take(message)?,
        Some((b'2', _)) => return Ok(true),
        // The open packet, and no-op.
        Some((b'0' | b'6', _)) => {}
        _ => return Err(format!("unexpected packet {}", String::from_utf8_lossy(packet)).into()),
    }
    Ok(false)
}

/// Result of a read; `None` if nothing is available.
pub fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
