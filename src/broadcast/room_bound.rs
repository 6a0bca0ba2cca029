//! The bound on rooms, which several servers of rooms can share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A bound on rooms. Servers of rooms that share it count their rooms together: each publishes its own numbers,
/// and sees the sums.
#[derive(Debug)]
pub(crate) struct RoomBound {
    max: usize,
    all: Arc<[AtomicUsize; 3]>,
    own: Counts,
}

/// The numbers of one server of rooms, or the sums of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rooms in memory or with history, which the bound counts.
    pub(super) rooms: usize,
    /// Rooms with history that are not in memory. They give way to new ones.
    pub(super) silent: usize,
    /// Rooms in memory.
    pub(super) loaded: usize,
}

impl Counts {
    fn parts(self) -> [usize; 3] {
        [self.rooms, self.silent, self.loaded]
    }
}

impl RoomBound {
    /// At most `max` rooms.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, all: Arc::default(), own: Counts::default() }
    }

    /// The bound for one more server of rooms, without rooms of its own yet.
    pub(crate) fn share(&self) -> Self {
        Self { max: self.max, all: Arc::clone(&self.all), own: Counts::default() }
    }

    /// Publishes the numbers of this server.
    pub(super) fn set(&mut self, own: Counts) {
        for (all, (former, now)) in self.all.iter().zip(self.own.parts().into_iter().zip(own.parts())) {
            if former != now {
                // Wraps round if it becomes smaller, and so does the sum.
                all.fetch_add(now.wrapping_sub(former), Ordering::Relaxed);
            }
        }
        self.own = own;
    }

    fn sums(&self) -> Counts {
        let [rooms, silent, loaded] = [0, 1, 2].map(|part: usize| self.all[part].load(Ordering::Relaxed));
        Counts { rooms, silent, loaded }
    }

    /// Whether a new room must take the place of another one.
    pub(super) fn is_full(&self) -> bool {
        self.sums().rooms >= self.max
    }

    /// Whether a room of any server can give way to a new one.
    pub(super) fn can_give_way(&self) -> bool {
        self.sums().silent > 0
    }

    /// Number of rooms in memory, of all servers.
    pub(super) fn loaded(&self) -> usize {
        self.sums().loaded
    }
}

impl Drop for RoomBound {
    fn drop(&mut self) {
        self.set(Counts::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_share_a_bound_count_their_rooms_together() {
        let mut one = RoomBound::new(3);
        let mut other = one.share();
        one.set(Counts { rooms: 2, silent: 1, loaded: 1 });
        assert!(!other.is_full() && other.can_give_way());
        other.set(Counts { rooms: 1, silent: 0, loaded: 1 });
        assert_eq!((one.is_full(), one.loaded()), (true, 2));
        one.set(Counts { rooms: 1, silent: 0, loaded: 1 });
        assert!(!one.is_full() && !other.can_give_way());
        drop(other);
        assert_eq!(one.sums(), Counts { rooms: 1, silent: 0, loaded: 1 }, "its rooms are gone with it");
    }
}
