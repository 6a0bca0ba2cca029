//! Who hears a room: how many sessions on each worker, and what they read.

use super::{line::Dialect, round::Encoding};
use crate::domain::WorkerId;

/// The hearers of one room, counted. A plain struct.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    /// How many live on each worker that has any.
    workers: Vec<(WorkerId, usize)>,
    /// How many want each encoding.
    encodings: [usize; Encoding::COUNT],
}

impl Audience {
    /// One more.
    pub fn add(&mut self, worker: WorkerId, encoding: Encoding) {
        match self.workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, hearers)) => *hearers += 1,
            None => self.workers.push((worker, 1)),
        }
        self.encodings[encoding.index()] += 1;
    }

    /// One less, who was counted before.
    pub fn remove(&mut self, worker: WorkerId, encoding: Encoding) {
        if let Some(place) = self.workers.iter().position(|(known, _)| *known == worker) {
            self.workers[place].1 -= 1;
            if self.workers[place].1 == 0 {
                self.workers.swap_remove(place);
            }
        }
        self.encodings[encoding.index()] -= 1;
    }

    /// Whether somebody speaks it.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        [false, true].iter().any(|&deflated| self.encodings[Encoding { dialect, deflated }.index()] > 0)
    }

    /// Whether somebody reads compressed frames.
    pub fn reads_deflated(&self) -> bool {
        Dialect::ALL.iter().any(|&dialect| self.encodings[Encoding { dialect, deflated: true }.index()] > 0)
    }

    /// How many speak one of these.
    pub fn of_dialects(&self, dialects: &[Dialect]) -> usize {
        let encodings = |dialect| [false, true].map(|deflated| Encoding { dialect, deflated });
        dialects
            .iter()
            .flat_map(|&dialect| encodings(dialect))
            .map(|encoding| self.encodings[encoding.index()])
            .sum()
    }

    /// How many hear.
    pub fn hearers(&self) -> usize {
        self.workers.iter().map(|(_, hearers)| hearers).sum()
    }

    /// The workers on which somebody hears.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.workers.iter().map(|(worker, _)| *worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_hearers_and_a_dialect_without_speakers_are_gone() {
        let mut audience = Audience::default();
        let chat = Encoding { dialect: Dialect::Chat, deflated: true };
        let plain = Encoding { dialect: Dialect::Plain, deflated: false };
        audience.add(WorkerId(0), chat);
        audience.add(WorkerId(1), plain);
        assert!(
            audience.speaks(Dialect::Chat) && audience.speaks(Dialect::Plain) && audience.reads_deflated()
        );
        assert_eq!(audience.workers().collect::<Vec<_>>(), [WorkerId(0), WorkerId(1)]);
        assert_eq!(audience.hearers(), 2);
        audience.remove(WorkerId(0), chat);
        assert_eq!(audience.hearers(), 1);
        assert!(!audience.speaks(Dialect::Chat) && !audience.reads_deflated());
        assert_eq!(audience.workers().collect::<Vec<_>>(), [WorkerId(1)]);
    }
}
