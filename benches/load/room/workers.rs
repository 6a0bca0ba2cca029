//! The cost of several workers: rooms with one, two and four workers, all on the server's one core. The job
//! does not measure the gain from more cores; its figures show how often the workers wake each other.

use std::{error::Error, io::Write, time::Duration};

use super::{busy, steady};
use crate::{
    TURNS,
    figures::{self, median, short},
    server::Server,
};

const WORKERS: [usize; 3] = [1, 2, 4];

/// Lines per second in the room that is not busy.
const RATE: u32 = 500;

/// Figures of one turn.
struct Figures {
    busy_us: f64,
    busy_wakes: f64,
    steady_us: f64,
    steady_wakes: f64,
}

/// The job: Echoroom only, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = WORKERS.map(|workers| (workers, Vec::new()));
    for turn in 1..=TURNS {
        for (workers, figures) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {workers} workers");
            figures.push(talk(*workers, duration)?);
        }
    }
    figures::head(
        out,
        &format!("Several workers on one core: the busy room, and the room at {RATE} messages a second"),
        &[
            "workers",
            "busy: CPU per delivery, us",
            "sleeps per 1,000 deliveries",
            "steady: CPU per delivery, us",
            "sleeps per 1,000 deliveries",
        ],
    )?;
    for (workers, turns) in &rows {
        figures::row(
            out,
            &[
                workers.to_string(),
                short(median(turns, |turn| turn.busy_us)),
                short(median(turns, |turn| turn.busy_wakes)),
                short(median(turns, |turn| turn.steady_us)),
                short(median(turns, |turn| turn.steady_wakes)),
            ],
        )?;
    }
    Ok(())
}

fn talk(workers: usize, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let server = Server::echoroom_with(workers, "sqlite", &[])?;
    let before = server.sleeps()?;
    let busy = busy::talk(&server, duration)?;
    let between = server.sleeps()?;
    let steady = steady::talk(&server, RATE, duration)?;
    let per_thousand = |sleeps: u64, deliveries: u64| sleeps as f64 * 1000.0 / deliveries as f64;
    Ok(Figures {
        busy_us: busy.cpu_us_per_delivery,
        busy_wakes: per_thousand(between - before, busy.deliveries),
        steady_us: steady.cpu_us_per_delivery,
        steady_wakes: per_thousand(server.sleeps()? - between, steady.deliveries),
    })
}
