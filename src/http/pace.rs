//! The minimum transfer rate of a client. [`Pace`] is a plain value that is given the time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::rt::time::{Sleep, sleep_until};

/// Minimum bytes per second of a transfer after its patience: a slow line of 32 kbit/s.
const MIN_BYTES_PER_SECOND: u64 = 4096;

/// The deadline of one transfer: a fixed patience, plus one second for each [`MIN_BYTES_PER_SECOND`] bytes
/// transferred. Single bytes now and then do not extend it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: Instant,
    patience: Duration,
    moved: u64,
}

impl Pace {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self { began: now, patience, moved: 0 }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
    }

    pub(super) fn deadline(&self) -> Instant {
        self.began + self.patience + Duration::from_secs(self.moved / MIN_BYTES_PER_SECOND)
    }
}

/// One timer, reused for all deadlines of a connection.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `deadline` has passed.
    pub(super) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = deadline.into();
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_does_not_prolong_a_transfer_and_progress_does() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(20), start);
        for _ in 0..100 {
            pace.moved(1);
        }
        assert_eq!(pace.deadline(), start + Duration::from_secs(20));
        pace.moved(1_000_000);
        assert_eq!(pace.deadline(), start + Duration::from_secs(20 + 244));
    }
}
