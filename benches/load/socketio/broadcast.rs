//! CPU time of a delivery: events to one room of `/relay` from 16 senders, each with four in flight.
//!
//! An event is in flight until one listener has it. Every client checks that it gets every other sender's
//! events, each once and in order.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{Candidate, Clients};
use crate::{
    TURNS,
    candidates::is_chosen,
    engineio::Transport,
    figures::{self, Latencies, median, short},
    server::Server,
};

const SENDERS: usize = 16;
const IN_FLIGHT: usize = 4;

/// Start of an event. The text `SS NNNNNNNNNN` (sender, number) follows, filled up to 32 bytes.
const START: &str = r#"2/relay,["message",""#;
const TEXT: usize = 32;

/// Figures of one turn.
struct Figures {
    cpu_us_per_delivery: f64,
    deliveries_per_second: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

/// The job: all servers in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for (transport, clients) in [(Transport::WebSocket, 200), (Transport::Polling, 50)] {
        for candidate in [Candidate::EchoroomRelay, Candidate::Reference, Candidate::ReferenceRecovering]
            .into_iter()
            .filter(is_chosen)
        {
            rows.push((candidate, transport, clients, Vec::new()));
        }
    }
    for turn in 1..=TURNS {
        for (candidate, transport, clients, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {candidate}, broadcast over {transport}");
            turns.push(broadcast(&candidate.start()?, *transport, *clients, duration)?);
        }
    }
    figures::head(
        out,
        &format!(
            "Socket.IO broadcast: one room, {SENDERS} senders, {IN_FLIGHT} in flight each, {TEXT} bytes"
        ),
        &[
            "server",
            "clients",
            "CPU per delivery, us",
            "deliveries a second",
            "p50, us",
            "p99, us",
            "RSS, MiB",
        ],
    )?;
    for (candidate, transport, clients, turns) in &rows {
        figures::row(
            out,
            &[
                candidate.to_string(),
                format!("{clients} over {transport}"),
                short(median(turns, |turn| turn.cpu_us_per_delivery)),
                short(median(turns, |turn| turn.deliveries_per_second)),
                short(median(turns, |turn| turn.p50)),
                short(median(turns, |turn| turn.p99)),
                short(median(turns, |turn| turn.rss_mib)),
            ],
        )?;
    }
    Ok(())
}

/// Sends for `duration`, then waits until every event has reached every other client.
fn broadcast(
    server: &Server,
    transport: Transport,
    count: usize,
    duration: Duration,
) -> Result<Figures, Box<dyn Error>> {
    let mut clients = Clients::join(server, transport, "/relay", count)?;
    for client in 0..count {
        clients.queue(client, br#"42/relay,0["join","room"]"#);
    }
    clients.flush(count)?;
    clients.await_each(b"3/relay,0[")?;
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    let mut room = Room::new(count);
    for sender in (0..SENDERS).flat_map(|sender| [sender; IN_FLIGHT]) {
        room.send(sender, &mut clients);
    }
    clients.flush(SENDERS)?;
    while start.elapsed() < duration || room.delivered < room.sent * (count as u64 - 1) {
        clients
            .turn(|client, message| room.hear(client, message))
            .map_err(|error| format!("{error}; {} sent, {} deliveries", room.sent, room.delivered))?;
        let released = std::mem::take(&mut room.released);
        if start.elapsed() < duration {
            released.into_iter().for_each(|sender| room.send(sender, &mut clients));
        }
        clients.flush(SENDERS)?;
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / room.delivered as f64,
        deliveries_per_second: room.delivered as f64 / elapsed.as_secs_f64(),
        p50: room.latencies.percentile(0.5),
        p99: room.latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
    })
}

/// What was sent, and what each client has received of it.
struct Room {
    sent: u64,
    delivered: u64,
    /// Senders whose events have reached the listener that releases them, once per event.
    released: Vec<usize>,
    /// Send time of each event of each sender.
    sent_at: [Vec<Instant>; SENDERS],
    latencies: Latencies,
    /// Next expected number for each client and sender.
    heard: Vec<[u64; SENDERS]>,
}

impl Room {
    fn new(clients: usize) -> Self {
        Self {
            sent: 0,
            delivered: 0,
            released: Vec::new(),
            sent_at: Default::default(),
            latencies: Latencies::default(),
            heard: vec![[0; SENDERS]; clients],
        }
    }

    fn send(&mut self, sender: usize, clients: &mut Clients) {
        let text = format!("{sender:02} {:010} {:x<18}", self.sent_at[sender].len(), "");
        clients.queue(sender, format!(r#"4{START}{text}"]"#).as_bytes());
        self.sent_at[sender].push(Instant::now());
        self.sent += 1;
    }

    fn hear(&mut self, client: usize, message: &[u8]) -> Result<(), Box<dyn Error>> {
        let (sender, number) =
            parse(message).ok_or_else(|| format!("unexpected {}", String::from_utf8_lossy(message)))?;
        let expected =
            self.heard[client].get_mut(sender).filter(|_| sender != client).ok_or("a wrong sender")?;
        if number != *expected {
            return Err(format!("{number} of {sender}, not {expected}").into());
        }
        *expected += 1;
        self.delivered += 1;
        let emitted = self.sent_at[sender].get(number as usize).ok_or("a number from ahead")?;
        self.latencies.add(emitted.elapsed());
        // One listener for each sender releases the sender's next event.
        if client == SENDERS + sender {
            self.released.push(sender);
        }
        Ok(())
    }
}

/// The sender and the number of an event. One more argument, the offset, may follow the text.
fn parse(message: &[u8]) -> Option<(usize, u64)> {
    let (text, rest) = message.strip_prefix(START.as_bytes())?.split_at_checked(TEXT)?;
    let is_whole = rest == br#""]"# || (rest.starts_with(br#"",""#) && rest.ends_with(br#""]"#));
    let number_of = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    is_whole.then(|| (number_of(&text[..2]) as usize, number_of(&text[3..13])))
}
