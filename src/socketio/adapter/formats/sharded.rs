//! The format of `createShardedAdapter` of `@socket.io/redis-adapter`, over `SPUBLISH`: JSON, or msgpack if there are
//! attachments.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    WriteError,
    clustered::{Channels, document},
};
use crate::socketio::{adapter::settings::SubscriptionMode, cluster::Message};

impl SubscriptionMode {
    /// Whether a room has a channel of its own.
    pub(crate) fn has_channel(self, room: &str) -> bool {
        /// UTF-16 units of a sid.
        const SID: usize = 20;
        match self {
            Self::Static => false,
            Self::Dynamic => room.encode_utf16().count() != SID,
            Self::DynamicPrivate => true,
        }
    }

    /// The channel of a message that is not an answer.
    pub(crate) fn channel(self, channels: &Channels, message: &Message) -> ByteString {
        match message {
            Message::Broadcast { opts, .. } => match &*opts.target.to {
                [room] if self.has_channel(room) => channels.of(room),
                _ => channels.all.clone(),
            },
            _ => channels.all.clone(),
        }
    }
}

/// The body of a message of a server.
///
/// # Errors
/// The arguments cannot be written, or the format has no such message.
pub(crate) fn write(uid: &str, namespace: &str, message: &Message) -> Result<Bytes, WriteError> {
    let document = document(uid, namespace, message)?;
    let body = if document.has_binary() { document.to_msgpack()? } else { document.to_json()? };
    Ok(body.into())
}
