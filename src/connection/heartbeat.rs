//! When to ping, and when to give a client up. Callers pass the time.

use std::time::{Duration, Instant};

/// The state of one session's heartbeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    proof: Proof,
    wait: Wait,
}

/// What proves that a client lives, after a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Any byte from it.
    Byte,
    /// Its pong, as clients of Engine.IO send it. Anything else extends the deadline, once a ping.
    Pong,
}

#[derive(Clone, Copy, Debug)]
enum Wait {
    /// The next ping is due at this time.
    ToPing(Instant),
    /// The client must prove before `deadline` that it lives. `since` is when the ping was sent; for a pong, when it was
    /// due: a client counts from there, too.
    ForLife { since: Instant, deadline: Instant, is_extended: bool },
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
    /// The ping may still wait to be sent, so silence says nothing.
    Unsent,
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
    /// A heartbeat that pings every `interval` and gives a client up after `timeout` without a proof of life.
    pub(crate) fn new(now: Instant, interval: Duration, timeout: Duration, proof: Proof) -> Self {
        Self { interval, timeout, proof, wait: Wait::ToPing(now + interval) }
    }

    /// When to call [`beat`](Self::beat) next.
    pub(crate) fn next(&self) -> Instant {
        match self.wait {
            Wait::ToPing(at) | Wait::ForLife { deadline: at, .. } => at,
        }
    }

    /// What to do at `now`, with the signs since the last call.
    pub(crate) fn beat(&mut self, now: Instant, signs: Signs) -> Beat {
        match self.wait {
            Wait::ToPing(at) if now < at => Beat::Wait(at),
            Wait::ToPing(at) => self.ping(now, at),
            Wait::ForLife { since, .. } if signs == Signs::Heard => {
                let next = since + self.interval;
                if now >= next {
                    return self.ping(now, next);
                }
                self.wait = Wait::ToPing(next);
                Beat::Wait(next)
            }
            Wait::ForLife { deadline, .. } if now < deadline => Beat::Wait(deadline),
            // Its answer cannot be read; a ping that cannot be written shows that its connection is gone.
            Wait::ForLife { .. } if signs == Signs::HeldBack => self.ping(now, now),
            Wait::ForLife { since, is_extended, .. } if signs == Signs::Unsent => {
                let deadline = now + self.timeout;
                self.wait = Wait::ForLife { since, deadline, is_extended };
                Beat::Wait(deadline)
            }
            Wait::ForLife { .. } => Beat::Gone,
        }
    }

    /// Whether the next beat pings.
    pub(crate) fn is_ping_due(&self, now: Instant) -> bool {
        matches!(self.wait, Wait::ToPing(at) if now >= at)
    }

    /// Whether the deadline of a ping is over.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        matches!(self.wait, Wait::ForLife { deadline, .. } if now >= deadline)
    }

    /// The client has sent a pong. Returns whether it answers a ping; then the time of the next beat has changed.
    pub(crate) fn pong(&mut self, now: Instant) -> bool {
        let is_answer = matches!(self.wait, Wait::ForLife { .. });
        if is_answer {
            self.wait = Wait::ToPing(now + self.interval);
        }
        is_answer
    }

    /// The client has sent anything. Returns whether the time of the next beat has changed.
    pub(crate) fn heard(&mut self, now: Instant) -> bool {
        match &mut self.wait {
            Wait::ForLife { deadline, is_extended: is_extended @ false, .. } if self.proof == Proof::Pong => {
                (*deadline, *is_extended) = (now + self.timeout, true);
                true
            }
            Wait::ForLife { .. } | Wait::ToPing(_) => false,
        }
    }

    /// The client has another connection: a ping on the one before needs no answer, and is sent again.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.wait = match self.wait {
            Wait::ToPing(at) => Wait::ToPing(at.max(now)),
            Wait::ForLife { .. } => Wait::ToPing(now),
        };
    }

    /// The ping that was due `at` this time.
    fn ping(&mut self, now: Instant, at: Instant) -> Beat {
        let since = if self.proof == Proof::Pong { at } else { now };
        let deadline = since + self.timeout;
        self.wait = Wait::ForLife { since, deadline, is_extended: false };
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
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Byte);
        assert_eq!(heart.next(), at(start, 25));
        assert_eq!(heart.beat(at(start, 10), Signs::Silence), Beat::Wait(at(start, 25)));
        assert_eq!(heart.beat(at(start, 25), Signs::Silence), Beat::Ping(at(start, 45)));
        assert_eq!(heart.beat(at(start, 30), Signs::Silence), Beat::Wait(at(start, 45)));
        assert_eq!(heart.beat(at(start, 45), Signs::Silence), Beat::Gone);
    }

    #[test]
    fn a_client_that_answers_is_pinged_every_interval() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Byte);
        assert_eq!(heart.beat(at(start, 25), Signs::Heard), Beat::Ping(at(start, 45)));
        assert_eq!(heart.beat(at(start, 45), Signs::Heard), Beat::Wait(at(start, 50)));
        assert_eq!(heart.beat(at(start, 50), Signs::Heard), Beat::Ping(at(start, 70)));
    }

    #[test]
    fn a_timeout_longer_than_the_interval_does_not_skip_pings() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, Duration::from_secs(5), TIMEOUT, Proof::Byte);
        assert_eq!(heart.beat(at(start, 5), Signs::Silence), Beat::Ping(at(start, 25)));
        assert_eq!(heart.beat(at(start, 25), Signs::Heard), Beat::Ping(at(start, 45)));
    }

    #[test]
    fn a_client_that_we_do_not_read_from_is_pinged_again_and_not_given_up() {
        for proof in [Proof::Byte, Proof::Pong] {
            let start = Instant::now();
            let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, proof);
            heart.beat(at(start, 25), Signs::Silence);
            assert_eq!(heart.beat(at(start, 45), Signs::HeldBack), Beat::Ping(at(start, 65)));
            assert_eq!(heart.beat(at(start, 65), Signs::HeldBack), Beat::Ping(at(start, 85)));
            assert_eq!(heart.beat(at(start, 85), Signs::Silence), Beat::Gone);
        }
    }

    #[test]
    fn the_deadline_stands_still_while_the_ping_waits_to_be_sent() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Byte);
        heart.beat(at(start, 25), Signs::Silence);
        assert_eq!(heart.beat(at(start, 45), Signs::Unsent), Beat::Wait(at(start, 65)));
        assert_eq!(heart.beat(at(start, 65), Signs::Silence), Beat::Gone);
    }

    #[test]
    fn a_client_that_must_send_a_pong_is_pinged_an_interval_after_it() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Pong);
        assert!(!heart.pong(at(start, 3)), "there was no ping");
        // The ping is sent late, and the deadline counts from when it was due.
        assert!(!heart.is_ping_due(at(start, 24)) && heart.is_ping_due(at(start, 27)));
        assert_eq!(heart.beat(at(start, 27), Signs::Silence), Beat::Ping(at(start, 45)));
        assert!(heart.pong(at(start, 30)));
        assert_eq!(heart.next(), at(start, 55));
    }

    #[test]
    fn what_is_no_pong_extends_the_deadline_once_a_ping() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Pong);
        for round in 0..3 {
            let ping = 25 + 55 * round;
            assert!(!heart.heard(at(start, ping)), "no ping waits");
            assert_eq!(heart.beat(at(start, ping), Signs::Silence), Beat::Ping(at(start, ping + 20)));
            assert!(heart.heard(at(start, ping + 15)) && !heart.heard(at(start, ping + 16)));
            assert_eq!(heart.next(), at(start, ping + 35));
            assert!(!heart.is_late(at(start, ping + 34)) && heart.is_late(at(start, ping + 35)));
            assert!(heart.pong(at(start, ping + 30)));
        }
        heart.beat(at(start, 200), Signs::Silence);
        heart.heard(at(start, 201));
        assert_eq!(heart.beat(at(start, 221), Signs::Silence), Beat::Gone);
    }

    #[test]
    fn a_ping_on_a_connection_that_was_left_is_sent_again() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(start, INTERVAL, TIMEOUT, Proof::Pong);
        heart.restart(at(start, 10));
        assert_eq!(heart.next(), at(start, 25), "no ping waits");
        heart.beat(at(start, 25), Signs::Silence);
        heart.restart(at(start, 30));
        assert_eq!(heart.beat(at(start, 30), Signs::Silence), Beat::Ping(at(start, 50)));
    }
}
