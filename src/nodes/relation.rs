//! How what Redis has of a room compares with what a node knows.

use crate::journal::{Epoch, EpochId};

/// How what Redis has of a room compares with what a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Redis has all that the node knows.
    Ahead,
    /// Redis has the beginning of what the node knows.
    Behind,
    /// Something else was said at offsets that the node knows.
    Diverged,
}

impl Relation {
    /// Compares what Redis has, `epochs` up to the offset `head`, with what a node knows.
    pub fn of(epochs: &[Epoch], head: u64, known: &[Epoch], known_head: u64) -> Self {
        let Some(newest) = known.last().filter(|_| known_head > 0) else {
            return Self::Ahead;
        };
        let following = |all: &[Epoch], id: EpochId| {
            all.iter().position(|epoch| epoch.id == id).map(|at| all.get(at + 1).copied())
        };
        match (following(epochs, newest.id), epochs.last()) {
            (Some(Some(next)), _) if next.starts <= known_head => Self::Diverged,
            (Some(Some(_)), _) => Self::Ahead,
            (Some(None), _) if head < known_head => Self::Behind,
            (Some(None), _) => Self::Ahead,
            (None, None) => Self::Behind,
            // Redis knows no epoch that began after its last one.
            (None, Some(last)) => match following(known, last.id) {
                Some(Some(next)) if head < next.starts => Self::Behind,
                _ => Self::Diverged,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(u64, u64)]) -> Vec<Epoch> {
        let epoch = |&(random, starts)| Epoch { id: EpochId { random, number: random }, starts };
        starts.iter().map(epoch).collect()
    }

    #[test]
    fn what_redis_has_is_compared_by_epochs_and_offsets() {
        let known = epochs(&[(1, 1), (2, 51)]);
        let of = |redis: &[(u64, u64)], head| Relation::of(&epochs(redis), head, &known, 70);
        assert_eq!(of(&[(1, 1), (2, 51)], 70), Relation::Ahead);
        assert_eq!(of(&[(1, 1), (2, 51)], 90), Relation::Ahead);
        assert_eq!(of(&[(1, 1), (2, 51)], 69), Relation::Behind);
        assert_eq!(of(&[(1, 1), (2, 51), (3, 71)], 75), Relation::Ahead);
        assert_eq!(of(&[(1, 1), (2, 51), (3, 70)], 75), Relation::Diverged);
        assert_eq!(of(&[], 0), Relation::Behind, "everything was flushed");
        assert_eq!(of(&[(1, 1)], 50), Relation::Behind, "it has forgotten that an epoch began");
        assert_eq!(of(&[(1, 1)], 51), Relation::Diverged, "more was said in the epoch that had ended");
        assert_eq!(of(&[(9, 1)], 20), Relation::Diverged);
        assert_eq!(Relation::of(&epochs(&[(9, 1)]), 20, &[], 0), Relation::Ahead, "nothing is known");
    }
}
