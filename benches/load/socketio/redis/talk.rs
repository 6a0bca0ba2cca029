//! Events to one room: what was sent, and what each member has heard of it.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use super::Clients;
use crate::figures::Latencies;

/// Start of an event that is heard. The text `SS NNNNNNNNNN` (sender, number) follows, filled up to 32 bytes.
const START: &str = r#"2["message",""#;
const TEXT: usize = 32;

/// Servers may take this multiple of the sending time to deliver all events.
const BEHIND: u32 = 20;

pub struct Talk {
    members: usize,
    /// Members at each server: the first ones are at the first server.
    members_each: usize,
    /// The client of each sender.
    senders: Vec<usize>,
    /// Send time of each event of each sender.
    sent_at: Vec<Vec<Instant>>,
    /// Next expected number, for each member and sender.
    heard: Vec<Vec<usize>>,
    pub sent: usize,
    pub delivered: usize,
    /// Time to members at another server than the sender's, or to all if there is one server.
    pub latencies: Latencies,
    /// Senders whose events have reached the listener that releases them, once per event.
    released: Vec<usize>,
}

impl Talk {
    pub fn new(members: usize, members_each: usize, senders: Vec<usize>) -> Self {
        Self {
            members,
            members_each,
            sent_at: vec![Vec::new(); senders.len()],
            heard: vec![vec![0; senders.len()]; members],
            senders,
            sent: 0,
            delivered: 0,
            latencies: Latencies::default(),
            released: Vec::new(),
        }
    }

    /// Each sender has this number of events in flight for `duration`: an event is in flight until the member across,
    /// who is at another server if there are two, has heard it. Waits until all members have heard all.
    pub fn busily(
        &mut self,
        clients: &mut Clients,
        in_flight: usize,
        duration: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        for _ in 0..in_flight {
            (0..self.senders.len()).for_each(|sender| self.send(sender, clients));
        }
        clients.flush(self.members)?;
        while start.elapsed() < duration || !self.is_settled() {
            clients
                .turn(|client, message| self.hear(client, message))
                .map_err(|error| format!("{error}; {} sent, {} heard", self.sent, self.delivered))?;
            let released = std::mem::take(&mut self.released);
            if start.elapsed() < duration {
                released.into_iter().for_each(|sender| self.send(sender, clients));
            }
            clients.flush(self.members)?;
        }
        Ok(())
    }

    /// Sends `rate` events a second for `duration`, by turns from all senders, on schedule: even if earlier ones have
    /// not arrived. Waits until all members have heard all.
    pub fn steadily(
        &mut self,
        clients: &mut Clients,
        rate: u32,
        duration: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let (start, gap) = (Instant::now(), Duration::from_secs(1) / rate);
        let mut next = start;
        while start.elapsed() < duration || !self.is_settled() {
            while next <= Instant::now() && next < start + duration {
                self.send(self.sent % self.senders.len(), clients);
                next += gap;
            }
            clients.flush(self.members)?;
            // The load polls without sleeping, on its own core: the latency of a sleep must not be measured.
            clients.wait(Duration::ZERO, |client, message| self.hear(client, message))?;
            if start.elapsed() > duration * BEHIND {
                return Err(format!("{} sent, {} heard", self.sent, self.delivered).into());
            }
        }
        self.released.clear();
        Ok(())
    }

    fn send(&mut self, sender: usize, clients: &mut Clients) {
        let text = format!("{sender:02} {:010} {:x<18}", self.sent_at[sender].len(), "");
        clients.queue(self.senders[sender], format!(r#"42["to","room","message","{text}"]"#).as_bytes());
        self.sent_at[sender].push(Instant::now());
        self.sent += 1;
    }

    fn hear(&mut self, client: usize, message: &[u8]) -> Result<(), Box<dyn Error>> {
        let (sender, number) =
            parse(message).ok_or_else(|| format!("unexpected {}", String::from_utf8_lossy(message)))?;
        let heard = self.heard.get_mut(client).ok_or("an event for a client that is not in the room")?;
        let expected = heard.get_mut(sender).ok_or("an unknown sender")?;
        if number != *expected {
            return Err(format!("client {client} heard {number} of {sender}, not {expected}").into());
        }
        *expected += 1;
        self.delivered += 1;
        let sent_at = self.sent_at[sender].get(number).ok_or("a number from ahead")?;
        let place = self.senders[sender];
        if self.members == self.members_each || place / self.members_each != client / self.members_each {
            self.latencies.add(sent_at.elapsed());
        }
        if client == (place + self.members / 2) % self.members {
            self.released.push(sender);
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.delivered == self.sent * self.members
    }
}

/// The sender and the number of an event. One more argument, the offset, may follow the text.
fn parse(message: &[u8]) -> Option<(usize, usize)> {
    let (text, rest) = message.strip_prefix(START.as_bytes())?.split_at_checked(TEXT)?;
    let is_whole = rest == br#""]"# || (rest.starts_with(br#"",""#) && rest.ends_with(br#""]"#));
    let number_of = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    Some((number_of(&text[..2])?, number_of(&text[3..13])?)).filter(|_| is_whole)
}
