//! How many messages a session may send: a token bucket. A plain value that is told the time.

use std::time::{Duration, Instant};

/// What a session may send.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Messages a second.
    pub rate: f64,
    /// Messages at once, after a pause.
    pub burst: f64,
    /// How long a session may press against the limit without a pause before it counts as a flood.
    pub patience: Duration,
}

/// A session's place within its [`RateLimit`].
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    limit: RateLimit,
    tokens: f64,
    filled: Instant,
    /// Since when the session has pressed against the limit without a pause.
    pressing: Option<Instant>,
}

/// Whether a session may send another message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Go,
    /// It must wait until then.
    Wait(Instant),
    /// It has pressed for too long.
    Flood,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(limit: RateLimit, now: Instant) -> Self {
        Self { limit, tokens: limit.burst, filled: now, pressing: None }
    }

    /// Whether another message may be taken from the client.
    pub fn check(&mut self, now: Instant) -> Verdict {
        self.fill(now);
        if self.tokens >= 1.0 {
            return Verdict::Go;
        }
        let since = *self.pressing.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.limit.patience {
            return Verdict::Flood;
        }
        Verdict::Wait(now + Duration::from_secs_f64((1.0 - self.tokens) / self.limit.rate))
    }

    /// A message was taken.
    pub fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// The client had nothing more to say: whatever pressing there was is over.
    pub fn pause(&mut self) {
        self.pressing = None;
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.limit.rate).min(self.limit.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { rate: 10.0, burst: 3.0, patience: Duration::from_secs(2) };

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_one_message_at_a_time() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        for _ in 0..3 {
            assert_eq!(bucket.check(start), Verdict::Go);
            bucket.take();
        }
        assert_eq!(bucket.check(start), Verdict::Wait(after(start, 100)));
        assert_eq!(bucket.check(after(start, 101)), Verdict::Go);
        bucket.take();
        assert!(matches!(bucket.check(after(start, 101)), Verdict::Wait(_)));
    }

    #[test]
    fn pressing_without_a_pause_is_a_flood() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        for millis in (0..2500).step_by(50) {
            match bucket.check(after(start, millis)) {
                Verdict::Go => bucket.take(),
                Verdict::Wait(_) => {}
                Verdict::Flood => return assert!(millis >= 2000, "{millis}"),
            }
        }
        panic!("never a flood");
    }

    #[test]
    fn a_pause_starts_the_patience_anew() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        for millis in (0..10_000).step_by(50) {
            match bucket.check(after(start, millis)) {
                Verdict::Go => bucket.take(),
                Verdict::Wait(_) => {}
                Verdict::Flood => panic!("a flood at {millis} ms"),
            }
            if millis % 1000 == 0 {
                bucket.pause();
            }
        }
    }

    #[test]
    fn a_full_bucket_holds_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        let late = after(start, 60_000);
        for _ in 0..3 {
            assert_eq!(bucket.check(late), Verdict::Go);
            bucket.take();
        }
        assert!(matches!(bucket.check(late), Verdict::Wait(_)));
    }
}
