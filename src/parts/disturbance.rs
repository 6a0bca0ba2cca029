//! Only with the feature `poison`, which releases do not have: parts that panic at their next step, or take none
//! for a while, for tests of the consequences.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::lock;

/// What is to happen to parts.
#[derive(Default)]
pub(super) struct Disturbance {
    /// Names of parts that panic at their next step.
    poisoned: Mutex<Vec<String>>,
    is_any_poisoned: AtomicBool,
    /// Until when parts take no steps, by name.
    stalled: Mutex<HashMap<String, Instant>>,
    is_any_stalled: AtomicBool,
}

impl Disturbance {
    pub(super) fn poison(&self, name: &str) {
        lock(&self.poisoned).push(name.to_owned());
        self.is_any_poisoned.store(true, Ordering::SeqCst);
    }

    /// Whether the part must panic now.
    pub(super) fn take_poison(&self, name: &str) -> bool {
        if !self.is_any_poisoned.load(Ordering::Relaxed) {
            return false;
        }
        let mut poisoned = lock(&self.poisoned);
        let place = poisoned.iter().position(|poisoned| poisoned == name);
        if let Some(place) = place {
            poisoned.remove(place);
            self.is_any_poisoned.store(!poisoned.is_empty(), Ordering::SeqCst);
        }
        place.is_some()
    }

    pub(super) fn stall(&self, name: &str, until: Instant) {
        lock(&self.stalled).insert(name.to_owned(), until);
        self.is_any_stalled.store(true, Ordering::SeqCst);
    }

    /// Until when the part must take no step; `None` if it may take one.
    pub(super) fn stalled_until(&self, name: &str) -> Option<Instant> {
        if !self.is_any_stalled.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        let mut stalled = lock(&self.stalled);
        stalled.retain(|_, until| *until > now);
        self.is_any_stalled.store(!stalled.is_empty(), Ordering::SeqCst);
        stalled.get(name).copied()
    }
}
