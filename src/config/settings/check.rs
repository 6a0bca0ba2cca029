//! Checks of settings against each other. Each setting alone is checked beside its declaration, in the file of its
//! concern; text that cannot be parsed is refused by its type.

use std::net::{IpAddr, SocketAddr};

use super::{
    JournalKind, LONGEST_TIMER_MILLIS, Settings,
    error::{Key, SettingError},
    events::ENVELOPE_BYTES,
    limits::memory_for,
};

/// Avatars have `--max-data-size` divided by this number: a quarter.
pub const AVATARS_SHARE: usize = 4;

/// Checks all settings, each alone and then against the others.
///
/// # Errors
/// The first setting that is not valid, or does not fit the others.
pub(super) fn check(settings: &Settings) -> Result<(), SettingError> {
    each_alone(settings)?;
    prefix_is_not_repeated(settings)?;
    pictures_fit_events(settings)?;
    messages_fit_memory(settings)?;
    messages_fit_the_journal(settings)?;
    avatars_have_room(settings)?;
    pings_fit_timers(settings)?;
    ids_fit_together(settings)?;
    redis_is_there(settings)?;
    metrics_have_a_port(settings)
}

fn each_alone(settings: &Settings) -> Result<(), SettingError> {
    // No `..`: a new group does not compile until it is checked here.
    let Settings {
        listen,
        origins,
        journal,
        nodes,
        events,
        login,
        socketio,
        limits,
        rates,
        admission,
        rooms,
        lessons,
        heartbeat,
        connections,
        // Its types have all the ranges.
        operation,
    } = settings;
    listen.check()?;
    origins.check()?;
    journal.check()?;
    nodes.check()?;
    events.check()?;
    login.check()?;
    socketio.check()?;
    limits.check()?;
    rates.check()?;
    admission.check()?;
    rooms.check()?;
    lessons.check()?;
    heartbeat.check()?;
    operation.check()?;
    connections.check()
}

fn prefix_is_not_repeated(settings: &Settings) -> Result<(), SettingError> {
    let (path, prefix) = (&settings.socketio.socketio_path, &settings.listen.path_prefix);
    if ["", "/"].contains(&prefix.as_str()) {
        return Ok(());
    }
    let below = |path: &str| format!("{}/", path.trim_end_matches('/'));
    if below(path).starts_with(&below(prefix)) {
        return Err(SettingError::PathWithPrefix { path: path.clone(), prefix: prefix.clone() });
    }
    Ok(())
}

fn pictures_fit_events(settings: &Settings) -> Result<(), SettingError> {
    let (payload, room) = (settings.events.max_payload.get(), settings.events.room_for_a_picture());
    let pictures = [
        ("max-image-size", settings.events.max_image_size),
        ("max-avatar-size", settings.events.max_avatar_size),
    ];
    for (flag, size) in pictures {
        if let Some(size) = size.filter(|size| size.get() > room) {
            return Err(SettingError::LargerThanPayload { key: Key(flag), size, payload, room });
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
        ("max-image-size", settings.events.max_image_size()),
    ];
    for (flag, size) in messages {
        if size.get().saturating_add(ENVELOPE_BYTES) > total.get() {
            return Err(SettingError::LargerThanJournal { key: Key(flag), size, total });
        }
    }
    Ok(())
}

fn avatars_have_room(settings: &Settings) -> Result<(), SettingError> {
    let (size, room) = (settings.events.max_avatar_size(), settings.events.avatar_bytes);
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

fn redis_is_there(settings: &Settings) -> Result<(), SettingError> {
    if settings.nodes.redis.is_none() {
        return match settings.nodes.needs_redis() {
            Some(flag) => Err(SettingError::WithoutRedis { key: Key(flag) }),
            None => Ok(()),
        };
    }
    match settings.journal.kind {
        // The default: what --redis stands in for.
        JournalKind::Sqlite => Ok(()),
        JournalKind::Memory => Err(SettingError::MemoryBesideRedis),
    }
}

fn metrics_have_a_port(settings: &Settings) -> Result<(), SettingError> {
    let server = SocketAddr::from((settings.listen.bind, settings.listen.port));
    match settings.operation.metrics_bind {
        Some(metrics) if overlap(metrics, server) => Err(SettingError::MetricsOnOwnPort { metrics, server }),
        _ => Ok(()),
    }
}

/// Whether two listeners cannot be bound at once. Port 0 means any free port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // A listener on [::] accepts IPv4 connections, too.
    let takes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() != 0 && one.port() == other.port() && (a == b || takes(a, b) || takes(b, a))
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::{
        super::{AllowedOrigin, ByteSize, Period, RedisAcks, RedisUrl, SocketIoAdapter, SocketIoKey, Switch},
        *,
    };

    fn size(text: &str) -> ByteSize {
        text.parse().expect("a size")
    }

    fn time(text: &str) -> Period {
        text.parse().expect("a time")
    }

    fn a_redis() -> Option<RedisUrl> {
        Some("redis://localhost".parse().expect("an address"))
    }

    fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("not zero")
    }

    /// The refusal of the default settings with a change, if there is one.
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
            ("socketio-redis-bytes", |s| {
                (s.nodes.redis, s.nodes.socketio_redis_bytes) = (a_redis(), Some(ByteSize(usize::MAX)));
            }),
            ("socketio-redis-requests", |s| {
                (s.nodes.redis, s.nodes.socketio_redis_requests) = (a_redis(), Some(NonZeroUsize::MAX));
            }),
            ("max-held-names", |s| s.login.max_held_names = NonZeroUsize::MAX),
            ("max-reserved-names", |s| s.login.max_reserved_names = NonZeroUsize::MAX),
            ("max-restarts", |s| s.operation.max_restarts = usize::MAX),
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
            ("redis-window", |s| (s.nodes.redis, s.nodes.redis_window) = (a_redis(), Some(time("99ms")))),
            ("redis-window", |s| (s.nodes.redis, s.nodes.redis_window) = (a_redis(), Some(time("61s")))),
            ("node-lease", |s| (s.nodes.redis, s.nodes.node_lease) = (a_redis(), Some(time("2999ms")))),
            ("node-lease", |s| (s.nodes.redis, s.nodes.node_lease) = (a_redis(), Some(time("2h")))),
            ("commit-delay", |s| s.journal.commit_delay = "61s".parse().expect("a time")),
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
            ("redis-acks", "redis", |s| s.nodes.redis_acks = Some(RedisAcks::Heard)),
            ("redis-window", "redis", |s| s.nodes.redis_window = Some(time("1s"))),
            ("node-lease", "redis", |s| s.nodes.node_lease = Some(time("15s"))),
            ("redis-eviction", "redis", |s| s.nodes.redis_eviction = Some(Switch::Off)),
            ("socketio-adapter", "redis", |s| s.nodes.socketio_adapter = Some(SocketIoAdapter::Streams)),
            ("socketio-key", "redis", |s| s.nodes.socketio_key = Some(SocketIoKey::default())),
            ("socketio-redis-bytes", "redis", |s| s.nodes.socketio_redis_bytes = Some(size("1m"))),
            ("socketio-redis-requests", "redis", |s| {
                s.nodes.socketio_redis_requests = NonZeroUsize::new(9);
            }),
            ("isolation-timeout", "redis", |s| {
                s.nodes.isolation_timeout = Some("0".parse().expect("a time"))
            }),
            ("journal", "redis", |s| (s.nodes.redis, s.journal.kind) = (a_redis(), JournalKind::Memory)),
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
            |s| s.nodes.node = Some("tea1".parse().expect("a name")),
            |s| s.nodes.redis = a_redis(),
            |s| (s.nodes.redis, s.nodes.node_lease) = (a_redis(), Some(time("3s"))),
            |s| s.socketio.max_ended_sessions = 0,
            |s| s.operation.max_restarts = 0,
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
        assert_eq!((small.events.max_image_size(), small.events.max_avatar_size()), (size("2k"), size("2k")));
        let usual = Settings::default();
        assert_eq!((usual.max_memory(), usual.max_login_size()), (size("256m"), size("64k")));
        let large = Settings::default().with(|s| s.events.max_payload = size("100m"));
        assert_eq!(large.max_memory(), size("400m"));
        let faces = Settings::default().with(|s| s.events.max_avatar_size = Some(size("100k")));
        assert_eq!(faces.max_login_size(), size("101k"));
        assert_eq!(small.max_login_size(), size("3k"));
        assert_eq!(
            (usual.events.max_image_size(), usual.events.max_avatar_size()),
            (size("512k"), size("4k"))
        );
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
