//! Many active rooms: in each one a user at `/chat` sends messages with ids and waits for their durable acks,
//! and all users of the room hear them.

use std::{
    collections::VecDeque,
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE, TURNS,
    clients::Clients,
    crowd::most_sessions,
    figures::{self, Latencies, median, short},
    frames::{TEXT, push_text},
    server::Server,
};

/// Numbers of rooms, and of users in each.
const SIZES: [(usize, usize); 4] = [(1_000, 2), (1_000, 10), (10_000, 2), (2_000, 10)];

/// Messages of a sender that wait for their acks.
const UNDER_WAY: u64 = 4;

/// Figures of one turn.
struct Figures {
    acks_per_second: f64,
    cpu_us_per_ack: f64,
    p50_ms: f64,
    p99_ms: f64,
    rss_mib: f64,
}

/// The sender of one room.
#[derive(Default)]
struct Sender {
    said: u64,
    acked: u64,
    /// Send times of the messages without an ack.
    said_at: VecDeque<Instant>,
}

/// The job: a table with a row for each size and number of shards.
pub fn job(duration: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    figures::head(
        out,
        "Many active rooms: 32 bytes with an id and a durable ack, 4 under way in each room",
        &[
            "rooms",
            "users in each",
            "shards",
            "acks a second",
            "CPU per acked message, us",
            "p50, ms",
            "p99, ms",
            "RSS, MiB",
        ],
    )?;
    for (rooms, users) in SIZES {
        let rooms = rooms.min(most_sessions() / users);
        for shards in [1, 2, 4] {
            let mut turns = Vec::new();
            for _ in 0..TURNS {
                let server = Server::echoroom("sqlite", &[&format!("ECHOROOM_SHARDS={shards}")])?;
                turns.push(run(&server, rooms, users, duration)?);
            }
            figures::row(
                out,
                &[
                    rooms.to_string(),
                    users.to_string(),
                    shards.to_string(),
                    short(median(&turns, |turn: &Figures| turn.acks_per_second)),
                    short(median(&turns, |turn| turn.cpu_us_per_ack)),
                    short(median(&turns, |turn| turn.p50_ms)),
                    short(median(&turns, |turn| turn.p99_ms)),
                    short(median(&turns, |turn| turn.rss_mib)),
                ],
            )?;
        }
    }
    Ok(())
}

fn run(server: &Server, rooms: usize, users: usize, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut clients = Clients::connect(server.port, "/chat", rooms * users)?;
    log_in(&mut clients, rooms, users)?;
    let mut senders: Vec<Sender> = (0..rooms).map(|_| Sender::default()).collect();
    for (room, sender) in senders.iter_mut().enumerate() {
        sender.say(clients.output(room * users), UNDER_WAY);
    }
    clients.flush(rooms * users)?;
    let (started, cpu_before) = (Instant::now(), server.cpu_time()?);
    let (mut acked, mut heard, mut latencies) = (0_u64, 0_u64, Latencies::default());
    let mut is_over = false;
    // All that is under way must come.
    while !is_over || heard < senders.iter().map(|sender| sender.said).sum::<u64>() * users as u64 {
        is_over = is_over || started.elapsed() >= duration;
        let mut ready = Vec::new();
        let has_come = clients.turn(PATIENCE, &mut |client, first, frame| {
            if first != TEXT {
                return Err("a frame that is not a text".into());
            }
            if frame.starts_with(br#"{"ack":"#) {
                let sender = &mut senders[client / users];
                sender.acked += 1;
                let expected = format!(r#"{{"ack":{0},"data":{{"id":"{0}","offset":{0},"#, sender.acked);
                if !client.is_multiple_of(users) || !frame.starts_with(expected.as_bytes()) {
                    return Err(format!("expected {expected}, got {}", String::from_utf8_lossy(frame)).into());
                }
                latencies.add(sender.said_at.pop_front().ok_or("an ack of nothing")?.elapsed());
                acked += 1;
                ready.push(client);
            } else if frame.starts_with(br#"{"event":"receiveMessage""#) {
                heard += 1;
            }
            Ok(())
        })?;
        if !has_come {
            return Err("no ack came".into());
        }
        if !is_over {
            for client in ready {
                senders[client / users].say(clients.output(client), 1);
            }
            clients.flush(rooms * users)?;
        }
    }
    let (elapsed, cpu) = (started.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Figures {
        acks_per_second: acked as f64 / elapsed.as_secs_f64(),
        cpu_us_per_ack: cpu.as_secs_f64() * 1e6 / acked as f64,
        p50_ms: latencies.percentile(0.5) / 1000.0,
        p99_ms: latencies.percentile(0.99) / 1000.0,
        rss_mib: server.rss_mib()?,
    })
}

/// Logs all clients in, so many to each room.
fn log_in(clients: &mut Clients, rooms: usize, users: usize) -> Result<(), Box<dyn Error>> {
    for client in 0..rooms * users {
        let room = client / users;
        let login = format!(
            r#"{{"event":"login","data":{{"username":"s{client}","room":"r{room}","presence":"changes"}},"ack":0}}"#
        );
        push_text(clients.output(client), login.as_bytes());
    }
    clients.flush(rooms * users)?;
    // Each is answered, and then given the list of users, with which it is subscribed. Some get more than one list.
    let steps: [&[u8]; 2] = [br#"{"ack":0,"data""#, br#"{"event":"userList""#];
    let mut missing = vec![[true; 2]; rooms * users];
    let mut left = 2 * missing.len();
    while left > 0 {
        let has_come = clients.turn(PATIENCE, &mut |client, _, frame| {
            for (step, is_missing) in steps.iter().zip(&mut missing[client]) {
                left -= usize::from(frame.starts_with(step) && std::mem::take(is_missing));
            }
            Ok(())
        })?;
        if !has_come {
            return Err(format!("{left} steps of logins are missing").into());
        }
    }
    Ok(())
}

impl Sender {
    fn say(&mut self, out: &mut Vec<u8>, count: u64) {
        for _ in 0..count {
            self.said += 1;
            self.said_at.push_back(Instant::now());
            let number = self.said;
            let text = format!(
                r#"{{"event":"sendMessage","data":{{"msg":"{number:032}","id":"{number}"}},"ack":{number}}}"#
            );
            push_text(out, text.as_bytes());
        }
    }
}
