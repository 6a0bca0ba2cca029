//! Usage of the resources that settings limit, for `/health` and `/metrics`.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

/// Usage of one limited resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Name of the resource, one word; a label in `/metrics`.
    pub what: &'static str,
    /// Used amount: a number of things, or bytes.
    pub used: u64,
    /// The limit on `used`, in its unit.
    pub bound: u64,
    /// Amount that one more client may need: clients are rejected when less is left. 0 if none are rejected
    /// because the oldest entries are dropped instead.
    pub needed: u64,
}

impl Usage {
    /// Whether one more client would be rejected.
    pub fn is_full(&self) -> bool {
        self.needed > 0 && self.used.saturating_add(self.needed) > self.bound
    }
}

type Gauge = Box<dyn Fn() -> Usage + Send + Sync>;

/// The functions that read each [`Usage`].
#[derive(Default)]
pub(super) struct Gauges(RwLock<Vec<Gauge>>);

impl Gauges {
    /// Adds a resource.
    pub(super) fn add(&self, gauge: impl Fn() -> Usage + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(gauge));
    }

    /// Reads the current usage of each resource.
    pub(super) fn read(&self) -> Vec<Usage> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().map(|gauge| gauge()).collect()
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_the_oldest_go_is_never_full() {
        let usage = |used, needed| Usage { what: "rooms", used, bound: 2, needed };
        assert!(!usage(1, 1).is_full() && usage(2, 1).is_full() && usage(3, 1).is_full());
        assert!(!usage(0, 2).is_full() && usage(1, 2).is_full());
        assert!(!usage(2, 0).is_full() && !usage(3, 0).is_full());
    }
}
