//! The number of subscribers of a room on each worker and for each encoding.

use super::encoding::{Dialect, Encoding};
use crate::domain::WorkerId;

/// The subscribers of one room, counted.
#[derive(Clone, Debug, Default)]
pub struct Subscribers {
    /// Subscribers per worker; a worker without subscribers has no entry.
    workers: Vec<(WorkerId, usize)>,
    /// Subscribers per encoding, at [`Encoding::index`].
    encodings: [usize; Encoding::COUNT],
}

impl Subscribers {
    /// Counts a new subscriber.
    pub fn add(&mut self, worker: WorkerId, encoding: Encoding) {
        match self.workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, count)) => *count += 1,
            None => self.workers.push((worker, 1)),
        }
        self.encodings[encoding.index()] += 1;
    }

    /// Removes a subscriber, which must have been added with equal arguments.
    pub fn remove(&mut self, worker: WorkerId, encoding: Encoding) {
        if let Some(index) = self.workers.iter().position(|(known, _)| *known == worker) {
            self.workers[index].1 -= 1;
            if self.workers[index].1 == 0 {
                self.workers.swap_remove(index);
            }
        }
        self.encodings[encoding.index()] -= 1;
    }

    /// Whether a subscriber has this dialect.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        [false, true].iter().any(|&deflated| self.encodings[Encoding { dialect, deflated }.index()] > 0)
    }

    /// Whether a subscriber takes compressed frames.
    pub fn reads_deflated(&self) -> bool {
        Dialect::ALL.iter().any(|&dialect| self.reads_deflated_in(dialect))
    }

    /// Whether a subscriber takes compressed frames in this dialect.
    pub fn reads_deflated_in(&self, dialect: Dialect) -> bool {
        self.encodings[Encoding { dialect, deflated: true }.index()] > 0
    }

    /// The number of subscribers with one of these dialects.
    pub fn of_dialects(&self, dialects: &[Dialect]) -> usize {
        let encodings = |dialect| [false, true].map(|deflated| Encoding { dialect, deflated });
        dialects
            .iter()
            .flat_map(|&dialect| encodings(dialect))
            .map(|encoding| self.encodings[encoding.index()])
            .sum()
    }

    /// The number of subscribers.
    pub fn count(&self) -> usize {
        self.workers.iter().map(|(_, count)| count).sum()
    }

    /// The workers that have a subscriber.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.workers.iter().map(|(worker, _)| *worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_and_a_dialect_without_subscribers_are_gone() {
        let mut subscribers = Subscribers::default();
        let chat = Encoding { dialect: Dialect::of(1), deflated: true };
        let plain = Encoding { dialect: Dialect::of(0), deflated: false };
        subscribers.add(WorkerId(0), chat);
        subscribers.add(WorkerId(1), plain);
        assert!(
            subscribers.speaks(Dialect::of(1))
                && subscribers.speaks(Dialect::of(0))
                && subscribers.reads_deflated()
        );
        assert_eq!(subscribers.workers().collect::<Vec<_>>(), [WorkerId(0), WorkerId(1)]);
        assert_eq!(subscribers.count(), 2);
        subscribers.remove(WorkerId(0), chat);
        assert_eq!(subscribers.count(), 1);
        assert!(!subscribers.speaks(Dialect::of(1)) && !subscribers.reads_deflated());
        assert_eq!(subscribers.workers().collect::<Vec<_>>(), [WorkerId(1)]);
    }
}
