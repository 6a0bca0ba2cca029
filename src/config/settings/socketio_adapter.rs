//! How namespaces of Socket.IO are shared by way of Redis.

use std::{fmt, str::FromStr};

/// The longest key, in bytes. Each channel begins with it.
const LONGEST_KEY: usize = 256;

/// A format of the official adapters of Socket.IO for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketIoAdapter {
    /// `classic`: that of `createAdapter` of `@socket.io/redis-adapter`, which the emitter speaks too.
    Classic,
    /// `sharded`: that of `createShardedAdapter`.
    Sharded,
    /// `streams`: that of `@socket.io/redis-streams-adapter`, by which clients recover at other servers.
    Streams,
}

/// Parse error of [`SocketIoAdapter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is classic, sharded or streams")]
pub struct SocketIoAdapterError;

impl FromStr for SocketIoAdapter {
    type Err = SocketIoAdapterError;

    fn from_str(text: &str) -> Result<Self, SocketIoAdapterError> {
        [Self::Classic, Self::Sharded, Self::Streams]
            .into_iter()
            .find(|adapter| adapter.as_str() == text)
            .ok_or(SocketIoAdapterError)
    }
}

impl SocketIoAdapter {
    fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Sharded => "sharded",
            Self::Streams => "streams",
        }
    }
}

impl fmt::Display for SocketIoAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the channels of the adapter, or its stream, begin with: 1 to 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketIoKey(String);

/// Parse error of [`SocketIoKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is a name of 1 to {LONGEST_KEY} bytes")]
pub struct SocketIoKeyError;

impl SocketIoKey {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SocketIoKey {
    fn default() -> Self {
        Self("socket.io".to_owned())
    }
}

impl FromStr for SocketIoKey {
    type Err = SocketIoKeyError;

    fn from_str(text: &str) -> Result<Self, SocketIoKeyError> {
        if (1..=LONGEST_KEY).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SocketIoKeyError)
        }
    }
}

impl fmt::Display for SocketIoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_one_of_three_words() {
        for text in ["classic", "sharded", "streams"] {
            assert_eq!(
                text.parse::<SocketIoAdapter>().map(|adapter| adapter.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["", "Classic", "stream"] {
            assert_eq!(text.parse::<SocketIoAdapter>(), Err(SocketIoAdapterError), "{text}");
        }
    }

    #[test]
    fn a_key_is_neither_empty_nor_long() {
        let longest = "k".repeat(LONGEST_KEY);
        assert_eq!(longest.parse::<SocketIoKey>().map(|key| key.as_str().len()), Ok(LONGEST_KEY));
        for text in ["", &format!("{longest}k")] {
            assert_eq!(text.parse::<SocketIoKey>(), Err(SocketIoKeyError));
        }
    }
}
