//! How a server shares its namespaces with others.

use std::time::Duration;

use bytestring::ByteString;

use super::{
    adapter::settings::{AdapterSettings, KeepSessions, RedisFormat, RedisOptions, SubscriptionMode},
    settings::{SettingsError, number, time},
};
use crate::config::{RedisUrl, RedisUrlError};

/// Requests of other servers that are answered at a time, without a setting.
const MAX_REQUESTS: usize = 10_000;

/// Bytes that may be on their way to Redis, without a setting.
const MAX_UNANSWERED_BYTES: usize = 64 << 20;

/// The most that makes sense for that.
const MOST_UNANSWERED_BYTES: usize = 1 << 40;

/// The longest name, in bytes. Each channel begins with it.
const LONGEST_NAME: usize = 256;

/// The most entries of a stream.
const MOST_ENTRIES: usize = 1_000_000_000;

/// The most entries that are read at once.
const MOST_READ: usize = 100_000;

/// How a server shares its namespaces with other servers by way of Redis, among them Node servers with the official adapters.
/// It is given to [`Builder::redis`](super::Builder::redis). The defaults are those of the official adapters, but for
/// [`show_headers`](Self::show_headers).
///
/// ```
/// # use echoroom::socketio::{Redis, RedisFormat};
/// let redis = Redis::new("redis://127.0.0.1:6379").format(RedisFormat::Streams).key("shop");
/// ```
#[derive(Clone, Debug)]
#[must_use = "it has no effect until a builder has it"]
pub struct Redis {
    url: Result<RedisUrl, RedisUrlError>,
    format: RedisFormat,
    key: ByteString,
    requests_timeout: Duration,
    has_specific_response_channel: bool,
    subscription_mode: SubscriptionMode,
    stream_len: usize,
    read_count: usize,
    session_prefix: ByteString,
    keep_sessions: KeepSessions,
    shows_headers: bool,
    max_requests: usize,
    max_unanswered_bytes: usize,
}

impl Redis {
    /// By the Redis at an address: `redis://user:password@host:port/database`, `rediss://` for TLS, or
    /// `unix:/path?db=N&user=USER&pass=PASSWORD`. A server of a Redis Cluster will do: the master that has the slot of the
    /// [key](Self::key) is used. Publications reach all databases of a Redis, keys and streams do not. An address that is not
    /// one is an error of [`try_build`](super::Builder::try_build).
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().parse(),
            format: RedisFormat::default(),
            key: ByteString::from_static("socket.io"),
            requests_timeout: Duration::from_secs(5),
            has_specific_response_channel: false,
            subscription_mode: SubscriptionMode::default(),
            stream_len: 10_000,
            read_count: 100,
            session_prefix: ByteString::from_static("sio:session:"),
            keep_sessions: KeepSessions::default(),
            shows_headers: false,
            max_requests: MAX_REQUESTS,
            max_unanswered_bytes: MAX_UNANSWERED_BYTES,
        }
    }

    /// By the Redis at an address that was parsed before.
    pub(crate) fn at(url: RedisUrl) -> Self {
        Self { url: Ok(url), ..Self::new("") }
    }

    /// The format, which is that of all servers of the cluster. Default: [`RedisFormat::Classic`].
    pub fn format(mut self, format: RedisFormat) -> Self {
        self.format = format;
        self
    }

    /// What the names of all channels begin with, and the name of the stream (`key`, `channelPrefix`, `streamName`): 1 to 256
    /// bytes. Servers with another key are another cluster. Default: `socket.io`.
    pub fn key(mut self, key: impl Into<ByteString>) -> Self {
        self.key = key.into();
        self
    }

    /// How long answers of other servers are waited for (`requestsTimeout`). Default: 5 seconds.
    pub fn requests_timeout(mut self, timeout: Duration) -> Self {
        self.requests_timeout = timeout;
        self
    }

    /// Whether answers are published to the asking server's own channel (`publishOnSpecificResponseChannel`), so that the
    /// others need not read them. Answers to this server are heard either way. Only in the format Classic. Default: false.
    pub fn specific_response_channel(mut self, is_on: bool) -> Self {
        self.has_specific_response_channel = is_on;
        self
    }

    /// Which channels are subscribed to (`subscriptionMode`). Only in the format Sharded. Default:
    /// [`SubscriptionMode::Dynamic`].
    pub fn subscription_mode(mut self, mode: SubscriptionMode) -> Self {
        self.subscription_mode = mode;
        self
    }

    /// Entries of the stream that are kept, about (`maxLen`). A client that has missed more cannot recover. Only in the format
    /// Streams. Default: 10,000.
    pub fn stream_len(mut self, entries: usize) -> Self {
        self.stream_len = entries;
        self
    }

    /// Entries of the stream that are read at once (`readCount`). Only in the format Streams. Default: 100.
    pub fn read_count(mut self, entries: usize) -> Self {
        self.read_count = entries;
        self
    }

    /// What the keys of lost sockets begin with (`sessionKeyPrefix`): 1 to 256 bytes. Only in the format Streams. Default:
    /// `sio:session:`.
    pub fn session_prefix(mut self, prefix: impl Into<ByteString>) -> Self {
        self.session_prefix = prefix.into();
        self
    }

    /// When lost sockets are stored for the other servers. Only in the format Streams. Default:
    /// [`KeepSessions::AtDisconnect`].
    pub fn keep_sessions(mut self, when: KeepSessions) -> Self {
        self.keep_sessions = when;
        self
    }

    /// Whether other servers are shown the headers of the requests by which sockets have connected, in `handshake.headers` of
    /// their `fetchSockets`. Headers have cookies and tokens. Default: false, unlike the official adapters.
    pub fn show_headers(mut self, is_on: bool) -> Self {
        self.shows_headers = is_on;
        self
    }

    /// Requests of other servers, such as look-ups, that this one answers at a time. It does not answer one more. Default:
    /// 10,000.
    pub fn max_requests(mut self, max: usize) -> Self {
        self.max_requests = max;
        self
    }

    /// Bytes of requests that Redis has not answered yet, and bytes of messages from Redis that this server has not handled
    /// yet. With more of either, the connections are given up and made anew. So much also waits until Redis is reached
    /// for the first time, or again; what is more reaches this server's sockets only. Default: 64 MiB.
    pub fn max_unanswered_bytes(mut self, bytes: usize) -> Self {
        self.max_unanswered_bytes = bytes;
        self
    }

    /// Checks the settings, and divides them.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(super) fn check(&self) -> Result<(AdapterSettings, RedisOptions), SettingsError> {
        let url = self.url.clone()?;
        name("redis.key", &self.key)?;
        name("redis.session_prefix", &self.session_prefix)?;
        time("redis.requests_timeout", self.requests_timeout)?;
        number("redis.stream_len", self.stream_len, 1..=MOST_ENTRIES)?;
        number("redis.read_count", self.read_count, 1..=MOST_READ)?;
        number("redis.max_requests", self.max_requests, 1..=MOST_ENTRIES)?;
        number("redis.max_unanswered_bytes", self.max_unanswered_bytes, 1..=MOST_UNANSWERED_BYTES)?;
        let options = RedisOptions {
            url,
            format: self.format,
            home_key: self.key.clone(),
            read_count: self.read_count,
            max_unanswered_bytes: self.max_unanswered_bytes,
        };
        let settings = AdapterSettings {
            format: self.format,
            key: self.key.clone(),
            requests_timeout: self.requests_timeout,
            has_specific_response_channel: self.has_specific_response_channel,
            subscription_mode: self.subscription_mode,
            stream_len: self.stream_len,
            read_count: self.read_count,
            session_prefix: self.session_prefix.clone(),
            keep_sessions: self.keep_sessions,
            shows_headers: self.shows_headers,
            max_requests: self.max_requests,
        };
        Ok((settings, options))
    }
}

impl From<&str> for Redis {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for Redis {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

fn name(setting: &'static str, value: &ByteString) -> Result<(), SettingsError> {
    if (1..=LONGEST_NAME).contains(&value.len()) {
        return Ok(());
    }
    Err(SettingsError::Name { setting, bytes: value.len(), most: LONGEST_NAME })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_of_redis_out_of_its_range_is_refused_by_its_name() {
        let redis = || Redis::new("redis://cache");
        assert!(redis().check().is_ok());
        for (redis, words) in [
            (Redis::new("http://u:Geheim7@cache"), "redis: it is redis://"),
            (redis().key(""), "redis.key has 0 bytes"),
            (redis().key("k".repeat(257)), "redis.key has 257 bytes"),
            (redis().session_prefix(""), "redis.session_prefix has 0 bytes"),
            (redis().requests_timeout(Duration::ZERO), "redis.requests_timeout is"),
            (redis().stream_len(0), "redis.stream_len is 0"),
            (redis().read_count(0), "redis.read_count is 0"),
            (redis().max_requests(0), "redis.max_requests is 0"),
            (redis().max_unanswered_bytes(0), "redis.max_unanswered_bytes is 0"),
        ] {
            let error = redis.check().expect_err(words).to_string();
            assert!(error.contains(words) && !error.contains("Geheim7"), "{words}: {error}");
        }
    }

    #[test]
    fn the_settings_of_redis_do_not_show_its_password() {
        for url in ["redis://ann:Geheim7@cache", "http://ann:Geheim7@cache"] {
            assert!(!format!("{:?}", Redis::from(url)).contains("Geheim7"));
        }
    }

    #[test]
    fn each_setting_reaches_the_part_that_it_is_for() {
        let redis = Redis::from("redis://cache:7000/1".to_owned())
            .format(RedisFormat::Streams)
            .key("shop")
            .requests_timeout(Duration::from_secs(1))
            .specific_response_channel(true)
            .subscription_mode(SubscriptionMode::Static)
            .stream_len(2)
            .read_count(3)
            .session_prefix("lost:")
            .keep_sessions(KeepSessions::AtEveryChange)
            .show_headers(true)
            .max_requests(5)
            .max_unanswered_bytes(4);
        let (settings, options) = redis.check().expect("they are right");
        assert_eq!(
            (options.url.to_string().as_str(), options.home_key.as_ref()),
            ("redis://cache:7000/1", "shop")
        );
        assert_eq!(
            (options.format, options.read_count, options.max_unanswered_bytes),
            (RedisFormat::Streams, 3, 4)
        );
        assert_eq!((settings.format, settings.key.as_ref()), (RedisFormat::Streams, "shop"));
        assert_eq!((settings.stream_len, settings.read_count), (2, 3));
        assert_eq!(
            (settings.requests_timeout, settings.session_prefix.as_ref()),
            (Duration::from_secs(1), "lost:")
        );
        assert_eq!(settings.subscription_mode, SubscriptionMode::Static);
        assert_eq!(settings.keep_sessions, KeepSessions::AtEveryChange);
        assert!(settings.has_specific_response_channel && settings.shows_headers);
        assert_eq!(settings.max_requests, 5);
    }
}
