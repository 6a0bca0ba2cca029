//! Nodes on one Redis, each behind a proxy of its own.

use std::net::SocketAddr;

use crate::{cut::Cut, node::Node, redis::Redis};

/// A Redis that answers only what is on the disk.
pub const ALWAYS: [&str; 2] = ["appendonly yes", "appendfsync always"];

/// A Redis that flushes its file once a second.
pub const EVERYSEC: [&str; 2] = ["appendonly yes", "appendfsync everysec"];

/// Nodes on one Redis.
pub struct Cluster {
    pub nodes: Vec<Node>,
    /// Between each node and Redis.
    pub cuts: Vec<Cut>,
    pub redis: Redis,
}

impl Cluster {
    /// Starts a Redis with these lines of configuration, and `count` nodes.
    pub fn start(count: usize, lines: &[&str]) -> Self {
        Self::with(count, lines, &[])
    }

    /// As [`Cluster::start`] does, with these flags for each node.
    pub fn with(count: usize, lines: &[&str], flags: &[&str]) -> Self {
        Self::on(Redis::start(lines), count, flags)
    }

    /// Starts `count` nodes with these flags on a Redis.
    pub fn on(redis: Redis, count: usize, flags: &[&str]) -> Self {
        let cuts: Vec<_> = (0..count).map(|_| Cut::to(redis.address())).collect();
        let node = |(number, cut): (usize, &Cut)| Node::on_redis(&name(number), cut.address(), flags);
        let nodes = cuts.iter().enumerate().map(node).collect();
        let cluster = Self { nodes, cuts, redis };
        cluster.wait_until_well();
        cluster
    }

    /// Where clients find the nodes.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// Where clients find three nodes.
    pub fn three(&self) -> [SocketAddr; 3] {
        self.addresses().try_into().expect("three nodes")
    }

    /// Waits until each node keeps what is said.
    pub fn wait_until_well(&self) {
        self.nodes.iter().for_each(Node::wait_until_well);
    }

    /// Kills Redis and starts it again.
    pub fn restart_redis(&mut self) {
        self.redis.kill();
        self.redis.start_again();
    }
}

/// The name of the node with this number.
pub fn name(number: usize) -> String {
    format!("n{number:03}")
}
