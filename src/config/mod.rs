//! All settings in one struct: flags and their `ECHOROOM_*` environment twins, checked once.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::LazyLock,
};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use self::{
    admission::Admission,
    check::{LONGEST_TIMER_MILLIS, SettingError},
    connections::Connections,
    events::Events,
    heartbeat::Heartbeat,
    host::{AllowedHost, HostName},
    journal::Journal,
    lessons::Lessons,
    limits::Limits,
    listen::Listen,
    login::Login,
    operation::Operation,
    origins::Origins,
    per_address::PerAddress,
    rates::Rates,
    rooms::Rooms,
    socketio::SocketIo,
    values::{AllowedOrigin, ByteSize, JournalKind, Network, Period, PeriodOrOff, Switch},
};

mod admission;
pub mod check;
mod connections;
mod events;
mod heartbeat;
pub mod host;
mod journal;
mod lessons;
mod limits;
mod listen;
mod login;
mod operation;
mod origins;
pub mod per_address;
mod rates;
mod reading;
mod rooms;
mod socketio;
pub mod socketio_path;
pub mod values;

/// The port variable that hosting platforms set, used when neither `--port` nor `ECHOROOM_PORT` is given.
const PLATFORM_PORT: &str = "PORT";

/// Largest image if `--max-image-size` is not set.
const MAX_IMAGE_SIZE: ByteSize = ByteSize(512 * 1024);

/// Largest avatar if `--max-avatar-size` is not set.
const MAX_AVATAR_SIZE: ByteSize = ByteSize(4 * 1024);

/// Bytes that all clients make the server hold if `--max-memory` is not set.
const MAX_MEMORY: ByteSize = ByteSize(256 * 1024 * 1024);

/// Connections beside the sessions if `--max-connections` is not set.
const SPARE_CONNECTIONS: usize = 10_000;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "echoroom",
    version,
    about = "A real-time room server: echo and relay over WebSocket, every session an actor.",
    after_help = "Sizes are bytes; a suffix k, m or g may follow (64k, 1m). Times are seconds, or 500ms, 5m, 12h, 30d.\n\
                  A flag goes before its environment variable. Logs: RUST_LOG (default info)."
)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the program can do besides serving.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ask the server on this machine for its health; exit code 0 if it is well
    Healthcheck,
    /// Let all messages of a room go, of the server that uses --data-dir or of a folder that no server uses
    Forget {
        /// The room's name
        room: String,
    },
    /// Copy the journal in --data-dir to a new file, while a server may be using it
    Backup {
        /// The file to write
        file: PathBuf,
    },
}

/// How to serve. Every bound that a client can reach is here. The order of the groups is that of `--help`.
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

/// The settings when nothing is set, parsed once from the defaults that the flags declare.
static DEFAULTS: LazyLock<Settings> = LazyLock::new(|| {
    let matches = without_environment(Settings::augment_args(clap::Command::new("echoroom")))
        .try_get_matches_from(["echoroom"])
        .and_then(|matches| Settings::from_arg_matches(&matches));
    matches.expect("each default is a value of its setting")
});

impl Default for Settings {
    /// What the command line gives when no flag is given and no variable is set. Variables are for the command line only:
    /// they do not change the defaults.
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

/// The command as it is if no variable is set.
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

    /// Checks each setting, and all of them together. [`Application::build`](crate::app::Application::build) does.
    ///
    /// # Errors
    /// The first one that cannot be, or that does not fit the others.
    pub fn check(&self) -> Result<(), SettingError> {
        check::check(self)
    }

    /// Largest image: as it is set, or else the default as far as an event has room for it.
    pub fn max_image_size(&self) -> ByteSize {
        self.events.max_image_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_IMAGE_SIZE))
    }

    /// Largest avatar: as it is set, or else the default as far as an event has room for it.
    pub fn max_avatar_size(&self) -> ByteSize {
        self.events.max_avatar_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_AVATAR_SIZE))
    }

    /// Bytes that all clients make the server hold: as it is set, or else the default, or more if messages are large.
    pub fn max_memory(&self) -> ByteSize {
        let default = MAX_MEMORY.get().max(check::memory_for(self.largest_message()));
        self.limits.max_memory.unwrap_or(ByteSize(default))
    }

    /// Bytes of the largest message that is taken at any door.
    pub(crate) fn largest_message(&self) -> ByteSize {
        ByteSize(self.events.max_payload.get().max(self.limits.max_message_size.get()))
    }

    /// Largest message before login: as it is set, or what an avatar needs, within what any message may have.
    pub fn max_login_size(&self) -> ByteSize {
        let needed = self.max_avatar_size().get() + check::ENVELOPE_BYTES;
        ByteSize(self.limits.max_login_size.get().max(needed).min(self.events.max_payload.get()))
    }

    fn as_far_as_it_fits(&self, size: ByteSize) -> ByteSize {
        ByteSize(size.get().min(check::fitting(self.events.max_payload.get())))
    }

    /// Connections at a time: what is set, or room for all sessions and for others beside them.
    pub fn max_connections(&self) -> usize {
        let default = self.admission.max_sessions.get().saturating_add(SPARE_CONNECTIONS);
        self.connections.max_connections.map_or(default, NonZeroUsize::get)
    }

    /// Where a program on this machine reaches the server.
    pub fn local_address(&self) -> SocketAddr {
        reachable((self.listen.bind, self.listen.port).into())
    }
}

/// Where a program on this machine reaches what listens on `bound`.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, bound.port()).into()
}

/// Why the command line gives no settings.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// `--help` or `--version`: print it and be content.
    #[error("{0}")]
    Answer(String),
    /// One sentence that names the key.
    #[error("{0}")]
    Invalid(String),
}

impl Cli {
    /// Reads the arguments and the environment of the process.
    ///
    /// # Errors
    /// [`CliError`], ready to be printed.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, CliError> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut command = reading::prepare(Self::command());
        // An empty variable is as good as none.
        if let Some(port) = std::env::var_os(PLATFORM_PORT).filter(|port| !port.is_empty()) {
            let port = port.to_string_lossy().into_owned();
            command = command.mut_arg("port", |arg| arg.default_value(port));
        }
        let cli = command
            .try_get_matches_from_mut(&args)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| reading::describe(&error, &command, &args))?;
        // The other commands use few of the settings, and are of use beside a server that does not start.
        if cli.command.is_none() {
            cli.settings.check().map_err(|error| CliError::Invalid(error.to_string()))?;
        }
        Ok(cli)
    }
}

/// Variables of the process that look like settings and are none, each with a word on which may have been meant, for a
/// warning at the start.
pub fn unknown_variables() -> Vec<String> {
    let known = reading::variables(&Cli::command());
    let mut unknown: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(reading::VARIABLES_BEGIN) && !known.contains(name))
        .collect();
    unknown.sort_unstable();
    unknown.into_iter().map(|name| format!("{name}{}", reading::hint_at_variable(&name, &known))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Reads arguments as if there were no environment.
    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        let command = without_environment(reading::prepare(Cli::command()));
        command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches))
    }

    #[test]
    fn the_defaults_are_what_a_command_line_without_flags_gives() {
        let cli = parse(&["echoroom"]).expect("defaults are valid");
        assert_eq!(format!("{:?}", cli.settings), format!("{:?}", Settings::default()));
    }

    #[test]
    fn the_defaults_know_no_variables() {
        let command = without_environment(Settings::augment_args(clap::Command::new("echoroom")));
        assert!(command.get_arguments().count() > 30, "settings are written otherwise now");
        assert!(command.get_arguments().all(|arg| arg.get_env().is_none()));
    }

    /// What has no range here must have one in `check`.
    #[test]
    fn every_number_has_a_largest_value() {
        // Any count is a bound that can be compared with.
        let unbounded = |flag: &str| {
            flag.ends_with("-per-address") || flag.ends_with("-per-minute") || flag == "handshake-rate"
        };
        let command = Cli::command();
        let mut found = 0;
        for arg in command.get_arguments() {
            let unit = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
            let value = match unit {
                Some("COUNT" | "BYTES" | "PIXELS") => usize::MAX.to_string(),
                Some("TIME") => "366d".to_owned(),
                _ => continue,
            };
            let flag = arg.get_long().expect("every setting is a flag");
            let sentence = match parse(&["echoroom", &format!("--{flag}"), &value]) {
                Err(error) => error.to_string(),
                Ok(cli) => cli.settings.check().err().map(|error| error.to_string()).unwrap_or_default(),
            };
            assert!(
                unbounded(flag) || sentence.contains(&format!("--{flag}")),
                "--{flag} {value}: {sentence:?}"
            );
            found += 1;
        }
        assert!(found > 30, "settings are written otherwise now");
    }

    fn described(error: &clap::Error) -> String {
        reading::describe(error, &Cli::command(), &[]).to_string()
    }

    /// What stands behind the colon is ours: no words of a programming language, no type.
    #[test]
    fn every_wrong_number_is_told_in_plain_words_with_the_key() {
        let command = Cli::command();
        let is_number = |arg: &&clap::Arg| {
            let unit = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
            matches!(unit, Some("COUNT" | "BYTES" | "PIXELS" | "TIME" | "PORT"))
        };
        for arg in command.get_arguments().filter(is_number) {
            let flag = arg.get_long().expect("every setting is a flag");
            for value in ["", "x", "-1", "-5m", "+1", "1.5", "1x", "99999999999999999999999"] {
                let error = parse(&["echoroom", &format!("--{flag}"), value]).expect_err(flag);
                let sentence = described(&error);
                let variable = format!("ECHOROOM_{}", flag.replace('-', "_").to_ascii_uppercase());
                assert!(sentence.contains(&format!("--{flag}")), "{flag} {value:?}: {sentence}");
                assert!(sentence.contains(&variable), "{flag} {value:?}: {sentence}");
                for word in
                    ["non-zero", "digit found", "target type", "integer", "empty string", "unexpected"]
                {
                    assert!(!sentence.contains(word), "{flag} {value:?}: {sentence}");
                }
            }
        }
    }

    #[test]
    fn an_error_is_one_sentence_with_the_key() {
        let error = parse(&["echoroom", "--max-message-size", "big"]).expect_err("no size");
        assert_eq!(
            described(&error),
            "invalid value 'big' for '--max-message-size <BYTES>': a size is a number of bytes, \
             such as 65536 or 64k or 1m or 2g (or ECHOROOM_MAX_MESSAGE_SIZE)"
        );
        let error = parse(&["echoroom", "--prot", "1"]).expect_err("no such flag");
        assert_eq!(described(&error), "there is no flag '--prot'; the nearest is '--port'");
    }
}
