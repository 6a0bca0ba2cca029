//! One room with numbered lines. Every client checks that it gets each sender's lines once and in order.

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

/// Length of a line in bytes: `SS NNNNNNNNNN` (sender, number) and filling.
const LINE: usize = 32;

/// The clients of a room, and what each has received.
struct Room {
    clients: Clients,
    sessions: usize,
    senders: usize,
    /// Send time of each line of each sender.
    said: Vec<Vec<Instant>>,
    tally: Tally,
}

struct Tally {
    sent: u64,
    delivered: u64,
    answers: u64,
    latencies: Latencies,
    /// Next expected number for each client and sender, including the sender's own replies.
    heard: Vec<u32>,
    /// Senders whose lines have reached the listener that releases them, once per line.
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

    /// Queues the next line of a sender.
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

    /// Waits for lines for at most `timeout` and checks them. Returns whether any came.
    fn listen(&mut self, timeout: Duration) -> Result<bool, Box<dyn Error>> {
        let Self { clients, senders, said, tally, .. } = self;
        clients.turn(timeout, &mut |client, first, line| tally.hear(client, first, line, *senders, said))
    }

    /// Whether every line has reached every other client, and every reply its sender.
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
        // One listener for each sender releases the sender's next line.
        if client == senders + sender {
            self.released.push(sender);
        }
        Ok(())
    }
}
