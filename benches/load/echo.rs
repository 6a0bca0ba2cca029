//! Echo: one client, messages of 32 bytes and of 16 KiB, one or sixteen in flight.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    candidates::{Candidate, take_turns},
    clients::Clients,
    figures::{self, Latencies, median, short},
    frames::{TEXT, push_text},
    server::Server,
};

/// Figures of one turn.
struct Figures {
    cpu_us_each: f64,
    per_second: f64,
    p50: f64,
    p99: f64,
    rss_mib: f64,
}

/// The job: all servers in turn, and a table for each size and number in flight.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for (size, name) in [(32, "32 bytes"), (16 * 1024, "16 KiB")] {
        for in_flight in [1, 16] {
            let mut rows = Candidate::rows(false);
            take_turns(&mut rows, &format!("echo of {name}, {in_flight} in flight"), |server| {
                echo(server, size, in_flight, duration)
            })?;
            figures::head(
                out,
                &format!("Echo of {name}, {in_flight} in flight"),
                &["server", "CPU per echo, us", "echoes a second", "p50, us", "p99, us", "RSS, MiB"],
            )?;
            for (candidate, turns) in &rows {
                figures::row(
                    out,
                    &[
                        candidate.to_string(),
                        short(median(turns, |turn| turn.cpu_us_each)),
                        short(median(turns, |turn| turn.per_second)),
                        short(median(turns, |turn| turn.p50)),
                        short(median(turns, |turn| turn.p99)),
                        short(median(turns, |turn| turn.rss_mib)),
                    ],
                )?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Sends for `duration` and waits until every message has come back, unchanged and in order.
fn echo(
    server: &Server,
    size: usize,
    in_flight: usize,
    duration: Duration,
) -> Result<Figures, Box<dyn Error>> {
    let mut clients = Clients::connect(server.port, "/echo", 1)?;
    let filling = vec![b'x'; size - 10];
    let mut sent_at = std::collections::VecDeque::new();
    let mut latencies = Latencies::default();
    let (mut sent, mut came_back) = (0_u64, 0_u64);
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    loop {
        while sent_at.len() < in_flight && start.elapsed() < duration {
            let text = [format!("{sent:010}").as_bytes(), &filling].concat();
            push_text(clients.output(0), &text);
            sent_at.push_back(Instant::now());
            sent += 1;
        }
        if sent_at.is_empty() {
            break;
        }
        clients.flush(1)?;
        let has_come = clients.turn(PATIENCE, &mut |_, first, payload| {
            let number = format!("{came_back:010}");
            if first != TEXT || payload.len() != size || payload[..10] != *number.as_bytes() {
                return Err(format!("echo {came_back} came back as something else").into());
            }
            latencies.add(sent_at.pop_front().ok_or("an echo of nothing")?.elapsed());
            came_back += 1;
            Ok(())
        })?;
        if !has_come {
            return Err(format!("echo {came_back} did not come back").into());
        }
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
