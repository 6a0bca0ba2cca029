//! The busy room: 200 sessions, 16 of them send, four messages of each under way.
//!
//! A message is under way until one listener has it. Every session checks that it hears every sender's messages, each
//! once and in order. This server runs twice, with its journal in a file and in memory: the difference is what keeping
//! the messages costs.

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use crate::{
    TURNS,
    client::{Session, Shared},
    median,
    server::Server,
};

const SESSIONS: usize = 200;
const SENDERS: usize = 16;
const IN_FLIGHT: usize = 4;

/// One turn's figures.
#[derive(Clone, Copy)]
struct Figures {
    cpu_us_per_delivery: f64,
    deliveries_per_second: f64,
    rss_mib: f64,
}

/// The job: all servers by turns, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut rows: Vec<(&str, Vec<Figures>)> =
        vec![("echoroom", Vec::new()), ("echoroom, journal in memory", Vec::new()), ("Node ws", Vec::new())];
    for turn in 1..=TURNS {
        for (name, figures) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {name}");
            let server = match *name {
                "echoroom" => Server::echoroom("sqlite", &[])?,
                "Node ws" => Server::node("ws", &[])?,
                _ => Server::echoroom("memory", &[])?,
            };
            figures.push(busy_room(&server, duration)?);
        }
    }
    writeln!(
        out,
        "Busy room: {SESSIONS} sessions, {SENDERS} senders, {IN_FLIGHT} in flight each, 32 bytes.\n"
    )?;
    writeln!(out, "| server | CPU per delivery, us | deliveries a second | RSS, MiB |\n|---|---|---|---|")?;
    for (name, figures) in rows {
        writeln!(
            out,
            "| {name} | {:.3} | {:.0} | {:.1} |",
            median(&figures, |turn| turn.cpu_us_per_delivery),
            median(&figures, |turn| turn.deliveries_per_second),
            median(&figures, |turn| turn.rss_mib)
        )?;
    }
    Ok(())
}

/// Talks for `duration`, then waits until everything sent has arrived everywhere.
fn busy_room(server: &Server, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut shared = Shared::new(SENDERS);
    let mut sessions = Vec::new();
    for index in 0..SESSIONS {
        sessions.push(Session::connect(server.port, index, SENDERS, poll.registry())?);
    }
    let (cpu_before, start) = (server.cpu_time()?, Instant::now());
    for sender in &mut sessions[..SENDERS] {
        for _ in 0..IN_FLIGHT {
            sender.say(&mut shared);
        }
        sender.flush()?;
    }
    let expected = |sent: u64| sent * (SESSIONS as u64 - 1);
    while start.elapsed() < duration || shared.delivered < expected(shared.sent) {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            return Err(format!("{} of {} deliveries came", shared.delivered, expected(shared.sent)).into());
        }
        for event in &events {
            sessions[event.token().0].read(&mut shared)?;
        }
        let talking = start.elapsed() < duration;
        for sender in std::mem::take(&mut shared.released) {
            if talking {
                sessions[sender].say(&mut shared);
            }
        }
        for session in &mut sessions[..SENDERS] {
            session.flush()?;
        }
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        cpu_us_per_delivery: cpu.as_secs_f64() * 1e6 / shared.delivered as f64,
        deliveries_per_second: shared.delivered as f64 / elapsed.as_secs_f64(),
        rss_mib: server.rss_mib()?,
    })
}
