//! How long and how often a scenario runs, and the seed of each run.
//!
//! `NODES_SECONDS` is the length of a run, `NODES_SEEDS` the number of runs, each with another seed, and `NODES_SEED` the
//! first seed.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{judge::Verdict, rng::Rng};

/// Without the variable runs are short: they are tests among others.
const SECONDS: u64 = 3;

/// One run of a scenario.
pub struct Run {
    name: &'static str,
    pub seed: u64,
    /// Chance, by the seed.
    pub rng: Rng,
    ends_at: Instant,
}

impl Run {
    /// Whether the time is over. A scenario ends its storm then.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.ends_at
    }

    /// Prints the figures of a run.
    pub fn print(&self, verdict: &Verdict) {
        eprintln!("{}, seed {}: {verdict}", self.name, self.seed);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} failed: NODES_SEED={} runs it again", self.name, self.seed);
        }
    }
}

/// Runs a scenario with each seed.
pub fn runs(name: &'static str, mut scenario: impl FnMut(&mut Run)) {
    let first = number("NODES_SEED").unwrap_or(1);
    let length = Duration::from_secs(number("NODES_SECONDS").unwrap_or(SECONDS));
    for seed in first..first + number("NODES_SEEDS").unwrap_or(1) {
        scenario(&mut Run { name, seed, rng: Rng::new(seed), ends_at: Instant::now() + length });
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
