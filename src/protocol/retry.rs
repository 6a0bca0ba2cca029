//! When a client may send again what failed, or come back: the word for it in the tables of codes.

use serde::Serialize;

/// When what failed may succeed, if nothing but time has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Never: the client must change something first.
    Never,
    /// At once.
    AtOnce,
    /// After a wait: the one that an answer names, else one that grows from try to try.
    Later,
    /// Once the client has logged in.
    AfterLogin,
}
