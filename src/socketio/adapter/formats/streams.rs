//! The format of `@socket.io/redis-streams-adapter`: entries of a stream, and messages that are published in msgpack.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Envelope, Junk, WriteError,
    base64::from_base64,
    clustered::{BROADCAST, document, kind_and_data, read_data},
    value::Body,
};
use crate::socketio::cluster::Message;

/// Whether a message is published; the others are entries of the stream.
pub(crate) fn is_published(message: &Message) -> bool {
    !matches!(
        message,
        Message::Broadcast { .. } | Message::Join { .. } | Message::Leave { .. } | Message::Disconnect { .. }
    )
}

/// The body of a message that is published.
///
/// # Errors
/// The arguments cannot be written, or the format has no such message.
pub(crate) fn write_published(uid: &str, namespace: &str, message: &Message) -> Result<Bytes, WriteError> {
    Ok(document(uid, namespace, message)?.to_msgpack()?.into())
}

/// The fields and values of an entry. Data with attachments are Base64 of msgpack, others JSON.
///
/// # Errors
/// The arguments cannot be written, or the format has no such message.
pub(crate) fn write_entry(
    uid: &str,
    namespace: &str,
    message: &Message,
) -> Result<Vec<(&'static str, Bytes)>, WriteError> {
    let (kind, data) = kind_and_data(message)?;
    let data = if data.has_binary() {
        BASE64_STANDARD.encode(data.to_msgpack()?).into()
    } else {
        data.to_json()?.into()
    };
    Ok(vec![
        ("uid", Bytes::copy_from_slice(uid.as_bytes())),
        ("nsp", Bytes::copy_from_slice(namespace.as_bytes())),
        ("type", kind.to_string().into()),
        ("data", data),
    ])
}

/// What stands around the data of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHead<'a> {
    /// The server that wrote it; empty if it does not say so.
    pub(crate) uid: &'a [u8],
    /// The namespace; empty if it does not say so.
    pub(crate) namespace: &'a [u8],
    /// Whether it is an event for sockets, without acks: what a client may have missed.
    pub(crate) is_broadcast: bool,
}

impl<'a> EntryHead<'a> {
    /// Reads it, and nothing else of the entry.
    pub(crate) fn of(fields: &'a [(Bytes, Bytes)]) -> Self {
        let kind = field(fields, "type").and_then(|kind| kind_of(kind));
        Self {
            uid: field(fields, "uid").map_or(&[], |uid| uid),
            namespace: field(fields, "nsp").map_or(&[], |namespace| namespace),
            is_broadcast: kind == Some(BROADCAST),
        }
    }
}

fn field<'a>(fields: &'a [(Bytes, Bytes)], name: &str) -> Option<&'a Bytes> {
    fields.iter().rfind(|(field, _)| field == name.as_bytes()).map(|(_, value)| value)
}

fn kind_of(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads an entry of the stream.
///
/// # Errors
/// It is not a message.
pub(crate) fn read_entry(fields: &[(Bytes, Bytes)]) -> Result<Envelope, Junk> {
    let kind = field(fields, "type").and_then(|kind| kind_of(kind)).ok_or(Junk::Field("type"))?;
    let data = field(fields, "data").ok_or(Junk::Field("data"))?;
    let head = EntryHead::of(fields);
    let (uid, namespace) = (text(head.uid, "uid")?, text(head.namespace, "nsp")?);
    let decoded;
    let data = if data.starts_with(b"{") {
        data
    } else {
        decoded = from_base64(data)?;
        &decoded
    };
    let body = Body::of(data)?;
    let message = read_data(kind, Some(body.value()))?;
    Ok(Envelope { uid: uid.map(ByteString::from), namespace: namespace.map(ByteString::from), message })
}

/// A text, if there is one.
fn text<'a>(bytes: &'a [u8], name: &'static str) -> Result<Option<&'a str>, Junk> {
    let text = std::str::from_utf8(bytes).map_err(|_| Junk::Field(name))?;
    Ok((!text.is_empty()).then_some(text))
}
