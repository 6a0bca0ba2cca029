//! What must hold for settings: each within its range, and all of them together. The types of [`values`](super::values)
//! refuse what cannot be read at all.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use super::{AllowedOrigin, ByteSize, Period, Settings, socketio_path};

/// Bytes of an event beside the picture or the text that it carries: names, ids, the JSON around them.
pub const ENVELOPE_BYTES: usize = 1024;

/// Largest message, payload or queue of one session. Lengths of texts in the journal have 32 bits.
const MOST_BYTES_OF_ONE: u64 = 1 << 30;

/// Largest total of all sessions or rooms: beyond any machine, and small enough to be added to.
const MOST_BYTES_OF_ALL: u64 = 1 << 50;

/// Largest number of sessions, rooms or messages.
const MOST_OF_A_KIND: u64 = 100_000_000;

/// Pixels of the largest picture that can be allowed.
const MOST_PIXELS: u64 = u16::MAX as u64 * u16::MAX as u64;

/// Largest number of connections: all sessions and others beside them.
const MOST_CONNECTIONS: u64 = 2 * MOST_OF_A_KIND;

/// Least bytes of all rooms' messages: an empty journal's file has a tenth of that.
const LEAST_DATA_BYTES: u64 = 1 << 20;

/// Avatars have this fraction of `--max-data-size`: a quarter.
pub const AVATARS_SHARE: usize = 4;

/// Least bytes that all clients make the server hold.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;

/// A timer that is due more often does nothing else.
const SHORTEST_MILLIS: u64 = 10;

/// The kernel counts `TCP_USER_TIMEOUT` in milliseconds, with 31 bits.
const LONGEST_STALL_MILLIS: u64 = 24 * 24 * 3600 * 1000;

/// What a timer of JavaScript can wait: one that is longer is over at once. Clients of Socket.IO wait for the interval of
/// pings and their timeout together.
pub const LONGEST_TIMER_MILLIS: u64 = (1 << 31) - 1;

/// The name of a setting, shown as its flag and its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub &'static str);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} (ECHOROOM_{})", self.0, self.0.replace('-', "_").to_ascii_uppercase())
    }
}

/// A number with its unit, written as it may be written in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Things.
    Count(u64),
    /// Bytes.
    Bytes(u64),
    /// Milliseconds.
    Millis(u64),
}

impl Amount {
    fn number(self) -> u64 {
        match self {
            Self::Count(number) | Self::Bytes(number) | Self::Millis(number) => number,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(bytes) => ByteSize(usize::try_from(bytes).unwrap_or(usize::MAX)).fmt(f),
            Self::Millis(millis) => Period(std::time::Duration::from_millis(millis)).fmt(f),
        }
    }
}

/// Why a server does not start with its settings: one sentence that names them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The path of Socket.IO cannot be one.
    #[error("{key}: {0}", key = Key("socketio-path"))]
    SocketIoPath(#[from] socketio_path::PathError),
    /// The path before all addresses cannot be one.
    #[error("{key}: {0}", key = Key("path-prefix"))]
    PathPrefix(socketio_path::PathError),
    /// The path of Socket.IO has the prefix in itself.
    #[error(
        "{} is {path:?} and {} is {prefix:?}: the prefix is taken away before, so leave it out of the path",
        Key("socketio-path"),
        Key("path-prefix")
    )]
    PathWithPrefix {
        /// The value of `--socketio-path`.
        path: String,
        /// The value of `--path-prefix`.
        prefix: String,
    },
    /// A value is too small or too large.
    #[error("{key} is {value}, but it is at least {least} and at most {most}")]
    OutOfRange {
        /// The setting.
        key: Key,
        /// Its value.
        value: Amount,
        /// The smallest one.
        least: Amount,
        /// The largest one.
        most: Amount,
    },
    /// A picture would be allowed that no event has room for.
    #[error(
        "{key} is {size}, but the largest event, {} of {payload} bytes, has room for {} bytes: lower the one or raise \
         the other", Key("max-payload"), fitting(*payload)
    )]
    LargerThanPayload {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-payload`, in bytes.
        payload: usize,
    },
    /// A message would be dropped as soon as it is kept.
    #[error("{key} is {size}, but {} is {total}: not one such message could be kept", Key("max-data-size"))]
    LargerThanJournal {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-data-size`.
        total: ByteSize,
    },
    /// No picture of the largest size could be worn.
    #[error("{key} is {size}, but all avatars together have {room}, by {}", Key("avatar-bytes"))]
    LargerThanRoom {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--avatar-bytes`.
        room: ByteSize,
    },
    /// No picture of the largest size could be kept.
    #[error(
        "{key} is {size}, but all avatars together have a quarter of {}, which is {total}: lower the one or raise the other",
        Key("max-data-size")
    )]
    LargerThanShare {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-data-size`.
        total: ByteSize,
    },
    /// A message could not come in.
    #[error("{key} is {size}, but {} is {total}: it is at least four such messages", Key("max-memory"))]
    LargerThanMemory {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-memory`.
        total: ByteSize,
    },
    /// Clients of Socket.IO in JavaScript could not wait for a ping.
    #[error(
        "{} is {interval} and {} is {timeout}: together they are at most {LONGEST_TIMER_MILLIS}ms (24 days), for a timer \
         of JavaScript waits no longer",
        Key("ping-interval"),
        Key("ping-timeout")
    )]
    PingsTooRare {
        /// The value of `--ping-interval`.
        interval: Period,
        /// The value of `--ping-timeout`.
        timeout: Period,
    },
    /// One user's ids would be more than those of all.
    #[error(
        "{} is {each}, but {} is {all}: one user cannot have more than all",
        Key("remembered-ids"),
        Key("max-remembered-ids")
    )]
    MoreIdsThanAll {
        /// The value of `--remembered-ids`.
        each: usize,
        /// The value of `--max-remembered-ids`.
        all: usize,
    },
    /// Two listeners want one address.
    #[error(
        "{} is {metrics}, which the server itself listens on ({server}, by {} and {}): metrics need a port of their own",
        Key("metrics-bind"),
        Key("bind"),
        Key("port")
    )]
    MetricsOnOwnPort {
        /// The value of `--metrics-bind`.
        metrics: SocketAddr,
        /// What `--bind` and `--port` make.
        server: SocketAddr,
    },
    /// An origin that no browser sends; it can only come from a program that makes its own settings.
    #[error("{key}: {origin:?} is not an origin as browsers write it, such as https://example.com")]
    NotAnOrigin {
        /// The setting.
        key: Key,
        /// The text.
        origin: String,
    },
}

/// Memory in which a message of `size` bytes finds room while it comes in: a buffer that grows is up to twice as large, and
/// a quarter is for messages that have come.
pub(super) fn memory_for(size: ByteSize) -> usize {
    size.get().saturating_mul(4)
}

/// Bytes of a picture that an event of `payload` bytes has room for.
pub(super) fn fitting(payload: usize) -> usize {
    payload.saturating_sub(ENVELOPE_BYTES).max(1)
}

/// Checks all settings.
///
/// # Errors
/// The first one that cannot be, or that does not fit the others.
pub(super) fn check(settings: &Settings) -> Result<(), SettingError> {
    socketio_path::check(&settings.socketio.socketio_path)?;
    prefix(settings)?;
    ranges(settings)?;
    origins(Key("allow-origin"), &settings.origins.allow_origin)?;
    origins(Key("cors-origin"), &settings.socketio.cors_origin)?;
    pictures_fit_events(settings)?;
    messages_fit_memory(settings)?;
    messages_fit_the_journal(settings)?;
    avatars_have_room(settings)?;
    pings_fit_timers(settings)?;
    ids_fit_together(settings)?;
    metrics_have_a_port(settings)
}

fn prefix(settings: &Settings) -> Result<(), SettingError> {
    let prefix = &settings.listen.path_prefix;
    if ["", "/"].contains(&prefix.as_str()) {
        return Ok(());
    }
    socketio_path::check(prefix).map_err(SettingError::PathPrefix)?;
    let path = format!("{}/", settings.socketio.socketio_path.trim_end_matches('/'));
    if path.starts_with(&format!("{}/", prefix.trim_end_matches('/'))) {
        let path = settings.socketio.socketio_path.clone();
        return Err(SettingError::PathWithPrefix { path, prefix: prefix.clone() });
    }
    Ok(())
}

fn ranges(settings: &Settings) -> Result<(), SettingError> {
    counts(settings)?;
    sizes(settings)?;
    periods(settings)
}

fn counts(settings: &Settings) -> Result<(), SettingError> {
    // `usize` is at most 64 bits wide.
    let table: [(&'static str, u64, u64); _] = [
        ("workers", settings.listen.workers.map_or(1, |workers| workers.get() as u64), 1024),
        ("history", settings.journal.history.get() as u64, MOST_OF_A_KIND),
        ("max-image-side", settings.events.max_image_side.get() as u64, u16::MAX.into()),
        ("max-image-pixels", settings.events.max_image_pixels.get() as u64, MOST_PIXELS),
        ("max-avatar-side", settings.events.max_avatar_side.get() as u64, u16::MAX.into()),
        ("max-attachments", settings.socketio.max_attachments.get() as u64, 1_000_000),
        ("max-fragments", settings.limits.max_fragments.get() as u64, MOST_OF_A_KIND),
        ("recovery-sockets", settings.socketio.recovery_sockets.get() as u64, MOST_OF_A_KIND),
        ("rate-burst", settings.rates.rate_burst.into(), MOST_OF_A_KIND),
        ("handshake-burst", settings.admission.handshake_burst.get().into(), MOST_OF_A_KIND),
        ("max-sessions", settings.admission.max_sessions.get() as u64, MOST_OF_A_KIND),
        ("max-connections", settings.max_connections() as u64, MOST_OF_A_KIND + 10_000),
        ("max-connections", settings.max_connections() as u64, MOST_CONNECTIONS),
        ("max-rooms", settings.rooms.max_rooms.get() as u64, MOST_OF_A_KIND),
        ("max-lessons", settings.lessons.max_lessons.get() as u64, 1_000_000),
        ("remembered-ids", settings.journal.remembered_ids.get() as u64, MOST_OF_A_KIND),
        ("max-remembered-ids", settings.journal.max_remembered_ids.get() as u64, MOST_OF_A_KIND),
        ("max-held-names", settings.login.max_held_names.get() as u64, 1_000_000),
        ("max-reserved-names", settings.login.max_reserved_names.get() as u64, MOST_OF_A_KIND),
    ];
    for (flag, value, most) in table {
        in_range(Key(flag), Amount::Count(value), Amount::Count(1), Amount::Count(most))?;
    }
    // None need be kept.
    let ended = Amount::Count(settings.socketio.max_ended_sessions as u64);
    in_range(Key("max-ended-sessions"), ended, Amount::Count(0), Amount::Count(MOST_OF_A_KIND))
}

fn sizes(settings: &Settings) -> Result<(), SettingError> {
    let table = [
        ("max-message-size", settings.limits.max_message_size, 1, MOST_BYTES_OF_ONE),
        ("max-payload", settings.events.max_payload, ENVELOPE_BYTES as u64, MOST_BYTES_OF_ONE),
        ("max-queue-bytes", settings.limits.max_queue_bytes, 1024, MOST_BYTES_OF_ONE),
        ("max-intake-bytes", settings.limits.max_intake_bytes, 1, MOST_BYTES_OF_ONE),
        ("max-intake-total", settings.limits.max_intake_total, 1, MOST_BYTES_OF_ALL),
        ("max-memory", settings.max_memory(), LEAST_MEMORY_BYTES, MOST_BYTES_OF_ALL),
        ("max-login-size", settings.limits.max_login_size, ENVELOPE_BYTES as u64, MOST_BYTES_OF_ONE),
        ("history-bytes", settings.journal.history_bytes, 1, MOST_BYTES_OF_ALL),
        ("max-data-size", settings.journal.max_data_size, LEAST_DATA_BYTES, MOST_BYTES_OF_ALL),
        ("tail-bytes", settings.journal.tail_bytes, 1, MOST_BYTES_OF_ALL),
        ("avatar-bytes", settings.events.avatar_bytes, 1024, MOST_BYTES_OF_ALL),
        ("recovery-bytes", settings.socketio.recovery_bytes, 1, MOST_BYTES_OF_ALL),
    ];
    for (flag, size, least, most) in table {
        let size = Amount::Bytes(size.get() as u64);
        in_range(Key(flag), size, Amount::Bytes(least), Amount::Bytes(most))?;
    }
    Ok(())
}

/// The longest period of all is that of its type.
fn periods(settings: &Settings) -> Result<(), SettingError> {
    let longest = Amount::Millis(Period::MAX.as_millis() as u64);
    let table = [
        ("connect-timeout", settings.login.connect_timeout, longest),
        ("upgrade-timeout", settings.socketio.upgrade_timeout, longest),
        ("polling-open-timeout", settings.socketio.polling_open_timeout, longest),
        ("handshake-timeout", settings.connections.handshake_timeout, longest),
        ("body-timeout", settings.connections.body_timeout, longest),
        ("keep-alive", settings.connections.keep_alive, longest),
        ("body-timeout", settings.connections.body_timeout, longest),
        ("keep-alive", settings.connections.keep_alive, longest),
        ("ping-interval", settings.heartbeat.ping_interval, longest),
        ("ping-timeout", settings.heartbeat.ping_timeout, longest),
        ("upload-patience", settings.rates.upload_patience, longest),
        ("stall-timeout", settings.connections.stall_timeout, Amount::Millis(LONGEST_STALL_MILLIS)),
    ];
    for (flag, period, most) in table {
        let period = Amount::Millis(u64::try_from(period.get().as_millis()).unwrap_or(u64::MAX));
        in_range(Key(flag), period, Amount::Millis(SHORTEST_MILLIS), most)?;
    }
    Ok(())
}

fn in_range(key: Key, value: Amount, least: Amount, most: Amount) -> Result<(), SettingError> {
    if (least.number()..=most.number()).contains(&value.number()) {
        return Ok(());
    }
    Err(SettingError::OutOfRange { key, value, least, most })
}

fn origins(key: Key, origins: &[AllowedOrigin]) -> Result<(), SettingError> {
    let not_one = origins.iter().find_map(|origin| match origin {
        AllowedOrigin::Exact(text) if text.parse::<AllowedOrigin>().as_ref() != Ok(origin) => Some(text),
        _ => None,
    });
    not_one.map_or(Ok(()), |origin| Err(SettingError::NotAnOrigin { key, origin: origin.clone() }))
}

fn pictures_fit_events(settings: &Settings) -> Result<(), SettingError> {
    let payload = settings.events.max_payload.get();
    let pictures = [
        ("max-image-size", settings.events.max_image_size),
        ("max-avatar-size", settings.events.max_avatar_size),
    ];
    for (flag, size) in pictures {
        if let Some(size) = size.filter(|size| size.get() > fitting(payload)) {
            return Err(SettingError::LargerThanPayload { key: Key(flag), size, payload });
        }
    }
    Ok(())
}

fn messages_fit_memory(settings: &Settings) -> Result<(), SettingError> {
    let total = settings.max_memory();
    let messages = [
        ("max-message-size", settings.limits.max_message_size),
        ("max-payload", settings.events.max_payload),
    ];
    for (flag, size) in messages {
        if memory_for(size) > total.get() {
            return Err(SettingError::LargerThanMemory { key: Key(flag), size, total });
        }
    }
    Ok(())
}

fn ids_fit_together(settings: &Settings) -> Result<(), SettingError> {
    let (each, all) = (settings.journal.remembered_ids.get(), settings.journal.max_remembered_ids.get());
    if each > all { Err(SettingError::MoreIdsThanAll { each, all }) } else { Ok(()) }
}

fn messages_fit_the_journal(settings: &Settings) -> Result<(), SettingError> {
    let total = settings.journal.max_data_size;
    let messages = [
        ("max-message-size", settings.limits.max_message_size),
        ("max-image-size", settings.max_image_size()),
    ];
    for (flag, size) in messages {
        if size.get().saturating_add(ENVELOPE_BYTES) > total.get() {
            return Err(SettingError::LargerThanJournal { key: Key(flag), size, total });
        }
    }
    Ok(())
}

fn avatars_have_room(settings: &Settings) -> Result<(), SettingError> {
    let (size, room) = (settings.max_avatar_size(), settings.events.avatar_bytes);
    if size.get() > room.get() {
        return Err(SettingError::LargerThanRoom { key: Key("max-avatar-size"), size, room });
    }
    let total = settings.journal.max_data_size;
    if size.get() > total.get() / AVATARS_SHARE {
        return Err(SettingError::LargerThanShare { key: Key("max-avatar-size"), size, total });
    }
    Ok(())
}

fn pings_fit_timers(settings: &Settings) -> Result<(), SettingError> {
    let (interval, timeout) = (settings.heartbeat.ping_interval, settings.heartbeat.ping_timeout);
    if (interval.get() + timeout.get()).as_millis() > LONGEST_TIMER_MILLIS.into() {
        return Err(SettingError::PingsTooRare { interval, timeout });
    }
    Ok(())
}

fn metrics_have_a_port(settings: &Settings) -> Result<(), SettingError> {
    let server = SocketAddr::from((settings.listen.bind, settings.listen.port));
    match settings.operation.metrics_bind {
        Some(metrics) if overlap(metrics, server) => Err(SettingError::MetricsOnOwnPort { metrics, server }),
        _ => Ok(()),
    }
}

/// Whether two listeners could not both have what they ask for. Port 0 is any free one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // What is bound to [::] takes connections to IPv4 addresses, too.
    let takes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() != 0 && one.port() == other.port() && (a == b || takes(a, b) || takes(b, a))
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::*;

    fn size(text: &str) -> ByteSize {
        text.parse().expect("a size")
    }

    fn time(text: &str) -> Period {
        text.parse().expect("a time")
    }

    fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("not zero")
    }

    /// What is said of the defaults with a change.
    fn verdict(change: impl FnOnce(&mut Settings)) -> Option<String> {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).err().map(|error| error.to_string())
    }

    type Change = fn(&mut Settings);

    #[test]
    fn what_cannot_be_is_told_in_one_sentence_that_names_the_key() {
        let table: [(&str, Change); _] = [
            ("socketio-path", |s| s.socketio.socketio_path = "/chat".into()),
            ("path-prefix", |s| s.listen.path_prefix = "app".into()),
            ("path-prefix", |s| s.listen.path_prefix = "/ws".into()),
            ("workers", |s| s.listen.workers = Some(count(1025))),
            ("history", |s| s.journal.history = NonZeroUsize::MAX),
            ("max-image-side", |s| s.events.max_image_side = count(65_536)),
            ("max-image-pixels", |s| s.events.max_image_pixels = count(1 << 32)),
            ("max-avatar-side", |s| s.events.max_avatar_side = count(65_536)),
            ("max-attachments", |s| s.socketio.max_attachments = NonZeroUsize::MAX),
            ("max-fragments", |s| s.limits.max_fragments = NonZeroUsize::MAX),
            ("recovery-sockets", |s| s.socketio.recovery_sockets = NonZeroUsize::MAX),
            ("rate-burst", |s| s.rates.rate_burst = 0),
            ("rate-burst", |s| s.rates.rate_burst = u32::MAX),
            ("handshake-burst", |s| s.admission.handshake_burst = NonZeroU32::MAX),
            ("max-sessions", |s| s.admission.max_sessions = NonZeroUsize::MAX),
            ("max-rooms", |s| s.rooms.max_rooms = NonZeroUsize::MAX),
            ("remembered-ids", |s| s.journal.remembered_ids = NonZeroUsize::MAX),
            ("max-remembered-ids", |s| s.journal.max_remembered_ids = NonZeroUsize::MAX),
            ("max-held-names", |s| s.login.max_held_names = NonZeroUsize::MAX),
            ("max-reserved-names", |s| s.login.max_reserved_names = NonZeroUsize::MAX),
            ("max-lessons", |s| s.lessons.max_lessons = NonZeroUsize::MAX),
            ("max-message-size", |s| s.limits.max_message_size = size("2g")),
            ("max-payload", |s| s.events.max_payload = size("1023")),
            ("max-payload", |s| s.events.max_payload = ByteSize(usize::MAX)),
            ("max-queue-bytes", |s| s.limits.max_queue_bytes = size("1")),
            ("max-queue-bytes", |s| s.limits.max_queue_bytes = ByteSize(usize::MAX)),
            ("max-intake-bytes", |s| s.limits.max_intake_bytes = ByteSize(usize::MAX)),
            ("max-intake-total", |s| s.limits.max_intake_total = ByteSize(usize::MAX)),
            ("max-memory", |s| s.limits.max_memory = Some(size("1023k"))),
            ("max-login-size", |s| s.limits.max_login_size = size("1")),
            ("max-login-size", |s| s.limits.max_login_size = ByteSize(usize::MAX)),
            ("upload-patience", |s| s.rates.upload_patience = time("1ms")),
            ("history-bytes", |s| s.journal.history_bytes = ByteSize(usize::MAX)),
            ("max-data-size", |s| s.journal.max_data_size = size("1023k")),
            ("max-data-size", |s| s.journal.max_data_size = ByteSize(usize::MAX)),
            ("tail-bytes", |s| s.journal.tail_bytes = ByteSize(usize::MAX)),
            ("avatar-bytes", |s| s.events.avatar_bytes = size("1023")),
            ("avatar-bytes", |s| s.events.avatar_bytes = ByteSize(usize::MAX)),
            ("recovery-bytes", |s| s.socketio.recovery_bytes = ByteSize(usize::MAX)),
            ("connect-timeout", |s| s.login.connect_timeout = time("9ms")),
            ("upgrade-timeout", |s| s.socketio.upgrade_timeout = time("1ms")),
            ("handshake-timeout", |s| s.connections.handshake_timeout = time("1ms")),
            ("body-timeout", |s| s.connections.body_timeout = time("1ms")),
            ("keep-alive", |s| s.connections.keep_alive = time("1ms")),
            ("max-connections", |s| s.connections.max_connections = Some(NonZeroUsize::MAX)),
            ("polling-open-timeout", |s| s.socketio.polling_open_timeout = time("1ms")),
            ("max-ended-sessions", |s| s.socketio.max_ended_sessions = usize::MAX),
            ("ping-interval", |s| s.heartbeat.ping_interval = time("1ms")),
            ("ping-interval", |s| s.heartbeat.ping_interval = time("25d")),
            ("ping-timeout", |s| s.heartbeat.ping_timeout = time("1ms")),
            ("stall-timeout", |s| s.connections.stall_timeout = time("25d")),
            ("allow-origin", |s| s.origins.allow_origin = vec![AllowedOrigin::Exact("http://a/b".into())]),
            ("cors-origin", |s| s.socketio.cors_origin = vec![AllowedOrigin::Exact("A.example".into())]),
        ];
        for (flag, change) in table {
            let sentence = verdict(change).unwrap_or_else(|| panic!("--{flag} was taken"));
            assert!(sentence.starts_with(&Key(flag).to_string()), "{flag}: {sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_with_both_keys() {
        let table: [(&str, &str, Change); _] = [
            ("socketio-path", "path-prefix", |s| s.listen.path_prefix = "/socket.io".into()),
            ("remembered-ids", "max-remembered-ids", |s| s.journal.max_remembered_ids = count(127)),
            ("max-image-size", "max-payload", |s| s.events.max_image_size = Some(size("1m"))),
            ("max-avatar-size", "max-payload", |s| s.events.max_avatar_size = Some(size("1m"))),
            ("max-image-size", "max-payload", |s| {
                (s.events.max_image_size, s.events.max_payload) = (Some(size("4k")), size("4k"));
            }),
            ("max-message-size", "max-data-size", |s| {
                (s.limits.max_message_size, s.journal.max_data_size) = (size("1m"), size("1m"));
            }),
            ("max-image-size", "max-data-size", |s| {
                (s.events.max_image_size, s.events.max_payload, s.journal.max_data_size) =
                    (Some(size("4m")), size("8m"), size("4m"));
            }),
            ("max-avatar-size", "avatar-bytes", |s| s.events.avatar_bytes = size("4095")),
            ("max-avatar-size", "max-data-size", |s| {
                (s.events.max_avatar_size, s.journal.max_data_size) = (Some(size("262145")), size("1m"));
            }),
            ("ping-interval", "ping-timeout", |s| s.heartbeat.ping_timeout = time("25d")),
            ("ping-interval", "ping-timeout", |s| {
                (s.heartbeat.ping_interval, s.heartbeat.ping_timeout) = (time("2147483637ms"), time("11ms"));
            }),
            ("max-payload", "max-memory", |s| s.limits.max_memory = Some(size("3m"))),
            ("max-message-size", "max-memory", |s| {
                (s.limits.max_message_size, s.limits.max_memory) = (size("2m"), Some(size("7m")));
            }),
            ("metrics-bind", "port", |s| {
                s.operation.metrics_bind = Some(([127, 0, 0, 1], s.listen.port).into())
            }),
        ];
        for (one, other, change) in table {
            let sentence = verdict(change).unwrap_or_else(|| panic!("--{one} was taken"));
            assert!(sentence.contains(&Key(one).to_string()), "{one}: {sentence}");
            assert!(sentence.contains(&Key(other).to_string()), "{other}: {sentence}");
        }
    }

    #[test]
    fn what_can_be_is_taken_up_to_the_last_byte() {
        let table: [Change; _] = [
            |_| {},
            |s| (s.heartbeat.ping_interval, s.heartbeat.ping_timeout) = (time("2147483637ms"), time("10ms")),
            |s| s.listen.path_prefix = "/".into(),
            |s| (s.listen.path_prefix, s.socketio.socketio_path) = ("/app/".into(), "/apple".into()),
            |s| s.socketio.max_ended_sessions = 0,
            |s| (s.events.max_image_size, s.events.max_payload) = (Some(size("4k")), size("5k")),
            |s| s.events.max_payload = size("1k"),
            |s| (s.limits.max_message_size, s.limits.max_fragments) = (size("16m"), count(1_000_000)),
            |s| s.journal.max_data_size = size("1m"),
            |s| s.events.avatar_bytes = size("4k"),
            |s| s.listen.workers = Some(count(1024)),
            |s| s.limits.max_memory = Some(size("4m")),
            |s| s.events.max_payload = size("512m"),
            |s| s.connections.stall_timeout = time("24d"),
            |s| s.journal.history_age = time("365d"),
            |s| (s.rates.rate, s.rates.rate_burst) = (10_000_000, 10_000_000),
            |s| s.operation.metrics_bind = Some(([127, 0, 0, 1], s.listen.port + 1).into()),
            |s| s.socketio.cors_origin = vec![AllowedOrigin::Any, AllowedOrigin::Null],
        ];
        for (row, change) in table.into_iter().enumerate() {
            assert_eq!(verdict(change), None, "row {row}");
        }
    }

    #[test]
    fn a_bound_that_is_not_set_gives_way_to_one_that_is() {
        let small = Settings::default().with(|s| s.events.max_payload = size("3k"));
        assert_eq!((small.max_image_size(), small.max_avatar_size()), (size("2k"), size("2k")));
        let usual = Settings::default();
        assert_eq!((usual.max_memory(), usual.max_login_size()), (size("256m"), size("64k")));
        let large = Settings::default().with(|s| s.events.max_payload = size("100m"));
        assert_eq!(large.max_memory(), size("400m"));
        let faces = Settings::default().with(|s| s.events.max_avatar_size = Some(size("100k")));
        assert_eq!(faces.max_login_size(), size("101k"));
        assert_eq!(small.max_login_size(), size("3k"));
        assert_eq!((usual.max_image_size(), usual.max_avatar_size()), (size("512k"), size("4k")));
    }

    #[test]
    fn listeners_overlap_if_one_could_not_be_bound_beside_the_other() {
        let overlap = |one: &str, other: &str| {
            let parse = |text: &str| text.parse().expect("an address");
            assert_eq!(overlap(parse(one), parse(other)), overlap(parse(other), parse(one)));
            overlap(parse(one), parse(other))
        };
        assert!(overlap("127.0.0.1:3000", "127.0.0.1:3000"));
        assert!(overlap("0.0.0.0:3000", "127.0.0.1:3000"));
        assert!(overlap("[::]:3000", "127.0.0.1:3000"));
        assert!(overlap("[::]:3000", "0.0.0.0:3000"));
        assert!(overlap("[::ffff:127.0.0.1]:3000", "127.0.0.1:3000"));
        assert!(!overlap("0.0.0.0:3000", "[::1]:3000"));
        assert!(!overlap("127.0.0.1:3000", "127.0.0.2:3000"));
        assert!(!overlap("127.0.0.1:3000", "127.0.0.1:3001"));
        assert!(!overlap("127.0.0.1:0", "127.0.0.1:0"), "any free port, and any other");
    }
}
