//! How the bytes of a session travel.

use std::fmt;

/// How the bytes of a session travel (section "Transports" of the Engine.IO protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Long-polling over HTTP.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    /// The name in the protocol: `polling` or `websocket`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
