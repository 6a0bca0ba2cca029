//! What a client brought when it connected to a namespace.

use std::{fmt, ops::Deref, sync::Arc};

use bytestring::ByteString;
use serde::de::DeserializeOwned;

use crate::socketio::Request;

/// What a client brought when it connected to a namespace: the HTTP request that began its session, and its `auth` object.
/// Clones are cheap.
#[derive(Clone)]
pub struct Handshake {
    request: Arc<Request>,
    auth: ByteString,
}

impl Handshake {
    pub(crate) fn new(request: Arc<Request>, auth: ByteString) -> Self {
        Self { request, auth }
    }

    /// The HTTP request that began the client's session. All namespaces of one session share it.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Decodes the `auth` object that the client sent with CONNECT; `{}` if it sent none.
    ///
    /// # Errors
    /// The object does not fit the type.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.auth)
    }

    /// The text of the `auth` object.
    pub fn auth_json(&self) -> &str {
        &self.auth
    }
}

impl Deref for Handshake {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// Without `auth`, which often has a secret.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("request", &self.request).finish_non_exhaustive()
    }
}
