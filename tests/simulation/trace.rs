//! What has happened: a hash of all of it, the last events, and the first promise that was broken.

use std::{collections::VecDeque, fmt};

use crate::rng::mix;

/// Events that are shown with a broken promise, unless more are asked for.
pub const SHOWN: usize = 40;

/// One event, with up to three numbers.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub step: u64,
    what: &'static str,
    numbers: [u64; 3],
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    pub step: u64,
    pub promise: &'static str,
    pub seen: String,
}

#[derive(Debug, Default)]
pub struct Trace {
    pub step: u64,
    pub hash: u64,
    pub last: VecDeque<Event>,
    /// How many of the last events are kept.
    pub shown: usize,
    pub broken: Option<Broken>,
}

impl Trace {
    /// Notes an event.
    pub fn note(&mut self, what: &'static str, numbers: [u64; 3]) {
        let word = what.bytes().fold(self.step, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        self.hash = numbers.iter().fold(mix(self.hash ^ word), |hash, number| mix(hash ^ number));
        if self.last.len() >= self.shown {
            self.last.pop_front();
        }
        self.last.push_back(Event { step: self.step, what, numbers });
    }

    /// Notes that a promise is broken. The first one counts.
    pub fn fail(&mut self, promise: &'static str, seen: impl FnOnce() -> String) {
        let step = self.step;
        self.broken.get_or_insert_with(|| Broken { step, promise, seen: seen() });
    }

    /// Fails unless `is_kept`.
    pub fn check(&mut self, is_kept: bool, promise: &'static str, seen: impl FnOnce() -> String) {
        if !is_kept {
            self.fail(promise, seen);
        }
    }

    /// The last events, a line each.
    pub fn last(&self) -> impl Iterator<Item = &Event> {
        self.last.iter()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.numbers;
        write!(f, "{:>8}  {:<34} {a} {b} {c}", self.step, self.what)
    }
}
