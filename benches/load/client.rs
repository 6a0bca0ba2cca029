//! One of many clients: says numbered lines, checks the lines of the others.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
};

use mio::{Interest, Registry, Token, net::TcpStream};

use crate::frames::{push_text, shake_hands};

/// A line is `SS NNNNNNNNNN` (sender, number) filled up to 32 bytes.
const LINE: usize = 32;

/// What all clients of a turn add to.
pub struct Shared {
    pub sent: u64,
    pub delivered: u64,
    /// Senders one of whose messages has reached its witness.
    pub released: Vec<usize>,
    next_number: Vec<u64>,
}

impl Shared {
    pub fn new(senders: usize) -> Self {
        Self { sent: 0, delivered: 0, released: Vec::new(), next_number: vec![0; senders] }
    }
}

pub struct Session {
    stream: TcpStream,
    index: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The number that must come next from each sender.
    heard: Vec<u64>,
    answers: u64,
}

impl Session {
    pub fn connect(
        port: u16,
        index: usize,
        senders: usize,
        registry: &Registry,
    ) -> Result<Self, Box<dyn Error>> {
        let mut stream = shake_hands(port, "/")?;
        registry.register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Self {
            stream,
            index,
            input: Vec::with_capacity(256 * 1024),
            output: Vec::new(),
            heard: vec![0; senders],
            answers: 0,
        })
    }

    /// Queues this sender's next line.
    pub fn say(&mut self, shared: &mut Shared) {
        let number = &mut shared.next_number[self.index];
        let mut line = format!("{:02} {number:010} ", self.index).into_bytes();
        line.resize(LINE, b'x');
        *number += 1;
        shared.sent += 1;
        push_text(&mut self.output, &line);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            // A few lines always fit the socket: the room answers before more are said.
            self.stream.write_all(&self.output)?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads and checks all that has come.
    pub fn read(&mut self, shared: &mut Shared) -> Result<(), Box<dyn Error>> {
        loop {
            let filled = self.input.len();
            self.input.resize(filled + 64 * 1024, 0);
            match self.stream.read(&mut self.input[filled..]) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => {
                    self.input.truncate(filled + count);
                    self.check_lines(shared)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.input.truncate(filled);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check_lines(&mut self, shared: &mut Shared) -> Result<(), Box<dyn Error>> {
        let mut at = 0;
        while let Some(&[first, len]) = self.input[at..].first_chunk() {
            if first != 0x81 || len > 125 {
                return Err(format!("unexpected frame {first:#x} of {len}").into());
            }
            let Some(line) = self.input.get(at + 2..at + 2 + usize::from(len)) else {
                break;
            };
            let sender = usize::from(line[0] - b'0') * 10 + usize::from(line[1] - b'0');
            let number = line[3..13].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            at += 2 + line.len();
            let expected = if sender == self.index { &mut self.answers } else { &mut self.heard[sender] };
            if number != *expected {
                return Err(format!("{} heard {number} of {sender}, not {expected}", self.index).into());
            }
            *expected += 1;
            if sender != self.index {
                shared.delivered += 1;
                // Each sender has one listener that releases its messages.
                if self.index == self.heard.len() + sender {
                    shared.released.push(sender);
                }
            }
        }
        self.input.drain(..at);
        Ok(())
    }
}
