//! Ids of sessions that the program makes itself.

use std::{fmt, sync::Arc};

use super::request::Request;

/// Largest id in bytes. Each request of a polling client has it, and each session is found by it.
pub(super) const MAX_ID_BYTES: usize = 64;

/// A function that makes the id of a session from the request that begins it. The id is a secret, by which a
/// request acts for the session: it must be hard to guess. It is 1 to 64 visible ASCII characters.
#[derive(Clone)]
pub struct GenerateId(Arc<dyn Fn(&Request) -> String + Send + Sync>);

impl GenerateId {
    /// Makes ids by a function, which any thread may call.
    pub fn new(generate: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(generate))
    }

    pub(super) fn generate(&self, request: &Request) -> Result<String, IdError> {
        let id = (self.0)(request);
        match id.len() {
            0 => Err(IdError::Empty),
            len if len > MAX_ID_BYTES => Err(IdError::TooLong(len)),
            _ if !id.bytes().all(|byte| byte.is_ascii_graphic()) => Err(IdError::Character),
            _ => Ok(id),
        }
    }
}

impl fmt::Debug for GenerateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GenerateId")
    }
}

/// Why a session has no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is empty.
    #[error("the id is empty")]
    Empty,
    /// It is too long.
    #[error("the id has {0} bytes, at most {MAX_ID_BYTES} are taken")]
    TooLong(usize),
    /// A character is not visible ASCII.
    #[error("the id has a character that is not visible ASCII")]
    Character,
    /// Another session has it.
    #[error("another session has the id")]
    Taken,
    /// The system has no random numbers for an id.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}
