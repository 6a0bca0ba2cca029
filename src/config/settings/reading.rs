//! Reading the command line and the environment: parsers of numbers and addresses, and errors in plain words, with the
//! nearest known name for an unknown one.

use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    num::NonZeroUsize,
    str::FromStr,
};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{ByteSize, CliError, values::ByteSizeError};

/// The port variable that hosting platforms set, used when neither `--port` nor `ECHOROOM_PORT` is given.
pub(super) const PLATFORM_PORT: &str = "PORT";

/// What the variables of all settings begin with.
pub(super) const VARIABLES_BEGIN: &str = "ECHOROOM_";

/// Reads a whole number above zero.
pub(super) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    number(text, 1)
}

/// Reads a whole number, zero included.
pub(super) fn count_or_zero<T: FromStr>(text: &str) -> Result<T, String> {
    number(text, 0)
}

/// Reads a number that is at least `least`. Its type says how large it may be; closer bounds are checked with all settings.
fn number<T: FromStr>(text: &str, least: u8) -> Result<T, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = is_number && text.bytes().all(|byte| byte == b'0');
    match text.parse() {
        Ok(number) if is_number && !(is_zero && least > 0) => Ok(number),
        _ if is_zero => Err(format!("it is at least {least}")),
        _ if is_number => Err("the number is too large".to_owned()),
        _ => Err(format!("it is a whole number, at least {least}")),
    }
}

/// Reads `--recovery-bytes`.
pub(super) fn recovery_bytes(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|error: ByteSizeError| some_recovery(text, error.to_string()))
}

/// Reads `--recovery-sockets`.
pub(super) fn recovery_sockets(text: &str) -> Result<NonZeroUsize, String> {
    count(text).map_err(|error| some_recovery(text, error))
}

/// The error for a bound on recovery; for 0 it names the setting that switches recovery off.
fn some_recovery(text: &str, error: String) -> String {
    match text.trim_start_matches('0') {
        "" if !text.is_empty() => "it is at least 1; --recovery-window 0 switches recovery off".to_owned(),
        _ => error,
    }
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    number(text, 0).map_err(|_| "a port is a number from 0, for any free one, to 65535".to_owned())
}

/// Reads an address to listen on: IPv4, IPv6 with or without brackets, or a name that this machine resolves.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    if text.parse::<SocketAddr>().is_ok() {
        return Err("it is an address without a port; the port is a setting of its own, --port".to_owned());
    }
    resolve(text, 0).map(|address| address.ip()).ok_or_else(|| {
        "it is an address such as 127.0.0.1 or ::1, or a name that this machine knows an address of, such as localhost"
            .to_owned()
    })
}

/// Reads an address to listen on, with its port.
pub(super) fn address_and_port(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let named = text.rsplit_once(':').and_then(|(name, port)| resolve(name, number(port, 0).ok()?));
    named.ok_or_else(|| {
        "it is an address and a port, such as 127.0.0.1:9100, [::1]:9100 or localhost:9100".to_owned()
    })
}

/// Resolves a name. An IPv4 address goes first, for clients that try only IPv4.
fn resolve(name: &str, port: u16) -> Option<SocketAddr> {
    if name.is_empty() || name.contains([':', '/', ' ']) {
        return None;
    }
    let addresses: Vec<_> = (name, port).to_socket_addrs().ok()?.collect();
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}

/// Prepares the command for reading: a number with a minus sign is the value of its flag and not a flag, so that the
/// error names the setting.
pub(super) fn prepare(command: Command) -> Command {
    command.mut_args(|arg| if is_number(&arg) { arg.allow_hyphen_values(true) } else { arg })
}

fn is_number(arg: &Arg) -> bool {
    let unit = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    matches!(unit, Some("COUNT" | "BYTES" | "PIXELS" | "TIME" | "PORT"))
}

/// clap's error as one sentence, with the variable a wrong value may have come from, or the name that was meant.
pub(super) fn describe(error: &clap::Error, command: &Command, args: &[OsString]) -> CliError {
    let text = error.to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return CliError::Answer(text);
    }
    let first = text.split("\n\n").next().unwrap_or_default();
    let mut sentence = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let told = text_of(error, ContextKind::InvalidArg).unwrap_or_default();
            if !told.starts_with('-') {
                let sentence = format!("'{told}' is not expected here; --help shows what is");
                return CliError::Invalid(without_passwords(&sentence));
            }
            let (given, known) = unknown_flag(&told, command, args);
            sentence = format!("there is no flag '{given}'");
            sentence.push_str(&hint(&given, &known));
        }
        ErrorKind::InvalidSubcommand => {
            let given = text_of(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let known: Vec<_> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
            sentence = format!("there is no command '{given}'");
            sentence.push_str(&hint(&given, &known));
        }
        // The value may have a password. The reason shows none of it, but how an address is written, which would be
        // taken for one.
        ErrorKind::ValueValidation if is_of(error, "--redis ") => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            return CliError::Invalid(format!(
                "invalid value for '--redis <URL>': {why} (or ECHOROOM_REDIS)"
            ));
        }
        _ => {
            if let Some(variable) = variable_of(error, command) {
                sentence.push_str(&format!(" (or {variable})"));
            }
        }
    }
    CliError::Invalid(without_passwords(&sentence))
}

/// The text with `…` for the user and the password of each address in it: an address may have been written where it is not
/// expected.
fn without_passwords(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.rsplit_once('@').map_or(piece.to_owned(), |(_, rest)| format!("…@{rest}"));
        shown.push_str("://");
        shown.push_str(&rest);
    }
    shown
}

/// Whether an error is about the argument that begins so.
fn is_of(error: &clap::Error, begin: &str) -> bool {
    text_of(error, ContextKind::InvalidArg).is_some_and(|arg| arg.starts_with(begin))
}

/// The flag as it was written, and all known flags.
fn unknown_flag(told: &str, command: &Command, args: &[OsString]) -> (String, Vec<String>) {
    // For `-port`, clap reports only the first letter.
    let is_letter = told.len() == 2 && !told.starts_with("--");
    let written = args.iter().map(|arg| arg.to_string_lossy()).find(|arg| arg.starts_with(told));
    let written =
        written.filter(|_| is_letter).map(|arg| arg.split('=').next().unwrap_or_default().to_owned());
    let given = written.unwrap_or_else(|| told.to_owned());
    let flags = command.get_arguments().filter_map(Arg::get_long).map(|flag| format!("--{flag}"));
    (given, flags.chain(["--help", "--version"].map(str::to_owned)).collect())
}

/// The variable of the flag that an error is about.
fn variable_of(error: &clap::Error, command: &Command) -> Option<String> {
    let named = text_of(error, ContextKind::InvalidArg)?;
    let flag = named.strip_prefix("--")?.split_whitespace().next()?;
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag))?;
    let variable = arg.get_env()?.to_string_lossy().into_owned();
    Some(if flag == "port" { format!("{variable}, or {PLATFORM_PORT}") } else { variable })
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The hint after an unknown flag or command.
pub(super) fn hint(given: &str, known: &[String]) -> String {
    match nearest(given, known) {
        Some(near) => format!("; the nearest is '{near}'"),
        None => "; --help shows all".to_owned(),
    }
}

/// The hint after an unknown variable.
pub(super) fn hint_at_variable(given: &str, known: &[String]) -> String {
    let bare = |name: &str| name.trim_start_matches(VARIABLES_BEGIN).to_owned();
    let known: Vec<_> = known.iter().map(|name| bare(name)).collect();
    let near = nearest(&bare(given), &known).map(|near| format!(" ({VARIABLES_BEGIN}{near} may be meant)"));
    near.unwrap_or_default()
}

/// The known name nearest to the given one, if one is near.
fn nearest<'a>(given: &str, known: &'a [String]) -> Option<&'a str> {
    let plain = |name: &str| name.trim_start_matches('-').to_ascii_lowercase().replace('_', "-");
    let given = plain(given);
    // The distance takes quadratic time, and the text may have any length.
    if given.is_empty() || given.len() > 64 {
        return None;
    }
    let distances = known.iter().map(|name| (distance(&given, &plain(name)), name));
    let (distance, near) = distances.min_by_key(|(distance, _)| *distance)?;
    let is_like = distance * 2 <= given.chars().count().max(2);
    // A name that was cut short: `--max-sess`.
    let begins = || known.iter().find(|name| given.len() >= 3 && plain(name).starts_with(&given));
    if is_like { Some(near) } else { begins().map(String::as_str) }
}

/// The edit distance of two names: insertions, deletions, replacements, and swaps of neighbours.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// The settings' variables.
pub(super) fn variables(command: &Command) -> Vec<String> {
    let is_setting = |arg: &&Arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    let variables = command.get_arguments().filter(is_setting).filter_map(Arg::get_env);
    variables.map(OsStr::to_string_lossy).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_number_that_is_none_is_told_in_plain_words() {
        for (text, words) in [
            ("0", "at least 1"),
            ("000", "at least 1"),
            ("", "whole number"),
            ("-1", "whole number"),
            ("+1", "whole number"),
            ("1.5", "whole number"),
            ("1e3", "whole number"),
            ("four", "whole number"),
            ("１", "whole number"),
            ("99999999999999999999", "too large"),
        ] {
            for said in
                [count::<NonZeroUsize>(text).err(), count::<NonZeroU32>(text).err(), count::<u32>(text).err()]
            {
                assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{text:?}: {said:?}");
            }
        }
        assert_eq!((count("07"), count_or_zero("0"), port("65535")), (Ok(7_u32), Ok(0_u32), Ok(65535)));
        for text in ["65536", "-1", "http", "", "3000 "] {
            assert!(port(text).is_err_and(|said| said.contains("to 65535")), "{text:?}");
        }
    }

    #[test]
    fn an_address_to_listen_on_may_be_a_name_of_this_machine() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("0.0.0.0", "0.0.0.0"),
            ("::", "::"),
        ] {
            assert_eq!(address(text).map(|ip| ip.to_string()), Ok(expected.to_owned()));
        }
        assert!(address("localhost").is_ok_and(|ip| ip.is_loopback()));
        for (text, words) in [
            ("127.0.0.1:3000", "--port"),
            ("[::1]:3000", "--port"),
            ("", "such as localhost"),
            ("*", "such as localhost"),
            ("http://localhost", "such as localhost"),
            ("two words", "such as localhost"),
            ("300.1.1.1", "such as localhost"),
        ] {
            let said = address(text).expect_err(text);
            assert!(said.contains(words), "{text:?}: {said}");
        }
        assert!(
            address_and_port("localhost:9100").is_ok_and(|at| at.ip().is_loopback() && at.port() == 9100)
        );
        assert_eq!(address_and_port("[::1]:9").map(|at| at.to_string()), Ok("[::1]:9".to_owned()));
        for text in
            ["", "9100", "localhost", "localhost:", "localhost:http", "localhost:65536", ":9100", "::1:9100x"]
        {
            assert!(address_and_port(text).is_err_and(|said| said.contains("a port")), "{text:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_by_its_letters() {
        let known: Vec<_> = ["--port", "--bind", "--max-sessions", "--max-sessions-per-address", "--workers"]
            .map(str::to_owned)
            .into();
        for (given, near) in [
            ("--portt", Some("--port")),
            ("--prot", Some("--port")),
            ("--Port", Some("--port")),
            ("-port", Some("--port")),
            ("--max_sessions", Some("--max-sessions")),
            ("--max-session", Some("--max-sessions")),
            ("--max-sess", Some("--max-sessions")),
            ("--worker", Some("--workers")),
            ("--bnid", Some("--bind")),
            ("--something-else", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, &known), near, "{given}");
        }
    }
}
