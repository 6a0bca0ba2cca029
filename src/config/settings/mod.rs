//! All settings of the program: flags with their `ECHOROOM_*` variables, in one file for each concern, checked once.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    sync::LazyLock,
};

use clap::{Args, FromArgMatches as _};

use self::{
    connections::SPARE_CONNECTIONS,
    events::ENVELOPE_BYTES,
    limits::{MAX_MEMORY, memory_for},
};

pub use self::{
    admission::Admission,
    cli::{Cli, Command, unknown_variables},
    connections::Connections,
    error::{Amount, CliError, Key, SettingError},
    events::Events,
    heartbeat::Heartbeat,
    journal::{Journal, JournalKind},
    lessons::Lessons,
    limits::Limits,
    listen::Listen,
    login::Login,
    nodes::{Nodes, RedisAcks},
    operation::Operation,
    origins::Origins,
    rates::Rates,
    rooms::Rooms,
    socketio::SocketIo,
    socketio_adapter::{SocketIoAdapter, SocketIoKey},
    values::{ByteSize, Period, PeriodOrOff},
};
use super::{
    AllowedHost, AllowedOrigin, LONGEST_TIMER_MILLIS, Network, NodeName, PerAddress, RedisUrl, Switch,
};

mod admission;
pub mod check;
mod cli;
mod connections;
mod error;
mod events;
mod heartbeat;
mod journal;
mod lessons;
mod limits;
mod listen;
mod login;
mod nodes;
mod operation;
mod origins;
mod range;
mod rates;
mod reading;
mod rooms;
mod socketio;
mod socketio_adapter;
pub mod socketio_path;
pub mod values;

/// All settings of the server. Every bound on what clients may use is one. The order of the groups is that of `--help`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// How the server listens, works and serves its page.
    #[command(flatten)]
    pub listen: Listen,

    /// Which names and web origins are allowed.
    #[command(flatten)]
    pub origins: Origins,

    /// How messages are kept.
    #[command(flatten)]
    pub journal: Journal,

    /// How several nodes share their rooms.
    #[command(flatten)]
    pub nodes: Nodes,

    /// How large an event, an image and an avatar may be.
    #[command(flatten)]
    pub events: Events,

    /// How long a login may take, and how long a nickname is held for its user.
    #[command(flatten)]
    pub login: Login,

    /// How Socket.IO is served.
    #[command(flatten)]
    pub socketio: SocketIo,

    /// How large messages, queues and all of them together may be.
    #[command(flatten)]
    pub limits: Limits,

    /// How fast a session may send, and how slowly.
    #[command(flatten)]
    pub rates: Rates,

    /// How many sessions there may be, and how fast they may be asked for.
    #[command(flatten)]
    pub admission: Admission,

    /// How many rooms there may be, and whether they are listed.
    #[command(flatten)]
    pub rooms: Rooms,

    /// Whether there are lessons, and how many.
    #[command(flatten)]
    pub lessons: Lessons,

    /// How often sessions are pinged, and how long they may be silent.
    #[command(flatten)]
    pub heartbeat: Heartbeat,

    /// How long a connection may take, how many there may be, and what is compressed on them.
    #[command(flatten)]
    pub connections: Connections,

    /// How the server stops, and who may see its metrics.
    #[command(flatten)]
    pub operation: Operation,
}

/// The settings when nothing is set: an empty command line, parsed once.
static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| {
    let matches = without_environment(Settings::augment_args(clap::Command::new("echoroom")))
        .try_get_matches_from(["echoroom"])
        .and_then(|matches| Settings::from_arg_matches(&matches));
    matches.expect("each default is a value of its setting")
});

impl Default for Settings {
    /// The defaults that the flags declare. The environment does not change them: only [`Cli::read`] reads variables.
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

/// The command without its variables.
fn without_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.env(None::<&str>))
}

impl Settings {
    /// These settings with a change, such as `Settings::default().with(|s| s.listen.port = 0)`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks each setting alone, then all of them together. [`Application::build`](crate::app::Application::build) calls
    /// this.
    ///
    /// # Errors
    /// The first setting that is not valid, or does not fit the others.
    pub fn check(&self) -> Result<(), SettingError> {
        check::check(self)
    }

    /// Bytes that all clients together make the server hold: `--max-memory`, or else the default, or more if messages are
    /// large.
    pub fn max_memory(&self) -> ByteSize {
        let default = MAX_MEMORY.get().max(memory_for(self.largest_message()));
        self.limits.max_memory.unwrap_or(ByteSize(default))
    }

    /// Bytes of the largest message that any door accepts.
    pub(crate) fn largest_message(&self) -> ByteSize {
        ByteSize(self.events.max_payload.get().max(self.limits.max_message_size.get()))
    }

    /// Largest message before login: `--max-login-size`, or more if an avatar needs more, but never above `--max-payload`.
    pub fn max_login_size(&self) -> ByteSize {
        let needed = self.events.max_avatar_size().get() + ENVELOPE_BYTES;
        ByteSize(self.limits.max_login_size.get().max(needed).min(self.events.max_payload.get()))
    }

    /// Connections at a time: `--max-connections`, or else one for each session and `SPARE_CONNECTIONS` more.
    pub fn max_connections(&self) -> usize {
        let default = self.admission.max_sessions.get().saturating_add(SPARE_CONNECTIONS);
        self.connections.max_connections.map_or(default, NonZeroUsize::get)
    }

    /// The address at which a program on this machine reaches the server.
    pub fn local_address(&self) -> SocketAddr {
        reachable((self.listen.bind, self.listen.port).into())
    }
}

/// The address at which a program on this machine reaches a listener bound to `bound`.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, bound.port()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_know_no_variables() {
        let command = without_environment(Settings::augment_args(clap::Command::new("echoroom")));
        assert!(command.get_arguments().count() > 30, "settings are written otherwise now");
        assert!(command.get_arguments().all(|arg| arg.get_env().is_none()));
    }
}
