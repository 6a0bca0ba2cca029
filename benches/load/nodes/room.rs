//! A room whose users are spread over the nodes, at a fixed rate: messages are sent on schedule, even if earlier ones have
//! not arrived.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{Running, Servers};
use crate::{
    TURNS,
    clients::Clients,
    figures::{self, Latencies, median, short},
    frames::{TEXT, push_text},
    logins::log_in,
};

const USERS: usize = 200;
const SENDERS: usize = 16;

/// Messages a second.
const RATE: u32 = 500;

/// Servers may take this multiple of the sending time to deliver all messages.
const BEHIND: u32 = 20;

/// Figures of one turn.
struct Figures {
    p50_ms: f64,
    p99_ms: f64,
    ack_p50_ms: f64,
    ack_p99_ms: f64,
    nodes_core: f64,
    redis_core: f64,
}

/// The job: a table with a row for each set of servers.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows: Vec<(Servers, Vec<Figures>)> = Servers::ALL.map(|servers| (servers, Vec::new())).into();
    for turn in 1..=TURNS {
        for (servers, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {servers}, a room");
            turns.push(talk(&Running::start(*servers)?, duration)?);
        }
    }
    figures::head(
        out,
        &format!("A room of {USERS} users over all nodes, {RATE} messages a second with ids and acks"),
        &["servers", "heard p50, ms", "p99, ms", "acked p50, ms", "p99, ms", "of a core: nodes", "Redis"],
    )?;
    for (servers, turns) in &rows {
        figures::row(
            out,
            &[
                servers.to_string(),
                short(median(turns, |turn| turn.p50_ms)),
                short(median(turns, |turn| turn.p99_ms)),
                short(median(turns, |turn| turn.ack_p50_ms)),
                short(median(turns, |turn| turn.ack_p99_ms)),
                format!("{:.0} %", 100.0 * median(turns, |turn| turn.nodes_core)),
                format!("{:.1} %", 100.0 * median(turns, |turn| turn.redis_core)),
            ],
        )?;
    }
    Ok(())
}

/// What was sent and what has come.
struct Tally {
    /// Send time of each message.
    said_at: Vec<Instant>,
    /// What each client must hear next of each sender: the number of the sender's messages before it.
    heard: Vec<usize>,
    deliveries: usize,
    acks: usize,
    latencies: Latencies,
    ack_latencies: Latencies,
}

fn talk(running: &Running, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let ports = running.ports();
    let mut clients = Clients::connect_to(&ports, "/chat", USERS / ports.len())?;
    log_in(&mut clients, USERS, |_| 0)?;
    let mut tally = Tally {
        said_at: Vec::new(),
        heard: vec![0; USERS * SENDERS],
        deliveries: 0,
        acks: 0,
        latencies: Latencies::default(),
        ack_latencies: Latencies::default(),
    };
    let gap = Duration::from_secs(1) / RATE;
    let ((nodes_before, redis_before), start) = (running.cpu_seconds()?, Instant::now());
    let mut next = start;
    loop {
        while next <= Instant::now() && next < start + duration {
            tally.say(&mut clients);
            next += gap;
        }
        clients.flush(USERS)?;
        // The load polls without sleeping, on its own core: the latency of a sleep must not be measured.
        clients.turn(Duration::ZERO, &mut |client, first, frame| tally.hear(client, first, frame))?;
        let elapsed = start.elapsed();
        if elapsed >= duration && tally.is_settled() {
            break;
        } else if elapsed > duration * BEHIND {
            return Err(format!("{} messages sent, {} came", tally.said_at.len(), tally.deliveries).into());
        }
    }
    let ((nodes, redis), elapsed) = (running.cpu_seconds()?, start.elapsed().as_secs_f64());
    Ok(Figures {
        p50_ms: tally.latencies.percentile(0.5) / 1000.0,
        p99_ms: tally.latencies.percentile(0.99) / 1000.0,
        ack_p50_ms: tally.ack_latencies.percentile(0.5) / 1000.0,
        ack_p99_ms: tally.ack_latencies.percentile(0.99) / 1000.0,
        nodes_core: (nodes - nodes_before) / elapsed,
        redis_core: (redis - redis_before) / elapsed,
    })
}

/// The client that sends as this sender: they are spread over all clients, and so over the nodes.
fn client_of(sender: usize) -> usize {
    sender * (USERS / SENDERS)
}

impl Tally {
    /// Queues the next message, of the next sender.
    fn say(&mut self, clients: &mut Clients) {
        let number = self.said_at.len();
        let text = format!(
            r#"{{"event":"sendMessage","data":{{"msg":"{number:032}","id":"{number}"}},"ack":{}}}"#,
            number + 1
        );
        push_text(clients.output(client_of(number % SENDERS)), text.as_bytes());
        self.said_at.push(Instant::now());
    }

    fn hear(&mut self, client: usize, first: u8, frame: &[u8]) -> Result<(), Box<dyn Error>> {
        if first != TEXT {
            return Err("a frame that is not a text".into());
        }
        let what = || String::from_utf8_lossy(frame).into_owned();
        if frame.starts_with(br#"{"ack":"#) {
            let number = number_at(frame, 7).filter(|number| (1..=self.said_at.len()).contains(number));
            let said_at = self.said_at[number.ok_or_else(what)? - 1];
            self.ack_latencies.add(said_at.elapsed());
            self.acks += 1;
        } else if frame.starts_with(br#"{"event":"receiveMessage""#) {
            let at = frame.windows(7).position(|window| window == br#""msg":""#).ok_or_else(what)?;
            let number = number_at(frame, at + 7).filter(|number| *number < self.said_at.len());
            let number = number.ok_or_else(what)?;
            let expected = &mut self.heard[client * SENDERS + number % SENDERS];
            if number / SENDERS != *expected {
                return Err(format!("client {client} heard {}, not {expected}", number / SENDERS).into());
            }
            *expected += 1;
            self.deliveries += 1;
            self.latencies.add(self.said_at[number].elapsed());
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.deliveries == self.said_at.len() * USERS && self.acks == self.said_at.len()
    }
}

/// The decimal number at this place.
fn number_at(frame: &[u8], at: usize) -> Option<usize> {
    let digits = frame.get(at..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
