//! One room: numbered lines, and everybody checks that it hears each sender's lines, each once and in order.

pub mod busy;
pub mod members;
pub mod steady;
pub mod workers;

use std::{
    error::Error,
    time::{Duration, Instant},
};

use crate::{
    clients::Clients,
    figures::Latencies,
    frames::{TEXT, push_text},
};

/// A line is `SS NNNNNNNNNN` (sender, number) filled up to so many bytes.
const LINE: usize = 32;

/// The clients of a room, and what each has heard.
struct Room {
    clients: Clients,
    sessions: usize,
    senders: usize,
    /// When each line of each sender was said.
    said: Vec<Vec<Instant>>,
    tally: Tally,
}

struct Tally {
    sent: u64,
    delivered: u64,
    answers: u64,
    latencies: Latencies,
    /// The number that must come next, for each client from each sender, its own answers too.
    heard: Vec<u32>,
    /// Senders one of whose lines has reached its witness.
    released: Vec<usize>,
}

impl Room {
    fn join(port: u16, sessions: usize, senders: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            clients: Clients::connect(port, "/", sessions)?,
            sessions,
            senders,
            said: vec![Vec::new(); senders],
            tally: Tally {
                sent: 0,
                delivered: 0,
                answers: 0,
                latencies: Latencies::default(),
                heard: vec![0; sessions * senders],
                released: Vec::new(),
            },
        })
    }

    /// Queues a sender's next line.
    fn say(&mut self, sender: usize) {
        let mut line = format!("{sender:02} {:010} ", self.said[sender].len()).into_bytes();
        line.resize(LINE, b'x');
        push_text(self.clients.output(sender), &line);
        self.said[sender].push(Instant::now());
        self.tally.sent += 1;
    }

    fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.clients.flush(self.senders)?)
    }

    /// Waits until something comes, no longer than that, and checks it. Whether something came.
    fn listen(&mut self, timeout: Duration) -> Result<bool, Box<dyn Error>> {
        let Self { clients, senders, said, tally, .. } = self;
        clients.turn(timeout, &mut |client, first, line| tally.hear(client, first, line, *senders, said))
    }

    /// Whether everything said has come to everybody, and every answer to its sender.
    fn is_settled(&self) -> bool {
        self.tally.delivered == self.tally.sent * (self.sessions as u64 - 1)
            && self.tally.answers == self.tally.sent
    }
}

impl Tally {
    fn hear(
        &mut self,
        client: usize,
        first: u8,
        line: &[u8],
        senders: usize,
        said: &[Vec<Instant>],
    ) -> Result<(), Box<dyn Error>> {
        if first != TEXT || line.len() < LINE {
            return Err(format!("unexpected frame {first:#x} of {}", line.len()).into());
        }
        let sender = usize::from(line[0].wrapping_sub(b'0')) * 10 + usize::from(line[1].wrapping_sub(b'0'));
        let number = line[3..13].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit.wrapping_sub(b'0')));
        let expected = self.heard.get_mut(client * senders + sender).ok_or("a wrong sender")?;
        if number != *expected {
            return Err(format!("{client} heard {number} of {sender}, not {expected}").into());
        }
        *expected += 1;
        if sender == client {
            self.answers += 1;
            return Ok(());
        }
        self.delivered += 1;
        self.latencies.add(said[sender][number as usize].elapsed());
        // Each sender has one listener that releases its lines.
        if client == senders + sender {
            self.released.push(sender);
        }
        Ok(())
    }
}
