//! The settings of Engine.IO sessions.

use std::{ops::RangeInclusive, time::Duration};

use bytestring::ByteString;

use super::{
    cookie::{Cookie, CookieError},
    hooks::Hooks,
    ids::GenerateId,
    rooms::{RecoveryLimits, RoomLimits},
    transport::Transport,
};
use crate::{
    config::{LONGEST_TIMER_MILLIS, NodeName, NodeNameError, RedisUrlError, Switch},
    connection::{outbound::Bounds, rate::RateLimit, upload::UploadRate},
};

/// Largest message, payload or queue of one session, in bytes.
const MOST_BYTES: usize = 1 << 30;

/// Largest number of things of one kind.
const MOST_OF_A_KIND: usize = 100_000_000;

/// Shortest time of a timer. One that fires more often would keep its thread busy.
const SHORTEST_MILLIS: u64 = 10;

/// Settings of an [`Engine`](super::Engine) and its sessions. [`check`](Self::check) has their ranges.
#[derive(Clone, Debug)]
pub(crate) struct EngineSettings {
    /// Name that the ids of sessions begin with; a random one if it is `None`, the default.
    pub node: Option<NodeName>,
    /// Transports that clients may use. Both by default. A request for another one is refused with code 0.
    pub transports: Vec<Transport>,
    /// Whether clients that poll are told that they may upgrade to a WebSocket. On by default. As with the
    /// reference server, a client that upgrades without that is not refused.
    pub allow_upgrades: bool,
    /// Time between pings. 25 seconds by default.
    pub ping_interval: Duration,
    /// Time in which a client must answer a ping. 20 seconds by default.
    pub ping_timeout: Duration,
    /// Largest message or payload in bytes that is accepted, and largest poll response in bytes that has more
    /// than one packet. 1,000,000 by default.
    pub max_payload: usize,
    /// Time in which an upgrade must finish. 10 seconds by default.
    pub upgrade_timeout: Duration,
    /// Time in which a client must join a namespace. 45 seconds by default.
    pub connect_timeout: Duration,
    /// Time in which a polling client must make its second request. 10 seconds by default.
    pub polling_open_timeout: Duration,
    /// Time in which a connection must finish its last writes before it is cut. 20 seconds by default.
    pub stall_timeout: Duration,
    /// Largest number of frames in one WebSocket message. 1024 by default.
    pub max_fragments: usize,
    /// Largest number of ended sessions kept for polling clients that have not learned of the end; one more
    /// drops the oldest. 1000 by default.
    pub max_ended_sessions: usize,
    /// Limit on bytes of deliveries that wait for a client. A session above it is ended at the next delivery.
    /// 1 MiB by default.
    pub max_waiting: usize,
    /// Limit on bytes that a client sent and that are not dealt with yet; at this limit reading stops. 256 KiB
    /// by default.
    pub max_intake: usize,
    /// Largest message, and largest event with attachments, in bytes, while the client is not known. 64 KiB by
    /// default.
    pub max_unknown: usize,
    /// Lowest rate at which a message must arrive after its start. By default 1024 bytes a second, after 10
    /// seconds.
    pub upload: UploadRate,
    /// Limit on packets that are not events. Events are counted by the namespaces. By default 30 a second.
    pub rate: Option<RateLimit>,
    /// Limits on rooms and on what recovery keeps.
    pub rooms: RoomLimits,
    /// Answers that the server waits for of one socket. 1024 by default.
    pub max_pending_acks: usize,
    /// Whether responses to polls are compressed with gzip for clients that accept it. On by default.
    pub http_compression: Switch,
    /// Responses below this size in bytes are not compressed. 1024 by default.
    pub http_compression_threshold: usize,
    /// Whether WebSocket messages of 1 to 64 KiB are compressed (permessage-deflate, RFC 7692) with clients that
    /// offer it. Off by default.
    pub per_message_deflate: Switch,
    /// The cookie with a session's id. None by default.
    pub cookie: Option<Cookie>,
    /// Makes the ids of sessions. By default an id is the name of the node and 16 random characters.
    pub generate_id: Option<GenerateId>,
    /// A text message of Engine.IO that each client gets behind the open packet. None by default. Clients of
    /// Socket.IO do not expect one.
    pub initial_packet: Option<ByteString>,
    /// The program's code around HTTP requests.
    pub hooks: Hooks,
}

/// A setting that cannot be used. Its message names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A time is out of its range.
    #[error(
        "{setting} is {value:?}: a time from {SHORTEST_MILLIS} ms to {LONGEST_TIMER_MILLIS} ms is needed"
    )]
    Time {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: Duration,
    },
    /// A number is out of its range.
    #[error("{setting} is {value}: a number from {least} to {most} is needed")]
    Number {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The least number.
        least: usize,
        /// The largest number.
        most: usize,
    },
    /// The bound of packets without a meaning is none.
    #[error("max_idle_packets needs a rate above 0 and a burst of at least 1")]
    IdlePackets,
    /// The path has a character that no client would send, or a pattern, which the routes of actix-web know.
    #[error("path is {0:?}: letters and digits of ASCII, and -._~!$&'()*+,;=:@/ are needed")]
    Path(String),
    /// The name of the server has another length, or a character that an address cannot have.
    #[error("node_name: {0}")]
    NodeName(#[from] NodeNameError),
    /// The thread for Redis cannot be started.
    #[error("redis: {0}")]
    Adapter(String),
    /// No transport is on.
    #[error("transports is empty: clients need one")]
    NoTransport,
    /// Clients wait for a ping as long as both together, and their timers cannot wait longer.
    #[error("ping_interval and ping_timeout are together more than {LONGEST_TIMER_MILLIS} ms")]
    PingsTooRare,
    /// The first message is larger than clients expect.
    #[error("initial_packet has {0} bytes, more than max_payload")]
    InitialPacket(usize),
    /// The cookie cannot be sent.
    #[error("cookie: {0}")]
    Cookie(#[from] CookieError),
    /// A method or header of CORS is not a token (RFC 9110, section 5.6.2).
    #[error("cors: {0:?} is not the name of a method or header")]
    Cors(String),
    /// The address of Redis is not one.
    #[error("redis: {0}")]
    RedisUrl(#[from] RedisUrlError),
    /// A name is empty, or too long.
    #[error("{setting} has {bytes} bytes: 1 to {most} are needed")]
    Name {
        /// The setting.
        setting: &'static str,
        /// The length of its value.
        bytes: usize,
        /// The longest.
        most: usize,
    },
}

impl EngineSettings {
    /// Checks each setting alone, and then against the others.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (setting, value) in [
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("upgrade_timeout", self.upgrade_timeout),
            ("connect_timeout", self.connect_timeout),
            ("polling_open_timeout", self.polling_open_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            time(setting, value)?;
        }
        number("max_payload", self.max_payload, 1..=MOST_BYTES)?;
        number("max_fragments", self.max_fragments, 1..=MOST_OF_A_KIND)?;
        number("max_ended_sessions", self.max_ended_sessions, 0..=MOST_OF_A_KIND)?;
        number("max_waiting_bytes", self.max_waiting, 1..=MOST_BYTES)?;
        number("max_unhandled_bytes", self.max_intake, 1..=MOST_BYTES)?;
        number("max_payload_before_connect", self.max_unknown, 1..=MOST_BYTES)?;
        number("max_pending_acks", self.max_pending_acks, 1..=MOST_OF_A_KIND)?;
        number("max_rooms", self.rooms.max_rooms, 1..=MOST_OF_A_KIND)?;
        self.cookie.as_ref().map(Cookie::check).transpose()?;
        if let Some(RateLimit { rate, burst, .. }) = self.rate
            && !(rate > 0.0 && rate.is_finite() && burst >= 1.0 && burst.is_finite())
        {
            return Err(SettingsError::IdlePackets);
        }
        if self.transports.is_empty() {
            return Err(SettingsError::NoTransport);
        }
        if (self.ping_interval + self.ping_timeout).as_millis() > LONGEST_TIMER_MILLIS.into() {
            return Err(SettingsError::PingsTooRare);
        }
        match &self.initial_packet {
            Some(packet) if packet.len() >= self.max_payload => {
                Err(SettingsError::InitialPacket(packet.len()))
            }
            _ => Ok(()),
        }
    }

    /// Whether clients may use a transport.
    pub(super) fn has(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    /// Whether a client that polls is told that it may upgrade.
    pub(super) fn offers_upgrade(&self) -> bool {
        self.allow_upgrades && self.has(Transport::WebSocket)
    }

    /// The size in bytes from which responses to polls are compressed; `None` if they are not.
    pub(super) fn least_compressed(&self) -> Option<usize> {
        (self.http_compression == Switch::On).then_some(self.http_compression_threshold)
    }

    /// The packet behind the open packet, if there is one.
    pub(super) fn first_message(&self) -> Option<String> {
        self.initial_packet.as_ref().map(|message| format!("4{message}"))
    }

    /// Largest message or payload in bytes from a client that is known, or is not known yet.
    pub(crate) fn max_size(&self, is_known: bool) -> usize {
        if is_known { self.max_payload } else { self.max_unknown.min(self.max_payload) }
    }

    /// The bounds on what waits for a client.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { waiting: self.max_waiting, answer: self.max_payload }
    }

    /// Ping interval and ping timeout in milliseconds, as the handshake tells clients. A client waits for
    /// their sum, so the sum must fit its timer.
    pub(super) fn advertised_pings(&self) -> (u64, u64) {
        let millis = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let timeout = millis(self.ping_timeout).min(LONGEST_TIMER_MILLIS);
        (millis(self.ping_interval).min(LONGEST_TIMER_MILLIS - timeout), timeout)
    }
}

/// Checks the time of a timer.
///
/// # Errors
/// The time is too short or too long.
pub(super) fn time(setting: &'static str, value: Duration) -> Result<(), SettingsError> {
    let range = u128::from(SHORTEST_MILLIS)..=u128::from(LONGEST_TIMER_MILLIS);
    if range.contains(&value.as_millis()) { Ok(()) } else { Err(SettingsError::Time { setting, value }) }
}

pub(super) fn number(
    setting: &'static str,
    value: usize,
    range: RangeInclusive<usize>,
) -> Result<(), SettingsError> {
    let (least, most) = range.into_inner();
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::Number { setting, value, least, most })
}

impl Default for EngineSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            node: None,
            transports: vec![Transport::Polling, Transport::WebSocket],
            allow_upgrades: true,
            ping_interval: seconds(25),
            ping_timeout: seconds(20),
            max_payload: 1_000_000,
            upgrade_timeout: seconds(10),
            connect_timeout: seconds(45),
            polling_open_timeout: seconds(10),
            stall_timeout: seconds(20),
            max_fragments: 1024,
            max_ended_sessions: 1000,
            max_waiting: 1 << 20,
            max_intake: 256 << 10,
            max_unknown: 64 << 10,
            upload: UploadRate { bytes_per_second: 1024, patience: seconds(10) },
            rate: Some(RateLimit { rate: 30.0, burst: 60.0, patience: seconds(10) }),
            rooms: RoomLimits {
                max_rooms: 10_000,
                recovery: RecoveryLimits { window: seconds(120), bytes: 16 << 20, sockets: 10_000 },
            },
            max_pending_acks: 1024,
            http_compression: Switch::On,
            http_compression_threshold: 1024,
            per_message_deflate: Switch::Off,
            cookie: None,
            generate_id: None,
            initial_packet: None,
            hooks: Hooks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_out_of_its_range_is_refused_by_its_name() {
        assert_eq!(EngineSettings::default().check(), Ok(()));
        type Change = fn(&mut EngineSettings);
        let changes: [(&str, Change); 15] = [
            ("ping_interval is", |s| s.ping_interval = Duration::ZERO),
            ("ping_timeout is", |s| s.ping_timeout = Duration::from_millis(9)),
            ("ping_timeout is", |s| s.ping_timeout = Duration::MAX),
            ("upgrade_timeout is", |s| s.upgrade_timeout = Duration::ZERO),
            ("connect_timeout is", |s| s.connect_timeout = Duration::MAX),
            ("polling_open_timeout is", |s| s.polling_open_timeout = Duration::ZERO),
            ("stall_timeout is", |s| s.stall_timeout = Duration::ZERO),
            ("max_payload is 0", |s| s.max_payload = 0),
            ("max_fragments is 0", |s| s.max_fragments = 0),
            ("max_waiting_bytes is", |s| s.max_waiting = usize::MAX),
            ("max_unhandled_bytes is 0", |s| s.max_intake = 0),
            ("max_payload_before_connect is 0", |s| s.max_unknown = 0),
            ("max_rooms is 0", |s| s.rooms.max_rooms = 0),
            ("transports is empty", |s| s.transports.clear()),
            ("cookie: its name", |s| s.cookie = Some(Cookie { name: " ".to_owned(), ..Cookie::default() })),
        ];
        for (words, change) in changes {
            let mut settings = EngineSettings::default();
            change(&mut settings);
            let error = settings.check().expect_err(words).to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_each_other_are_refused() {
        let half = Duration::from_millis(LONGEST_TIMER_MILLIS / 2 + 1);
        let rare = EngineSettings { ping_interval: half, ping_timeout: half, ..EngineSettings::default() };
        assert_eq!(rare.check(), Err(SettingsError::PingsTooRare));
        let small = EngineSettings { max_payload: 5, ..EngineSettings::default() };
        let with = |text: &'static str| EngineSettings { initial_packet: Some(text.into()), ..small.clone() };
        assert_eq!(
            (with("four").check(), with("fives").check()),
            (Ok(()), Err(SettingsError::InitialPacket(5)))
        );
    }
}
