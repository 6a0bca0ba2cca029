//! Durable acks: senders at `/chat`, each in its own room, wait until the journal has their messages.

use std::{
    collections::VecDeque,
    error::Error,
    io::{self, Read as _, Write},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    PATIENCE, TURNS,
    figures::{self, Latencies, median, short},
    frames::{frame_at, push_text, shake_hands},
    server::Server,
};

/// Bytes of a message.
const SIZE: usize = 32;

/// Number and bytes of the messages that fill the journal's log.
const FILLING: u64 = 1_500;
const FILLING_SIZE: usize = 4_000;

/// Figures of one turn.
#[derive(Clone, Copy)]
struct Acks {
    per_second: f64,
    cpu_us_each: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

struct Sender {
    stream: TcpStream,
    input: Vec<u8>,
    said: u64,
    acked: u64,
    /// Send times of the messages without an ack.
    said_at: VecDeque<Instant>,
    latencies: Latencies,
}

/// The job: prints a table with a row for each number of senders.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    figures::head(
        out,
        "Durable acks, each sender in a room of its own, 32 bytes",
        &["senders", "in flight each", "acks a second", "CPU per ack, us", "p50, us", "p99, us", "RSS, MiB"],
    )?;
    for (senders, in_flight) in [(1, 1), (1, 64), (16, 1), (16, 64), (200, 1), (200, 16)] {
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            let server = Server::echoroom("sqlite", &[])?;
            fill_log(&server)?;
            turns.push(run(&server, senders, in_flight, duration)?);
        }
        figures::row(
            out,
            &[
                senders.to_string(),
                in_flight.to_string(),
                short(median(&turns, |turn: &Acks| turn.per_second)),
                short(median(&turns, |turn| turn.cpu_us_each)),
                short(median(&turns, |turn| turn.p50)),
                short(median(&turns, |turn| turn.p99)),
                short(median(&turns, |turn| turn.rss_mib)),
            ],
        )?;
    }
    Ok(())
}

/// `senders` clients send 32 bytes each, `in_flight` messages at a time, for `duration`.
fn run(server: &Server, senders: usize, in_flight: u64, duration: Duration) -> Result<Acks, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut all = Vec::new();
    for index in 0..senders {
        all.push(Sender::log_in(server, &poll, index)?);
    }
    let (mut started, mut cpu_before, mut welcomed, mut acked) =
        (Instant::now(), server.cpu_time()?, 0, 0_u64);
    while welcomed < senders || started.elapsed() < duration {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err("no ack came".into());
        }
        for event in &events {
            let sender = &mut all[event.token().0];
            let (logins, acks) = sender.read()?;
            welcomed += logins;
            acked += acks;
            if welcomed == senders && logins > 0 {
                (started, cpu_before, acked) = (Instant::now(), server.cpu_time()?, 0);
                for sender in &mut all {
                    sender.say(in_flight, SIZE)?;
                }
            } else if welcomed == senders && acks > 0 {
                sender.say(acks, SIZE)?;
            }
        }
    }
    let (elapsed, cpu) = (started.elapsed(), server.cpu_time()? - cpu_before);
    let mut latencies = Latencies::default();
    all.into_iter().for_each(|sender| latencies.append(sender.latencies));
    Ok(Acks {
        p50: latencies.percentile(0.5),
        p99: latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
        per_second: acked as f64 / elapsed.as_secs_f64(),
        cpu_us_each: cpu.as_secs_f64() * 1e6 / acked as f64,
    })
}

/// SQLite begins the log anew once it has 4 MiB. A flush costs more as long as the file still grows, and a server
/// that writes less would be measured there for longer: so the log is filled before the figures are taken.
fn fill_log(server: &Server) -> Result<(), Box<dyn Error>> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    // In a room that none of the senders is in.
    let mut sender = Sender::log_in(server, &poll, usize::MAX)?;
    while sender.acked < FILLING {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err("no ack came".into());
        }
        let (logins, acks) = sender.read()?;
        sender.say(acks + 16 * logins as u64, FILLING_SIZE)?;
    }
    Ok(())
}

impl Sender {
    /// A client that has asked to log in to a room of its own.
    fn log_in(server: &Server, poll: &Poll, index: usize) -> Result<Self, Box<dyn Error>> {
        let mut stream = shake_hands(server.port, "/chat")?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        let mut sender = Self {
            stream,
            input: Vec::new(),
            said: 0,
            acked: 0,
            said_at: VecDeque::new(),
            latencies: Latencies::default(),
        };
        sender.send(&format!(
            r#"{{"event":"login","data":{{"username":"s{index}","room":"r{index}"}},"ack":0}}"#
        ))?;
        Ok(sender)
    }

    /// Sends messages of `size` bytes each.
    fn say(&mut self, count: u64, size: usize) -> io::Result<()> {
        for _ in 0..count {
            self.said += 1;
            self.said_at.push_back(Instant::now());
            let text = format!("{:0size$}", self.said);
            self.send(&format!(
                r#"{{"event":"sendMessage","data":{{"msg":"{text}"}},"ack":{}}}"#,
                self.said
            ))?;
        }
        Ok(())
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = Vec::new();
        push_text(&mut frame, text.as_bytes());
        // A few events always fit the socket: they are acked before more are sent.
        self.stream.write_all(&frame)
    }

    /// Reads all available events. Returns the number of acked logins and of acked messages; acks must come
    /// in order.
    fn read(&mut self) -> Result<(usize, u64), Box<dyn Error>> {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let (mut at, mut logins, mut acks) = (0, 0, 0);
        while let Some((frame, end)) = frame_at(&self.input, at) {
            if frame.starts_with(br#"{"ack":0,"data""#) {
                logins += 1;
            } else if frame.starts_with(br#"{"ack":"#) {
                self.acked += 1;
                let expected = format!(r#"{{"ack":{},"data":{{"offset":{},"#, self.acked, self.acked);
                if !frame.starts_with(expected.as_bytes()) {
                    return Err(format!("expected {expected}, got {}", String::from_utf8_lossy(frame)).into());
                }
                self.latencies.add(self.said_at.pop_front().ok_or("an ack of nothing")?.elapsed());
                acks += 1;
            }
            at = end;
        }
        self.input.drain(..at);
        Ok((logins, acks))
    }
}
