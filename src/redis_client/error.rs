//! Why there is no connection to a Redis.

use redis::{ErrorKind, RedisError};

use super::connecting::{ANSWER_TIMEOUT, CONNECT_TIMEOUT};

/// Why there is no connection. Each is the end of a sentence that begins with the address, and shows no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No connection, or a broken one.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No answer.
    #[error("does not answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Silent,
    /// It is reading its data.
    #[error("is still loading its data")]
    Loading,
    /// The address has no password, and one is needed, or it has a wrong one.
    #[error("does not let this server in: {0}")]
    Login(String),
    /// It has no RESP3.
    #[error("has version 5 or older, but 6.0 or newer is needed, or any Valkey")]
    TooOld,
    /// It refuses a request.
    #[error("refuses what is needed: {0}")]
    Refused(String),
}

impl ConnectError {
    /// Whether it may be otherwise in a second without anybody's doing.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent | Self::Loading)
    }
}

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        let text = text_of_error(&error);
        match (error.kind(), error.code().unwrap_or_default()) {
            _ if error.is_timeout() => Self::Silent,
            (ErrorKind::Io, _) => Self::Unreachable(text),
            (ErrorKind::RESP3NotSupported, _) => Self::TooOld,
            // Redis goes on at length about commands.
            (_, "NOAUTH") => Self::Login("NOAUTH, as the address has no password".to_owned()),
            (ErrorKind::AuthenticationFailed, _) | (_, "WRONGPASS") => Self::Login(text),
            (_, "LOADING") => Self::Loading,
            _ => Self::Refused(text),
        }
    }
}

/// An error as Redis writes it, or in the words of the system.
pub(crate) fn text_of_error(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// Why an open connection is given up after an error, as a sentence.
pub(crate) fn words_of_loss(error: &RedisError) -> String {
    if error.is_timeout() {
        format!("Redis has not answered within {} seconds", ANSWER_TIMEOUT.as_secs())
    } else if error.is_connection_dropped() {
        CLOSED.to_owned()
    } else {
        format!("the connection to Redis is broken: {}", text_of_error(error))
    }
}

/// Why a connection is given up that Redis has ended, as a sentence.
pub(crate) const CLOSED: &str = "Redis has closed the connection";
