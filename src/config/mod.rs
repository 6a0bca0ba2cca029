//! All settings in one struct: flags and their `ECHOROOM_*` environment twins, checked once.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::LazyLock,
};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use self::{
    check::{LONGEST_TIMER_MILLIS, SettingError},
    host::{AllowedHost, HostName},
    per_address::PerAddress,
    values::{AllowedOrigin, ByteSize, JournalKind, Network, Period, PeriodOrOff, Switch},
};

pub mod check;
pub mod host;
pub mod per_address;
mod reading;
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

/// How to serve. Every bound that a client can reach is here.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address to listen on
    #[arg(long, env = "ECHOROOM_BIND", global = true, value_name = "ADDRESS", default_value = "0.0.0.0",
          value_parser = reading::address)]
    pub bind: IpAddr,

    /// Port to listen on; 0 picks a free one. Without it, PORT is honoured too
    #[arg(long, env = "ECHOROOM_PORT", global = true, default_value = "3000",
          value_parser = reading::port)]
    pub port: u16,

    /// Worker threads [default: one per core]
    #[arg(long, env = "ECHOROOM_WORKERS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub workers: Option<NonZeroUsize>,

    /// Folder of the demo page
    #[arg(long, env = "ECHOROOM_STATIC_DIR", value_name = "FOLDER", default_value = "static")]
    pub static_dir: PathBuf,

    /// Path that a proxy leaves before the server's addresses, such as /app; not needed where the proxy takes it away
    #[arg(
        long,
        env = "ECHOROOM_PATH_PREFIX",
        value_name = "PATH",
        default_value = "",
        hide_default_value = true
    )]
    pub path_prefix: String,

    /// Name that the server is reached by, or * for all; repeatable. Addresses, localhost, names without a dot, and those
    /// below .local, .lan, .home.arpa and .internal need not be named; requests for other names get 421
    #[arg(long, env = "ECHOROOM_HOST", value_name = "NAME", value_delimiter = ',')]
    pub host: Vec<AllowedHost>,

    /// Web origin (scheme, host, port) whose pages may connect besides our own, or * for all; repeatable
    #[arg(long, env = "ECHOROOM_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<AllowedOrigin>,

    /// Where messages are kept: in a file (sqlite), or in memory until the server stops
    #[arg(long, env = "ECHOROOM_JOURNAL", value_name = "KIND", default_value = "sqlite")]
    pub journal: JournalKind,

    /// Folder of the journal's file
    #[arg(long, env = "ECHOROOM_DATA_DIR", global = true, value_name = "FOLDER", default_value = "data")]
    pub data_dir: PathBuf,

    /// Newest messages of a room that are kept; a few more may stay for a while
    #[arg(long, env = "ECHOROOM_HISTORY", value_name = "COUNT", default_value = "1000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub history: NonZeroUsize,

    /// Bytes of a room's messages that are kept at most; the oldest go
    #[arg(long, env = "ECHOROOM_HISTORY_BYTES", value_name = "BYTES", default_value = "64m")]
    pub history_bytes: ByteSize,

    /// How long a message is kept
    #[arg(long, env = "ECHOROOM_HISTORY_AGE", value_name = "TIME", default_value = "30d")]
    pub history_age: Period,

    /// Bytes of all rooms' messages that are kept at most; the oldest go
    #[arg(long, env = "ECHOROOM_MAX_DATA_SIZE", value_name = "BYTES", default_value = "2g")]
    pub max_data_size: ByteSize,

    /// Messages with an id of each user of a room, the newest, that are known again when they are sent again
    #[arg(long, env = "ECHOROOM_REMEMBERED_IDS", value_name = "COUNT",
        default_value = "128",
          value_parser = reading::count::<NonZeroUsize>)]
    pub remembered_ids: NonZeroUsize,

    /// How long they are known at least; after a restart as far as the messages are kept
    #[arg(long, env = "ECHOROOM_REMEMBER_IDS_FOR", value_name = "TIME", default_value = "3600s")]
    pub remember_ids_for: Period,

    /// Ids of all rooms in memory; more, and the oldest go before their time
    #[arg(long, env = "ECHOROOM_MAX_REMEMBERED_IDS", value_name = "COUNT",
        default_value = "500000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_remembered_ids: NonZeroUsize,

    /// Bytes of the newest messages held in memory, shared by all rooms, so that who has read the journal goes on
    /// without a gap
    #[arg(long, env = "ECHOROOM_TAIL_BYTES", value_name = "BYTES", default_value = "16m")]
    pub tail_bytes: ByteSize,

    /// Largest message at /chat, and largest message or payload of Socket.IO, in bytes, images included; a larger one
    /// closes its session with 1009, or gets 413
    #[arg(long, env = "ECHOROOM_MAX_PAYLOAD", value_name = "BYTES", default_value = "1000000")]
    pub max_payload: ByteSize,

    /// Largest image as a data URL in bytes; a larger one is refused [default: 512k, or less if --max-payload has no
    /// room for that]
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_SIZE", value_name = "BYTES")]
    pub max_image_size: Option<ByteSize>,

    /// Pixels of an image's longer side; a larger one is refused
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_SIDE", value_name = "PIXELS", default_value = "4096",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_image_side: NonZeroUsize,

    /// Pixels of all frames of an image together; one with more is refused
    // Twice those of the largest image by default: a browser holds four bytes for each.
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_PIXELS", value_name = "PIXELS", default_value = "33554432",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_image_pixels: NonZeroUsize,

    /// Largest avatar as a data URL in bytes; for a larger one the default is shown [default: 4k, or less if
    /// --max-payload has no room for that]
    #[arg(long, env = "ECHOROOM_MAX_AVATAR_SIZE", value_name = "BYTES")]
    pub max_avatar_size: Option<ByteSize>,

    /// Pixels of an avatar's longer side; for a larger one the default is shown. All its frames together may have four
    /// times the pixels of the largest
    #[arg(long, env = "ECHOROOM_MAX_AVATAR_SIDE", value_name = "PIXELS", default_value = "256",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_avatar_side: NonZeroUsize,

    /// Bytes of avatars that are pictures, in memory and in the journal each (there at most a quarter of
    /// --max-data-size); those that no user wears go, the longest unused first
    #[arg(long, env = "ECHOROOM_AVATAR_BYTES", value_name = "BYTES", default_value = "64m")]
    pub avatar_bytes: ByteSize,

    /// How long the nickname of a user who dropped is held for them
    #[arg(long, env = "ECHOROOM_NAME_HOLD", value_name = "TIME", default_value = "30s")]
    pub name_hold: Period,

    /// How long the nickname of a user who has logged in with its token is reserved for the bearer of that token, in one
    /// room, whether the user is there or not. It is kept in the journal, and begins anew with each such login
    #[arg(long, env = "ECHOROOM_NAME_RESERVATION", value_name = "TIME", default_value = "7d")]
    pub name_reservation: Period,

    /// Nicknames that are held, and nicknames that are reserved, in one room; for one more there is no hold and no
    /// reservation
    #[arg(long, env = "ECHOROOM_MAX_HELD_NAMES", value_name = "COUNT", default_value = "10000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_held_names: NonZeroUsize,

    /// Nicknames that are reserved in all rooms together
    #[arg(long, env = "ECHOROOM_MAX_RESERVED_NAMES", value_name = "COUNT", default_value = "100000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_reserved_names: NonZeroUsize,

    /// How long a session at /chat may take to log in, and one of Socket.IO to join a namespace; then it is closed
    #[arg(long, env = "ECHOROOM_CONNECT_TIMEOUT", value_name = "TIME", default_value = "45s")]
    pub connect_timeout: Period,

    /// Path of Socket.IO
    #[arg(long, env = "ECHOROOM_SOCKETIO_PATH", value_name = "PATH", default_value = "/socket.io")]
    pub socketio_path: String,

    /// Web origin whose pages may use Socket.IO over polling besides our own, or * for all; repeatable. For WebSockets
    /// there is --allow-origin
    #[arg(long, env = "ECHOROOM_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<AllowedOrigin>,

    /// How long a Socket.IO session may take to upgrade from polling to a WebSocket
    #[arg(long, env = "ECHOROOM_UPGRADE_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub upgrade_timeout: Period,

    /// How long a Socket.IO client that polls may take to make its second request; then its session is gone
    #[arg(long, env = "ECHOROOM_POLLING_OPEN_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub polling_open_timeout: Period,

    /// Socket.IO sessions that the server has ended and whose clients, which poll, have not come to hear of it within 30
    /// seconds; the oldest is forgotten for one more
    #[arg(long, env = "ECHOROOM_MAX_ENDED_SESSIONS", value_name = "COUNT",
          default_value = "1000",
          value_parser = reading::count_or_zero::<usize>)]
    pub max_ended_sessions: usize,

    /// Binary attachments that one Socket.IO event may have; more end its session
    #[arg(long, env = "ECHOROOM_MAX_ATTACHMENTS", value_name = "COUNT", default_value = "10",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_attachments: NonZeroUsize,

    /// Whether the Socket.IO namespace /relay is open: whatever a client there emits goes to the others in its room
    #[arg(long, env = "ECHOROOM_RELAY", value_name = "SWITCH", default_value = "off")]
    pub relay: Switch,

    /// How long what a client of /relay misses while it is away is kept for it, and its place in its room. 0 switches
    /// that off: events then have no argument more than their sender gave them
    #[arg(long, env = "ECHOROOM_RECOVERY_WINDOW", value_name = "TIME", default_value = "120s")]
    pub recovery_window: PeriodOrOff,

    /// Bytes of events that are kept for that; the oldest go
    #[arg(long, env = "ECHOROOM_RECOVERY_BYTES", value_name = "BYTES", default_value = "16m",
          value_parser = reading::recovery_bytes)]
    pub recovery_bytes: ByteSize,

    /// Clients that are away and whose places are kept; the oldest go
    #[arg(long, env = "ECHOROOM_RECOVERY_SOCKETS", value_name = "COUNT", default_value = "10000",
          value_parser = reading::recovery_sockets)]
    pub recovery_sockets: NonZeroUsize,

    /// Largest text or binary message in bytes; a larger one closes its session with 1009, a text at /chat is refused
    #[arg(long, env = "ECHOROOM_MAX_MESSAGE_SIZE", value_name = "BYTES", default_value = "64k")]
    pub max_message_size: ByteSize,

    /// Frames one message may come in; more close its session with 1009
    #[arg(long, env = "ECHOROOM_MAX_FRAGMENTS", value_name = "COUNT", default_value = "1024",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_fragments: NonZeroUsize,

    /// Bytes from its room that may wait for a session that reads too slowly; more close it with 1013. So many bytes
    /// of answers to its own messages make the server stop reading from it
    #[arg(long, env = "ECHOROOM_MAX_QUEUE_BYTES", value_name = "BYTES", default_value = "1m")]
    pub max_queue_bytes: ByteSize,

    /// Bytes of messages a session may have accepted and not yet relayed; at this bound the server stops reading from
    /// it until they are
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_BYTES", value_name = "BYTES", default_value = "256k")]
    pub max_intake_bytes: ByteSize,

    /// The same bound over all sessions together; at most a quarter of --max-memory
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_TOTAL", value_name = "BYTES", default_value = "64m")]
    pub max_intake_total: ByteSize,

    /// Bytes that all clients together make the server hold: messages that are unfinished or not yet relayed, and what waits
    /// for clients that read slowly. While they are held, a client that needs more than 4 KiB is closed with 1013, or gets
    /// 503 [default: 256m, or four of the largest messages]
    #[arg(long, env = "ECHOROOM_MAX_MEMORY", value_name = "BYTES")]
    pub max_memory: Option<ByteSize>,

    /// Largest message before login at /chat, and before a namespace is joined and logged in to at Socket.IO; one more than
    /// an avatar is allowed in any case
    #[arg(long, env = "ECHOROOM_MAX_LOGIN_SIZE", value_name = "BYTES", default_value = "64k")]
    pub max_login_size: ByteSize,

    /// Bytes a second that a message must come at, on the average since it began; a slower one closes its session with
    /// 1008. 0 is no limit
    #[arg(long, env = "ECHOROOM_MIN_UPLOAD_RATE", value_name = "BYTES", default_value = "1024",
        value_parser = values::bytes_a_second)]
    pub min_upload_rate: u32,

    /// How long a message may come more slowly than --min-upload-rate
    #[arg(long, env = "ECHOROOM_UPLOAD_PATIENCE", value_name = "TIME", default_value = "10s")]
    pub upload_patience: Period,

    /// Messages a second that a session may send; faster ones wait. 0 is no limit
    #[arg(long, env = "ECHOROOM_RATE", value_name = "COUNT", default_value = "30",
          value_parser = reading::count_or_zero::<u32>)]
    pub rate: u32,

    /// Messages a session may send at once after a pause; control frames are counted apart, by the same numbers
    #[arg(long, env = "ECHOROOM_RATE_BURST", value_name = "COUNT", default_value = "60",
          value_parser = reading::count::<u32>)]
    pub rate_burst: u32,

    /// A session that sends faster than --rate for so long without a pause is closed with 1008
    #[arg(long, env = "ECHOROOM_RATE_PATIENCE", value_name = "TIME", default_value = "10s")]
    pub rate_patience: Period,

    /// Sessions at a time; more get 503
    #[arg(long, env = "ECHOROOM_MAX_SESSIONS", value_name = "COUNT", default_value = "100000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_sessions: NonZeroUsize,

    /// Sessions at a time from one address (of IPv6, from one network of 64 bits); more get 503. A bare number holds for
    /// every address, public:1000 for public addresses only; 0 is no limit
    #[arg(
        long,
        env = "ECHOROOM_MAX_SESSIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value = "public:1000"
    )]
    pub max_sessions_per_address: PerAddress,

    /// Sessions a second that one address may ask for, at any door, granted or not; more get 429. As
    /// --max-sessions-per-address
    #[arg(long, env = "ECHOROOM_HANDSHAKE_RATE", value_name = "COUNT", default_value = "public:50")]
    pub handshake_rate: PerAddress,

    /// Sessions that it may ask for at once after a pause
    // By default enough for a room full of Socket.IO clients behind one address that come back after a restart: each asks
    // twice.
    #[arg(long, env = "ECHOROOM_HANDSHAKE_BURST", value_name = "COUNT", default_value = "2000",
          value_parser = reading::count::<NonZeroU32>)]
    pub handshake_burst: NonZeroU32,

    /// Address or network (10.0.0.0/8) of a proxy whose X-Forwarded-For is believed; what it sends is never of this
    /// machine; repeatable
    #[arg(long, env = "ECHOROOM_TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,

    /// Rooms with members or history at a time. For one more, the room that has been silent longest and has no members
    /// loses its history; if there is none, it is refused, at the handshake with 503. The room lobby is never refused
    #[arg(long, env = "ECHOROOM_MAX_ROOMS", value_name = "COUNT", default_value = "10000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_rooms: NonZeroUsize,

    /// Rooms that one address may make in a minute; further ones are refused, at the handshake with 503. A number holds
    /// for every address, public:N for public addresses only; 0 is no limit
    #[arg(
        long,
        env = "ECHOROOM_MAX_NEW_ROOMS_PER_MINUTE",
        value_name = "COUNT",
        default_value = "public:60"
    )]
    pub max_new_rooms_per_minute: PerAddress,

    /// Whether /rooms lists the rooms that somebody is in, for everybody
    #[arg(long, env = "ECHOROOM_ROOM_LIST", value_name = "SWITCH", default_value = "on")]
    pub room_list: Switch,

    /// Whether the page's lessons have their part of the server: /lesson/
    #[arg(long, env = "ECHOROOM_LESSONS", value_name = "SWITCH", default_value = "on")]
    pub lessons: Switch,

    /// Lessons with a connection at a time; one more gets 503
    #[arg(long, env = "ECHOROOM_MAX_LESSONS", value_name = "COUNT", default_value = "64",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_lessons: NonZeroUsize,

    /// Lessons with a connection at a time from one address; as --max-sessions-per-address
    #[arg(long, env = "ECHOROOM_MAX_LESSONS_PER_ADDRESS", value_name = "COUNT", default_value = "public:32")]
    pub max_lessons_per_address: PerAddress,

    /// How often a session is pinged
    #[arg(long, env = "ECHOROOM_PING_INTERVAL", value_name = "TIME", default_value = "25s")]
    pub ping_interval: Period,

    /// How long a pinged session may be silent before it is closed with 1001
    #[arg(long, env = "ECHOROOM_PING_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub ping_timeout: Period,

    /// How long a connection may take nothing of what is sent to it, or take its leave, before it is cut
    #[arg(long, env = "ECHOROOM_STALL_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub stall_timeout: Period,

    /// How long a connection may take to send the head of a request, from its first byte; of the first one, from the
    /// beginning of the connection
    #[arg(long, env = "ECHOROOM_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub handshake_timeout: Period,

    /// How long a connection may take to send the body of a request; a second more for each 4 KiB that have come
    #[arg(long, env = "ECHOROOM_BODY_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub body_timeout: Period,

    /// How long a connection may be idle between an answer and the next request
    #[arg(long, env = "ECHOROOM_KEEP_ALIVE", value_name = "TIME", default_value = "75s")]
    pub keep_alive: Period,

    /// Connections at a time, whatever they carry; more get 503, but /health and /metrics are answered
    /// [default: --max-sessions and 10000 more]
    #[arg(long, env = "ECHOROOM_MAX_CONNECTIONS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_connections: Option<NonZeroUsize>,

    /// Connections at a time from one address; as --max-sessions-per-address. Trusted proxies have no bound of their own
    #[arg(
        long,
        env = "ECHOROOM_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value = "public:2000"
    )]
    pub max_connections_per_address: PerAddress,

    /// Compression of large messages (permessage-deflate) for clients that offer it
    #[arg(long, env = "ECHOROOM_COMPRESSION", value_name = "SWITCH", default_value = "on")]
    pub compression: Switch,

    /// Compression (gzip) of answers over HTTP of 1 KiB and more, for clients that accept it: what Socket.IO clients poll,
    /// /rooms, /limits and /metrics. The page's files are compressed in any case
    #[arg(long, env = "ECHOROOM_HTTP_COMPRESSION", value_name = "SWITCH", default_value = "on")]
    pub http_compression: Switch,

    /// How long sessions may take to leave when the server stops
    #[arg(long, env = "ECHOROOM_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub shutdown_timeout: Period,

    /// Whether /metrics is for all at the main port; else it is for programs on this machine, and only if there is no
    /// --metrics-bind
    #[arg(long, env = "ECHOROOM_PUBLIC_METRICS", value_name = "SWITCH", default_value = "off")]
    pub public_metrics: Switch,

    /// Address and port for /metrics alone, for all who can reach it
    #[arg(long, env = "ECHOROOM_METRICS_BIND", value_name = "ADDRESS:PORT",
          value_parser = reading::address_and_port)]
    pub metrics_bind: Option<SocketAddr>,
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
    /// These settings with a change, such as `Settings::default().with(|s| s.port = 0)`.
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
        self.max_image_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_IMAGE_SIZE))
    }

    /// Largest avatar: as it is set, or else the default as far as an event has room for it.
    pub fn max_avatar_size(&self) -> ByteSize {
        self.max_avatar_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_AVATAR_SIZE))
    }

    /// Bytes that all clients make the server hold: as it is set, or else the default, or more if messages are large.
    pub fn max_memory(&self) -> ByteSize {
        let default = MAX_MEMORY.get().max(check::memory_for(self.largest_message()));
        self.max_memory.unwrap_or(ByteSize(default))
    }

    /// Bytes of the largest message that is taken at any door.
    pub(crate) fn largest_message(&self) -> ByteSize {
        ByteSize(self.max_payload.get().max(self.max_message_size.get()))
    }

    /// Largest message before login: as it is set, or what an avatar needs, within what any message may have.
    pub fn max_login_size(&self) -> ByteSize {
        let needed = self.max_avatar_size().get() + check::ENVELOPE_BYTES;
        ByteSize(self.max_login_size.get().max(needed).min(self.max_payload.get()))
    }

    fn as_far_as_it_fits(&self, size: ByteSize) -> ByteSize {
        ByteSize(size.get().min(check::fitting(self.max_payload.get())))
    }

    /// Connections at a time: what is set, or room for all sessions and for others beside them.
    pub fn max_connections(&self) -> usize {
        let default = self.max_sessions.get().saturating_add(SPARE_CONNECTIONS);
        self.max_connections.map_or(default, NonZeroUsize::get)
    }

    /// Where a program on this machine reaches the server.
    pub fn local_address(&self) -> SocketAddr {
        reachable((self.bind, self.port).into())
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
