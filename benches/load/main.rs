//! A load of clients in one thread, against this server and its peers by turns.
//!
//! `cargo bench --bench load` runs all jobs; `cargo bench --bench load -- socketio` runs those with that word in their
//! names. `BENCH_SECONDS` is how long a turn talks (2), `BENCH_SERVERS=echoroom,uWebSockets` leaves the others out,
//! and `BENCH_ECHOROOM` is the path of another build of this server to measure, `BENCH_FIXTURE` of its example
//! `socketio_conformance`.
//!
//! What counts is the CPU time of the server for each thing it does; the server has one core for itself and the load
//! another. The load speaks the wire protocols by hand, without a client library.

mod acks;
mod candidates;
mod clients;
mod crowd;
mod echo;
mod engineio;
mod figures;
mod frames;
mod polling;
mod room;
mod server;
mod socketio;
mod start;

use std::{error::Error, io::Write, time::Duration};

/// Turns of each server; the tables show the median.
const TURNS: usize = 3;

/// How long a server may say nothing while something is awaited.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs for so long a turn, and prints its table.
type Job = fn(Duration, &mut dyn Write) -> Result<(), Box<dyn Error>>;

const JOBS: [(&str, Job); 11] = [
    ("echo", echo::job),
    ("room-busy", room::busy::job),
    ("room-steady", room::steady::job),
    ("room-members", room::members::job),
    ("room-workers", room::workers::job),
    ("crowd", crowd::job),
    ("start", start::job),
    ("acks", acks::job),
    ("socketio-idle", socketio::idle::job),
    ("socketio-echo", socketio::echo::job),
    ("socketio-broadcast", socketio::broadcast::job),
];

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    // Cargo adds flags of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    // The whole name of a job means that one alone.
    let is_name = |word: &String| JOBS.iter().any(|(name, _)| name == word);
    let is_wanted = |name: &str| {
        words.is_empty()
            || words.iter().any(|word| name == word || (!is_name(word) && name.contains(word.as_str())))
    };
    server::pin_self_to(1)?;
    crowd::raise_descriptor_limit();
    let mut out = std::io::stdout().lock();
    for (_, job) in JOBS.iter().filter(|(name, _)| is_wanted(name)) {
        job(Duration::from_secs_f64(seconds), &mut out)?;
        writeln!(out)?;
    }
    Ok(())
}
