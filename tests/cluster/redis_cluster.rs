//! A Redis Cluster as processes: three masters, and replicas of them.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cluster::{EVERYSEC, name},
    node::Node,
    ports::free_port,
    program::PATIENCE,
    redis::{Redis, Reply},
};

/// Between two looks at the state of the cluster.
const PAUSE: Duration = Duration::from_millis(20);

/// The slots of the masters. Of the rooms `milk`, `coffee` and `tea` each has one.
const SLOTS: [(u16, u16); 3] = [(0, 5000), (5001, 12000), (12001, 16383)];

/// The rooms of [`Storm::in_rooms`](crate::storm::Storm::in_rooms), by their masters.
pub const ROOMS: [&str; 3] = ["milk", "coffee", "tea"];

/// The slots of those rooms.
pub const SLOTS_OF_ROOMS: [u16; 3] = [1405, 11401, 15528];

/// Servers of a Redis Cluster, with a short timeout, of which each goes on without the others.
pub struct RedisCluster {
    pub masters: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters with all slots.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// As [`RedisCluster::start`] does, with these lines of configuration for each master.
    pub fn with(lines: &[&str]) -> Self {
        let cluster = Self { masters: SLOTS.iter().map(|_| server(lines)).collect() };
        let first = &cluster.masters[0];
        for (number, (master, (from, to))) in cluster.masters.iter().zip(SLOTS).enumerate() {
            master.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            master.ask(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]);
            meet(master, first);
        }
        cluster.wait_until_all_know(3);
        cluster
    }

    /// Adds a replica of a master, and waits until it has its data.
    pub fn add_replica(&self, master: usize) -> Redis {
        let replica = server(&[]);
        meet(&replica, &self.masters[0]);
        wait("the replica knows the masters", || info(&replica).contains("cluster_known_nodes:4"));
        self.wait_until_all_know(4);
        replica.ask(&["CLUSTER", "REPLICATE", &id(&self.masters[master])]);
        replica.wait_for_info("replication", "master_link_status:up");
        let port = replica.address().port().to_string();
        wait("all know the replica", || self.masters.iter().all(|one| slots(one).contains(&port)));
        replica
    }

    fn wait_until_all_know(&self, count: usize) {
        let known = format!("cluster_known_nodes:{count}");
        wait("all know each other", || {
            let mut infos = self.masters.iter().map(info);
            infos.all(|info| {
                ["cluster_state:ok", "cluster_slots_ok:16384", &known].iter().all(|line| info.contains(line))
            })
        });
        let ports: Vec<_> = self.masters.iter().map(|master| master.address().port().to_string()).collect();
        wait("all know all slots", || {
            let mut all = self.masters.iter().map(slots);
            all.all(|slots| ports.iter().all(|port| slots.contains(port)))
        });
    }

    /// Starts nodes that are told only the address of the first master.
    pub fn nodes(&self, count: usize, flags: &[&str]) -> Vec<Node> {
        nodes(self.masters[0].address(), count, flags)
    }

    /// Begins to move a slot: its keys may be on either server from then on.
    pub fn begin_to_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, from, to) = (slot.to_string(), &self.masters[from], &self.masters[to]);
        to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// Moves keys of a slot, at most `most`. Returns how many there were.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, most: usize) -> usize {
        let (from, to) = (&self.masters[from], self.masters[to].address());
        let reply = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &most.to_string()]);
        let Reply::List(keys) = reply else { panic!("{reply:?}") };
        for key in &keys {
            let Reply::Text(key) = key else { panic!("{key:?}") };
            from.ask(&["MIGRATE", &to.ip().to_string(), &to.port().to_string(), key, "0", "5000"]);
        }
        keys.len()
    }

    /// Ends the move of a slot whose keys are moved.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        let owner = id(&self.masters[to]);
        for master in [to, from] {
            self.masters[master].ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &owner]);
        }
    }
}

/// Starts nodes that are told only the address of this server.
pub fn nodes(server: SocketAddr, count: usize, flags: &[&str]) -> Vec<Node> {
    let nodes: Vec<_> = (0..count).map(|number| Node::on_redis(&name(number), server, flags)).collect();
    nodes.iter().for_each(|node| wait_for_partitions(node, 64));
    nodes
}

/// The addresses of nodes.
pub fn addresses(nodes: &[Node]) -> Vec<SocketAddr> {
    nodes.iter().map(Node::address).collect()
}

/// Waits until a node reaches so many of the 64 parts of the rooms.
pub fn wait_for_partitions(node: &Node, count: u8) {
    let reaches = || node.metric("echoroom_redis_partitions") == f64::from(count);
    let deadline = Instant::now() + PATIENCE;
    while node.get("/health").is_none() || !reaches() {
        assert!(Instant::now() < deadline, "not {count}: {:?} {:#?}", node.get("/health"), node.log());
        thread::sleep(PAUSE);
    }
}

fn server(lines: &[&str]) -> Redis {
    let port = format!("cluster-port {}", free_port());
    let own = ["cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no", &port];
    Redis::start(&[&EVERYSEC[..], &own, lines].concat())
}

/// Has two servers know each other.
fn meet(server: &Redis, other: &Redis) {
    let address = other.address();
    let reply = other.ask(&["CONFIG", "GET", "cluster-port"]);
    let Reply::List(setting) = &reply else { panic!("{reply:?}") };
    let [_, Reply::Text(bus)] = &setting[..] else { panic!("{reply:?}") };
    if server.address() != address {
        server.ask(&["CLUSTER", "MEET", &address.ip().to_string(), &address.port().to_string(), bus]);
    }
}

fn id(server: &Redis) -> String {
    match server.ask(&["CLUSTER", "MYID"]) {
        Reply::Text(id) => id,
        reply => panic!("{reply:?}"),
    }
}

fn info(server: &Redis) -> String {
    match server.ask(&["CLUSTER", "INFO"]) {
        Reply::Text(info) => info,
        reply => panic!("{reply:?}"),
    }
}

fn slots(server: &Redis) -> String {
    format!("{:?}", server.ask(&["CLUSTER", "SLOTS"]))
}

/// Waits until something is so.
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so: {what}");
        thread::sleep(PAUSE);
    }
}
