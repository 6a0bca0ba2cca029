//! The ids of rooms that are not in memory.

use std::collections::{HashMap, VecDeque};

use super::Ids;
use crate::domain::RoomName;

/// Ids of rooms that are not in memory. Needed because the journal has only the ids of messages that it still
/// keeps.
#[derive(Debug, Default)]
pub(crate) struct RestingIds {
    rooms: HashMap<RoomName, Ids>,
    /// Rooms in the order of arrival; some are in memory again.
    order: VecDeque<RoomName>,
    pub(super) count: usize,
}

impl RestingIds {
    /// Keeps the ids of a room that leaves memory. Such rooms of all `shards` together may have half of all ids;
    /// those that came first are dropped.
    pub(crate) fn put(&mut self, room: RoomName, ids: Ids, now: u64, shards: usize) {
        if !ids.is_young(now) {
            return;
        }
        let most = ids.limits.total / 2 / shards.max(1);
        self.count += ids.len();
        self.order.push_back(room.clone());
        self.rooms.insert(room, ids);
        while self.count > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.take(&oldest);
        }
        if self.order.len() > 2 * self.rooms.len() + 64 {
            self.order.retain(|room| self.rooms.contains_key(room));
        }
    }

    /// Removes and returns the ids of a room that is in memory again or has lost its history.
    pub(crate) fn take(&mut self, room: &RoomName) -> Option<Ids> {
        let ids = self.rooms.remove(room)?;
        self.count -= ids.len();
        Some(ids)
    }

    /// Forgets the rooms whose ids are all too old.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.rooms.retain(|_, ids| {
            let is_young = ids.is_young(now);
            self.count -= if is_young { 0 } else { ids.len() };
            is_young
        });
    }
}
