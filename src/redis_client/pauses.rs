//! The time between two attempts to connect.

use std::time::{Duration, Instant};

/// Longer than this behind the last attempt, pauses begin anew. Connections that are lost as soon as they are open are so
/// opened ever more slowly, too.
const QUIET: Duration = Duration::from_secs(5);

/// Pauses that double from attempt to attempt.
#[derive(Debug)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
    asked_at: Option<Instant>,
}

impl Pauses {
    /// No pause before the first attempt, `first` before the second one, `longest` at most.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: Duration::ZERO, asked_at: None }
    }

    /// The pause before an attempt that is wanted now.
    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        if self.asked_at.replace(now).is_some_and(|at| now > at + QUIET) {
            self.next = self.first;
        }
        let pause = shortened(self.next);
        self.next = (self.next * 2).clamp(self.first, self.longest);
        pause
    }
}

/// Between half of a pause and all of it, so that servers do not come back all at once.
fn shortened(pause: Duration) -> Duration {
    let random = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);

    #[test]
    fn a_pause_is_shortened_by_half_at_most() {
        for _ in 0..1000 {
            let pause = shortened(LONGEST);
            assert!(pause >= LONGEST / 2 && pause <= LONGEST, "{pause:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_quiet_time() {
        let mut pauses = Pauses::new(FIRST, LONGEST);
        let mut now = Instant::now();
        assert_eq!(pauses.next(now), Duration::ZERO, "the first attempt is made at once");
        for most in [100, 200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis) {
            now += LONGEST;
            let pause = pauses.next(now);
            assert!(pause >= most / 2 && pause <= most, "{pause:?}, {most:?}");
        }
        assert!(pauses.next(now + QUIET + FIRST) <= FIRST);
    }
}
