//! What events of a room cost if one of three servers has it: at Redis, and at the servers that do not have the room.

use std::{error::Error, io::Write, time::Duration};

use super::{Format, Kind, Running, talk::Talk};
use crate::{
    TURNS,
    candidates::is_chosen,
    figures::{self, median, short},
};

const SERVERS: usize = 3;
const MEMBERS: usize = 10;

/// Events a second, all of one member.
const RATE: u32 = 1_000;

/// Figures of one turn, for each event.
struct Figures {
    redis_us: f64,
    redis_bytes: f64,
    own_us: f64,
    /// The mean of the servers that do not have the room.
    other_us: f64,
}

/// The job: all servers in turn, and a table.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kinds: Vec<Kind> = Kind::all().into_iter().filter(is_chosen).collect();
    let mut rows: Vec<(Kind, Format, Vec<Figures>)> = Vec::new();
    for kind in kinds {
        rows.extend(Format::ALL.map(|format| (kind, format, Vec::new())));
    }
    for turn in 1..=TURNS {
        for (kind, format, turns) in &mut rows {
            eprintln!("turn {turn} of {TURNS}: {kind}, {format}, a room at one server");
            turns.push(run(&Running::over_redis(*kind, *format, SERVERS)?, duration)?);
        }
    }
    figures::head(
        out,
        &format!(
            "Socket.IO over Redis: a room of {MEMBERS} that one of {SERVERS} servers has, {RATE} events a second"
        ),
        &[
            "servers",
            "format",
            "for each event: bytes that Redis sends",
            "CPU, us: Redis",
            "the server with the room",
            "each other server",
        ],
    )?;
    for (kind, format, turns) in &rows {
        figures::row(
            out,
            &[
                kind.to_string(),
                format.to_string(),
                short(median(turns, |turn| turn.redis_bytes)),
                short(median(turns, |turn| turn.redis_us)),
                short(median(turns, |turn| turn.own_us)),
                short(median(turns, |turn| turn.other_us)),
            ],
        )?;
    }
    Ok(())
}

fn run(running: &Running, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut clients = running.clients(MEMBERS, MEMBERS)?;
    let mut talk = Talk::new(MEMBERS, MEMBERS, vec![0]);
    let (cpu_before, redis_before) = (running.cpu_us()?, running.redis()?);
    talk.steadily(&mut clients, RATE, duration)?;
    let (cpu, redis) = (running.cpu_us()?, running.redis()?);
    let events = talk.sent as f64;
    let spent: Vec<f64> =
        cpu.iter().zip(&cpu_before).map(|(after, before)| (after - before) / events).collect();
    Ok(Figures {
        redis_us: (redis.0 - redis_before.0) / events,
        redis_bytes: (redis.1 - redis_before.1) / events,
        own_us: spent[0],
        other_us: spent[1..].iter().sum::<f64>() / (SERVERS - 1) as f64,
    })
}
