//! A connection is a descriptor: how many of both there may be.

use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Descriptors beside those of the connections that are served: an eighth of all, but at least the one number, if there
/// are twice as many, and at most the other. Half of them are for connections over a bound, a quarter for connections that
/// have just come or are about to go, the rest for files, wake-up pipes, and logs.
const SPARE: (u64, u64) = (256, 1024);

/// How many connections there are descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Those that are served.
    pub(super) connections: usize,
    /// Those over each bound, which are told so.
    pub(super) surplus: usize,
    /// Those that no worker knows yet, or that one has just closed.
    pub(super) coming: usize,
}

impl Room {
    /// What the settings ask for, as far as there are descriptors for it. A connection that there is none for could be
    /// neither accepted nor told why.
    pub(super) fn of(settings: &Settings, descriptors: u64) -> Self {
        let spare = (descriptors / 8).clamp(SPARE.0, SPARE.1).min(descriptors / 2);
        let possible = usize::try_from(descriptors - spare).unwrap_or(usize::MAX).max(1);
        let quarter = usize::try_from(spare / 4).unwrap_or(1).max(1);
        Self { connections: settings.max_connections().min(possible), surplus: quarter, coming: quarter }
    }

    /// All of them.
    pub(super) fn in_all(&self) -> usize {
        self.connections.saturating_add(2 * self.surplus + self.coming)
    }
}

/// Takes as many descriptors as the system lets the process have. For the owner of the process, before a server is built.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        warn!("the limit on descriptors cannot be raised: {error}");
    }
}

/// How many descriptors the process may have.
pub(super) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Warns of settings that there are too few descriptors for.
pub(super) fn warn_if_short(settings: &Settings, descriptors: u64) {
    let possible = Room::of(settings, descriptors).connections;
    let asked = [
        ("--max-sessions (ECHOROOM_MAX_SESSIONS)", Some(settings.max_sessions)),
        ("--max-connections (ECHOROOM_MAX_CONNECTIONS)", settings.max_connections),
    ];
    for (setting, asked) in asked {
        if let Some(asked) = asked.filter(|asked| asked.get() > possible) {
            warn!(
                "{setting} is {asked}, but the system allows this process {descriptors} descriptors, so there are at \
                 most {possible} connections at a time; `ulimit -n` raises that"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_all_else() {
        let settings = Settings::default();
        for (descriptors, connections, surplus) in [
            (u64::MAX, 110_000, 256),
            (65_536, 65_536 - 1024, 256),
            (1024, 768, 64),
            (300, 150, 37),
            (8, 4, 1),
        ] {
            let room = Room::of(&settings, descriptors);
            assert_eq!((room.connections, room.surplus), (connections, surplus), "{descriptors}");
            assert!(room.in_all() as u64 <= descriptors, "{descriptors}");
        }
    }

    #[test]
    fn a_bound_that_is_set_holds_if_there_are_descriptors_for_it() {
        let settings = Settings { max_connections: std::num::NonZeroUsize::new(50), ..Settings::default() };
        assert_eq!(Room::of(&settings, 1024).connections, 50);
        assert_eq!(Room::of(&settings, 60).connections, 30);
    }
}
