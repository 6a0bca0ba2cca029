//! A connection is a descriptor: how many of both there may be.

use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Descriptors beside connections, at most: files, wake-up pipes, logs.
const MAX_SPARE: u64 = 256;

/// Takes as many descriptors as the system lets the process have, and gives back how many that is.
pub(super) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        warn!("the limit on descriptors cannot be raised: {error}");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The connections that the settings ask for, as far as there are descriptors for them. A connection that there is none
/// for could be neither accepted nor told why.
pub(super) fn max_connections(settings: &Settings, descriptors: u64) -> usize {
    let possible = descriptors - MAX_SPARE.min(descriptors / 4);
    settings.max_connections().min(usize::try_from(possible).unwrap_or(usize::MAX))
}

/// Warns of settings that there are too few descriptors for.
pub(super) fn warn_if_short(settings: &Settings, descriptors: u64) {
    let possible = max_connections(settings, descriptors);
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
        assert_eq!(max_connections(&settings, u64::MAX), 110_000);
        assert_eq!(max_connections(&settings, 4096), 4096 - 256);
        assert_eq!(max_connections(&settings, 300), 225);
    }

    #[test]
    fn a_bound_that_is_set_holds_if_there_are_descriptors_for_it() {
        let settings = Settings { max_connections: std::num::NonZeroUsize::new(50), ..Settings::default() };
        assert_eq!(max_connections(&settings, 1024), 50);
        assert_eq!(max_connections(&settings, 60), 45);
    }
}
