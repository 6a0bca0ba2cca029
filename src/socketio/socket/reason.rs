//! Why a socket has left its namespace.

use std::fmt;

use crate::connection::Ending;

/// Why a socket has left its namespace, in the words of the reference server where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Cause);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    ByServer,
    ByClient,
    Session(Ending),
}

impl Reason {
    /// The server disconnected the socket.
    pub(crate) const BY_SERVER: Self = Self(Cause::ByServer);

    /// The client disconnected the socket.
    pub(crate) const BY_CLIENT: Self = Self(Cause::ByClient);

    /// The session of the socket has ended.
    pub(crate) fn of_session(ending: &Ending) -> Self {
        Self(Cause::Session(ending.clone()))
    }

    /// The words of the reference server, such as `transport close`, `ping timeout`, `client namespace disconnect`; or
    /// Echoroom's own for its bounds, such as `slow consumer`.
    pub fn as_str(&self) -> &'static str {
        match &self.0 {
            Cause::ByServer => "server namespace disconnect",
            Cause::ByClient => "client namespace disconnect",
            Cause::Session(ending) => ending.socketio_reason(),
        }
    }

    /// Whether the client was lost: neither side disconnected on purpose, and the client did not break the protocol or a
    /// bound. The official client connects again by itself after that.
    pub fn is_loss(&self) -> bool {
        matches!(&self.0, Cause::Session(ending) if ending.is_loss())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
