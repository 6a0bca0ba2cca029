//! How many sessions the node has in each room, for the list of the rooms of all nodes.

use std::collections::{BTreeMap, HashMap};

use super::turn::{About, Turn};
use crate::{
    domain::RoomName,
    nodes::{Partition, commands::Command},
};

/// What Redis was told of the sizes of rooms.
#[derive(Debug)]
pub(super) struct Sizes {
    told: HashMap<RoomName, u64>,
    /// Whether Redis may know something else, and is to be told all.
    is_unsure: bool,
    /// The number of calls that are not answered.
    awaited: usize,
}

impl Sizes {
    /// Nothing was told yet.
    pub(super) fn new() -> Self {
        Self { told: HashMap::new(), is_unsure: true, awaited: 0 }
    }

    /// What Redis was told may not have come there, or is gone; answers do not come any more.
    pub(super) fn begin_anew(&mut self) {
        (self.is_unsure, self.awaited) = (true, 0);
    }

    /// Redis has answered a call, and has done it or not.
    pub(super) fn answered(&mut self, is_done: bool) {
        self.awaited = self.awaited.saturating_sub(1);
        self.is_unsure |= !is_done;
    }

    /// Tells Redis what has changed, in one call for each partition. While answers are awaited, or the node has not
    /// joined, it is told with the next sizes.
    pub(super) fn tell(&mut self, sizes: HashMap<RoomName, u64>, turn: &mut Turn<'_>) {
        if turn.open.is_empty() || self.awaited > 0 {
            return;
        }
        let is_whole = std::mem::replace(&mut self.is_unsure, false);
        let mut changes = if is_whole { all_of(&sizes, turn) } else { self.changes_to(&sizes) };
        self.told = sizes;
        self.awaited = changes.len();
        while let Some((partition, sizes)) = changes.pop_first() {
            turn.call(About::Sizes, Command::Sizes { partition, node: turn.node, is_whole, sizes });
        }
    }

    fn changes_to(&self, sizes: &HashMap<RoomName, u64>) -> BTreeMap<Partition, Vec<(RoomName, u64)>> {
        let gone = self.told.keys().filter(|room| !sizes.contains_key(*room)).map(|room| (room, 0));
        let changed = sizes.iter().map(|(room, size)| (room, *size));
        let changed = changed.filter(|(room, size)| self.told.get(*room) != Some(size));
        let mut changes = BTreeMap::<_, Vec<_>>::new();
        for (room, size) in changed.chain(gone) {
            changes.entry(Partition::of(room)).or_default().push((room.clone(), size));
        }
        changes
    }
}

/// All sizes, and all partitions of the server, also those without a room.
fn all_of(sizes: &HashMap<RoomName, u64>, turn: &Turn<'_>) -> BTreeMap<Partition, Vec<(RoomName, u64)>> {
    let mut all: BTreeMap<_, Vec<_>> = turn.open.iter().map(|partition| (partition, Vec::new())).collect();
    for (room, size) in sizes {
        if let Some(of_partition) = all.get_mut(&Partition::of(room)) {
            of_partition.push((room.clone(), *size));
        }
    }
    all
}
