//! What goes wrong with nodes, connections and Redis.

use std::time::Duration;

use super::{
    LEASE, Nodes,
    network::{Event, Server},
};

impl Nodes {
    /// Something goes wrong.
    pub fn trouble(&mut self) -> bool {
        let config = self.config;
        match self.rng.below(20) {
            0..=4 if config.has_outages => self.outage(),
            5 if config.has_crashes && self.rng.chance(300) => self.crash(),
            6..=8 if config.has_losses || config.has_forks => {
                self.replica = Some(self.servers[self.primary].redis.clone());
                self.trace.note("a replica is made", [0; 3]);
            }
            9 if config.has_losses && self.rng.chance(300) => self.loses(),
            10 if config.has_forks && self.rng.chance(300) => self.fork(),
            11 if self.is_split() => self.join(),
            12..=13 if config.has_panics && self.rng.chance(200) => {
                let (member, shard) = (self.rng.below(config.nodes), self.rng.below(config.shards));
                self.members[member].node.servers[shard].is_poisoned = true;
            }
            _ => return false,
        }
        true
    }

    /// The connection of a node breaks or hangs, or the node hangs.
    fn outage(&mut self) {
        let member = self.rng.below(self.config.nodes);
        match self.rng.below(10) {
            0..=4 => {
                self.trace.note("a connection is cut", [member as u64, 0, 0]);
                self.counts.cuts += 1;
                self.cut(member);
            }
            5..=7 => {
                let time = Duration::from_millis(self.rng.below(3000) as u64);
                self.trace.note("a connection freezes", [member as u64, 0, 0]);
                self.freeze(member, time);
            }
            _ => {
                let time = if self.rng.chance(500) { LEASE * 2 } else { Duration::from_millis(300) };
                let time = u64::try_from(time.as_micros()).unwrap_or_default();
                self.trace.note("a node pauses", [member as u64, time, 0]);
                self.counts.pauses += 1;
                self.members[member].paused_until = self.clock + time;
            }
        }
    }

    /// A node dies. Its clients lose their connections.
    fn crash(&mut self) {
        let member = self.rng.below(self.config.nodes);
        if !self.members[member].is_alive || self.members.iter().filter(|node| node.is_alive).count() < 2 {
            return;
        }
        self.trace.note("a node dies", [member as u64, 0, 0]);
        self.counts.crashes += 1;
        self.lose_connection(member);
        let node = &mut self.members[member];
        node.is_alive = false;
        node.orders.clear();
        node.held.clear();
        for client in self.clients.iter_mut().filter(|client| client.node == member) {
            client.lost();
        }
        let after = self.rng.below(6_000_000) as u64;
        self.at(self.clock + after, Event::Start(member));
    }

    /// A node that has died starts again.
    pub fn start_again(&mut self, member: usize) {
        self.trace.note("a node starts", [member as u64, 0, 0]);
        self.members[member] = self.new_member(member);
        self.at(self.clock, Event::Connect(member));
    }

    fn next_run(&mut self) -> u64 {
        self.last_run += 1;
        self.last_run
    }

    /// Redis loses what was written last, or everything.
    fn loses(&mut self) {
        if self.is_split() {
            return;
        }
        self.counts.losses += 1;
        let primary = self.primary;
        if self.rng.chance(300) {
            self.trace.note("Redis is flushed", [0; 3]);
            self.was_flushed = true;
            return self.servers[primary].redis.flush();
        }
        self.trace.note("Redis starts again", [0; 3]);
        let run = self.next_run();
        let data = self.replica.take().unwrap_or_else(|| self.servers[primary].redis.clone());
        self.servers[primary].redis = data;
        self.servers[primary].run = run;
        self.cut_all(primary);
    }

    /// Whether nodes are on several servers.
    fn is_split(&self) -> bool {
        self.members.iter().any(|member| member.server != self.primary)
    }

    /// A replica takes over, for all nodes, or only for some.
    fn fork(&mut self) {
        if self.is_split() {
            return;
        }
        let Some(replica) = self.replica.take() else {
            return;
        };
        self.counts.forks += 1;
        let (old, run) = (self.primary, self.next_run());
        self.servers.push(Server { redis: replica, run, is_up: true });
        self.primary = self.servers.len() - 1;
        let is_whole = self.rng.chance(500);
        self.trace.note("a replica takes over", [is_whole.into(), 0, 0]);
        for member in 0..self.members.len() {
            if is_whole || self.rng.chance(500) {
                self.members[member].server = self.primary;
                self.cut(member);
            }
        }
        self.servers[old].is_up = !is_whole;
    }

    /// All nodes are sent to the new Redis.
    fn join(&mut self) {
        self.trace.note("the old Redis is gone", [0; 3]);
        for member in 0..self.members.len() {
            let server = self.members[member].server;
            if server != self.primary {
                self.servers[server].is_up = false;
                self.members[member].server = self.primary;
                self.cut(member);
            }
        }
    }

    /// All faults end.
    pub fn mend(&mut self) {
        self.join();
        self.unfreeze();
        self.members.iter_mut().for_each(|member| member.paused_until = member.paused_until.min(self.clock));
    }
}
