//! The busy room: as fast as possible, with four lines of each sender in flight. A line is in flight until
//! one listener has it.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{LINE, Room};
use crate::{
    PATIENCE,
    candidates::{Candidate, take_turns},
    figures::{self, median, short},
    server::Server,
};

const SESSIONS: usize = 200;
const SENDERS: usize = 16;
const IN_FLIGHT: usize = 4;

/// Figures of one turn.
pub(super) struct Figures {
    pub(super) cpu_us_per_delivery: f64,
    pub(super) deliveries: u64,
    deliveries_per_second: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

/// The job: all servers in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Candidate::rows(true);
    take_turns(&mut rows, "busy room", |server| talk(server, duration))?;
    figures::head(
        out,
        &format!(
            "Busy room: {SESSIONS} sessions, {SENDERS} of them send, {IN_FLIGHT} in flight each, {LINE} bytes"
        ),
        &["server", "CPU per delivery, us", "deliveries a second", "p50, us", "p99, us", "RSS, MiB"],
    )?;
    for (candidate, turns) in &rows {
        figures::row(
            out,
            &[
                candidate.to_string(),
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

/// Sends for `duration`, then waits until every line has reached every listener.
pub(super) fn talk(server: &Server, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut room = Room::join(server.port, SESSIONS, SENDERS)?;
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    (0..SENDERS).flat_map(|sender| [sender; IN_FLIGHT]).for_each(|sender| room.say(sender));
    room.flush()?;
    while start.elapsed() < duration || !room.is_settled() {
        if !room.listen(PATIENCE)? {
            return Err(format!("{} lines sent, {} came", room.tally.sent, room.tally.delivered).into());
        }
        let released = std::mem::take(&mut room.tally.released);
        if start.elapsed() < duration {
            released.into_iter().for_each(|sender| room.say(sender));
        }
        room.flush()?;
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / room.tally.delivered as f64,
        deliveries: room.tally.delivered,
        deliveries_per_second: room.tally.delivered as f64 / elapsed.as_secs_f64(),
        p50: room.tally.latencies.percentile(0.5),
        p99: room.tally.latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
    })
}
