//! The bound on rooms, which several servers of rooms can share.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A bound on rooms. Servers of rooms that share it count their rooms together: each publishes its own numbers,
/// and sees the sums.
#[derive(Debug)]
pub(crate) struct RoomBound {
    max: usize,
    /// The number of this server among those that share the bound.
    number: usize,
    own: Own,
    all: Arc<All>,
}

/// The numbers of one server of rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// Rooms in memory or with history, which the bound counts.
    pub(super) rooms: usize,
    /// Rooms with history that are not in memory. They give way to new ones.
    pub(super) silent: usize,
    /// Rooms in memory.
    pub(super) loaded: usize,
    /// When the last message of the longest silent room was said, in milliseconds since 1970.
    pub(super) silent_since: Option<u64>,
}

/// The sums of all servers.
#[derive(Debug, Default)]
struct All {
    rooms: AtomicUsize,
    loaded: AtomicUsize,
    silent: Mutex<Silent>,
}

/// The silent rooms of all servers.
#[derive(Debug, Default)]
struct Silent {
    count: usize,
    /// Those that have been asked to give way and have not done so yet.
    claimed: usize,
    /// Since when the longest silent room of each server is silent.
    since: BTreeSet<(u64, usize)>,
}

impl RoomBound {
    /// At most `max` rooms.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, number: 0, own: Own::default(), all: Arc::default() }
    }

    /// The bound for the server with this number, without rooms yet.
    pub(crate) fn share(&self, number: usize) -> Self {
        Self { max: self.max, number, own: Own::default(), all: Arc::clone(&self.all) }
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.all.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the numbers of this server.
    pub(super) fn set(&mut self, own: Own) {
        let former = std::mem::replace(&mut self.own, own);
        for (all, former, now) in
            [(&self.all.rooms, former.rooms, own.rooms), (&self.all.loaded, former.loaded, own.loaded)]
        {
            if former != now {
                // Wraps round if it becomes smaller, and so does the sum.
                all.fetch_add(now.wrapping_sub(former), Ordering::SeqCst);
            }
        }
        if (former.silent, former.silent_since) != (own.silent, own.silent_since) {
            let number = self.number;
            let mut silent = self.silent();
            silent.count = silent.count + own.silent - former.silent;
            former.silent_since.into_iter().for_each(|at| _ = silent.since.remove(&(at, number)));
            silent.since.extend(own.silent_since.map(|at| (at, number)));
        }
    }

    /// Whether a new room must take the place of another one.
    pub(super) fn is_full(&self) -> bool {
        self.all.rooms.load(Ordering::SeqCst) >= self.max
    }

    /// Whether there are more rooms than there may be: a room that falls silent gives way at once.
    pub(super) fn is_exceeded(&self) -> bool {
        self.all.rooms.load(Ordering::SeqCst) > self.max
    }

    /// Whether a room of any server can give way to a new one.
    pub(super) fn can_give_way(&self) -> bool {
        let silent = self.silent();
        silent.count > silent.claimed
    }

    /// Chooses the server whose room is to give way to a new one of this server: `None` for this server. The
    /// other one must be asked, and calls [`give_way`](Self::give_way).
    pub(super) fn claim(&self) -> Option<usize> {
        let mut silent = self.silent();
        let (_, number) = *silent.since.first()?;
        if number == self.number {
            return None;
        }
        silent.claimed += 1;
        Some(number)
    }

    /// A claim on a room of this server is dealt with.
    pub(super) fn give_way(&self) {
        let mut silent = self.silent();
        silent.claimed = silent.claimed.saturating_sub(1);
    }

    /// Number of rooms in memory, of all servers.
    pub(super) fn loaded(&self) -> usize {
        self.all.loaded.load(Ordering::Relaxed)
    }
}

impl Drop for RoomBound {
    fn drop(&mut self) {
        self.set(Own::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_share_a_bound_count_their_rooms_together() {
        let bound = RoomBound::new(3);
        let (mut one, mut other) = (bound.share(1), bound.share(2));
        one.set(Own { rooms: 2, silent: 1, loaded: 1, silent_since: Some(7) });
        assert!(!one.is_full() && other.can_give_way());
        other.set(Own { rooms: 1, loaded: 1, ..Own::default() });
        assert_eq!((one.is_full(), one.is_exceeded(), one.loaded()), (true, false, 2));
        one.set(Own { rooms: 1, loaded: 1, ..Own::default() });
        assert!(!one.is_full() && !other.can_give_way());
        drop(other);
        let rooms = one.all.rooms.load(Ordering::SeqCst);
        assert_eq!((rooms, one.silent().count, one.loaded()), (1, 0, 1), "its rooms are gone with it");
    }

    #[test]
    fn the_server_with_the_longest_silent_room_gives_way_and_each_room_is_claimed_once() {
        let bound = RoomBound::new(3);
        let (mut one, mut other) = (bound.share(1), bound.share(2));
        one.set(Own { rooms: 2, silent: 1, loaded: 1, silent_since: Some(7) });
        other.set(Own { rooms: 1, silent: 1, loaded: 0, silent_since: Some(5) });
        assert_eq!((one.claim(), other.claim()), (Some(2), None));
        assert!(one.can_give_way(), "a room of its own is left");
        one.set(Own { rooms: 1, silent: 0, loaded: 1, silent_since: None });
        assert!(!one.can_give_way(), "the other one is claimed");
        other.set(Own { rooms: 0, ..Own::default() });
        other.give_way();
        assert_eq!((one.can_give_way(), one.claim()), (false, None));
    }
}
