//! The place of a node among the others: joining, its lease, being fenced, and leaving.
//!
//! Redis keeps a lease of each node in each partition. A node whose lease is over is fenced: nothing that it asks is
//! done any more, and its users are taken out of their rooms. It joins again as another one.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    DELAYED_AFTER, Link, TICK,
    turn::{About, Output, Turn},
};
use crate::{
    domain::RoomName,
    nodes::{
        NodeName, NodeUid, Partition,
        commands::{Answer, Command, Refused},
        contract::{Away, Heard, Partitions},
    },
};

/// How many times in a lease a node says that it is alive.
const ALIVE_IN_LEASE: u32 = 3;

/// The place of a node among the others.
#[derive(Debug)]
pub(super) struct Joining {
    name: NodeName,
    partitions: Partitions,
    lease: Duration,
    run: NodeUid,
    node: NodeUid,
    state: State,
    /// Whether this node has joined before, so that it may have been fenced.
    has_joined: bool,
    /// Whether the chat knows that Redis can be reached.
    is_told: bool,
    /// The run of Redis that the node is connected to.
    server: String,
    /// The newest epochs, by their numbers.
    numbers: HashMap<Partition, u64>,
    /// Until when nothing is appended.
    waits: HashMap<Partition, Instant>,
    alive_at: Option<Instant>,
}

/// How far a node is.
#[derive(Debug)]
enum State {
    /// There is no connection.
    Away(Away),
    /// After a lost connection: is it still in these partitions?
    Returning(Partitions),
    /// It is about to join these partitions.
    Attaching(Partitions),
    /// It has joined.
    In,
    /// It has left, because the server stops.
    Left,
}

impl Joining {
    /// A node that is not connected.
    pub(super) fn new(
        name: NodeName,
        partitions: Partitions,
        lease: Duration,
        random: &mut dyn FnMut() -> u64,
    ) -> Self {
        let node = uid(name, random);
        Self {
            name,
            partitions,
            lease,
            run: node,
            node,
            state: State::Away(Away("there is no connection to Redis yet".to_owned())),
            has_joined: false,
            is_told: false,
            server: String::new(),
            numbers: HashMap::new(),
            waits: HashMap::new(),
            alive_at: None,
        }
    }

    /// The node, until it is fenced.
    pub(super) fn node(&self) -> NodeUid {
        self.node
    }

    /// The run of the node, under which its messages are known.
    pub(super) fn run(&self) -> NodeUid {
        self.run
    }

    /// The lease of a node.
    pub(super) fn lease(&self) -> Duration {
        self.lease
    }

    /// The partitions of the server of Redis.
    pub(super) fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// The partitions in which the node may say something.
    pub(super) fn open(&self) -> Partitions {
        if matches!(self.state, State::In) { self.partitions } else { Partitions::default() }
    }

    /// Why there is no connection; `None` if there is one.
    pub(super) fn why_away(&self) -> Option<Away> {
        match &self.state {
            State::Away(why) => Some(why.clone()),
            State::Left => Some(Away("the server stops".to_owned())),
            State::Returning(_) | State::Attaching(_) | State::In => None,
        }
    }

    /// Whether nothing is appended in a partition for now.
    pub(super) fn is_waiting(&self, partition: Partition, now: Instant) -> bool {
        self.waits.get(&partition).is_some_and(|until| *until > now)
    }

    /// Ends the waits that are over. Returns whether there was one.
    pub(super) fn end_waits(&mut self, now: Instant) -> bool {
        let count = self.waits.len();
        self.waits.retain(|_, until| *until > now);
        self.waits.len() < count
    }

    /// When there is something to do; `None` if not by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.waits.values().copied().chain(self.alive_at).min()
    }

    fn wait(&mut self, partition: Partition, wait: Duration, now: Instant) {
        if !wait.is_zero() {
            let until = self.waits.entry(partition).or_insert(now);
            *until = (*until).max(now + wait);
        }
    }

    /// Joins the partitions.
    fn attach(&mut self, turn: &mut Turn<'_>) {
        self.state = State::Attaching(self.partitions);
        for partition in self.partitions.iter() {
            turn.out.push(Output::SubscribeNode(partition, self.node));
            self.attach_to(partition, turn);
        }
    }

    fn attach_to(&self, partition: Partition, turn: &mut Turn<'_>) {
        let number = self.numbers.get(&partition).copied().unwrap_or_default();
        let (node, run, server) = (self.node, self.run, self.server.clone());
        turn.call(About::Attach(partition), Command::Attach { partition, node, run, server, number });
    }

    /// No session is counted twice: this node tells the sizes of its rooms under its new uid.
    fn forget_sizes_of(&self, former: NodeUid, turn: &mut Turn<'_>) {
        for partition in self.partitions.iter() {
            let sizes = Command::Sizes { partition, node: former, is_whole: true, sizes: Vec::new() };
            turn.call(About::Nothing, sizes);
        }
    }

    /// Asks whether the node is still in the partitions.
    fn come_back(&mut self, turn: &mut Turn<'_>) {
        self.state = State::Returning(self.partitions);
        for partition in self.partitions.iter() {
            turn.call(About::Return(partition), Command::Alive { partition, node: self.node });
        }
    }

    /// Says that the node is alive, if that is due.
    fn say_alive(&mut self, turn: &mut Turn<'_>) {
        if self.alive_at.take_if(|at| *at <= turn.now).is_none() || !matches!(self.state, State::In) {
            return;
        }
        self.alive_at = Some(turn.now + self.lease / ALIVE_IN_LEASE);
        self.partitions.iter().for_each(|partition| self.say_alive_in(partition, turn));
        self.probe(turn);
    }

    fn say_alive_in(&self, partition: Partition, turn: &mut Turn<'_>) {
        if matches!(self.state, State::In) {
            turn.call(About::Alive(partition), Command::Alive { partition, node: self.node });
        }
    }

    /// Asks whether Redis would take something.
    fn probe(&self, turn: &mut Turn<'_>) {
        if let Some(partition) = self.partitions.iter().next() {
            turn.call(About::Probe, Command::Probe { partition });
        }
    }

    /// Leaves the partitions, once.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.state, State::In) {
            self.state = State::Left;
            self.alive_at = None;
            for partition in self.partitions.iter() {
                turn.call(About::Nothing, Command::Bury { partition, gone: self.node });
            }
        }
    }
}

impl Link {
    pub(super) fn up(&mut self, server: String, now: Instant, out: &mut Vec<Output>) {
        let is_other = std::mem::replace(&mut self.joining.server, server) != self.joining.server;
        self.note_epochs();
        self.tick_at = Some(now + TICK);
        if self.joining.has_joined && !is_other {
            let (mut turn, parts) = self.turn(now, out);
            return parts.joining.come_back(&mut turn);
        }
        let former = self.joining.has_joined.then_some(self.joining.node);
        if former.is_some() {
            // An older state of Redis may have users of this node in rooms that it has closed since. They go when the
            // lease of the former uid is over; by then this node has claimed the names of its users again.
            self.joining.node = uid(self.joining.name, &mut *self.random);
        }
        let (mut turn, parts) = self.turn(now, out);
        if let Some(former) = former {
            parts.joining.forget_sizes_of(former, &mut turn);
        }
        parts.joining.attach(&mut turn);
    }

    /// Notes the newest epochs that the rooms know.
    fn note_epochs(&mut self) {
        for room in self.rooms.values() {
            let newest = self.joining.numbers.entry(room.partition()).or_default();
            *newest = (*newest).max(room.newest_epoch());
        }
    }

    pub(super) fn down(&mut self, why: &Away, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.joining.state, State::Left) {
            out.push(Output::Left);
            return;
        }
        for ask in self.calls.forgettings() {
            out.push(Output::Tell(Heard::Forgetting(ask, Err(why.clone()))));
        }
        self.calls.forget_all();
        self.unconfirmed.clear();
        self.joining.state = State::Away(why.clone());
        self.joining.alive_at = None;
        self.joining.waits.clear();
        self.refusal = None;
        self.tick_at = None;
        self.delayed_at.get_or_insert(now + DELAYED_AFTER);
        self.joining.is_told = false;
        out.push(Output::Tell(Heard::Down(self.joining.partitions, why.clone())));
        self.with_each_room(now, out, |room, turn| room.disconnect(why, turn));
    }

    /// Redis has answered a call about the place of the node, or has refused it for now.
    pub(super) fn joining_answered(
        &mut self,
        about: &About,
        answer: Result<Answer, Refused>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        match (about, answer) {
            (About::Attach(partition), Ok(Answer::Attached { wait, number })) => {
                self.attached(*partition, wait, number, now, out);
            }
            (About::Return(_) | About::Alive(_), Ok(Answer::Alive { is_fenced: true, .. })) => {
                self.fenced(now, out);
            }
            (About::Return(partition), Ok(Answer::Alive { .. })) => self.returned(*partition, now, out),
            (About::Alive(partition), Ok(Answer::Alive { grave: Some(gone), .. })) => {
                self.bury(*partition, gone, now, out);
            }
            (About::Probe, Ok(_)) => self.taken(now, out),
            (About::Probe | About::Alive(_), Err(Refused(why))) => self.refused(Away(why), out),
            (About::Bury(partition, gone), Ok(Answer::Buried { is_more: true })) => {
                self.bury(*partition, *gone, now, out);
            }
            // There may be another one to bury.
            (About::Bury(partition, _), Ok(Answer::Buried { is_more: false })) => {
                let (mut turn, parts) = self.turn(now, out);
                parts.joining.say_alive_in(*partition, &mut turn);
            }
            // Asked again with the next tick.
            (About::Attach(_) | About::Return(_), Err(Refused(why))) => {
                if self.refusal.is_none() && self.joining.is_told {
                    out.push(Output::Tell(Heard::Down(self.joining.partitions, Away(why.clone()))));
                    self.joining.is_told = false;
                }
                self.refusal = Some(Away(why));
            }
            _ => {}
        }
    }

    fn bury(&mut self, partition: Partition, gone: NodeUid, now: Instant, out: &mut Vec<Output>) {
        let (mut turn, _) = self.turn(now, out);
        turn.call(About::Bury(partition, gone), Command::Bury { partition, gone });
    }

    fn returned(&mut self, partition: Partition, now: Instant, out: &mut Vec<Output>) {
        if let State::Returning(left) = &mut self.joining.state {
            left.remove([partition].into_iter().collect());
            if left.is_empty() {
                let (mut turn, parts) = self.turn(now, out);
                parts.joining.attach(&mut turn);
            }
        }
    }

    fn attached(
        &mut self,
        partition: Partition,
        wait: Duration,
        number: u64,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.joining.wait(partition, wait, now);
        let newest = self.joining.numbers.entry(partition).or_default();
        *newest = (*newest).max(number);
        let State::Attaching(left) = &mut self.joining.state else {
            return;
        };
        left.remove([partition].into_iter().collect());
        if !left.is_empty() {
            return;
        }
        self.joining.state = State::In;
        self.joining.has_joined = true;
        self.joining.alive_at = Some(now + self.joining.lease / ALIVE_IN_LEASE);
        self.refusal = None;
        self.delayed_at = None;
        if !std::mem::replace(&mut self.joining.is_told, true) {
            out.push(Output::Tell(Heard::Up(self.joining.partitions)));
        }
        self.with_each_room(now, out, |room, turn| room.rejoin(turn));
        self.sizes.begin_anew();
        self.sweeping.begin(now);
        self.ask_for_pictures(now, out);
    }

    /// The node is fenced: it joins again as another one, and does again what was not answered.
    pub(super) fn fenced(&mut self, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.joining.state, State::Away(_) | State::Left) {
            return;
        }
        self.calls.forget_but_forgettings();
        self.note_epochs();
        self.joining.node = uid(self.joining.name, &mut *self.random);
        self.joining.waits.clear();
        self.joining.alive_at = None;
        let (mut turn, parts) = self.turn(now, out);
        parts.joining.attach(&mut turn);
        self.with_each_room(now, out, |room, _| room.fenced());
    }

    /// Nothing is appended in the partition of a room for a time.
    pub(super) fn wait_in_room(&mut self, room: &RoomName, wait: Duration, now: Instant) {
        self.joining.wait(Partition::of(room), wait, now);
    }

    /// Does what is due by itself. A Redis that refuses everything is asked again and again.
    pub(super) fn look_after_joining(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_refused = self.refusal.is_some();
        let (mut turn, parts) = self.turn(now, out);
        parts.joining.say_alive(&mut turn);
        if !is_refused || turn.calls.is_joining() {
            return;
        }
        match parts.joining.state {
            State::Attaching(left) => {
                left.iter().for_each(|partition| parts.joining.attach_to(partition, &mut turn));
            }
            State::Returning(_) => parts.joining.come_back(&mut turn),
            State::In => parts.joining.probe(&mut turn),
            State::Away(_) | State::Left => {}
        }
    }
}

/// A new uid of the node.
fn uid(name: NodeName, random: &mut dyn FnMut() -> u64) -> NodeUid {
    let (one, other) = (random().to_le_bytes(), random().to_le_bytes());
    NodeUid::new(name, std::array::from_fn(|index| if index < 8 { one[index] } else { other[index - 8] }))
}
