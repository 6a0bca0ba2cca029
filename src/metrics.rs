//! What the process counts about itself.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Counters shared by all workers.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    sessions: AtomicUsize,
}

impl Metrics {
    /// All zero; the uptime counts from here.
    pub fn new() -> Self {
        Self { started: Instant::now(), sessions: AtomicUsize::new(0) }
    }

    /// Since the server was built.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sessions open now, at every door.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// A session has opened.
    pub fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A session has ended.
    pub fn session_closed(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
