//! The address of a Redis.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use url::{Host, Url};

/// The port of Redis if an address has none.
const PORT: u16 = 6379;

/// The address of a Redis, with the user, the password and the database. Neither [`Display`](fmt::Display) nor
/// [`Debug`](fmt::Debug) shows the user and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    place: Place,
    user: Option<String>,
    password: Option<String>,
    database: u32,
}

/// Where a Redis listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `redis://` or `rediss://`.
    Tcp {
        /// A name, or an address without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether the connection has TLS.
        has_tls: bool,
    },
    /// `unix:`, a socket in the file system.
    Unix(PathBuf),
}

/// A text is not the address of a Redis. The error does not show the text, which may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// Another scheme, no host, no path of a socket, or too much of something.
    #[error(
        "it is redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:/path/of/the/socket; \
         /, @, :, ? and # in a password are written as %2F, %40, %3A, %3F and %23"
    )]
    Malformed,
    /// The part behind the host is not a number.
    #[error("what follows the slash behind the host is the number of a database, such as 0")]
    Database,
    /// The user or the password is not UTF-8 behind its percent signs.
    #[error("the user and the password are text of UTF-8")]
    NotText,
}

impl RedisUrl {
    /// Where it listens.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The user, if one is named.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password. It must not be shown.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The number of the database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The address of another server of the Redis Cluster of this one, which has the same users.
    pub fn at(&self, host: &str, port: u16) -> Self {
        let has_tls = matches!(self.place, Place::Tcp { has_tls: true, .. });
        Self { place: Place::Tcp { host: host.to_owned(), port, has_tls }, ..self.clone() }
    }

    fn tcp(text: &str, has_tls: bool) -> Result<Self, RedisUrlError> {
        let url = Url::parse(text).map_err(|_| RedisUrlError::Malformed)?;
        let host = match url.host().ok_or(RedisUrlError::Malformed)? {
            // For this scheme, an address of IPv4 is a name, too.
            Host::Domain(name) => decoded(name)?,
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        if host.is_empty() || url.query().is_some() || url.fragment().is_some() {
            return Err(RedisUrlError::Malformed);
        }
        let some = |text: &str| (!text.is_empty()).then(|| decoded(text)).transpose();
        Ok(Self {
            place: Place::Tcp { host, port: url.port().unwrap_or(PORT), has_tls },
            user: some(url.username())?,
            password: some(url.password().unwrap_or_default())?,
            database: database(url.path().strip_prefix('/').unwrap_or_default())?,
        })
    }

    /// `unix:/path`, `unix:///path`, with `?db=1&user=USER&pass=PASSWORD`.
    fn unix(rest: &str) -> Result<Self, RedisUrlError> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') || path.ends_with('/') {
            return Err(RedisUrlError::Malformed);
        }
        let place = Place::Unix(PathBuf::from(decoded(path)?));
        let mut url = Self { place, user: None, password: None, database: 0 };
        for (name, value) in query.split('&').filter(|pair| !pair.is_empty()).map(pair_of) {
            match name {
                "db" => url.database = database(value)?,
                "user" => url.user = Some(decoded(value)?),
                "pass" => url.password = Some(decoded(value)?),
                _ => return Err(RedisUrlError::Malformed),
            }
        }
        Ok(url)
    }
}

fn pair_of(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

fn database(text: &str) -> Result<u32, RedisUrlError> {
    match text {
        "" => Ok(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| RedisUrlError::Database)
        }
        _ => Err(RedisUrlError::Database),
    }
}

/// The text behind percent signs. A percent sign without two digits is itself.
fn decoded(text: &str) -> Result<String, RedisUrlError> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut decoded) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| RedisUrlError::NotText)
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        match text.split_once(':') {
            Some(("redis", rest)) if rest.starts_with("//") => Self::tcp(text, false),
            Some(("rediss", rest)) if rest.starts_with("//") => Self::tcp(text, true),
            Some(("unix", rest)) => Self::unix(rest),
            _ => Err(RedisUrlError::Malformed),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port, has_tls } => {
                let scheme = if *has_tls { "rediss" } else { "redis" };
                let (begin, end) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{begin}{host}{end}:{port}/{}", self.database)
            }
            Place::Unix(path) => write!(f, "unix:{}?db={}", Path::display(path), self.database),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_says_where_redis_listens_and_who_connects() {
        let table = [
            ("redis://cache", "redis://cache:6379/0", None, None),
            ("redis://127.0.0.1:7000/", "redis://127.0.0.1:7000/0", None, None),
            ("rediss://ann:p%40ss%2F@cache:1/3", "rediss://cache:1/3", Some("ann"), Some("p@ss/")),
            ("redis://:pa%s@[::1]", "redis://[::1]:6379/0", None, Some("pa%s")),
            ("unix:/run/redis.sock", "unix:/run/redis.sock?db=0", None, None),
            ("unix:///a%20b?db=2&user=u&pass=p%26", "unix:/a b?db=2", Some("u"), Some("p&")),
        ];
        for (text, shown, user, password) in table {
            let url = parsed(text);
            assert_eq!(
                (url.to_string().as_str(), url.user(), url.password()),
                (shown, user, password),
                "{text}"
            );
        }
    }

    #[test]
    fn the_password_is_shown_neither_as_it_is_nor_in_an_error() {
        let secret = "Geheim7";
        for text in ["redis://u:Geheim7@h/1", "rediss://:Geheim7@h", "unix:/s?user=u&pass=Geheim7"] {
            let url = parsed(text);
            assert!(!format!("{url} {url:?} {:?}", Some(&url)).contains(secret), "{url}");
        }
        for text in
            ["http://u:Geheim7@h", "redis://u:Geheim7@", "redis://u:Geheim7@h/x", "unix:s?pass=Geheim7"]
        {
            let error = text.parse::<RedisUrl>().expect_err(text);
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "cache",
            "cache:6379",
            "redis:cache",
            "redis://",
            "redis:///0",
            "redis://h:x",
            "redis://h:99999",
            "http://h",
            "redis://h?db=1",
            "rediss://h#insecure",
            "unix:",
            "unix:run/redis.sock",
            "unix:/s?x=1",
        ] {
            assert_eq!(text.parse::<RedisUrl>(), Err(RedisUrlError::Malformed), "{text}");
        }
        for text in ["redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h/99999999999", "unix:/s?db=x"]
        {
            assert_eq!(text.parse::<RedisUrl>(), Err(RedisUrlError::Database), "{text}");
        }
        assert_eq!("redis://:%ff@h".parse::<RedisUrl>(), Err(RedisUrlError::NotText));
    }
}
