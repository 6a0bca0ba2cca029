//! The command line: settings and subcommands.

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::{
    CliError, Settings,
    reading::{self, PLATFORM_PORT},
};

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
    /// The subcommand; without one, the program serves.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of the server.
    #[command(flatten)]
    pub settings: Settings,
}

/// The subcommands.
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
    /// Bring the journal in --data-dir, which no server uses, into the Redis at --redis, before the first node starts
    ImportJournal,
    /// Write the rooms in the Redis at --redis, when all nodes have stopped, to a new journal in --data-dir
    ExportJournal,
}

impl Cli {
    /// Reads the arguments and the environment of the process.
    ///
    /// # Errors
    /// [`CliError`], ready to be printed.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, CliError> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut command = reading::prepare(Self::command());
        // An empty variable counts as not set.
        if let Some(port) = std::env::var_os(PLATFORM_PORT).filter(|port| !port.is_empty()) {
            let port = port.to_string_lossy().into_owned();
            command = command.mut_arg("port", |arg| arg.default_value(port));
        }
        let cli = command
            .try_get_matches_from_mut(&args)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| reading::describe(&error, &command, &args))?;
        // Subcommands use few of the settings, and must work even if a server would not start with the others.
        if cli.command.is_none() {
            cli.settings.check().map_err(|error| CliError::Invalid(error.to_string()))?;
        }
        Ok(cli)
    }
}

/// Environment variables that begin as those of settings do and are not known, each with the nearest known name if one is
/// near. For a warning at the start.
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
    use super::{super::without_environment, *};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Reads arguments without the environment.
    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        let command = without_environment(reading::prepare(Cli::command()));
        command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches))
    }

    #[test]
    fn the_defaults_are_what_a_command_line_without_flags_gives() {
        let cli = parse(&["echoroom"]).expect("defaults are valid");
        assert_eq!(format!("{:?}", cli.settings), format!("{:?}", Settings::default()));
    }

    /// A number that has no range in its type must have one in `check`.
    #[test]
    fn every_number_has_a_largest_value() {
        // Every count is valid here.
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

    /// The text after the colon is for users: it does not name types of Rust.
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

    #[test]
    fn a_wrong_address_of_redis_is_told_how_one_is_written() {
        for address in ["", "127.0.0.1:6379", "http://u:p@h", "unix:relative.sock", "redis://u:p@h?tls=1"] {
            let error = parse(&["echoroom", "--redis", address]).expect_err("not an address");
            assert_eq!(
                described(&error),
                "invalid value for '--redis <URL>': it is redis://[user:password@]host[:port][/database], rediss:// for \
                 TLS, or unix:/path/of/the/socket; /, @, :, ? and # in a password are written as %2F, %40, %3A, %3F and \
                 %23 (or ECHOROOM_REDIS)"
            );
        }
    }

    #[test]
    fn no_error_shows_the_password_of_redis() {
        for args in [
            vec!["--redis", "redis://u:Geheim7@h/x"],
            vec!["--redis=rediss://:Geheim7@"],
            vec!["--redis", "unix:s?pass=Geheim7"],
            vec!["redis://u:Geheim7@h"],
            vec!["--redsi", "redis://u:Geheim7@h"],
            vec!["--redsi=redis://u:Geheim7@h"],
            vec!["--port", "redis://u:Geheim7@h"],
        ] {
            let args: Vec<_> = std::iter::once("echoroom").chain(args).collect();
            let sentence = described(&parse(&args).expect_err("it is wrong"));
            assert!(!sentence.contains("Geheim7"), "{sentence}");
            assert!(!sentence.contains('\n') && sentence.contains('\''), "{sentence}");
        }
        let settings = parse(&["echoroom", "--redis", "redis://u:Geheim7@h"]).expect("an address").settings;
        assert!(!format!("{settings:?}").contains("Geheim7"));
        let command = Cli::command();
        let redis = command.get_arguments().find(|arg| arg.get_id() == "redis");
        assert!(redis.is_some_and(clap::Arg::is_hide_env_values_set));
    }

    /// The rows of the README's table of settings: flag, variable, default.
    fn documented() -> Vec<[String; 3]> {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let readme = readme.expect("the README");
        let table = readme.split("\n| flag | variable | default | meaning |\n|---|---|---|---|\n").nth(1);
        let table = table.expect("a table of settings");
        let rows = table.lines().take_while(|line| line.starts_with("| "));
        let cells = rows.map(|row| row.trim_start_matches("| ").split(" | ").map(str::to_owned));
        cells.map(|mut cells| [(); 3].map(|()| cells.next().expect("four columns"))).collect()
    }

    /// The first word of a cell that is set as code.
    fn code(cell: &str) -> Option<&str> {
        cell.split('`').nth(1)
    }

    /// All settings, with the resulting values of those that depend on others.
    fn in_full(settings: &Settings) -> String {
        let image = Some(settings.events.max_image_size());
        let avatar = Some(settings.events.max_avatar_size());
        let memory = Some(settings.max_memory());
        let (acks, eviction) = (Some(settings.nodes.redis_acks()), Some(settings.nodes.redis_eviction()));
        let times = [settings.nodes.redis_window(), settings.nodes.node_lease()];
        let isolation = settings.nodes.isolation_timeout();
        let sharing = (settings.nodes.socketio_adapter(), settings.nodes.socketio_key());
        let bounds = (settings.nodes.socketio_redis_bytes(), settings.nodes.socketio_redis_requests());
        let settings = settings.clone().with(|s| {
            s.events.max_image_size = image;
            s.events.max_avatar_size = avatar;
            s.limits.max_memory = memory;
            (s.nodes.redis_acks, s.nodes.redis_eviction) = (acks, eviction);
            (s.nodes.redis_window, s.nodes.node_lease, s.nodes.isolation_timeout) = (None, None, None);
            (s.nodes.socketio_adapter, s.nodes.socketio_key) = (None, None);
            (s.nodes.socketio_redis_bytes, s.nodes.socketio_redis_requests) = (None, None);
        });
        format!("{settings:?} {times:?} {isolation:?} {sharing:?} {bounds:?}")
    }

    #[test]
    fn the_readme_has_each_setting_with_its_variable_and_default() {
        let rows = documented();
        let command = Cli::command();
        let is_shown = |arg: &&clap::Arg| arg.get_env().is_some() && !arg.is_hide_set();
        let settings = || command.get_arguments().filter(is_shown);
        assert_eq!(rows.len(), settings().count(), "rows and settings");
        for arg in settings() {
            let flag = format!("--{}", arg.get_long().expect("every setting is a flag"));
            let row = rows.iter().find(|[first, ..]| code(first) == Some(&flag));
            let [_, variable, default] = row.unwrap_or_else(|| panic!("{flag} is not in the README"));
            assert_eq!(code(variable), arg.get_env().and_then(|name| name.to_str()), "{flag}");
            let values = arg.get_default_values();
            match code(default).filter(|code| !code.starts_with("--")) {
                Some(value) => {
                    let cli = parse(&["echoroom", &flag, value]).expect("a default is a value");
                    assert_eq!(in_full(&cli.settings), in_full(&Settings::default()), "{flag}: {default}");
                }
                None => assert!(values.iter().all(|value| value.is_empty()), "{flag}: {default}"),
            }
        }
    }
}
