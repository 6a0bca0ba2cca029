//! The formats of the official adapters for Redis, as bytes.

use bytestring::ByteString;

use crate::{
    protocol::socketio::msgpack::{NotMsgpack, Unwritable},
    socketio::cluster::Message,
};

mod base64;
pub(crate) mod classic;
pub(crate) mod clustered;
mod document;
mod fields;
pub(crate) mod sessions;
pub(crate) mod sharded;
pub(crate) mod streams;
#[cfg(feature = "testing")]
pub(crate) mod trial;
mod value;

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

/// Why a body cannot be read. A body that is refused takes no more memory than its own bytes, and a body that is read takes at
/// most 64 times its bytes: each of its rooms, attachments and sockets, which may have two bytes, has a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Junk {
    /// It is not the JSON of an object, or is nested in more than
    /// [`MAX_DEPTH`](crate::protocol::socketio::msgpack::MAX_DEPTH) levels.
    #[error("the body begins as a JSON object and is not one, or is nested too deep")]
    NotJson,
    /// It is not msgpack.
    #[error(transparent)]
    NotMsgpack(#[from] NotMsgpack),
    /// It is not Base64.
    #[error("the body is not Base64")]
    NotBase64,
    /// A field is missing, or is not what it should be.
    #[error("the field {0:?} is missing, or of a wrong type")]
    Field(&'static str),
    /// The type of the message is unknown.
    #[error("the type of the message is unknown")]
    UnknownType,
    /// An event has no name, or one that only libraries emit.
    #[error("an event has no name that may be sent")]
    BadName,
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    /// The format has no such message.
    #[error("the format has no such message")]
    NotInFormat,
    /// Its arguments cannot be written.
    #[error(transparent)]
    Arguments(#[from] Unwritable),
}

#[cfg(test)]
mod tests;
