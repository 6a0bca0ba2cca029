//! Catches the panics of one shared part, step by step.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::Parts;

/// Runs the steps of a shared part, so that a panic ends the step and not the part.
///
/// A part keeps its address, its mailbox and what must survive outside of the steps; what a step works on may
/// be broken after a panic, and the part makes it anew.
#[derive(Clone)]
pub(crate) struct Supervisor {
    parts: Arc<Parts>,
    name: Arc<str>,
}

/// A step has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panicked {
    /// The part must begin again.
    BeginAgain,
    /// The part has begun again too often. It is dead: the process cannot go on.
    TooOften,
}

impl Supervisor {
    /// For the part of this name.
    pub(crate) fn new(parts: &Arc<Parts>, name: impl Into<Arc<str>>) -> Self {
        Self { parts: Arc::clone(parts), name: name.into() }
    }

    /// Runs a step. The panic is logged and counted.
    ///
    /// # Errors
    /// The step has panicked. What it worked on may be half changed.
    pub(crate) fn attempt<T>(&self, step: impl FnOnce() -> T) -> Result<T, Panicked> {
        let guarded = || {
            self.parts.panic_if_poisoned(&self.name);
            step()
        };
        catch_unwind(AssertUnwindSafe(guarded)).map_err(|panic| self.parts.panicked(&self.name, &*panic))
    }

    /// A thread that is held up for a test waits here before a step; an actor is not polled instead. Without the
    /// feature `poison` this does nothing.
    pub(crate) fn wait_while_stalled(&self) {
        #[cfg(feature = "poison")]
        while let Some(until) = self.parts.stalled_until(&self.name) {
            std::thread::sleep(until.saturating_duration_since(std::time::Instant::now()));
        }
    }

    /// A thread that runs outside of steps panics here if it was poisoned for a test. Without the feature `poison` this
    /// does nothing.
    pub(crate) fn panic_if_poisoned(&self) {
        self.parts.panic_if_poisoned(&self.name);
    }

    /// The parts, for one that starts another.
    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Supervisor").field(&self.name).finish()
    }
}
