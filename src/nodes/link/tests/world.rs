//! Nodes and servers of Redis with connections between them, of which each is as slow as it likes, and may be frozen or
//! cut. Everything follows from a seed.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::chat::FakeChat;
use crate::{
    domain::RoomName,
    nodes::{
        Bounds, NodeUid, Partition,
        commands::{Command, Published},
        contract::{Away, Order, Partitions},
        link::{CallId, Input, Link, Output, Setup},
        model::{Channel, ModelRedis},
    },
};

/// A small generator of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What is on its way.
#[derive(Debug)]
enum Event {
    /// To a server, on the connection with this number.
    Call(u64, CallId, Command),
    Subscribe(u64, RoomName),
    Unsubscribe(u64, RoomName),
    SubscribeNode(u64, Partition, NodeUid),
    /// To a node.
    ToNode(u64, Input),
    Wake(usize),
    Connect(usize),
}

/// A connection of a node to a server.
#[derive(Debug)]
struct Connection {
    node: usize,
    server: usize,
    /// Whether the node has given it up. What it has sent may still arrive.
    is_lost: bool,
    /// Nothing goes through before this.
    frozen_until: Instant,
    rooms: HashSet<RoomName>,
    nodes: HashSet<(Partition, NodeUid)>,
    /// The times of the last arrivals: what follows does not overtake.
    last: [Instant; 3],
}

/// A server of Redis.
#[derive(Debug)]
pub(super) struct Server {
    pub redis: ModelRedis,
    pub run: u64,
    /// Whether it takes connections.
    pub is_up: bool,
}

/// A node with its chat.
pub(super) struct Node {
    pub link: Link,
    pub chat: FakeChat,
    pub is_alive: bool,
    paused_until: Instant,
    /// What came while it was paused.
    held: VecDeque<(Option<u64>, Input)>,
    connection: Option<u64>,
    /// The server that it connects to.
    pub server: usize,
    wake_at: Option<Instant>,
}

/// All of it.
pub(super) struct World {
    pub rng: Rng,
    pub start: Instant,
    pub now: Instant,
    pub bounds: Bounds,
    pub servers: Vec<Server>,
    pub nodes: Vec<Node>,
    connections: BTreeMap<u64, Connection>,
    events: BTreeMap<(Instant, u64), Event>,
    last: u64,
}

/// The lease of the nodes.
pub(super) const LEASE: Duration = Duration::from_secs(15);

impl World {
    /// A world with one server and so many nodes.
    pub(super) fn new(seed: u64, nodes: usize, bounds: Bounds) -> Self {
        let start = Instant::now();
        let mut world = Self {
            rng: Rng::new(seed),
            start,
            now: start,
            bounds,
            servers: vec![Server { redis: ModelRedis::new("run 1"), run: 1, is_up: true }],
            nodes: Vec::new(),
            connections: BTreeMap::new(),
            events: BTreeMap::new(),
            last: 0,
        };
        (0..nodes).for_each(|_| world.add_node());
        world
    }

    /// Adds a node, which connects.
    pub(super) fn add_node(&mut self) {
        let index = self.nodes.len();
        let mut random = Rng::new(self.rng.next());
        let setup = Setup {
            name: format!("n{index:03}").parse().expect("a name"),
            partitions: Partitions::ALL,
            lease: LEASE,
            tail_bytes: 16 << 20,
            random: Box::new(move || random.next()),
        };
        self.nodes.push(Node {
            link: Link::new(setup),
            chat: FakeChat::default(),
            is_alive: true,
            paused_until: self.now,
            held: VecDeque::new(),
            connection: None,
            server: 0,
            wake_at: None,
        });
        self.at(self.now, Event::Connect(index));
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.last += 1;
        self.events.insert((at.max(self.now), self.last), event);
    }

    /// A time in which something crosses a connection: mostly short.
    fn latency(&mut self) -> Duration {
        let most = if self.rng.one_in(20) { 20_000 } else { 300 };
        Duration::from_micros(20 + self.rng.below(most))
    }

    /// Sends behind what was sent before in this direction: 0 to the server, 1 answers, 2 what is published.
    fn send(&mut self, connection: u64, direction: usize, event: Event) {
        let latency = self.latency();
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        let at = (self.now + latency).max(known.last[direction]).max(known.frozen_until);
        known.last[direction] = at;
        self.at(at, event);
    }

    /// Has a node deal with an input, now or when it is not paused any more.
    pub(super) fn give(&mut self, node: usize, connection: Option<u64>, input: Input) {
        if self.nodes[node].paused_until > self.now {
            self.nodes[node].held.push_back((connection, input));
            return;
        }
        if !self.nodes[node].is_alive || (connection.is_some() && connection != self.nodes[node].connection) {
            return;
        }
        let mut out = Vec::new();
        self.nodes[node].link.handle(self.now, input, &mut out);
        for output in out {
            let connection = self.nodes[node].connection.unwrap_or_default();
            match output {
                Output::Call(call, command) => {
                    self.send(connection, 0, Event::Call(connection, call, command))
                }
                Output::Subscribe(room) => self.send(connection, 0, Event::Subscribe(connection, room)),
                Output::Unsubscribe(room) => self.send(connection, 0, Event::Unsubscribe(connection, room)),
                Output::SubscribeNode(partition, uid) => {
                    self.send(connection, 0, Event::SubscribeNode(connection, partition, uid));
                }
                Output::Tell(heard) => self.nodes[node].chat.hear(heard),
                Output::Left => self.nodes[node].is_alive = false,
            }
        }
        let wake = self.nodes[node].link.next_wake();
        if wake != self.nodes[node].wake_at
            && let Some(at) = wake
        {
            self.at(at, Event::Wake(node));
        }
        self.nodes[node].wake_at = wake;
    }

    /// Has a node ask for something.
    pub(super) fn order(&mut self, node: usize, order: Order) {
        self.give(node, None, Input::Order(order));
    }

    /// Runs until that time.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.events.first_entry().filter(|next| next.key().0 <= end) {
            let ((at, _), event) = next.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(connection, call, command) => self.call(connection, call, &command),
            Event::Subscribe(connection, room) => {
                if let Some(known) = self.connections.get_mut(&connection) {
                    known.rooms.insert(room.clone());
                    self.send(connection, 2, Event::ToNode(connection, Input::Subscribed(room)));
                }
            }
            Event::Unsubscribe(connection, room) => {
                if let Some(known) = self.connections.get_mut(&connection) {
                    known.rooms.remove(&room);
                }
            }
            Event::SubscribeNode(connection, partition, uid) => {
                if let Some(known) = self.connections.get_mut(&connection) {
                    known.nodes.insert((partition, uid));
                }
            }
            Event::ToNode(connection, input) => {
                if let Some(Connection { node, is_lost: false, .. }) = self.connections.get(&connection) {
                    self.give(*node, Some(connection), input);
                }
            }
            Event::Wake(node) => self.give(node, None, Input::Wake),
            Event::Connect(node) => self.connect(node),
        }
    }

    /// The time of a server in milliseconds.
    pub(super) fn millis(&self) -> u64 {
        1_000_000 + u64::try_from((self.now - self.start).as_millis()).unwrap_or_default()
    }

    fn call(&mut self, connection: u64, call: CallId, command: &Command) {
        let now = self.millis();
        let Some(server) = self.connections.get(&connection).map(|known| known.server) else {
            return;
        };
        if !self.servers[server].is_up {
            return;
        }
        let (answer, published) = self.servers[server].redis.call(now, command, &self.bounds);
        for (target, published) in published {
            self.publish(server, &target, &published);
        }
        self.send(connection, 1, Event::ToNode(connection, Input::Answered(call, Ok(answer))));
    }

    fn publish(&mut self, server: usize, target: &Channel, published: &Published) {
        let listens = |known: &Connection| match target {
            Channel::Room(room) => known.rooms.contains(room),
            Channel::Node(uid, room) => known.nodes.contains(&(Partition::of(room), *uid)),
        };
        let (Channel::Room(room) | Channel::Node(_, room)) = target;
        let heard: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, known)| known.server == server && !known.is_lost && listens(known))
            .map(|(id, _)| *id)
            .collect();
        for connection in heard {
            let input = Input::Published(room.clone(), published.clone());
            self.send(connection, 2, Event::ToNode(connection, input));
        }
    }

    fn connect(&mut self, node: usize) {
        if !self.nodes[node].is_alive || self.nodes[node].connection.is_some() {
            return;
        }
        let server = self.nodes[node].server;
        if !self.servers[server].is_up {
            return self.at(self.now + Duration::from_millis(100), Event::Connect(node));
        }
        self.last += 1;
        let id = self.last;
        let connection = Connection {
            node,
            server,
            is_lost: false,
            frozen_until: self.now,
            rooms: HashSet::new(),
            nodes: HashSet::new(),
            last: [self.now; 3],
        };
        self.connections.insert(id, connection);
        self.nodes[node].connection = Some(id);
        let server = format!("run {}", self.servers[server].run);
        self.give(node, Some(id), Input::Up { server });
    }

    // ----- what goes wrong -----

    /// Cuts the connection of a node. What it has sent may arrive, or not; answers are lost.
    pub(super) fn cut(&mut self, node: usize) {
        let Some(id) = self.nodes[node].connection.take() else {
            return;
        };
        if let Some(known) = self.connections.get_mut(&id) {
            known.is_lost = true;
        }
        if self.rng.one_in(2) {
            self.connections.remove(&id);
        }
        self.give(node, None, Input::Down(Away("cut".to_owned())));
        let after = Duration::from_millis(self.rng.below(200));
        self.at(self.now + after, Event::Connect(node));
    }

    /// A server carries a command out that was stuck in a connection which is given up.
    pub(super) fn carry_out_late(&mut self, server: usize, command: &Command) {
        let now = self.millis();
        let (_, published) = self.servers[server].redis.call(now, command, &self.bounds);
        for (target, published) in published {
            self.publish(server, &target, &published);
        }
    }

    /// Nothing goes through the connection of a node for a time.
    pub(super) fn freeze(&mut self, node: usize, time: Duration) {
        let until = self.now + time;
        if let Some(known) = self.nodes[node].connection.and_then(|id| self.connections.get_mut(&id)) {
            known.frozen_until = until;
        }
    }

    /// A node does nothing for a time.
    pub(super) fn pause(&mut self, node: usize, time: Duration) {
        self.nodes[node].paused_until = self.now + time;
    }

    /// Whether a node can say something now.
    pub(super) fn can_say(&self, node: usize) -> bool {
        self.nodes[node].is_alive && self.nodes[node].paused_until <= self.now
    }

    /// Goes on with nodes whose pause is over.
    pub(super) fn resume(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].paused_until <= self.now {
                for (connection, input) in std::mem::take(&mut self.nodes[node].held) {
                    self.give(node, connection, input);
                }
            }
        }
    }

    /// A node dies.
    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].is_alive = false;
        if let Some(id) = self.nodes[node].connection.take()
            && let Some(known) = self.connections.get_mut(&id)
        {
            known.is_lost = true;
        }
    }

    /// A server dies and is there again after a time, with this data.
    pub(super) fn restart(&mut self, server: usize, data: ModelRedis) {
        self.servers[server].redis = data;
        self.servers[server].run = self.rng.next();
        self.cut_all(server);
    }

    /// Cuts all connections to a server.
    pub(super) fn cut_all(&mut self, server: usize) {
        let cut: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].server == server).collect();
        self.connections.retain(|_, known| known.server != server);
        cut.into_iter().for_each(|node| self.cut(node));
    }
}
