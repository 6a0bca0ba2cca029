//! The formats of the official adapters for Redis, as bytes.

use bytestring::ByteString;

use crate::socketio::cluster::Message;

/// A message with what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The server that sent it, if it says so.
    pub(crate) uid: Option<ByteString>,
    /// The namespace, if it says so.
    pub(crate) namespace: Option<ByteString>,
    /// What it says.
    pub(crate) message: Message,
}
