//! All settings in one struct: flags and their `ECHOROOM_*` environment twins, checked once.

use std::{
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};

use self::defaults as default;

/// The port variable that hosting platforms set, used when neither `--port` nor `ECHOROOM_PORT` is given.
const PLATFORM_PORT: &str = "PORT";

/// The defaults of [`Settings`], once for the command line and once for tests.
mod defaults {
    use super::ByteSize;

    pub(super) const PORT: u16 = 3000;
    pub(super) const STATIC_DIR: &str = "static";
    pub(super) const MAX_MESSAGE_SIZE: ByteSize = ByteSize(64 * 1024);
    pub(super) const MAX_FRAGMENTS: usize = 1024;
    pub(super) const MAX_QUEUE_BYTES: ByteSize = ByteSize(1024 * 1024);
    pub(super) const MAX_INTAKE_BYTES: ByteSize = ByteSize(256 * 1024);
    pub(super) const MAX_INTAKE_TOTAL: ByteSize = ByteSize(64 * 1024 * 1024);
}

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "echoroom",
    version,
    about = "A real-time room server: echo and relay over WebSocket, every session an actor.",
    after_help = "Sizes are bytes; a suffix k or m may follow (64k, 1m).\n\
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ask the server on this machine for its health; exit code 0 if it is well
    Healthcheck,
}

/// How to serve. Every bound that a client can reach is here.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address to listen on
    #[arg(long, env = "ECHOROOM_BIND", global = true, value_name = "ADDRESS", default_value_t = Ipv4Addr::UNSPECIFIED.into())]
    pub bind: IpAddr,

    /// Port to listen on; 0 picks a free one. Without it, PORT is honoured too
    #[arg(long, env = "ECHOROOM_PORT", global = true, default_value_t = default::PORT)]
    pub port: u16,

    /// Worker threads [default: one per core]
    #[arg(long, env = "ECHOROOM_WORKERS", value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,

    /// Folder of the demo page
    #[arg(long, env = "ECHOROOM_STATIC_DIR", value_name = "FOLDER", default_value = default::STATIC_DIR)]
    pub static_dir: PathBuf,

    /// Web origin (scheme, host, port) whose pages may connect besides our own, or * for all; repeatable
    #[arg(long, env = "ECHOROOM_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<AllowedOrigin>,

    /// Largest text or binary message in bytes; a larger one closes its session with 1009
    #[arg(long, env = "ECHOROOM_MAX_MESSAGE_SIZE", value_name = "BYTES", default_value_t = default::MAX_MESSAGE_SIZE)]
    pub max_message_size: ByteSize,

    /// Frames one message may come in; more close its session with 1009
    #[arg(long, env = "ECHOROOM_MAX_FRAGMENTS", value_name = "COUNT", default_value_t = nonzero(default::MAX_FRAGMENTS))]
    pub max_fragments: NonZeroUsize,

    /// Bytes from its room that may wait for a session that reads too slowly; more close it with 1013. So many bytes
    /// of answers to its own messages make the server stop reading from it
    #[arg(long, env = "ECHOROOM_MAX_QUEUE_BYTES", value_name = "BYTES", default_value_t = default::MAX_QUEUE_BYTES)]
    pub max_queue_bytes: ByteSize,

    /// Bytes of messages a session may have accepted and not yet relayed; at this bound the server stops reading from
    /// it until they are
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_BYTES", value_name = "BYTES", default_value_t = default::MAX_INTAKE_BYTES)]
    pub max_intake_bytes: ByteSize,

    /// The same bound over all sessions together
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_TOTAL", value_name = "BYTES", default_value_t = default::MAX_INTAKE_TOTAL)]
    pub max_intake_total: ByteSize,
}

impl Default for Settings {
    /// What the command line gives when nothing is set.
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::UNSPECIFIED.into(),
            port: default::PORT,
            workers: None,
            static_dir: default::STATIC_DIR.into(),
            allow_origin: Vec::new(),
            max_message_size: default::MAX_MESSAGE_SIZE,
            max_fragments: nonzero(default::MAX_FRAGMENTS),
            max_queue_bytes: default::MAX_QUEUE_BYTES,
            max_intake_bytes: default::MAX_INTAKE_BYTES,
            max_intake_total: default::MAX_INTAKE_TOTAL,
        }
    }
}

impl Settings {
    /// Where a program on this machine reaches the server.
    pub fn local_address(&self) -> SocketAddr {
        let ip = match self.bind {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        (ip, self.port).into()
    }
}

const fn nonzero(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a default is not zero")
}

/// A number of bytes, at least 1. Written as digits with an optional `k` (1,024) or `m` (1,048,576).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(usize);

/// Why a text is not a [`ByteSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// No digits, or something else than `k` or `m` behind them.
    #[error("a size is a number of bytes, such as 65536 or 64k or 1m")]
    Malformed,
    /// Nothing could ever pass.
    #[error("a size is at least 1 byte")]
    Zero,
    /// More than this machine can count.
    #[error("the size is too large")]
    TooLarge,
}

impl ByteSize {
    /// A size of so many bytes, which must not be zero.
    ///
    /// # Errors
    /// [`ByteSizeError::Zero`].
    pub fn new(bytes: usize) -> Result<Self, ByteSizeError> {
        if bytes == 0 { Err(ByteSizeError::Zero) } else { Ok(Self(bytes)) }
    }

    /// The number of bytes.
    pub fn get(self) -> usize {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1024),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1024 * 1024),
            _ => (text, 1),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ByteSizeError::Malformed);
        }
        let count: usize = digits.parse().map_err(|_| ByteSizeError::TooLarge)?;
        Self::new(count.checked_mul(unit).ok_or(ByteSizeError::TooLarge)?)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1024 * 1024) == 0 => write!(f, "{}m", bytes / (1024 * 1024)),
            bytes if bytes % 1024 == 0 => write!(f, "{}k", bytes / 1024),
            bytes => write!(f, "{bytes}"),
        }
    }
}

/// An entry of `--allow-origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: every page.
    Any,
    /// `null`: pages without an origin of their own, such as files.
    Null,
    /// Scheme, host and port, as a browser writes them.
    Exact(String),
}

/// Why a text is not an [`AllowedOrigin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is *, null, or a scheme and a host such as https://example.com or http://localhost:8080")]
pub struct OriginError;

impl FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let url = url::Url::parse(text).map_err(|_| OriginError)?;
        let names_only_an_origin = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let origin = url.origin();
        if !origin.is_tuple() || !names_only_an_origin {
            return Err(OriginError);
        }
        Ok(Self::Exact(origin.ascii_serialization()))
    }
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
        let mut command = Self::command();
        // An empty variable is as good as none.
        if let Some(port) = std::env::var_os(PLATFORM_PORT).filter(|port| !port.is_empty()) {
            let port = port.to_string_lossy().into_owned();
            command = command.mut_arg("port", |arg| arg.default_value(port));
        }
        command
            .try_get_matches_from_mut(args)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| describe(&error))
    }
}

/// clap's error as one sentence, with the variable a wrong value may have come from.
fn describe(error: &clap::Error) -> CliError {
    let text = error.to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return CliError::Answer(text);
    }
    let first = text.split("\n\n").next().unwrap_or_default();
    let mut sentence = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(variable) = variable_of(error) {
        sentence.push_str(&format!(" (or {variable})"));
    }
    CliError::Invalid(sentence)
}

/// The environment twin of the flag that an error is about.
fn variable_of(error: &clap::Error) -> Option<String> {
    let named = error.get(clap::error::ContextKind::InvalidArg)?.to_string();
    let flag = named.strip_prefix("--")?.split_whitespace().next()?.to_owned();
    let command = Cli::command();
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&flag))?;
    let variable = arg.get_env()?.to_string_lossy().into_owned();
    Some(if flag == "port" { format!("{variable}, or {PLATFORM_PORT}") } else { variable })
}

/// Variables of the process that look like settings and are none, for a warning at the start.
pub fn unknown_variables() -> Vec<String> {
    let command = Cli::command();
    let known: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_env).collect();
    let mut unknown: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| !known.contains(&name.as_os_str()))
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("ECHOROOM_"))
        .collect();
    unknown.sort_unstable();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_defaults_are_those_of_the_struct() {
        let cli = Cli::try_parse_from(["echoroom"]).expect("defaults are valid");
        assert_eq!(format!("{:?}", cli.settings), format!("{:?}", Settings::default()));
    }

    #[test]
    fn sizes_take_a_suffix_and_print_as_they_are_read() {
        for (text, bytes) in [("1", 1), ("1000", 1000), ("64k", 65536), ("2M", 2 << 20)] {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::get), Ok(bytes));
        }
        for text in ["64k", "1m", "1500"] {
            assert_eq!(text.parse::<ByteSize>().map(|size| size.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "k", "-1", "1.5k", "64kb", "0x10", " 1", "１"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError::Malformed), "{text:?}");
        }
        assert_eq!("0".parse::<ByteSize>(), Err(ByteSizeError::Zero));
        assert_eq!("99999999999999999999m".parse::<ByteSize>(), Err(ByteSizeError::TooLarge));
    }

    #[test]
    fn an_origin_is_read_as_a_browser_writes_it() {
        let parse = |text: &str| text.parse::<AllowedOrigin>();
        assert_eq!(parse("*"), Ok(AllowedOrigin::Any));
        assert_eq!(parse("null"), Ok(AllowedOrigin::Null));
        assert_eq!(
            parse("HTTPS://Example.com:443/"),
            Ok(AllowedOrigin::Exact("https://example.com".to_owned()))
        );
        for text in ["", "example.com", "https://", "https://a.b/path", "https://u@a.b", "file:///x", "a b"] {
            assert_eq!(parse(text), Err(OriginError), "{text:?}");
        }
    }

    #[test]
    fn an_error_is_one_sentence_with_the_key() {
        let error = Cli::try_parse_from(["echoroom", "--max-message-size", "big"]).expect_err("no size");
        assert_eq!(
            describe(&error).to_string(),
            "invalid value 'big' for '--max-message-size <BYTES>': a size is a number of bytes, \
             such as 65536 or 64k or 1m (or ECHOROOM_MAX_MESSAGE_SIZE)"
        );
        let error = Cli::try_parse_from(["echoroom", "--prot", "1"]).expect_err("no such flag");
        assert!(describe(&error).to_string().contains("'--prot'"));
    }
}
