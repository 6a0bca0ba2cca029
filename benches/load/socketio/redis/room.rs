//! What an adapter adds to the cost of a broadcast: a room of 200, at one server or over two.

use std::{error::Error, fmt, io::Write, time::Duration};

use super::{Format, Kind, Running, talk::Talk};
use crate::{
    TURNS,
    candidates::is_chosen,
    figures::{self, median, short},
};

const MEMBERS: usize = 200;
const SENDERS: usize = 16;
const IN_FLIGHT: usize = 4;

/// Events a second while the latency is measured.
const RATE: u32 = 100;

/// The servers of a row.
#[derive(Clone, Copy)]
struct Setup {
    kind: Kind,
    format: Format,
    servers: usize,
    has_redis: bool,
}

/// Figures of one turn.
struct Figures {
    events_per_second: f64,
    cpu_us_per_event: f64,
    redis_us_per_event: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// The job: all servers in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows: Vec<(Setup, Vec<Figures>)> =
        setups().into_iter().filter(is_chosen).map(|setup| (setup, Vec::new())).collect();
    for turn in 1..=TURNS {
        for (setup, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {setup}, a room");
            turns.push(run(&setup.start()?, duration)?);
        }
    }
    figures::head(
        out,
        &format!(
            "Socket.IO over Redis: a room of {MEMBERS} with {SENDERS} senders; busy: {IN_FLIGHT} in flight each; \
             heard: at {RATE} events a second"
        ),
        &[
            "servers",
            "busy: events a second",
            "CPU per event, us: servers",
            "Redis",
            "CPU per delivery, us",
            "heard p50, ms",
            "p99, ms",
        ],
    )?;
    for (setup, turns) in &rows {
        figures::row(
            out,
            &[
                setup.to_string(),
                short(median(turns, |turn| turn.events_per_second)),
                short(median(turns, |turn| turn.cpu_us_per_event)),
                if setup.has_redis {
                    short(median(turns, |turn| turn.redis_us_per_event))
                } else {
                    String::new()
                },
                short(median(turns, |turn| turn.cpu_us_per_event / MEMBERS as f64)),
                short(median(turns, |turn| turn.p50_ms)),
                short(median(turns, |turn| turn.p99_ms)),
            ],
        )?;
    }
    Ok(())
}

fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    for kind in Kind::all() {
        for format in [Format::Classic, Format::Streams] {
            setups.push(Setup { kind, format, servers: 1, has_redis: false });
        }
        for servers in [1, 2] {
            setups.extend(Format::ALL.map(|format| Setup { kind, format, servers, has_redis: true }));
        }
    }
    setups
}

impl Setup {
    fn start(self) -> Result<Running, Box<dyn Error>> {
        if self.has_redis {
            Running::over_redis(self.kind, self.format, self.servers)
        } else {
            Running::alone(self.kind, self.format)
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.has_redis, self.format) {
            (true, format) => write!(f, "{}, {} on Redis, {format}", self.kind, self.servers),
            (false, Format::Streams) => write!(f, "{}, no adapter, recovery on", self.kind),
            (false, _) => write!(f, "{}, no adapter", self.kind),
        }
    }
}

fn run(running: &Running, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let each = MEMBERS / running.servers.len();
    let mut clients = running.clients(each, MEMBERS)?;
    // Spread over all clients, and so over the servers.
    let senders: Vec<usize> = (0..SENDERS).map(|sender| sender * (MEMBERS / SENDERS)).collect();
    let mut busy = Talk::new(MEMBERS, each, senders.clone());
    let (cpu, redis) = (running.cpu_us()?, running.redis()?);
    let start = std::time::Instant::now();
    busy.busily(&mut clients, IN_FLIGHT, duration)?;
    let elapsed = start.elapsed().as_secs_f64();
    let events = busy.sent as f64;
    let cpu = running.cpu_us()?.iter().sum::<f64>() - cpu.iter().sum::<f64>();
    let redis_us = running.redis()?.0 - redis.0;
    let mut steady = Talk::new(MEMBERS, each, senders);
    steady.steadily(&mut clients, RATE, duration)?;
    Ok(Figures {
        events_per_second: events / elapsed,
        cpu_us_per_event: cpu / events,
        redis_us_per_event: redis_us / events,
        p50_ms: steady.latencies.percentile(0.5) / 1000.0,
        p99_ms: steady.latencies.percentile(0.99) / 1000.0,
    })
}
