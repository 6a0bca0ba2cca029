//! Namespaces of Socket.IO over Redis: servers of this crate, and Node servers with the official adapters, in turn.
//!
//! All servers, Redis included, are on one core. What a second machine would take off them is not shown.

pub mod one;
pub mod room;
mod talk;

use std::{
    error::Error,
    fmt,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use super::Clients;
use crate::{PATIENCE, engineio::Transport, server::Server};

/// The folder of the Node servers in `benches/peers/`.
const PEER: &str = "socketio-redis";

/// Time for subscriptions to reach Redis.
const SETTLED: Duration = Duration::from_millis(500);

/// What a server is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `examples/socketio_cluster.rs`.
    Echoroom,
    /// The reference server.
    Node,
}

impl Kind {
    /// All kinds that can run here. Writes which one cannot.
    fn all() -> Vec<Self> {
        match Server::node(PEER, &["none", "classic"]) {
            Ok(_) => vec![Self::Echoroom, Self::Node],
            Err(error) => {
                eprintln!("left out: Node servers, which need node and npm: {error}");
                vec![Self::Echoroom]
            }
        }
    }

    fn start(self, redis: &str, format: Format) -> Result<Server, Box<dyn Error>> {
        let format = format.to_string();
        match self {
            Self::Echoroom => Server::cluster(redis, &format),
            Self::Node => Server::node(PEER, &[redis, &format]),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echoroom => "echoroom",
            Self::Node => "Node socket.io",
        })
    }
}

/// A format of the official adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Classic,
    Sharded,
    /// With connection state recovery.
    Streams,
}

impl Format {
    const ALL: [Self; 3] = [Self::Classic, Self::Sharded, Self::Streams];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Sharded => "sharded",
            Self::Streams => "streams",
        })
    }
}

/// The running servers of a turn.
struct Running {
    servers: Vec<Server>,
    /// Dropped behind its servers.
    redis: Option<Server>,
}

impl Running {
    /// Starts a Redis and servers on it.
    fn over_redis(kind: Kind, format: Format, servers: usize) -> Result<Self, Box<dyn Error>> {
        let redis = Server::redis_in_memory()?;
        let url = format!("redis://127.0.0.1:{}", redis.port);
        let servers = (0..servers).map(|_| kind.start(&url, format)).collect::<Result<_, _>>()?;
        Ok(Self { servers, redis: Some(redis) })
    }

    /// Starts one server without an adapter. `Streams` turns recovery on.
    fn alone(kind: Kind, format: Format) -> Result<Self, Box<dyn Error>> {
        Ok(Self { servers: vec![kind.start("none", format)?], redis: None })
    }

    /// Opens `count` clients at each server; the first `members` of them all enter a room, named `room`.
    fn clients(&self, count: usize, members: usize) -> Result<Clients, Box<dyn Error>> {
        let mut clients = Clients::join_each(&self.servers, Transport::WebSocket, "/", count)?;
        for member in 0..members {
            clients.queue(member, br#"420["join","room"]"#);
        }
        clients.flush(members)?;
        clients.await_messages(b"30[", members)?;
        clients.linger(SETTLED)?;
        Ok(clients)
    }

    /// CPU time of each server so far, in microseconds.
    fn cpu_us(&self) -> Result<Vec<f64>, Box<dyn Error>> {
        self.servers.iter().map(|server| Ok(server.cpu_time()?.as_secs_f64() * 1e6)).collect()
    }

    /// CPU time of Redis so far, in microseconds, and the bytes that it has sent.
    fn redis(&self) -> Result<(f64, f64), Box<dyn Error>> {
        let Some(redis) = &self.redis else { return Ok((f64::NAN, f64::NAN)) };
        Ok((redis.cpu_time()?.as_secs_f64() * 1e6, bytes_sent(redis.port)?))
    }
}

/// The bytes that the Redis at `port` has sent so far.
fn bytes_sent(port: u16) -> Result<f64, Box<dyn Error>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"INFO stats\r\nQUIT\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let number = text.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    Ok(number.ok_or("a number of bytes")?.trim().parse()?)
}
