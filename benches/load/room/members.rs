//! The cost of a delivery as a room grows: one sender sends a line, and the next one when all members have
//! it.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{LINE, Room};
use crate::{
    PATIENCE, TURNS,
    candidates::{Candidate, is_chosen},
    crowd,
    figures::{self, Latencies, median, short},
    server::Server,
};

/// Numbers of members. The last one is limited by the descriptors of a process.
const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, crowd::LARGEST];

/// Figures of one turn.
struct Figures {
    cpu_us_per_delivery: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

/// The job: Echoroom and uWebSockets in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for members in SIZES {
        for candidate in [Candidate::Echoroom, Candidate::UWebSockets].into_iter().filter(is_chosen) {
            rows.push((candidate, members.min(crowd::most_sessions()), Vec::new()));
        }
    }
    for turn in 1..=TURNS {
        for (candidate, members, figures) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {candidate}, {members} members");
            figures.push(talk(&candidate.start()?, *members, duration)?);
        }
    }
    figures::head(
        out,
        &format!("A room of few and of many, one message at a time, {LINE} bytes"),
        &["members", "server", "CPU per delivery, us", "all have it after, us: p50", "p99", "RSS, MiB"],
    )?;
    for (candidate, members, turns) in &rows {
        figures::row(
            out,
            &[
                members.to_string(),
                candidate.to_string(),
                short(median(turns, |turn| turn.cpu_us_per_delivery)),
                short(median(turns, |turn| turn.p50)),
                short(median(turns, |turn| turn.p99)),
                short(median(turns, |turn| turn.rss_mib)),
            ],
        )?;
    }
    Ok(())
}

fn talk(server: &Server, members: usize, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut room = Room::join(server.port, members, 1)?;
    let mut latencies = Latencies::default();
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    while start.elapsed() < duration {
        let said = Instant::now();
        room.say(0);
        room.flush()?;
        while !room.is_settled() {
            if !room.listen(PATIENCE)? {
                return Err(format!("{} lines sent, {} came", room.tally.sent, room.tally.delivered).into());
            }
        }
        latencies.add(said.elapsed());
    }
    let cpu = server.cpu_time()? - cpu_before;
    Ok(Figures {
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / room.tally.delivered as f64,
        p50: latencies.percentile(0.5),
        p99: latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
    })
}
