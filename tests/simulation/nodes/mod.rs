//! Several nodes that share their rooms by way of Redis: each with its shards, fan-outs, link and clients, under one
//! seeded scheduler. See `docs/simulation.md`.

mod client;
mod clients;
mod faults;
mod inside;
mod network;
mod rest;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use echoroom::testing::{
    nodes::{
        Bounds, Heard, ModelRedis, Order, Partition,
        link::{Link, Setup},
    },
    simulation::{Budget, Common, Now, Sharing},
};

use self::{
    client::Client,
    network::{Event, Network, Server},
};
use crate::{
    names::Names,
    node::{Node, limits},
    rng::Rng,
    seat::Seen,
    trace::{SHOWN, Trace},
    world::EPOCH,
};

/// The lease of a node.
const LEASE: Duration = Duration::from_secs(4);

/// The sizes and faults of one simulation, chosen by its seed.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub nodes: usize,
    pub rooms: usize,
    pub workers: usize,
    pub shards: usize,
    pub clients: usize,
    /// Bytes that may wait for a client.
    pub bound: usize,
    /// How many of a thousand actions of a client have it stop or begin to read.
    pub slow: usize,
    /// The longest message.
    pub len: usize,
    /// Connections to Redis are cut and frozen, and nodes pause.
    pub has_outages: bool,
    /// Nodes die.
    pub has_crashes: bool,
    /// Redis comes back without what was written last, or without anything.
    pub has_losses: bool,
    /// A replica that lags takes over, for all nodes or for some.
    pub has_forks: bool,
    pub has_panics: bool,
}

impl Config {
    /// Sizes and faults; `nodes` is their number, or 0 for one that the seed chooses.
    fn of(nodes: usize, rng: &mut Rng) -> Self {
        Self {
            nodes: if nodes == 0 { 2 + rng.below(2) } else { nodes },
            rooms: 1 + rng.below(2),
            workers: 1 + rng.below(2),
            shards: 1 + rng.below(2),
            clients: 4 + rng.below(7),
            bound: [4000, 1 << 20][rng.below(2)],
            slow: [0, 30][rng.below(2)],
            len: [20, 300][rng.below(2)],
            has_outages: rng.chance(600),
            has_crashes: rng.chance(400),
            has_losses: rng.chance(400),
            has_forks: rng.chance(300),
            has_panics: rng.chance(300),
        }
    }

    /// Whether Redis never loses what it has accepted.
    fn is_safe(&self) -> bool {
        !self.has_losses && !self.has_forks
    }
}

/// One node.
pub struct Member {
    pub node: Node,
    pub link: Link,
    /// What its shards have ordered, and its link was not given.
    orders: VecDeque<Order>,
    is_alive: bool,
    /// It does nothing before this, in microseconds.
    paused_until: u64,
    /// What came while it was paused.
    held: VecDeque<(Option<u64>, echoroom::testing::nodes::link::Input)>,
    connection: Option<u64>,
    /// The Redis that it connects to.
    server: usize,
    wake_at: Option<Instant>,
}

/// What a simulation has come across.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub acks: u64,
    pub told: u64,
    pub delivered: u64,
    pub resumes: u64,
    pub lost_resumes: u64,
    pub declared: u64,
    pub epochs: u64,
    pub endings: u64,
    pub cuts: u64,
    pub crashes: u64,
    pub pauses: u64,
    pub losses: u64,
    pub forks: u64,
    pub panics: u64,
    pub rests: u64,
}

/// A message that a client has sent, by its number.
#[derive(Clone, Copy, Debug)]
struct Sent {
    session: u64,
    room: usize,
    is_private: bool,
    /// The key of the reader's nickname, of a private message.
    to: usize,
}

/// The nodes, their Redis, and their clients.
pub struct Nodes {
    pub rng: Rng,
    pub trace: Trace,
    pub config: Config,
    pub counts: Counts,
    /// In microseconds.
    clock: u64,
    base: Instant,
    names: Names,
    bounds: Bounds,
    network: Network,
    servers: Vec<Server>,
    /// The Redis that all nodes connect to in the end.
    primary: usize,
    /// Whether Redis was emptied.
    was_flushed: bool,
    /// An older state of the primary.
    replica: Option<ModelRedis>,
    members: Vec<Member>,
    clients: Vec<Client>,
    seen: Rc<RefCell<Seen>>,
    sent: Vec<Sent>,
    /// The names that each session has asked for.
    names_of: BTreeMap<u64, Vec<usize>>,
    /// The sessions that each private message was handed to.
    handed: BTreeMap<u32, Vec<u64>>,
    /// What was said at the offsets of an epoch, as it was told when it was said.
    said: BTreeMap<(usize, String, u64), u32>,
    last_session: u64,
    last_ticket: u64,
    last_token: u64,
    last_run: u64,
}

impl Nodes {
    pub fn new(seed: u64, nodes: usize) -> Self {
        let mut rng = Rng::new(seed ^ 0x6e6f_6465);
        let config = Config::of(nodes, &mut rng);
        let bounds = Bounds {
            lease: LEASE,
            history: 1 << 40,
            history_bytes: 1 << 40,
            name_hold: Duration::from_millis(crate::node::HOLD),
            name_reservation: Duration::from_secs(3600),
            ..Bounds::default()
        };
        let clients = (0..config.clients).map(|number| Client::new(number, &config, &mut rng)).collect();
        let mut nodes = Self {
            rng,
            trace: Trace::new(SHOWN),
            config,
            counts: Counts::default(),
            clock: 0,
            base: Instant::now(),
            names: Names::new(config.rooms),
            bounds,
            network: Network::default(),
            servers: vec![Server { redis: ModelRedis::new("0"), run: 0, is_up: true }],
            primary: 0,
            was_flushed: false,
            replica: None,
            members: Vec::new(),
            clients,
            seen: Rc::default(),
            sent: Vec::new(),
            names_of: BTreeMap::new(),
            handed: BTreeMap::new(),
            said: BTreeMap::new(),
            last_session: 0,
            last_ticket: 0,
            last_token: 0,
            last_run: 0,
        };
        for number in 0..config.nodes {
            let member = nodes.new_member(number);
            nodes.members.push(member);
            nodes.at(0, Event::Connect(number));
        }
        nodes
    }

    /// A process that has just started.
    fn new_member(&mut self, number: usize) -> Member {
        let (Config { shards, workers, .. }, now) = (self.config, self.time());
        let name = format!("n{number:03}").parse().expect("a legal name");
        let sharing = Sharing { node: name, seed: self.rng.next() };
        let budget = Budget::with(1 << 24, 1 << 20);
        let limits = limits(1 << 20, Duration::ZERO);
        let common = Common::shared(limits, budget, shards, sharing);
        let mut node = Node::of(Arc::clone(&common), shards, workers, now);
        for server in &mut node.servers {
            server.shard.start(&mut server.effects);
        }
        let mut random = Rng::new(self.rng.next());
        let setup = Setup {
            name,
            partitions: self.names.rooms.iter().map(Partition::of).collect(),
            lease: LEASE,
            tail_bytes: 16 << 20,
            random: Box::new(move || random.next()),
        };
        Member {
            node,
            link: Link::new(setup),
            orders: VecDeque::new(),
            is_alive: true,
            paused_until: 0,
            held: VecDeque::new(),
            connection: None,
            server: self.primary,
            wake_at: None,
        }
    }

    fn time(&self) -> Now {
        Now { at: self.base + Duration::from_micros(self.clock), millis: EPOCH + self.clock / 1000 }
    }

    /// The time of Redis in milliseconds.
    fn millis(&self) -> u64 {
        1_000_000 + self.clock / 1000
    }

    /// Whether a node does anything now.
    fn acts(&self, member: usize) -> bool {
        self.members[member].is_alive && self.members[member].paused_until <= self.clock
    }

    /// Runs until `steps` steps are done or a promise is broken, and then to a rest.
    pub fn run(&mut self, steps: u64) {
        while self.trace.step < steps && self.trace.broken.is_none() {
            self.step();
            if self.rng.below(2500) == 0 {
                self.rest();
            }
        }
        if self.trace.broken.is_none() {
            self.rest();
        }
    }

    /// One step: something happens, or there is nothing to do where the scheduler has looked.
    fn step(&mut self) {
        self.trace.step += 1;
        for _ in 0..16 {
            let is_done = match self.rng.below(100) {
                0..=17 => self.client_acts(),
                18..=62 => self.node_acts(),
                63..=87 => self.next_event(),
                88..=96 => self.any_client_reads(),
                97..=98 => self.time_passes(),
                _ => self.trouble(),
            };
            if is_done {
                break;
            }
        }
        self.settle();
    }

    fn time_passes(&mut self) -> bool {
        let millis = if self.rng.chance(100) { 2000 } else { 60 };
        let time = 1000 * self.rng.below(millis) as u64;
        self.advance(time);
        self.trace.note("time passes", [self.clock, 0, 0]);
        true
    }

    /// Collects what a step has left in cells.
    fn settle(&mut self) {
        for member in &mut self.members {
            member.node.pass_decisions();
        }
        let (handed, broken) = {
            let mut seen = self.seen.borrow_mut();
            (std::mem::take(&mut seen.handed), seen.broken.take())
        };
        for (session, number) in handed {
            self.handed.entry(number).or_default().push(session);
        }
        if let Some((promise, what)) = broken {
            self.trace.fail(promise, || what);
        }
    }

    /// The shard of a node that is told what its link tells.
    fn tell(&mut self, member: usize, heard: Heard) {
        let node = &mut self.members[member].node;
        match heard.room() {
            Some(room) => {
                let shard = node.common.shard_of(room).0;
                node.servers[shard].inbox.push_back(crate::node::ToShard::Heard(heard));
            }
            None => {
                for server in &mut node.servers {
                    server.inbox.push_back(crate::node::ToShard::Heard(heard.clone()));
                }
            }
        }
    }
}
