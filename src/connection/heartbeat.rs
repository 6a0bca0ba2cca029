//! When to ping, and when to give a client up. Callers pass the time.

use std::time::{Duration, Instant};

/// The state of one session's heartbeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    wait: Wait,
}

#[derive(Clone, Copy, Debug)]
enum Wait {
    /// The next ping is due at this time.
    ToPing(Instant),
    /// The client must send a byte before `deadline`; the ping was sent at `since`.
    ForLife { since: Instant, deadline: Instant },
}

/// What has come since the heartbeat was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signs {
    /// A byte came: the client lives.
    Heard,
    /// Nothing came, though the server was reading.
    Silence,
    /// The server did not read for a while, so silence says nothing.
    HeldBack,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing; ask again at this time.
    Wait(Instant),
    /// Send a ping; ask again at this time.
    Ping(Instant),
    /// The client is gone.
    Gone,
}

impl Heartbeat {
    /// A heartbeat that pings every `interval` and gives a client up after `timeout` without a byte from it.
    pub(crate) fn new(now: Instant, interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout, wait: Wait::ToPing(now + interval) }
    }

    /// When to call [`beat`](Self::beat) for the first time.
    pub(crate) fn first(&self) -> Instant {
        match self.wait {
            Wait::ToPing(at) | Wait::ForLife { deadline: at, .. } => at,
        }
    }

    /// What to do at `now`, with the signs since the last call.
    pub(crate) fn beat(&mut self, now: Instant, signs: Signs) -> Beat {
        match self.wait {
            Wait::ToPing(at) if now < at => Beat::Wait(at),
            Wait::ToPing(_) => self.ping(now),
            Wait::ForLife { since, .. } if signs == Signs::Heard => {
                let next = since + self.interval;
                if now >= next {
                    return self.ping(now);
                }
                self.wait = Wait::ToPing(next);
                Beat::Wait(next)
            }
            Wait::ForLife { deadline, .. } if now < deadline => Beat::Wait(deadline),
            Wait::ForLife { since, .. } if signs == Signs::HeldBack => {
                let deadline = now + self.timeout;
                self.wait = Wait::ForLife { since, deadline };
                Beat::Wait(deadline)
            }
            Wait::ForLife { .. } => Beat::Gone,
        }
    }

    fn ping(&mut self, now: Instant) -> Beat {
        let deadline = now + self.timeout;
        self.wait = Wait::ForLife { since: now, deadline };
        Beat::Ping(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_client_is_pinged_once_and_then_given_up() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heart.first(), at(start, 25));
        assert_eq!(heart.beat(at(start, 10), Signs::Silence), Beat::Wait(at(start, 25)));
        assert_eq!(heart.beat(at(start, 25), Signs::Silence), Beat::Ping(at(start, 45)));
        assert_eq!(heart.beat(at(start, 30), Signs::Silence), Beat::Wait(at(start, 45)));
        assert_eq!(heart.beat(at(start, 45), Signs::Silence), Beat::Gone);
    }

    #[test]
    fn a_client_that_answers_is_pinged_every_interval() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT);
        assert_eq!(heart.beat(at(start, 25), Signs::Heard), Beat::Ping(at(start, 45)));
        assert_eq!(heart.beat(at(start, 45), Signs::Heard), Beat::Wait(at(start, 50)));
        assert_eq!(heart.beat(at(start, 50), Signs::Heard), Beat::Ping(at(start, 70)));
    }

    #[test]
    fn a_timeout_longer_than_the_interval_does_not_skip_pings() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, Duration::from_secs(5), TIMEOUT);
        assert_eq!(heart.beat(at(start, 5), Signs::Silence), Beat::Ping(at(start, 25)));
        assert_eq!(heart.beat(at(start, 25), Signs::Heard), Beat::Ping(at(start, 45)));
    }

    #[test]
    fn the_deadline_stands_still_while_we_do_not_read() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT);
        heart.beat(at(start, 25), Signs::Silence);
        assert_eq!(heart.beat(at(start, 45), Signs::HeldBack), Beat::Wait(at(start, 65)));
        assert_eq!(heart.beat(at(start, 65), Signs::Silence), Beat::Gone);
    }
}
