//! What the log is told about the connections: each change once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long connections must be open before they count as steady. A Redis may let this server in and then refuse what it
/// needs, attempt after attempt.
const STEADY: Duration = Duration::from_secs(3);

/// Most reasons for which one loss is logged.
const MOST_REASONS: usize = 16;

/// What the log knows.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Why there were no connections, since they were last logged as open.
    reasons: BTreeSet<String>,
    /// When the connections were opened; `None` if there are none.
    opened_at: Option<Instant>,
    /// The last connections were lost before they were steady, and these are not steady yet.
    is_unsteady: bool,
}

impl News {
    /// The connections are open. Returns whether that is logged: after connections that were not steady, it is not yet.
    pub(super) fn opened(&mut self, now: Instant) -> bool {
        self.opened_at = Some(now);
        if !self.is_unsteady {
            self.reasons.clear();
        }
        !self.is_unsteady
    }

    /// The connections are still open. Returns whether it is logged now that they are open.
    pub(super) fn stayed(&mut self, now: Instant) -> bool {
        let is_new = self.is_unsteady && self.opened_at.is_some_and(|at| now >= at + STEADY);
        if is_new {
            self.is_unsteady = false;
            self.reasons.clear();
        }
        is_new
    }

    /// There are no connections. Returns whether the reason is logged.
    pub(super) fn lost(&mut self, now: Instant, why: &str) -> bool {
        if let Some(at) = self.opened_at.take() {
            self.is_unsteady = now < at + STEADY;
        }
        self.reasons.len() < MOST_REASONS && self.reasons.insert(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_of_steady_connections_is_logged_once_for_each_reason() {
        let (mut news, mut now) = (News::default(), Instant::now());
        for _ in 0..3 {
            assert!(news.opened(now));
            now += STEADY;
            assert!(!news.stayed(now));
            assert!(news.lost(now, "closed"));
            assert!(news.lost(now, "refused"));
            assert!(!news.lost(now, "refused"));
        }
        for number in 0..2 * MOST_REASONS {
            news.lost(now, &number.to_string());
        }
        assert!(!news.lost(now, "one more"));
    }

    #[test]
    fn connections_that_do_not_stay_open_are_logged_once_until_they_stay() {
        let (mut news, mut now) = (News::default(), Instant::now());
        assert!(news.opened(now));
        assert!(news.lost(now, "no rights"));
        for _ in 0..3 {
            now += STEADY / 2;
            assert!(!news.opened(now));
            now += STEADY / 2;
            assert!(!news.stayed(now));
            assert!(!news.lost(now, "no rights"));
        }
        assert!(!news.opened(now));
        now += STEADY;
        assert!(news.stayed(now), "it has the rights now");
        assert!(!news.stayed(now));
        assert!(news.lost(now, "no rights"), "it is a new loss");
    }
}
