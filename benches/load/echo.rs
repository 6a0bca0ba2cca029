//! Echo: one client, messages of 32 bytes and of 16 KiB, one or sixteen in flight; and many clients.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
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

/// The load of one table.
#[derive(Clone, Copy)]
struct Load {
    clients: usize,
    /// Bytes of a message.
    size: usize,
    /// Messages of a client that are sent before the first one has come back.
    in_flight: usize,
}

const KIB: usize = 1024;

const LOADS: [Load; 6] = [
    Load { clients: 1, size: 32, in_flight: 1 },
    Load { clients: 1, size: 32, in_flight: 16 },
    Load { clients: 1, size: 16 * KIB, in_flight: 1 },
    Load { clients: 1, size: 16 * KIB, in_flight: 16 },
    Load { clients: 50, size: 32, in_flight: 1 },
    Load { clients: 20, size: 16 * KIB, in_flight: 2 },
];

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            size if size < KIB => write!(f, "{size} bytes")?,
            size => write!(f, "{} KiB", size / KIB)?,
        }
        match self.clients {
            1 => write!(f, ", {} in flight", self.in_flight),
            clients => write!(f, ", {clients} connections, {} in flight each", self.in_flight),
        }
    }
}

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
    for load in LOADS {
        let mut rows = Candidate::rows(false);
        take_turns(&mut rows, &format!("echo of {load}"), |server| echo(server, load, duration))?;
        figures::head(
            out,
            &format!("Echo of {load}"),
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
    Ok(())
}

/// What one client has sent and what has come back.
#[derive(Default)]
struct Line {
    sent: u64,
    came_back: u64,
    /// Send times of the messages that have not come back.
    sent_at: VecDeque<Instant>,
}

/// Sends for `duration` and waits until every message has come back, unchanged and in order.
fn echo(server: &Server, load: Load, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let Load { clients: count, size, in_flight } = load;
    let mut clients = Clients::connect(server.port, "/echo", count)?;
    let mut lines: Vec<Line> = (0..count).map(|_| Line::default()).collect();
    let filling = vec![b'x'; size - 10];
    let mut latencies = Latencies::default();
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    loop {
        for (index, line) in lines.iter_mut().enumerate() {
            while line.sent_at.len() < in_flight && start.elapsed() < duration {
                let text = [format!("{:010}", line.sent).as_bytes(), &filling].concat();
                push_text(clients.output(index), &text);
                line.sent_at.push_back(Instant::now());
                line.sent += 1;
            }
        }
        if lines.iter().all(|line| line.sent_at.is_empty()) {
            break;
        }
        clients.flush(count)?;
        let has_come = clients.turn(PATIENCE, &mut |index, first, payload| {
            let line = &mut lines[index];
            let number = format!("{:010}", line.came_back);
            if first != TEXT || payload.len() != size || payload[..10] != *number.as_bytes() {
                return Err(format!("echo {number} came back as something else").into());
            }
            latencies.add(line.sent_at.pop_front().ok_or("an echo of nothing")?.elapsed());
            line.came_back += 1;
            Ok(())
        })?;
        if !has_come {
            return Err("an echo did not come back".into());
        }
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    let came_back = lines.iter().map(|line| line.came_back).sum::<u64>() as f64;
    Ok(Figures {
        cpu_us_each: cpu.as_secs_f64() * 1e6 / came_back,
        per_second: came_back / elapsed.as_secs_f64(),
        p50: latencies.percentile(0.5),
        p99: latencies.percentile(0.99),
        rss_mib: server.rss_mib()?,
    })
}
