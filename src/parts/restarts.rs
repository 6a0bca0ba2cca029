//! How often the shared parts have begun again, and whether one may once more.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// The period in which restarts are counted.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// The restarts of all parts. Callers pass the time.
#[derive(Debug, Default)]
pub(super) struct Restarts(BTreeMap<String, Of>);

/// The restarts of one part.
#[derive(Debug, Default)]
struct Of {
    /// Those of the last [`PERIOD`], oldest first.
    recent: VecDeque<Instant>,
    total: u64,
}

impl Restarts {
    /// A part has panicked. Counts that, and returns whether the part may begin again: at most `max` times in
    /// one [`PERIOD`].
    pub(super) fn may_begin_again(&mut self, name: &str, max: usize, now: Instant) -> bool {
        let of = self.0.entry(name.to_owned()).or_default();
        of.recent.retain(|at| now.saturating_duration_since(*at) < PERIOD);
        if of.recent.len() >= max {
            return false;
        }
        of.recent.push_back(now);
        of.total += 1;
        true
    }

    /// How often each part has begun again that has panicked.
    pub(super) fn totals(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(name, of)| (name.clone(), of.total)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_may_begin_again_so_often_in_ten_seconds_and_others_are_counted_apart() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for seconds in [0, 1, 2] {
            assert!(restarts.may_begin_again("a", 3, after(seconds)), "{seconds}");
        }
        assert!(!restarts.may_begin_again("a", 3, after(9)));
        assert!(restarts.may_begin_again("b", 3, after(9)));
        assert!(restarts.may_begin_again("a", 3, after(10)), "the first is ten seconds ago");
        assert!(!restarts.may_begin_again("a", 3, after(10)));
        assert!(!restarts.may_begin_again("c", 0, now), "no part may begin again");
        let totals = [("a".to_owned(), 4), ("b".to_owned(), 1), ("c".to_owned(), 0)];
        assert_eq!(restarts.totals(), totals.into());
    }
}
