//! Many silent sessions: the time to connect them, their memory, and one message to all of them.

use std::{
    error::Error,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    PATIENCE,
    candidates::{Candidate, take_turns},
    clients::Clients,
    figures::{self, Latencies, median, short},
    frames::{TEXT, push_text},
    server::Server,
};

/// Largest number of sessions, if the system allows a process this number of descriptors.
pub const LARGEST: usize = 20_000;

const SIZES: [usize; 2] = [1_000, LARGEST];

/// Descriptors that a process needs beside its sessions: Echoroom keeps 1,024 for files and for connections
/// over the limit.
const SPARE: u64 = 1_100;

/// Number of messages to all sessions.
const MESSAGES: usize = 5;

/// Time in which freed buffers return to the system.
const SETTLED: Duration = Duration::from_secs(2);

/// Figures of one turn.
struct Figures {
    connects_per_second: f64,
    kib_per_session: f64,
    rss_mib: f64,
    cpu_us_per_delivery: f64,
    p50_ms: f64,
    p99_ms: f64,
    last_ms: f64,
}

/// Raises this process's limit on descriptors to its maximum. Servers do so themselves.
pub fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A failure is ignored: `most_sessions` reads the limit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Number of sessions that a process can have, at most [`LARGEST`].
pub fn most_sessions() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(SPARE)).unwrap_or(usize::MAX).min(LARGEST)
}

/// The job: all servers in turn, and a table for each size.
pub fn job(_: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for sessions in SIZES {
        let sessions = sessions.min(most_sessions());
        let mut rows = Candidate::rows(false);
        take_turns(&mut rows, &format!("{sessions} sessions"), |server| gather(server, sessions))?;
        let title = if sessions < LARGEST && sessions > SIZES[0] {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            format!(
                "{sessions} sessions in one room (instead of {LARGEST}: this system allows a process {limit} descriptors)"
            )
        } else {
            format!("{sessions} sessions in one room")
        };
        figures::head(
            out,
            &title,
            &[
                "server",
                "connects a second",
                "KiB a session",
                "RSS, MiB",
                "a message to all: CPU per delivery, us",
                "p50, ms",
                "p99, ms",
                "the last, ms",
            ],
        )?;
        for (candidate, turns) in &rows {
            figures::row(
                out,
                &[
                    candidate.to_string(),
                    short(median(turns, |turn| turn.connects_per_second)),
                    short(median(turns, |turn| turn.kib_per_session)),
                    short(median(turns, |turn| turn.rss_mib)),
                    short(median(turns, |turn| turn.cpu_us_per_delivery)),
                    short(median(turns, |turn| turn.p50_ms)),
                    short(median(turns, |turn| turn.p99_ms)),
                    short(median(turns, |turn| turn.last_ms)),
                ],
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn gather(server: &Server, sessions: usize) -> Result<Figures, Box<dyn Error>> {
    thread::sleep(Duration::from_millis(300));
    let before = server.rss_mib()?;
    let start = Instant::now();
    let mut clients = Clients::connect(server.port, "/", sessions)?;
    let connects_per_second = sessions as f64 / start.elapsed().as_secs_f64();
    thread::sleep(SETTLED);
    let rss_mib = server.rss_mib()?;
    let kib_per_session = (rss_mib - before) * 1024.0 / sessions as f64;
    let cpu_before = server.cpu_time()?;
    let (mut latencies, mut last) = (Latencies::default(), Duration::ZERO);
    for message in 0..MESSAGES {
        let text = format!("message {message} to all");
        push_text(clients.output(0), text.as_bytes());
        let said = Instant::now();
        clients.flush(1)?;
        let mut heard = vec![false; sessions];
        let mut left = sessions;
        while left > 0 {
            let has_come = clients.turn(PATIENCE, &mut |client, first, line| {
                let is_answer = client == 0 && line.ends_with(b"!!!");
                if first != TEXT || !(is_answer || line == text.as_bytes()) {
                    return Err(format!("client {client} heard something else").into());
                }
                if std::mem::replace(&mut heard[client], true) {
                    return Err(format!("client {client} heard it twice").into());
                }
                latencies.add(said.elapsed());
                left -= 1;
                Ok(())
            })?;
            if !has_come {
                return Err(format!("{left} sessions did not hear message {message}").into());
            }
        }
        last = last.max(said.elapsed());
    }
    let cpu = server.cpu_time()? - cpu_before;
    Ok(Figures {
        connects_per_second,
        kib_per_session,
        rss_mib,
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / (MESSAGES * sessions) as f64,
        p50_ms: latencies.percentile(0.5) / 1000.0,
        p99_ms: latencies.percentile(0.99) / 1000.0,
        last_ms: last.as_secs_f64() * 1000.0,
    })
}
