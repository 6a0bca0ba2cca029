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
    /// Whether clients are refused when it is used up. Other things let the oldest go.
    pub refuses: bool,
}

impl Usage {
    /// Whether the next client is refused.
    pub fn is_full(&self) -> bool {
        self.refuses && self.used >= self.bound
    }
}

type Gauge = Box<dyn Fn() -> Usage + Send + Sync>;

/// Where to ask for the [`Usage`] of each thing.
#[derive(Default)]
pub(super) struct Gauges(RwLock<Vec<Gauge>>);

impl Gauges {
    /// One more thing.
    pub fn add(&self, gauge: impl Fn() -> Usage + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(gauge));
    }

    /// How much of each is used now.
    pub fn read(&self) -> Vec<Usage> {
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
        let usage = |used, refuses| Usage { what: "rooms", used, bound: 2, refuses };
        assert!(!usage(1, true).is_full() && usage(2, true).is_full() && usage(3, true).is_full());
        assert!(!usage(2, false).is_full());
    }
}
