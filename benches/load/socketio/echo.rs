//! CPU time of an echo: `message` and `message-back` in the main namespace, 32 bytes, one client.

use std::{
    collections::VecDeque,
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use super::{Candidate, Clients};
use crate::{
    TURNS,
    candidates::is_chosen,
    engineio::Transport,
    figures::{self, Latencies, median, short},
};

/// Figures of one turn.
struct Figures {
    cpu_us_each: f64,
    per_second: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

/// The job: both servers in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for transport in [Transport::WebSocket, Transport::Polling] {
        for in_flight in [1, 16] {
            for candidate in [Candidate::Fixture, Candidate::Reference].into_iter().filter(is_chosen) {
                rows.push((candidate, transport, in_flight, Vec::new()));
            }
        }
    }
    for turn in 1..=TURNS {
        for (candidate, transport, in_flight, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {candidate}, echo over {transport}, {in_flight} in flight");
            turns.push(echo(*candidate, *transport, *in_flight, duration)?);
        }
    }
    figures::head(
        out,
        "Socket.IO echo: one client, 32 bytes an event",
        &[
            "server",
            "transport",
            "in flight",
            "CPU per event, us",
            "events a second",
            "p50, us",
            "p99, us",
            "RSS, MiB",
        ],
    )?;
    for (candidate, transport, in_flight, turns) in &rows {
        figures::row(
            out,
            &[
                candidate.to_string(),
                transport.to_string(),
                in_flight.to_string(),
                short(median(turns, |turn| turn.cpu_us_each)),
                short(median(turns, |turn| turn.per_second)),
                short(median(turns, |turn| turn.p50)),
                short(median(turns, |turn| turn.p99)),
                short(median(turns, |turn| turn.rss_mib)),
            ],
        )?;
    }
    Ok(())
}

/// Sends for `duration` and waits until every event has come back, in order.
fn echo(
    candidate: Candidate,
    transport: Transport,
    in_flight: u64,
    duration: Duration,
) -> Result<Figures, Box<dyn Error>> {
    let server = candidate.start()?;
    let mut clients = Clients::join(&server, transport, "/", 1)?;
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    let (mut sent, mut came_back) = (0, 0);
    let (mut sent_at, mut latencies) = (VecDeque::new(), Latencies::default());
    loop {
        while sent < came_back + in_flight && start.elapsed() < duration {
            clients.queue(0, format!(r#"42["message","{sent:032}"]"#).as_bytes());
            sent_at.push_back(Instant::now());
            sent += 1;
        }
        if came_back == sent {
            break;
        }
        clients.flush(1)?;
        clients.turn(|_, message| {
            // The example sends this to each new socket.
            if message.starts_with(br#"2["auth","#) {
                return Ok(());
            }
            let expected = format!(r#"2["message-back","{came_back:032}"]"#);
            if message != expected.as_bytes() {
                return Err(format!("{}, not {expected}", String::from_utf8_lossy(message)).into());
            }
            latencies.add(sent_at.pop_front().ok_or("an event of nobody")?.elapsed());
            came_back += 1;
            Ok(())
        })?;
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        cpu_us_each: cpu.as_secs_f64() * 1e6 / came_back as f64,
        per_second: came_back as f64 / elapsed.as_secs_f64(),
        p50: latencies.percentile(0.5),
        p99: latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
    })
}
