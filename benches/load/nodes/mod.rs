//! Several nodes on one Redis, beside one server with a journal of its own.
//!
//! All servers, Redis included, are on one core. What a second machine would take off them is not shown.

pub mod acks;
pub mod room;

use std::{error::Error, fmt};

use crate::server::Server;

/// What runs during a turn.
#[derive(Clone, Copy)]
pub enum Servers {
    /// One server, with its journal in SQLite.
    Alone,
    /// Two nodes on a Redis that flushes its file once a second.
    NodesEverySecond,
    /// Two nodes on a Redis that flushes its file before it answers.
    NodesAlways,
}

impl Servers {
    const ALL: [Self; 3] = [Self::Alone, Self::NodesEverySecond, Self::NodesAlways];
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "one server without Redis",
            Self::NodesEverySecond => "two nodes, appendfsync everysec",
            Self::NodesAlways => "two nodes, appendfsync always",
        })
    }
}

/// The running servers of a turn.
struct Running {
    nodes: Vec<Server>,
    /// Dropped behind its nodes.
    redis: Option<Server>,
}

impl Running {
    fn start(servers: Servers) -> Result<Self, Box<dyn Error>> {
        let appendfsync = match servers {
            Servers::Alone => {
                return Ok(Self { nodes: vec![Server::echoroom("sqlite", &[])?], redis: None });
            }
            Servers::NodesEverySecond => "everysec",
            Servers::NodesAlways => "always",
        };
        let redis = Server::redis(appendfsync)?;
        let nodes = vec![Server::node_on(&redis, "one1")?, Server::node_on(&redis, "two2")?];
        Ok(Self { nodes, redis: Some(redis) })
    }

    fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// CPU time of all nodes, and of Redis, in seconds.
    fn cpu_seconds(&self) -> Result<(f64, f64), Box<dyn Error>> {
        let mut nodes = 0.0;
        for node in &self.nodes {
            nodes += node.cpu_time()?.as_secs_f64();
        }
        let redis = self.redis.as_ref().map(Server::cpu_time).transpose()?;
        Ok((nodes, redis.map_or(0.0, |time| time.as_secs_f64())))
    }
}
