//! Whether the users that Redis lists are all there are. A Redis that has lost something may lack users whose nodes have
//! not claimed their names again yet. Callers pass the time.

use std::time::{Duration, Instant};

use crate::nodes::bounds::VERSIONS;

/// What is known of the lists of one room.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The version of the users that the chat was told last; 0 if none.
    told: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// A list has all users.
    #[default]
    None,
    /// The next list may lack users, and so may those after it for the length of a lease.
    FromNextList,
    /// A list may lack users until then.
    Until(Instant),
}

impl Doubt {
    /// The users have this version, which the chat is told.
    pub(super) fn told(&mut self, version: u64) {
        self.told = version;
    }

    /// The connection is lost: other nodes have time to come back from when this one is back.
    pub(super) fn disconnect(&mut self) {
        if matches!(self.state, State::Until(_)) {
            self.state = State::FromNextList;
        }
    }

    /// Redis lists the users as of this version. Nodes that live claim the names of their users again within `lease`.
    pub(super) fn listed(&mut self, version: u64, now: Instant, lease: Duration) {
        let has_lost = self.told > 0 && (version < self.told || version / VERSIONS != self.told / VERSIONS);
        if has_lost || matches!(self.state, State::FromNextList) {
            self.state = State::Until(now + lease);
        }
        self.told = version;
    }

    /// A list lacks users of this node, whose names it claims again.
    pub(super) fn lacks_own(&mut self, now: Instant) {
        if !matches!(self.state, State::Until(_)) {
            self.state = State::Until(now);
        }
    }

    /// Whether a list may lack users.
    pub(super) fn is_any(&self) -> bool {
        !matches!(self.state, State::None)
    }

    /// Whether the next list has all users. True once; then it is to be asked for.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        let is_over = matches!(self.state, State::Until(until) if until <= now);
        if is_over {
            self.state = State::None;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    #[test]
    fn a_list_may_lack_users_for_a_lease_after_redis_has_lost_something() {
        let now = Instant::now();
        let after = |told, version| {
            let mut doubt = Doubt::default();
            doubt.told(told);
            doubt.listed(version, now, LEASE);
            doubt.is_any()
        };
        let first = VERSIONS;
        assert!(!after(0, first + 3), "nothing was known");
        assert!(!after(first + 3, first + 9), "others have changed");
        assert!(!after(first + 3, first + 3));
        assert!(after(first + 3, first + 2), "changes are lost");
        assert!(after(first + 3, 2 * VERSIONS + 4), "changes may be lost");
        assert!(after(first + 3, 0), "all is lost");
    }

    #[test]
    fn doubt_ends_with_the_lease_which_begins_anew_with_a_new_connection() {
        let now = Instant::now();
        let mut doubt = Doubt::default();
        doubt.told(VERSIONS + 1);
        doubt.listed(0, now, LEASE);
        assert!(!doubt.end(now) && doubt.is_any());
        doubt.disconnect();
        assert!(!doubt.end(now + LEASE) && doubt.is_any());
        doubt.listed(0, now + LEASE, LEASE);
        assert!(!doubt.end(now + LEASE) && doubt.end(now + 2 * LEASE));
        assert!(!doubt.is_any() && !doubt.end(now + 2 * LEASE));
    }

    #[test]
    fn a_list_that_lacks_users_of_this_node_is_asked_for_again() {
        let now = Instant::now();
        let mut doubt = Doubt::default();
        doubt.lacks_own(now);
        assert!(doubt.is_any() && doubt.end(now) && !doubt.is_any());
    }
}
