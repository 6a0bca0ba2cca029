//! Servers of Redis, and the connections of nodes to them: each is as slow as it likes, and may be frozen or cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use echoroom::testing::{
    RoomName,
    nodes::{
        Away, Channel, Command, ModelRedis, NodeUid, Order, Partition, Published,
        link::{CallId, Input, Output},
    },
    simulation::NicknameKey,
};

use super::Nodes;

/// What is on its way.
pub enum Event {
    /// To a server, on the connection with this number.
    Call(u64, CallId, Box<Command>),
    Subscribe(u64, RoomName),
    Unsubscribe(u64, RoomName),
    SubscribeNode(u64, Partition, NodeUid),
    /// To a node.
    ToNode(u64, Box<Input>),
    Wake(usize),
    Connect(usize),
    /// A node that has died starts again.
    Start(usize),
}

/// A connection of a node to a server.
struct Connection {
    member: usize,
    server: usize,
    /// Whether the node has given it up. What it has sent may still arrive.
    is_lost: bool,
    /// Nothing goes through before this.
    frozen_until: u64,
    rooms: BTreeSet<RoomName>,
    nodes: BTreeSet<(u8, NodeUid)>,
    /// The times of the last arrivals: what follows does not overtake.
    last: [u64; 3],
}

/// A server of Redis.
pub struct Server {
    pub redis: ModelRedis,
    pub run: u64,
    /// Whether it takes connections.
    pub is_up: bool,
}

/// All connections, and what is on its way.
#[derive(Default)]
pub struct Network {
    connections: BTreeMap<u64, Connection>,
    events: BTreeMap<(u64, u64), Event>,
    last: u64,
}

/// The directions of a connection.
const TO_SERVER: usize = 0;
const ANSWERS: usize = 1;
const PUBLISHED: usize = 2;

impl Nodes {
    pub fn at(&mut self, at: u64, event: Event) {
        self.network.last += 1;
        self.network.events.insert((at.max(self.clock), self.network.last), event);
    }

    /// Sends behind what was sent before in this direction.
    fn send(&mut self, connection: u64, direction: usize, event: Event) {
        let most = if self.rng.below(20) == 0 { 20_000 } else { 300 };
        let at = self.clock + 20 + self.rng.below(most) as u64;
        let Some(known) = self.network.connections.get_mut(&connection) else {
            return;
        };
        let at = at.max(known.last[direction]).max(known.frozen_until);
        known.last[direction] = at;
        self.at(at, event);
    }

    /// The next thing that is on its way arrives.
    pub fn next_event(&mut self) -> bool {
        let Some(((at, _), event)) = self.network.events.pop_first() else {
            return false;
        };
        self.clock = self.clock.max(at);
        self.happen(event);
        self.wake_up();
        true
    }

    /// Time passes, in microseconds.
    pub fn advance(&mut self, time: u64) {
        let end = self.clock + time;
        while self.network.events.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.next_event();
        }
        self.clock = end;
        self.wake_up();
    }

    /// Nodes whose pause is over go on, and shards are woken.
    fn wake_up(&mut self) {
        for member in 0..self.members.len() {
            if !self.acts(member) {
                continue;
            }
            self.give_held(member);
            self.wake_shards(member);
        }
    }

    /// Has the link of a node deal with an input, now or when the node is not paused any more.
    fn give(&mut self, member: usize, connection: Option<u64>, input: Input) {
        if self.members[member].paused_until > self.clock {
            return self.members[member].held.push_back((connection, input));
        }
        self.give_held(member);
        self.deal(member, connection, input);
    }

    /// A node that is not paused any more deals with what came while it was.
    fn give_held(&mut self, member: usize) {
        while let Some((connection, input)) = self.members[member].held.pop_front() {
            self.deal(member, connection, input);
        }
    }

    fn deal(&mut self, member: usize, connection: Option<u64>, input: Input) {
        let now = self.time().at;
        let node = &mut self.members[member];
        if !node.is_alive || (connection.is_some() && connection != node.connection) {
            return;
        }
        let mut out = Vec::new();
        node.link.handle(now, input, &mut out);
        let connection = node.connection.unwrap_or_default();
        for output in out {
            match output {
                Output::Call(call, command) => {
                    self.send(connection, TO_SERVER, Event::Call(connection, call, Box::new(command)));
                }
                Output::Subscribe(room) => {
                    self.send(connection, TO_SERVER, Event::Subscribe(connection, room));
                }
                Output::Unsubscribe(room) => {
                    self.send(connection, TO_SERVER, Event::Unsubscribe(connection, room));
                }
                Output::SubscribeNode(partition, uid) => {
                    self.send(connection, TO_SERVER, Event::SubscribeNode(connection, partition, uid));
                }
                Output::Tell(heard) => self.tell(member, heard),
                Output::Left => {}
            }
        }
        let node = &mut self.members[member];
        let wake = node.link.next_wake();
        if wake != node.wake_at {
            node.wake_at = wake;
            if let Some(at) = wake {
                let at = u64::try_from((at - self.base).as_micros()).unwrap_or_default();
                self.at(at + 1, Event::Wake(member));
            }
        }
    }

    /// The link of a node takes the next order of its shards.
    pub fn link_takes_order(&mut self, member: usize) -> bool {
        let Some(order) = self.members[member].orders.pop_front() else {
            return false;
        };
        let what = match &order {
            Order::Open(_) => "a room is opened",
            Order::Close(_) => "a room is closed",
            Order::Say(..) => "messages are handed in",
            Order::Enter(..) => "a name is claimed",
            Order::Leave(..) => "a name is given up",
            _ => "a link takes an order",
        };
        self.trace.note(what, [member as u64, 0, 0]);
        self.give(member, None, Input::Order(order));
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(connection, call, command) => self.call(connection, call, &command),
            Event::Subscribe(connection, room) => {
                if let Some(known) = self.network.connections.get_mut(&connection) {
                    known.rooms.insert(room.clone());
                    let subscribed = Event::ToNode(connection, Box::new(Input::Subscribed(room)));
                    self.send(connection, PUBLISHED, subscribed);
                }
            }
            Event::Unsubscribe(connection, room) => {
                if let Some(known) = self.network.connections.get_mut(&connection) {
                    known.rooms.remove(&room);
                }
            }
            Event::SubscribeNode(connection, partition, uid) => {
                if let Some(known) = self.network.connections.get_mut(&connection) {
                    known.nodes.insert((partition.number(), uid));
                }
            }
            Event::ToNode(connection, input) => {
                if let Some(known) = self.network.connections.get(&connection)
                    && !known.is_lost
                {
                    let member = known.member;
                    self.note_input(member, &input);
                    self.give(member, Some(connection), *input);
                }
            }
            Event::Wake(member) => self.give(member, None, Input::Wake),
            Event::Connect(member) => self.connect(member),
            Event::Start(member) => self.start_again(member),
        }
    }

    fn note_input(&mut self, member: usize, input: &Input) {
        let (what, numbers) = match input {
            Input::Published(_, Published::Said(record)) => {
                ("a node hears a record", [record.first, record.last()])
            }
            Input::Published(_, Published::Person { version, .. }) => {
                ("a node hears of a user", [*version, 0])
            }
            Input::Published(..) => ("a node hears something", [0, 0]),
            Input::Answered(call, _) => ("Redis answers", [call.0, self.clock / 1000]),
            _ => ("a node is told", [0, 0]),
        };
        self.trace.note(what, [member as u64, numbers[0], numbers[1]]);
    }

    fn call(&mut self, connection: u64, call: CallId, command: &Command) {
        let now = self.millis();
        let Some(known) = self.network.connections.get(&connection) else {
            return;
        };
        let (server, member) = (known.server, known.member);
        if !self.servers[server].is_up {
            return;
        }
        self.note_command(member, command);
        let (answer, published) = self.servers[server].redis.call(now, command, &self.bounds);
        for (target, published) in published {
            if let (Command::Append(_), Published::Said(record)) = (command, &published) {
                self.check_round(server, target.room(), record);
            }
            self.publish(server, &target, &published);
        }
        let answered = Event::ToNode(connection, Box::new(Input::Answered(call, Ok(answer))));
        self.send(connection, ANSWERS, answered);
    }

    fn note_command(&mut self, member: usize, command: &Command) {
        let name = |key: &NicknameKey| self.names.nicknames.iter().position(|name| name.key() == *key);
        let (what, number) = match command {
            Command::Enter { claim, .. } => ("Redis is asked for a name", name(&claim.name.key())),
            Command::Leave { leave, .. } => ("Redis is told that a user leaves", name(&leave.key)),
            Command::Append(round) => ("Redis is given a round", usize::try_from(round.seq).ok()),
            _ => return,
        };
        self.trace.note(what, [member as u64, number.unwrap_or_default() as u64, 0]);
    }

    fn publish(&mut self, server: usize, target: &Channel, published: &Published) {
        let listens = |known: &Connection| match target {
            Channel::Room(room) => known.rooms.contains(room),
            Channel::Node(uid, room) => known.nodes.contains(&(Partition::of(room).number(), *uid)),
        };
        let room = target.room();
        let known = self.network.connections.iter();
        let heard: Vec<_> = known
            .filter(|(_, known)| known.server == server && !known.is_lost && listens(known))
            .map(|(id, _)| *id)
            .collect();
        for connection in heard {
            let input = Box::new(Input::Published(room.clone(), published.clone()));
            self.send(connection, PUBLISHED, Event::ToNode(connection, input));
        }
    }

    fn connect(&mut self, member: usize) {
        let node = &self.members[member];
        if !node.is_alive || node.connection.is_some() {
            return;
        }
        let server = node.server;
        if !self.servers[server].is_up {
            return self.at(self.clock + 100_000, Event::Connect(member));
        }
        self.network.last += 1;
        let id = self.network.last;
        let connection = Connection {
            member,
            server,
            is_lost: false,
            frozen_until: self.clock,
            rooms: BTreeSet::new(),
            nodes: BTreeSet::new(),
            last: [self.clock; 3],
        };
        self.network.connections.insert(id, connection);
        self.members[member].connection = Some(id);
        let server = format!("run {}", self.servers[server].run);
        self.trace.note("a node connects", [member as u64, id, 0]);
        self.give(member, Some(id), Input::Up { server });
    }

    /// Whether a node can read the history in Redis now.
    pub fn reaches_redis(&self, member: usize) -> bool {
        let connection = self.members[member].connection;
        let known = connection.and_then(|id| self.network.connections.get(&id));
        known.is_some_and(|known| known.frozen_until <= self.clock && self.servers[known.server].is_up)
    }

    /// What a node has sent to its server arrives late.
    fn stall(&mut self, id: u64) {
        let late = 1000 * self.rng.below(3000) as u64;
        let is_stuck = |event: &Event| matches!(event, Event::Call(connection, ..) if *connection == id);
        let stuck: Vec<_> = self.network.events.extract_if(.., |_, event| is_stuck(event)).collect();
        for ((at, number), event) in stuck {
            self.network.events.insert((at + late, number), event);
        }
    }

    /// Cuts the connection of a node. What it has sent may arrive, now or later, or not; answers are lost.
    pub fn cut(&mut self, member: usize) {
        let Some(id) = self.members[member].connection.take() else {
            return;
        };
        if self.rng.chance(500) {
            self.stall(id);
        }
        if let Some(known) = self.network.connections.get_mut(&id) {
            known.is_lost = true;
        }
        if self.rng.chance(500) {
            self.network.connections.remove(&id);
        }
        self.give(member, None, Input::Down(Away("cut".to_owned())));
        let after = self.rng.below(200_000) as u64;
        self.at(self.clock + after, Event::Connect(member));
    }

    /// Cuts all connections to a server, which has died.
    pub fn cut_all(&mut self, server: usize) {
        self.network.connections.retain(|_, known| {
            known.is_lost |= known.server == server;
            known.server != server
        });
        for member in 0..self.members.len() {
            let id = self.members[member].connection;
            if id.is_some_and(|id| !self.network.connections.contains_key(&id)) {
                self.cut(member);
            }
        }
    }

    /// Nothing goes through the connection of a node for a time.
    pub fn freeze(&mut self, member: usize, time: Duration) {
        let until = self.clock + u64::try_from(time.as_micros()).unwrap_or_default();
        if let Some(known) =
            self.members[member].connection.and_then(|id| self.network.connections.get_mut(&id))
        {
            known.frozen_until = until;
        }
    }

    /// All connections go through again, from now on.
    pub fn unfreeze(&mut self) {
        let now = self.clock;
        for known in self.network.connections.values_mut() {
            known.frozen_until = now;
        }
    }

    /// The connection of a node that has died is gone.
    pub fn lose_connection(&mut self, member: usize) {
        let id = self.members[member].connection.take();
        if let Some(known) = id.and_then(|id| self.network.connections.get_mut(&id)) {
            known.is_lost = true;
        }
    }
}
