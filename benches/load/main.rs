//! Load from one thread, on Echoroom and its peers in turn.
//!
//! `cargo bench --bench load` runs all jobs; `cargo bench --bench load -- socketio` runs those with that word
//! in their names. `BENCH_SECONDS` is the length of a turn (default 2), `BENCH_SERVERS=echoroom,uWebSockets`
//! selects servers, `BENCH_ECHOROOM` is the path of another build of Echoroom to measure, and `BENCH_FIXTURE`
//! that of another build of its example `socketio_conformance`, `BENCH_CLUSTER` that of `socketio_cluster`.
//!
//! The main figure is the server's CPU time per operation. The server has one core and the load another. The
//! load implements the wire protocols without a client library.

mod acks;
mod candidates;
mod clients;
mod crowd;
mod echo;
mod engineio;
mod figures;
mod frames;
mod logins;
mod many_rooms;
mod nodes;
mod polling;
mod room;
mod server;
mod socketio;
mod start;

use std::{error::Error, io::Write, time::Duration};

/// Turns of each server. The tables show the median.
const TURNS: usize = 3;

/// Longest silence of a server that owes a response.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs turns of the given length and prints their table.
type Job = fn(Duration, &mut dyn Write) -> Result<(), Box<dyn Error>>;

const JOBS: [(&str, Job); 16] = [
    ("echo", echo::job),
    ("room-busy", room::busy::job),
    ("room-steady", room::steady::job),
    ("room-members", room::members::job),
    ("room-workers", room::workers::job),
    ("crowd", crowd::job),
    ("start", start::job),
    ("acks", acks::job),
    ("many-rooms", many_rooms::job),
    ("nodes-room", nodes::room::job),
    ("nodes-acks", nodes::acks::job),
    ("socketio-idle", socketio::idle::job),
    ("socketio-echo", socketio::echo::job),
    ("socketio-broadcast", socketio::broadcast::job),
    ("socketio-redis-room", socketio::redis::room::job),
    ("socketio-redis-one", socketio::redis::one::job),
];

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    // Cargo adds flags.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    // A complete job name selects only that job.
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
