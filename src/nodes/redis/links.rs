//! The links of a node: one for a single Redis, or one for each partition of a Redis Cluster.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use super::servers::ServerId;
use crate::nodes::{
    Partition,
    commands::Swept,
    contract::{Heard, Order},
    link::{CallId, Input, Link, Output, Share},
};

/// Decides what is asked of Redis, and when: [`Link`], or a test's.
pub trait Decide: Send + 'static {
    /// Takes an input, and appends to `out` what is to be done.
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>);

    /// When it wants to be woken.
    fn next_wake(&self) -> Option<Instant>;

    /// What it has of that which is bounded over all links of a node.
    fn share(&self) -> Share {
        Share::default()
    }
}

impl Decide for Link {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        Self::handle(self, now, input, out);
    }

    fn next_wake(&self) -> Option<Instant> {
        Self::next_wake(self)
    }

    fn share(&self) -> Share {
        Self::share(self)
    }
}

/// A link, and where it is.
pub(super) struct Placed<D> {
    link: D,
    /// The server that has its partitions; `None` while that is looked for.
    pub server: Option<ServerId>,
    /// Whether it was told that Redis cannot be reached.
    pub is_down: bool,
    /// Whether the server says that the cluster is down, so that another one may have the partition.
    pub is_in_doubt: bool,
    /// Whether Redis takes nothing although it can be reached.
    pub is_refused: bool,
    wakes_at: Option<Instant>,
    has_left: bool,
}

/// How often links are told what the others have.
const BETWEEN_SHARES: Duration = Duration::from_secs(1);

/// All links.
pub(super) struct Links<D> {
    all: Vec<Placed<D>>,
    /// When they are told what the others have; `None` of a single one.
    shares_at: Option<Instant>,
}

impl<D: Decide> Links<D> {
    /// One for all partitions.
    pub(super) fn one(link: D) -> Self {
        Self::each([link])
    }

    /// One for each partition, in their order.
    pub(super) fn each(links: impl IntoIterator<Item = D>) -> Self {
        let place = |link| Placed {
            link,
            server: None,
            is_down: false,
            is_in_doubt: false,
            is_refused: false,
            wakes_at: None,
            has_left: false,
        };
        let all: Vec<_> = links.into_iter().map(place).collect();
        let shares_at = (all.len() > 1).then(|| Instant::now() + BETWEEN_SHARES);
        Self { all, shares_at }
    }

    /// Whether each partition has its own.
    pub(super) fn is_one_each(&self) -> bool {
        self.all.len() > 1
    }

    /// The index of the link of a partition.
    pub(super) fn of(&self, partition: Partition) -> usize {
        if self.is_one_each() { usize::from(partition.number()) } else { 0 }
    }

    /// The indices of all.
    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.all.len()
    }

    /// The partitions of a link, one of them if it has all.
    pub(super) fn partition(&self, index: usize) -> Option<Partition> {
        Partition::with_number(u8::try_from(index).ok()?)
    }

    /// A link; the first one if there is none of this index.
    pub(super) fn at(&mut self, index: usize) -> &mut Placed<D> {
        let index = index.min(self.all.len() - 1);
        &mut self.all[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Placed<D>> {
        self.all.iter()
    }

    /// The indices of the links that a server has.
    pub(super) fn at_server(&self, id: ServerId) -> Vec<usize> {
        self.indices().filter(|index| self.all[*index].server == Some(id)).collect()
    }

    /// What a link wants done for an input.
    pub(super) fn handle(&mut self, index: usize, now: Instant, input: Input) -> Vec<Output> {
        let count = self.all.len() as u64;
        let placed = self.at(index);
        let mut out = Vec::new();
        placed.link.handle(now, input, &mut out);
        placed.wakes_at = placed.link.next_wake();
        for output in &mut out {
            match output {
                Output::Call(id, _) => *id = CallId(id.0 * count + index as u64),
                Output::Left => placed.has_left = true,
                _ => {}
            }
        }
        out
    }

    /// The link that something of a server is for.
    pub(super) fn receiver(&self, input: &mut Input) -> usize {
        let count = self.all.len() as u64;
        match input {
            Input::Answered(id, _) => {
                let index = id.0 % count;
                *id = CallId(id.0 / count);
                index as usize
            }
            Input::Subscribed(room) | Input::Published(room, _) => self.of(Partition::of(room)),
            Input::Up { .. }
            | Input::Down(_)
            | Input::Order(_)
            | Input::Wake
            | Input::Others(_)
            | Input::Stop => 0,
        }
    }

    /// The orders that the links are given for one.
    pub(super) fn orders(&self, order: Order) -> Vec<(usize, Order)> {
        match order {
            // Each is told, also that there is no session in its rooms.
            Order::Sizes(sizes) if self.is_one_each() => {
                let mut parts: Vec<_> = self.indices().map(|_| HashMap::new()).collect();
                for (room, size) in sizes {
                    parts[self.of(Partition::of(&room))].insert(room, size);
                }
                parts.into_iter().map(Order::Sizes).enumerate().collect()
            }
            Order::KeepPicture(picture) => {
                vec![(self.of(Partition::of_picture(&picture.id())), Order::KeepPicture(picture))]
            }
            order => vec![(order.room().map_or(0, |room| self.of(Partition::of(room))), order)],
        }
    }

    /// When there is something to do by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.all.iter().filter_map(|placed| placed.wakes_at).chain(self.shares_at).min()
    }

    /// What links are told because it is due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(usize, Input)> {
        let is_due = |index: &usize| self.all[*index].wakes_at.is_some_and(|at| at <= now);
        let mut inputs: Vec<_> = self.indices().filter(is_due).map(|index| (index, Input::Wake)).collect();
        if self.shares_at.is_some_and(|at| at <= now) {
            self.shares_at = Some(now + BETWEEN_SHARES);
            inputs.extend(self.shares());
        }
        inputs
    }

    /// What the others of each link have.
    fn shares(&self) -> Vec<(usize, Input)> {
        let shares: Vec<_> = self.all.iter().map(|placed| placed.link.share()).collect();
        let rooms: usize = shares.iter().map(|share| share.rooms).sum();
        let swept: Swept = shares.iter().map(|share| share.swept).sum();
        let others = |own: Share| Share {
            rooms: rooms - own.rooms,
            swept: Swept { rooms: swept.rooms - own.swept.rooms, bytes: swept.bytes - own.swept.bytes },
        };
        shares.into_iter().map(|own| Input::Others(others(own))).enumerate().collect()
    }

    /// Whether all have left the other nodes.
    pub(super) fn have_left(&self) -> bool {
        self.all.iter().all(|placed| placed.has_left)
    }

    /// Whether this is the first link of its server that is refused, or the last one that is not any more.
    pub(super) fn is_change_of_refusal(&mut self, index: usize, heard: &Heard) -> Option<bool> {
        let server = self.at(index).server?;
        let is_refused = match heard {
            Heard::Down(..) => true,
            Heard::Up(_) => false,
            _ => return None,
        };
        let was_refused = mem::replace(&mut self.at(index).is_refused, is_refused);
        let others = self.at_server(server).into_iter().filter(|other| *other != index);
        let is_any_other = others.into_iter().any(|other| self.all[other].is_refused);
        (was_refused != is_refused && !is_any_other).then_some(is_refused)
    }
}
