//! What has happened: a hash of all of it, the last events, and the first promise that was broken.

use std::{collections::VecDeque, fmt};

use crate::rng::mix;

/// Events that are shown with a broken promise, unless more are asked for.
pub const SHOWN: usize = 40;

/// One event, with up to three numbers.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    step: u64,
    what: &'static str,
    numbers: [u64; 3],
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    step: u64,
    promise: &'static str,
    seen: String,
}

#[derive(Debug, Default)]
pub struct Trace {
    pub step: u64,
    pub hash: u64,
    last: VecDeque<Event>,
    /// How many of the last events are kept.
    pub shown: usize,
    pub broken: Option<Broken>,
}

impl Trace {
    /// Nothing yet; shows the last `shown` events with a broken promise.
    pub fn new(shown: usize) -> Self {
        Self { shown, ..Self::default() }
    }

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

    /// The events before a broken promise, and what was promised and seen; `None` if all are kept.
    pub fn report(&self) -> Option<String> {
        let Broken { step, promise, seen } = self.broken.as_ref()?;
        let before = self.last.iter().take_while(|event| event.step <= *step);
        let events: String = before.map(|event| format!("{event}\n")).collect();
        Some(format!("{events}step {step}\npromised: {promise}\nseen: {seen}"))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.numbers;
        write!(f, "{:>8}  {:<34} {a} {b} {c}", self.step, self.what)
    }
}
