//! How many messages a session may send: a token bucket. Callers pass the time.

use std::time::{Duration, Instant};

/// The bound on the rate of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    /// Messages a second.
    pub rate: f64,
    /// Messages at once, after a pause.
    pub burst: f64,
    /// How long a session may exceed the limit without a pause before it counts as a flood.
    pub patience: Duration,
}

/// The tokens that a session has under its [`RateLimit`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    limit: RateLimit,
    tokens: f64,
    filled: Instant,
    /// Since when the session has exceeded the limit without a pause.
    pressing: Option<Instant>,
}

/// Whether a session may send another message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may send now.
    Go,
    /// It must wait until this time.
    Wait(Instant),
    /// It has exceeded the limit for too long.
    Flood,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        Self { limit, tokens: limit.burst, filled: now, pressing: None }
    }

    /// Whether another message may be taken from the client.
    pub(crate) fn check(&mut self, now: Instant) -> Verdict {
        self.fill(now);
        if self.has_token() {
            return Verdict::Go;
        }
        let since = *self.pressing.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.limit.patience {
            return Verdict::Flood;
        }
        Verdict::Wait(now + Duration::from_secs_f64((1.0 - self.tokens) / self.limit.rate))
    }

    /// Whether another message may be taken, without a look at the clock: waiting only adds tokens.
    pub(crate) fn has_token(&self) -> bool {
        self.tokens >= 1.0
    }

    /// Takes a token for a message.
    pub(crate) fn take(&mut self, now: Instant) {
        self.fill(now);
        self.tokens -= 1.0;
    }

    /// The client has nothing more to send, so it does not exceed the limit any more.
    pub(crate) fn pause(&mut self) {
        self.pressing = None;
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.limit.rate).min(self.limit.burst);
        self.filled = now;
    }
}

/// After this time without a refused message, patience begins anew.
const BREAK: Duration = Duration::from_secs(1);

/// The tokens of a session that is told when it is too fast, instead of being read more slowly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    bucket: TokenBucket,
    /// When a message was last refused.
    refused: Option<Instant>,
}

/// How a message is to be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Accept it.
    Fits,
    /// Refuse it.
    TooFast {
        /// Time until a message would be accepted.
        retry_after: Duration,
    },
    /// End the session: messages have been refused for too long without a break.
    Flood,
}

impl Meter {
    /// A full bucket, and no message refused yet.
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        Self { bucket: TokenBucket::new(limit, now), refused: None }
    }

    /// Measures a message that has come.
    pub(crate) fn measure(&mut self, now: Instant) -> Measure {
        if self.refused.is_none_or(|refused| now.saturating_duration_since(refused) >= BREAK) {
            self.bucket.pause();
        }
        match self.bucket.check(now) {
            Verdict::Go => {
                self.bucket.take(now);
                Measure::Fits
            }
            Verdict::Wait(until) => {
                self.refused = Some(now);
                Measure::TooFast { retry_after: until.saturating_duration_since(now) }
            }
            Verdict::Flood => Measure::Flood,
        }
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
            bucket.take(start);
        }
        assert_eq!(bucket.check(start), Verdict::Wait(after(start, 100)));
        assert_eq!(bucket.check(after(start, 101)), Verdict::Go);
        bucket.take(after(start, 101));
        assert!(matches!(bucket.check(after(start, 101)), Verdict::Wait(_)));
    }

    #[test]
    fn pressing_without_a_pause_is_a_flood() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        for millis in (0..2500).step_by(50) {
            match bucket.check(after(start, millis)) {
                Verdict::Go => bucket.take(after(start, millis)),
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
                Verdict::Go => bucket.take(after(start, millis)),
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
            bucket.take(late);
        }
        assert!(matches!(bucket.check(late), Verdict::Wait(_)));
    }

    #[test]
    fn who_is_not_checked_while_there_are_tokens_gets_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(LIMIT, start);
        let late = after(start, 60_000);
        let taken = (0..10)
            .take_while(|_| {
                let has_token = bucket.has_token();
                bucket.take(late);
                has_token
            })
            .count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn a_meter_refuses_what_is_too_fast_and_says_when_to_come_back() {
        let start = Instant::now();
        let mut meter = Meter::new(LIMIT, start);
        for _ in 0..3 {
            assert_eq!(meter.measure(start), Measure::Fits);
        }
        assert_eq!(meter.measure(start), Measure::TooFast { retry_after: Duration::from_millis(100) });
        assert_eq!(meter.measure(after(start, 101)), Measure::Fits);
    }

    #[test]
    fn refusals_without_a_break_are_a_flood_though_some_messages_pass() {
        let start = Instant::now();
        let mut meter = Meter::new(LIMIT, start);
        let first = (0..200).find(|step| meter.measure(after(start, step * 50)) == Measure::Flood);
        assert!(first.is_some_and(|step| (40..50).contains(&step)), "{first:?}");
        let mut meter = Meter::new(LIMIT, start);
        for step in 0..400 {
            // Twenty messages in half a second, then a break of a second and a half.
            let at = after(start, step / 20 * 2000 + step % 20 * 25);
            assert_ne!(meter.measure(at), Measure::Flood);
        }
    }
}
