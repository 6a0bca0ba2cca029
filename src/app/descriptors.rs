//! The limit on file descriptors, which bounds connections.

use std::{fs::File, io};

use log::{debug, warn};
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::config::Settings;

/// Bounds on spare descriptors beside those of served connections: an eighth of the limit, clamped to these
/// values, but at most half of the limit. Half of the spare ones are for surplus connections, a quarter for
/// connections being accepted or closed, the rest for files, wake-up pipes and logs.
const SPARE: (u64, u64) = (256, 1024);

/// Numbers of connections that fit the limit on descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Served connections.
    pub(super) connections: usize,
    /// Surplus connections over each bound, which get an error.
    pub(super) surplus: usize,
    /// Connections that are being accepted or closed.
    pub(super) coming: usize,
}

impl Room {
    /// The numbers of the settings, reduced to the limit. A connection without a descriptor can be neither
    /// accepted nor rejected with a reason.
    pub(super) fn of(settings: &Settings, descriptors: u64) -> Self {
        let quarter = usize::try_from(spare(descriptors) / 4).unwrap_or(1).max(1);
        let connections = settings.max_connections().min(possible(descriptors));
        Self { connections, surplus: quarter, coming: quarter }
    }

    /// The total, with surplus connections over two bounds.
    pub(super) fn in_all(&self) -> usize {
        self.connections.saturating_add(2 * self.surplus + self.coming)
    }
}

/// The descriptors that are for all else than connections.
fn spare(descriptors: u64) -> u64 {
    (descriptors / 8).clamp(SPARE.0, SPARE.1).min(descriptors / 2)
}

/// The connections that there are descriptors for.
fn possible(descriptors: u64) -> usize {
    usize::try_from(descriptors - spare(descriptors)).unwrap_or(usize::MAX).max(1)
}

/// Most descriptors that the kernel's table has from the start: half a MiB of its memory.
const TABLE: u64 = 64 * 1024;

/// Raises the soft limit on descriptors to the hard limit, and has the kernel make its table of them as large. For
/// the owner of the process, before a server is built and a thread is started.
pub fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        warn!("the limit on descriptors cannot be raised: {error}");
    }
    if let Err(error) = grow_table(limit().min(TABLE)) {
        debug!("the table of descriptors grows with its use: {error}");
    }
}

/// Makes the kernel's table of descriptors this large. A table that grows later, each time it is full, stops the
/// threads that open descriptors for 10 to 30 ms: in a process with threads, the kernel waits until no processor
/// reads the old table.
fn grow_table(descriptors: u64) -> io::Result<()> {
    let last = i32::try_from(descriptors.saturating_sub(1)).unwrap_or(i32::MAX);
    // The table must have a place for it, and keeps its size when it is closed.
    let highest = fcntl_dupfd_cloexec(File::open("/dev/null")?, last)?;
    drop(highest);
    Ok(())
}

/// The process's limit on descriptors.
pub(super) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Warns of settings that exceed the limit on descriptors, and of sessions that exceed `--max-connections`.
pub(super) fn warn_if_short(settings: &Settings, descriptors: u64) {
    let possible = possible(descriptors);
    let (sessions, connections) = (settings.admission.max_sessions, settings.connections.max_connections);
    if let Some(connections) = connections.filter(|connections| *connections < sessions) {
        warn!(
            "--max-sessions (ECHOROOM_MAX_SESSIONS) is {sessions}, but --max-connections (ECHOROOM_MAX_CONNECTIONS) is \
             {connections}: only sessions that poll can be more"
        );
    }
    let asked = [
        ("--max-sessions (ECHOROOM_MAX_SESSIONS)", Some(settings.admission.max_sessions)),
        ("--max-connections (ECHOROOM_MAX_CONNECTIONS)", settings.connections.max_connections),
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
        let settings =
            Settings::default().with(|s| s.connections.max_connections = std::num::NonZeroUsize::new(50));
        assert_eq!(Room::of(&settings, 1024).connections, 50);
        assert_eq!(Room::of(&settings, 60).connections, 30);
    }
}
