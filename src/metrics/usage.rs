//! How much of what the settings bound is used, for `/health` and `/metrics`.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
};

/// Something that a setting bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What it is, in one word.
    pub what: &'static str,
    /// How much is used: things, or bytes.
    pub used: u64,
    /// How much may be used.
    pub bound: u64,
    /// What one more client may need; clients are refused when that is not left. 0: none is refused for it, the oldest go.
    pub needed: u64,
}

impl Usage {
    /// Whether one more client is refused.
    pub fn is_full(&self) -> bool {
        self.needed > 0 && self.used.saturating_add(self.needed) > self.bound
    }
}

type Gauge = Box<dyn Fn() -> Usage + Send + Sync>;

/// Where to ask for the [`Usage`] of each thing.
#[derive(Default)]
pub(super) struct Gauges(RwLock<Vec<Gauge>>);

impl Gauges {
    /// One more thing.
    pub(super) fn add(&self, gauge: impl Fn() -> Usage + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(gauge));
    }

    /// How much of each is used now.
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
