//! Many WebSocket clients in one thread.

use std::{
    error::Error,
    io::{self, ErrorKind, Read as _, Write as _},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::frames::{frame_at, shake_all_hands};

/// Largest number of handshakes at a time.
const HANDSHAKES: usize = 64;

/// Largest number of bytes in one read.
const READ_SIZE: usize = 256 * 1024;

/// Takes a frame: the client's index, the frame's first byte, and its payload.
pub type Take<'a> = dyn FnMut(usize, u8, &[u8]) -> Result<(), Box<dyn Error>> + 'a;

/// All clients of one turn.
pub struct Clients {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    all: Vec<Client>,
}

struct Client {
    stream: TcpStream,
    /// The start of an incomplete frame.
    rest: Vec<u8>,
    output: Vec<u8>,
}

impl Clients {
    pub fn connect(port: u16, path: &str, count: usize) -> Result<Self, Box<dyn Error>> {
        Self::connect_to(&[port], path, count)
    }

    /// Connects `count` clients to each of these servers: first all of the first one.
    pub fn connect_to(ports: &[u16], path: &str, count: usize) -> Result<Self, Box<dyn Error>> {
        let mut clients = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; READ_SIZE],
            all: Vec::with_capacity(count * ports.len()),
        };
        for port in ports {
            clients.add(*port, path, count)?;
        }
        Ok(clients)
    }

    fn add(&mut self, port: u16, path: &str, count: usize) -> Result<(), Box<dyn Error>> {
        let all = self.all.len() + count;
        while self.all.len() < all {
            let burst = HANDSHAKES.min(all - self.all.len());
            for mut stream in shake_all_hands(port, path, burst)? {
                let token = Token(self.all.len());
                self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
                self.all.push(Client { stream, rest: Vec::new(), output: Vec::new() });
            }
        }
        Ok(())
    }

    /// Bytes that the next [`flush`](Self::flush) sends.
    pub fn output(&mut self, client: usize) -> &mut Vec<u8> {
        &mut self.all[client].output
    }

    /// Sends the queued bytes of the first `count` clients.
    pub fn flush(&mut self, count: usize) -> io::Result<()> {
        for index in 0..count {
            if !self.all[index].output.is_empty() {
                self.flush_one(index)?;
            }
        }
        Ok(())
    }

    /// A socket is full only if the server reads slowly. Then this thread waits, as a client would.
    fn flush_one(&mut self, index: usize) -> io::Result<()> {
        let Client { stream, output, .. } = &mut self.all[index];
        let mut sent = 0;
        while sent < output.len() {
            match stream.write(&output[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        output.clear();
        Ok(())
    }

    /// Waits for input for at most `timeout` and hands over each frame. Returns whether there was input.
    pub fn turn(&mut self, timeout: Duration, take: &mut Take<'_>) -> Result<bool, Box<dyn Error>> {
        self.poll.poll(&mut self.events, Some(timeout))?;
        for event in &self.events {
            let index = event.token().0;
            self.all[index].read(index, &mut self.buffer, take)?;
        }
        Ok(!self.events.is_empty())
    }
}

impl Client {
    /// Reads until the socket is empty and hands over each frame.
    fn read(&mut self, index: usize, buffer: &mut [u8], take: &mut Take<'_>) -> Result<(), Box<dyn Error>> {
        loop {
            let begun = self.rest.len();
            buffer[..begun].copy_from_slice(&self.rest);
            let room = buffer.len() - begun;
            let count = match self.stream.read(&mut buffer[begun..]) {
                Ok(0) => return Err(format!("the server closed connection {index}").into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("connection {index}: {error}").into()),
            };
            let input = &buffer[..begun + count];
            let mut at = 0;
            while let Some((payload, end)) = frame_at(input, at) {
                take(index, input[at], payload)?;
                at = end;
            }
            self.rest.clear();
            self.rest.extend_from_slice(&input[at..]);
            // A short read empties the socket; later bytes cause a new event.
            if count < room {
                return Ok(());
            }
        }
    }
}
