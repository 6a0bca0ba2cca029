//! The room at a fixed rate: lines are sent on schedule, even if earlier ones have not arrived.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{LINE, Room};
use crate::{
    candidates::{Candidate, take_turns},
    figures::{self, median, short},
    server::Server,
};

const SESSIONS: usize = 200;
const SENDERS: usize = 16;

/// Lines per second.
const RATES: [u32; 2] = [500, 2500];

/// A server may take this multiple of the sending time to deliver all lines.
const BEHIND: u32 = 20;

/// Figures of one turn.
pub(super) struct Figures {
    pub(super) cpu_us_per_delivery: f64,
    pub(super) deliveries: u64,
    core: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    rss_mib: f64,
}

/// The job: all servers in turn, and a table for each rate.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for rate in RATES {
        let mut rows = Candidate::rows(true);
        take_turns(&mut rows, &format!("{rate} lines a second"), |server| talk(server, rate, duration))?;
        figures::head(
            out,
            &format!("Room at {rate} messages a second to {SESSIONS} sessions, {LINE} bytes"),
            &["server", "CPU per delivery, us", "of a core", "p50, us", "p99, us", "p99.9, us", "RSS, MiB"],
        )?;
        for (candidate, turns) in &rows {
            figures::row(
                out,
                &[
                    candidate.to_string(),
                    short(median(turns, |turn| turn.cpu_us_per_delivery)),
                    format!("{:.0} %", 100.0 * median(turns, |turn| turn.core)),
                    short(median(turns, |turn| turn.p50)),
                    short(median(turns, |turn| turn.p99)),
                    short(median(turns, |turn| turn.p999)),
                    short(median(turns, |turn| turn.rss_mib)),
                ],
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

pub(super) fn talk(server: &Server, rate: u32, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut room = Room::join(server.port, SESSIONS, SENDERS)?;
    let gap = Duration::from_secs(1) / rate;
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    let mut next = start;
    loop {
        while next <= Instant::now() && next < start + duration {
            room.say(room.tally.sent as usize % SENDERS);
            next += gap;
        }
        room.flush()?;
        // The load polls without sleeping, on its own core: the latency of a sleep must not be measured.
        room.listen(Duration::ZERO)?;
        let elapsed = start.elapsed();
        if elapsed >= duration && room.is_settled() {
            break;
        } else if elapsed > duration * BEHIND {
            return Err(format!("{} lines sent, {} came", room.tally.sent, room.tally.delivered).into());
        }
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / room.tally.delivered as f64,
        deliveries: room.tally.delivered,
        core: cpu.as_secs_f64() / elapsed.as_secs_f64(),
        p50: room.tally.latencies.percentile(0.5),
        p99: room.tally.latencies.percentile(0.99),
        p999: room.tally.latencies.percentile(0.999),
        rss_mib: server.rss_mib()?,
    })
}
