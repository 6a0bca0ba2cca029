//! Many active rooms: in each one a user at `/chat` sends messages with ids and waits for their acks, and all users of
//! the room hear them.

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
    logins::log_in,
    server::Server,
};

/// Numbers of rooms, and of users in each.
const SIZES: [(usize, usize); 4] = [(1_000, 2), (1_000, 10), (10_000, 2), (2_000, 10)];

/// Messages of a sender that wait for their acks.
const UNDER_WAY: u64 = 4;

/// Figures of one turn.
struct Figures {
    talk: Talk,
    cpu_us_per_ack: f64,
    rss_mib: f64,
}

/// What the clients of a turn have seen.
pub struct Talk {
    pub seconds: f64,
    pub acks: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Talk {
    pub fn acks_per_second(&self) -> f64 {
        self.acks as f64 / self.seconds
    }
}

/// The rooms and who is in them. The first users of all rooms come first, then the second ones, and so on.
#[derive(Clone, Copy)]
pub struct Rooms {
    pub rooms: usize,
    pub users: usize,
    /// Messages of a sender that wait for their acks.
    pub under_way: u64,
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
                turns.push(run(&server, Rooms { rooms, users, under_way: UNDER_WAY }, duration)?);
            }
            figures::row(
                out,
                &[
                    rooms.to_string(),
                    users.to_string(),
                    shards.to_string(),
                    short(median(&turns, |turn: &Figures| turn.talk.acks_per_second())),
                    short(median(&turns, |turn| turn.cpu_us_per_ack)),
                    short(median(&turns, |turn| turn.talk.p50_ms)),
                    short(median(&turns, |turn| turn.talk.p99_ms)),
                    short(median(&turns, |turn| turn.rss_mib)),
                ],
            )?;
        }
    }
    Ok(())
}

fn run(server: &Server, rooms: Rooms, duration: Duration) -> Result<Figures, Box<dyn Error>> {
    let mut clients = rooms.log_in(&[server.port])?;
    let cpu_before = server.cpu_time()?;
    let talk = rooms.talk(&mut clients, 1, duration)?;
    let cpu = server.cpu_time()? - cpu_before;
    Ok(Figures {
        cpu_us_per_ack: cpu.as_secs_f64() * 1e6 / talk.acks as f64,
        talk,
        rss_mib: server.rss_mib()?,
    })
}

impl Rooms {
    /// Has all users log in, as many at each of the servers.
    pub fn log_in(self, ports: &[u16]) -> Result<Clients, Box<dyn Error>> {
        let count = self.rooms * self.users;
        let mut clients = Clients::connect_to(ports, "/chat", count / ports.len())?;
        log_in(&mut clients, count, |client| client % self.rooms)?;
        Ok(clients)
    }

    /// Has one user of each room talk for this time. Senders of different rooms are at different ones of the `servers`.
    pub fn talk(
        self,
        clients: &mut Clients,
        servers: usize,
        duration: Duration,
    ) -> Result<Talk, Box<dyn Error>> {
        let Self { rooms, users, under_way } = self;
        let sender_of = |room: usize| room + room % servers * (users / servers) * rooms;
        let mut senders: Vec<Sender> = (0..rooms).map(|_| Sender::default()).collect();
        for (room, sender) in senders.iter_mut().enumerate() {
            sender.say(clients.output(sender_of(room)), under_way);
        }
        clients.flush(rooms * users)?;
        let started = Instant::now();
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
                    let sender = &mut senders[client % rooms];
                    sender.acked += 1;
                    let expected = format!(r#"{{"ack":{0},"data":{{"id":"{0}","offset":{0},"#, sender.acked);
                    if client != sender_of(client % rooms) || !frame.starts_with(expected.as_bytes()) {
                        return Err(
                            format!("expected {expected}, got {}", String::from_utf8_lossy(frame)).into()
                        );
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
                    senders[client % rooms].say(clients.output(client), 1);
                }
                clients.flush(rooms * users)?;
            }
        }
        Ok(Talk {
            seconds: started.elapsed().as_secs_f64(),
            acks: acked,
            p50_ms: latencies.percentile(0.5) / 1000.0,
            p99_ms: latencies.percentile(0.99) / 1000.0,
        })
    }
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
