//! Acked messages of rooms of two users, who are at different nodes.

use std::{error::Error, io::Write, time::Duration};

use super::{Running, Servers};
use crate::{
    TURNS,
    figures::{self, median, short},
    many_rooms::{Rooms, Talk},
};

/// Numbers of rooms, and of messages that wait for their acks in each.
const SIZES: [(usize, u64); 4] = [(1, 1), (1, 64), (16, 16), (1_000, 4)];

/// Figures of one turn.
struct Figures {
    talk: Talk,
    nodes_us_per_ack: f64,
    redis_us_per_ack: f64,
}

/// The job: a table with a row for each number of rooms and set of servers.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    figures::head(
        out,
        "Rooms of two users, one at each node: 32 bytes with an id and an ack",
        &[
            "rooms",
            "under way in each",
            "servers",
            "acks a second",
            "CPU per ack, us: nodes",
            "Redis",
            "p50, ms",
            "p99, ms",
        ],
    )?;
    for (rooms, under_way) in SIZES {
        let mut rows: Vec<(Servers, Vec<Figures>)> = Servers::ALL.map(|servers| (servers, Vec::new())).into();
        for turn in 1..=TURNS {
            for (servers, turns) in &mut rows {
                eprintln!("turn {turn} of {TURNS}: {servers}, {rooms} rooms");
                let size = Rooms { rooms, users: 2, under_way };
                turns.push(run(&Running::start(*servers)?, size, duration)?);
            }
        }
        for (servers, turns) in &rows {
            figures::row(
                out,
                &[
                    rooms.to_string(),
                    under_way.to_string(),
                    servers.to_string(),
                    short(median(turns, |turn| turn.talk.acks_per_second())),
                    short(median(turns, |turn| turn.nodes_us_per_ack)),
                    short(median(turns, |turn| turn.redis_us_per_ack)),
                    short(median(turns, |turn| turn.talk.p50_ms)),
                    short(median(turns, |turn| turn.talk.p99_ms)),
                ],
            )?;
        }
    }
    Ok(())
}

fn run(running: &Running, rooms: Rooms, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let ports = running.ports();
    let mut clients = rooms.log_in(&ports)?;
    let (nodes_before, redis_before) = running.cpu_seconds()?;
    let talk = rooms.talk(&mut clients, ports.len(), duration)?;
    let (nodes, redis) = running.cpu_seconds()?;
    Ok(Figures {
        nodes_us_per_ack: (nodes - nodes_before) * 1e6 / talk.acks as f64,
        redis_us_per_ack: (redis - redis_before) * 1e6 / talk.acks as f64,
        talk,
    })
}
