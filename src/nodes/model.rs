//! Redis as a value: what the functions do, without bytes, for tests and the simulation.
//!
//! A replica that lags is an older clone. A Redis that comes back without what was written last is an older clone that
//! is [`restarted`](ModelRedis::restarted). The caller gives the time in milliseconds.

mod log;
mod users;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use self::{
    log::Log,
    users::{Cause, Users},
};
use super::{
    Bounds, NodeUid, Partition,
    bounds::{MOST_BURIED, millis},
    commands::{Answer, Append, Appended, Command, Entered, Heal, Healed, Position, Published, Swept},
};
use crate::domain::{PictureId, RoomName};

/// Where something is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// For all nodes that have the room open.
    Room(RoomName),
    /// For one node, about a room.
    Node(NodeUid, RoomName),
}

impl Channel {
    /// The room that it is about.
    pub fn room(&self) -> &RoomName {
        let (Self::Room(room) | Self::Node(_, room)) = self;
        room
    }
}

/// What is published in one step, in its order.
pub(crate) type Publications = Vec<(Channel, Published)>;

/// A Redis.
#[derive(Clone, Debug)]
pub struct ModelRedis {
    server: String,
    parts: BTreeMap<Partition, Part>,
}

/// What a partition has.
#[derive(Clone, Debug, Default)]
struct Part {
    /// The server that was seen last.
    server: Option<String>,
    /// The number of the newest epoch.
    number: u64,
    /// Nothing is appended before.
    until: u64,
    /// The ends of the leases.
    leases: BTreeMap<NodeUid, u64>,
    graves: BTreeMap<NodeUid, Grave>,
    rooms: BTreeMap<RoomName, Room>,
    /// Those that were kept; that pictures go again is not of the model.
    pictures: HashSet<PictureId>,
    /// How many sessions nodes have in rooms.
    sizes: BTreeMap<NodeUid, HashMap<RoomName, u64>>,
}

/// A node that was fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grave {
    /// It may be given to a node to be buried from this time on.
    OpenFrom(u64),
    Closed,
}

#[derive(Clone, Debug, Default)]
struct Room {
    log: Log,
    users: Users,
}

impl ModelRedis {
    /// An empty Redis. `server` is what its connections give as [`Command::Attach::server`].
    pub fn new(server: &str) -> Self {
        Self { server: server.to_owned(), parts: BTreeMap::new() }
    }

    /// The run of Redis, and the history of its data.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether a picture was kept.
    pub fn has_picture(&self, id: &PictureId) -> bool {
        self.parts.get(&Partition::of_picture(id)).is_some_and(|part| part.pictures.contains(id))
    }

    /// The number of sessions in a room at all nodes, as they have told it.
    pub fn sessions_in(&self, room: &RoomName) -> u64 {
        let part = self.parts.get(&Partition::of(room));
        let nodes = part.into_iter().flat_map(|part| part.sizes.values());
        nodes.filter_map(|rooms| rooms.get(room)).sum()
    }

    /// Deletes all, as `FLUSHALL`.
    pub fn flush(&mut self) {
        self.parts.clear();
    }

    /// Redis with this data, in another run.
    pub fn restarted(&self, server: &str) -> Self {
        Self { server: server.to_owned(), ..self.clone() }
    }

    /// Times at which something is over: leases, holds, reservations, windows, and the time for burials.
    pub fn deadlines(&self) -> BTreeSet<u64> {
        let of_part = |part: &Part| {
            let graves = part.graves.values().filter_map(|grave| match grave {
                Grave::OpenFrom(time) => Some(*time),
                Grave::Closed => None,
            });
            let names = part.rooms.values().flat_map(|room| room.users.deadlines());
            let times = part.leases.values().copied().chain([part.until]).chain(graves).chain(names);
            times.collect::<Vec<_>>()
        };
        self.parts.values().flat_map(of_part).collect()
    }

    /// Carries out a command at a time in milliseconds. Returns the answer, and what is published.
    pub fn call(&mut self, now: u64, command: &Command, bounds: &Bounds) -> (Answer, Publications) {
        let mut published = Vec::new();
        let answer = self.answer(now, command, bounds, &mut published);
        (answer, published)
    }

    fn answer(&mut self, now: u64, command: &Command, bounds: &Bounds, out: &mut Publications) -> Answer {
        match command {
            Command::Attach { partition, node, server, number, .. } => {
                self.part(*partition).attach(now, *node, server, *number, bounds)
            }
            Command::Alive { partition, node } => self.part(*partition).alive(now, *node, bounds),
            Command::Bury { partition, gone } => self.part(*partition).bury(now, *gone, bounds, out),
            Command::Probe { .. } => Answer::Done,
            Command::Open { room, wants_keys, version } => self.open(now, room, *wants_keys, *version),
            Command::Read { room, after } => Answer::Records(self.room(room).1.log.read(*after)),
            Command::Append(round) => Answer::Appended(self.append(now, round, bounds, out)),
            Command::Heal(heal) => self.heal(heal, bounds, out),
            Command::Publish { room, node, payload } => {
                let shown = Published::Shown { node: *node, payload: payload.clone() };
                out.push((Channel::Room(room.clone()), shown));
                Answer::Done
            }
            Command::Whisper { room, node, to, payload } => {
                let whispered = Published::Whispered { node: *node, payload: payload.clone() };
                out.push((Channel::Node(*to, room.clone()), whispered));
                Answer::Done
            }
            Command::Enter { room, node, ask, claim } => {
                let Some((number, users)) = self.users_at(room, node) else {
                    return Answer::Entered(Entered::Fenced);
                };
                let mut cause = Cause::new(now, *node, *ask, number, bounds);
                let entered = users.enter(&mut cause, claim);
                out.extend(on(room, cause.published));
                Answer::Entered(entered)
            }
            Command::Leave { room, node, leave } => {
                let Some((number, users)) = self.users_at(room, node) else {
                    return Answer::Left(None);
                };
                let mut cause = Cause::new(now, *node, None, number, bounds);
                let version = users.leave(&mut cause, leave);
                out.extend(on(room, cause.published));
                Answer::Left(version)
            }
            Command::Forget { room } => {
                let forgot = self.room(room).1.log.forget();
                out.extend(on(room, forgot.map(Published::Forgot)));
                Answer::Forgot(forgot.is_some())
            }
            // What is removed for its age is not of the model.
            Command::Sweep { .. } => Answer::Swept(Swept::default()),
            Command::Sizes { partition, node, is_whole, sizes } => {
                Answer::Sized { is_fenced: !self.part(*partition).note_sizes(*node, *is_whole, sizes) }
            }
            Command::KeepPicture { picture } => {
                self.part(Partition::of_picture(&picture.id())).pictures.insert(picture.id());
                Answer::Done
            }
        }
    }

    fn part(&mut self, partition: Partition) -> &mut Part {
        self.parts.entry(partition).or_default()
    }

    /// A room, with the number of the newest epoch of its partition.
    fn room(&mut self, room: &RoomName) -> (u64, &mut Room) {
        let part = self.part(Partition::of(room));
        (part.number, part.rooms.entry(room.clone()).or_default())
    }

    /// The users of a room, unless the node is fenced.
    fn users_at(&mut self, room: &RoomName, node: &NodeUid) -> Option<(u64, &mut Users)> {
        self.part(Partition::of(room)).leases.get(node)?;
        let (number, room) = self.room(room);
        Some((number, &mut room.users))
    }

    fn open(&mut self, now: u64, room: &RoomName, wants_keys: bool, version: u64) -> Answer {
        let until = self.part(Partition::of(room)).until;
        let (_, Room { log, users }) = self.room(room);
        Answer::Position(Box::new(Position {
            epochs: log.epochs.clone(),
            head: log.head,
            wait: Duration::from_millis(until.saturating_sub(now)),
            keys: if wants_keys { log.keys() } else { Vec::new() },
            version: users.version,
            people: (users.version != version).then(|| users.people(now)),
        }))
    }

    fn append(&mut self, now: u64, round: &Append, bounds: &Bounds, out: &mut Publications) -> Appended {
        let part = self.part(Partition::of(&round.room));
        if !part.leases.contains_key(&round.node) {
            return Appended::Fenced;
        }
        let wait = part.until.saturating_sub(now);
        let (number, Room { log, .. }) = self.room(&round.room);
        if let Some(before) = log.known_round(round) {
            return before;
        }
        if wait > 0 {
            return Appended::Wait(Duration::from_millis(wait));
        }
        match log.append(round, number, bounds) {
            Ok(said) => {
                let first = said.first;
                out.extend(on(&round.room, [log::published(said)]));
                Appended::At(first)
            }
            Err(not) => not,
        }
    }

    fn heal(&mut self, heal: &Heal, bounds: &Bounds, out: &mut Publications) -> Answer {
        if !self.part(Partition::of(&heal.room)).leases.contains_key(&heal.node) {
            return Answer::Healed(Healed::Fenced);
        }
        let log = &mut self.room(&heal.room).1.log;
        let Some(taken) = log.heal(heal, bounds) else {
            return Answer::Healed(Healed::Diverged);
        };
        let head = log.head;
        out.extend(on(&heal.room, taken.into_iter().map(log::published)));
        Answer::Healed(Healed::To(head))
    }
}

/// Publications on the channel of a room.
fn on(room: &RoomName, published: impl IntoIterator<Item = Published>) -> Publications {
    published.into_iter().map(|published| (Channel::Room(room.clone()), published)).collect()
}

impl Part {
    fn attach(&mut self, now: u64, node: NodeUid, server: &str, number: u64, bounds: &Bounds) -> Answer {
        if self.server.as_deref() != Some(server) || number > self.number {
            let is_new = self.server.is_none() && number == 0;
            self.until = if is_new { 0 } else { now + millis(bounds.window) };
            self.number = self.number.max(number) + 1;
            self.server = Some(server.to_owned());
            // No node could say that it is alive while Redis was away.
            self.leases.values_mut().for_each(|end| *end = now + millis(bounds.lease));
        }
        if !self.graves.contains_key(&node) {
            self.leases.insert(node, now + millis(bounds.lease));
        }
        Answer::Attached { wait: Duration::from_millis(self.until.saturating_sub(now)), number: self.number }
    }

    /// False if the node is fenced.
    fn note_sizes(&mut self, node: NodeUid, is_whole: bool, sizes: &[(RoomName, u64)]) -> bool {
        if !self.leases.contains_key(&node) {
            return false;
        }
        let rooms = self.sizes.entry(node).or_default();
        if is_whole {
            rooms.clear();
        }
        rooms.extend(sizes.iter().cloned());
        true
    }

    fn alive(&mut self, now: u64, node: NodeUid, bounds: &Bounds) -> Answer {
        let Some(lease) = self.leases.get_mut(&node) else {
            return Answer::Alive { is_fenced: true, grave: None };
        };
        *lease = now + millis(bounds.lease);
        let over = self.leases.iter().filter(|(_, end)| **end <= now).map(|(node, _)| *node);
        for node in over.collect::<Vec<_>>() {
            self.leases.remove(&node);
            self.graves.insert(node, Grave::OpenFrom(0));
        }
        let open = self.graves.iter().filter_map(|(node, grave)| match grave {
            Grave::OpenFrom(time) if *time <= now => Some((*time, *node)),
            _ => None,
        });
        let grave = open.min().map(|(_, node)| node);
        if let Some(node) = grave {
            self.graves.insert(node, Grave::OpenFrom(now + millis(bounds.burial)));
        }
        Answer::Alive { is_fenced: false, grave }
    }

    fn bury(&mut self, now: u64, gone: NodeUid, bounds: &Bounds, out: &mut Publications) -> Answer {
        self.leases.remove(&gone);
        self.sizes.remove(&gone);
        let number = self.number;
        let mut rooms = self.rooms.iter_mut().filter(|(_, room)| !room.users.at(&gone).is_empty());
        if let Some((name, room)) = rooms.next() {
            let mut cause = Cause::new(now, gone, None, number, bounds);
            for key in room.users.at(&gone).into_iter().take(MOST_BURIED) {
                room.users.take_out(&mut cause, &key, true);
            }
            out.extend(on(name, cause.published));
        }
        let is_more = self.rooms.values().any(|room| !room.users.at(&gone).is_empty());
        if is_more {
            self.graves.entry(gone).or_insert(Grave::OpenFrom(0));
        } else {
            self.graves.insert(gone, Grave::Closed);
        }
        Answer::Buried { is_more }
    }
}

#[cfg(test)]
mod tests;
