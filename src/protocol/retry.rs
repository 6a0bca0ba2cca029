//! When a client may repeat a failed request or reconnect, as the tables of codes say.

use serde::Serialize;

/// When a failed request or connection may succeed without a change by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Never: the client must change something first.
    Never,
    /// At once.
    AtOnce,
    /// After a wait: the one that the reply names, or else one that grows with each try.
    Later,
    /// Once the client has logged in.
    AfterLogin,
}
