//! Socket.IO 5: packets over Engine.IO messages.
//!
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, followed by `<attachments>` binary messages, for
//! which the JSON has placeholders. Arguments stay the received JSON text, with their attachments beside it,
//! so that relayed events are never parsed and encoded again.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::value::RawValue;

use super::json::Text;
pub(crate) use auth::{Auth, Offset};
pub use decode::DecodeError;
pub use encode::EncodeError;
pub(crate) use pattern::Pattern;
pub use value::{Arguments, Value};

mod auth;
mod decode;
mod encode;
mod fault;
pub(crate) mod msgpack;
mod node;
mod pattern;
mod placeholders;
mod typed;
mod value;

/// The main namespace, the default of clients.
pub(crate) const MAIN: &str = "/";

/// Event names that only a library emits; from a client they are an error.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether `is_named` is true for one of the reserved names of events.
pub(crate) fn is_reserved(is_named: impl Fn(&str) -> bool) -> bool {
    RESERVED.iter().any(|name| is_named(name))
}

/// A complete packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The namespace of the packet.
    pub namespace: ByteString,
    /// The type and data of the packet.
    pub body: Body,
}

/// The type and data of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// `0`: the client connects to the namespace, with its optional `auth` object.
    Connect(Option<ByteString>),
    /// `1`: the client disconnects from the namespace.
    Disconnect,
    /// `2` or `5`: an event, which needs an ack if it has an id.
    Event {
        /// The event's name, its first argument. Half of a surrogate pair is U+FFFD here; `args` has it
        /// unchanged.
        name: ByteString,
        /// All arguments, including the name.
        args: Args,
        /// The digits of the id for the ack.
        id: Option<ByteString>,
    },
    /// `3` or `6`: the ack to an event of the server.
    Ack {
        /// The digits of the event's id.
        id: ByteString,
        /// The arguments of the ack.
        args: Args,
    },
    /// An event without data, or an ack without data or id: ignored, as by the reference.
    Nothing,
}

/// The arguments of an event or an ack: a JSON array, and the attachments for its placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// The text of the array.
    pub json: ByteString,
    /// The attachments, in the order of their numbers.
    pub attachments: Vec<Bytes>,
}

impl Args {
    /// The arguments of an event without its name, as an ack has them.
    pub fn without_name(&self) -> Self {
        let json = format!("[{}]", self.behind_name());
        Self { json: json.into(), attachments: self.attachments.clone() }
    }

    /// The arguments under another event name.
    pub fn renamed(&self, name: &str) -> Self {
        let name = serde_json::Value::from(name);
        let (comma, rest) = match self.behind_name() {
            "" => ("", ""),
            rest => (",", rest),
        };
        Self { json: format!("[{name}{comma}{rest}]").into(), attachments: self.attachments.clone() }
    }

    /// Whether they begin with the name of an event that may be sent.
    pub(crate) fn has_event_name(&self) -> bool {
        let Some(rest) = self.json.trim_start().strip_prefix('[') else {
            return false;
        };
        let first = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>().next();
        matches!(first, Some(Ok(first)) if event_name(&self.json, first).is_ok())
    }

    /// Whether the last argument after the name is a string.
    pub fn ends_with_text(&self) -> bool {
        self.behind_name().ends_with('"')
    }

    /// The raw JSON of the element at `index`.
    pub fn element(&self, index: usize) -> Option<&str> {
        elements(&self.json).ok()?.get(index).map(|element| element.get())
    }

    /// The raw JSON between the name and the end of the array.
    fn behind_name(&self) -> &str {
        let elements = elements(&self.json).unwrap_or_default();
        let (Some(first), Some(last)) = (elements.get(1), elements.last()) else {
            return "";
        };
        // The elements are slices of `self.json`.
        let start = first.get().as_ptr() as usize - self.json.as_ptr() as usize;
        let end = last.get().as_ptr() as usize - self.json.as_ptr() as usize + last.get().len();
        &self.json[start..end]
    }
}

/// Parse error of [`Packet`]. It ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    /// The type is unknown, or only for servers.
    #[error("{0:?} is not a packet type that a client sends")]
    UnknownType(char),
    /// The packet is empty.
    #[error("a packet is empty")]
    Empty,
    /// The number of attachments is not from 1 to the limit, or is not followed by `-`.
    #[error("a packet has from 1 to {limit} attachments")]
    BadAttachments {
        /// The maximum number of attachments.
        limit: usize,
    },
    /// The data is not the JSON that the type needs.
    #[error("the payload of a packet is not what its type wants")]
    BadPayload,
    /// An event name that is reserved for libraries.
    #[error("an event has a reserved name")]
    ReservedName,
    /// A text message instead of an attachment.
    #[error("a text comes where an attachment is due")]
    AttachmentDue,
    /// A binary message that no packet announced.
    #[error("an attachment comes that no packet announced")]
    UnexpectedAttachment,
    /// A placeholder without its attachment.
    #[error("a placeholder has no attachment")]
    BadPlaceholder,
    /// The attachments exceed the limit in bytes.
    #[error("the attachments of a packet have more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Bounds on a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum number of attachments of a packet.
    pub attachments: usize,
    /// Maximum bytes of all attachments of a packet.
    pub attachment_bytes: usize,
}

impl Default for Limits {
    /// As the reference: ten attachments, one message of 1 MB.
    fn default() -> Self {
        Self { attachments: 10, attachment_bytes: 1_000_000 }
    }
}

/// Decodes the packets of one connection from its Engine.IO messages.
#[derive(Debug)]
pub(crate) struct Decoder {
    limits: Limits,
    pending: Option<PendingPacket>,
}

#[derive(Debug)]
struct PendingPacket {
    header: Header,
    attachments: Vec<Bytes>,
    bytes: usize,
}

/// A packet without its attachments.
#[derive(Clone, Debug)]
struct Header {
    kind: Kind,
    attachments: usize,
    namespace: ByteString,
    id: Option<ByteString>,
    json: Option<ByteString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
}

impl Decoder {
    /// A decoder for a new connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, pending: None }
    }

    /// Takes a text message. Returns a packet if this completes one.
    ///
    /// # Errors
    /// The text is not a packet, or an attachment is due.
    pub(crate) fn text(&mut self, text: &ByteString) -> Result<Option<Packet>, PacketError> {
        if self.pending.is_some() {
            return Err(PacketError::AttachmentDue);
        }
        let header = Header::parse(text, self.limits.attachments)?;
        if header.attachments > 0 {
            self.pending = Some(PendingPacket { header, attachments: Vec::new(), bytes: 0 });
            return Ok(None);
        }
        header.into_packet(Vec::new()).map(Some)
    }

    /// Takes a binary message. Returns a packet if this completes one.
    ///
    /// # Errors
    /// No packet needs it, the attachments are too large, or the completed packet is invalid.
    pub(crate) fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, PacketError> {
        let mut pending = self.pending.take().ok_or(PacketError::UnexpectedAttachment)?;
        pending.bytes += bytes.len();
        if pending.bytes > self.limits.attachment_bytes {
            return Err(PacketError::TooLarge { limit: self.limits.attachment_bytes });
        }
        pending.attachments.push(bytes);
        if pending.attachments.len() < pending.header.attachments {
            self.pending = Some(pending);
            return Ok(None);
        }
        pending.header.into_packet(pending.attachments).map(Some)
    }
}

impl Header {
    fn parse(text: &ByteString, max_attachments: usize) -> Result<Self, PacketError> {
        let first = text.chars().next().ok_or(PacketError::Empty)?;
        let (kind, is_binary) = match first {
            '0' => (Kind::Connect, false),
            '1' => (Kind::Disconnect, false),
            '2' => (Kind::Event, false),
            '3' => (Kind::Ack, false),
            '5' => (Kind::Event, true),
            '6' => (Kind::Ack, true),
            other => return Err(PacketError::UnknownType(other)),
        };
        let mut rest = &text[1..];
        let mut attachments = 0;
        if is_binary {
            let bad = PacketError::BadAttachments { limit: max_attachments };
            let (digits, behind) = split_digits(rest);
            rest = behind.strip_prefix('-').ok_or(bad)?;
            attachments =
                digits.parse().ok().filter(|count| (1..=max_attachments).contains(count)).ok_or(bad)?;
        }
        let mut namespace = ByteString::from_static(MAIN);
        if rest.starts_with('/') {
            let (name, behind) = rest.split_once(',').unwrap_or((rest, ""));
            namespace = text.slice_ref(name);
            rest = behind;
        }
        let (digits, json) = split_digits(rest);
        Ok(Self {
            kind,
            attachments,
            namespace,
            id: (!digits.is_empty()).then(|| text.slice_ref(digits)),
            json: (!json.is_empty()).then(|| text.slice_ref(json)),
        })
    }

    fn into_packet(self, attachments: Vec<Bytes>) -> Result<Packet, PacketError> {
        let Self { kind, namespace, id, json, .. } = self;
        let body = match (kind, json) {
            (Kind::Connect, json) => {
                if let Some(json) = &json {
                    check_object(json)?;
                }
                Body::Connect(json)
            }
            (Kind::Disconnect, None) => Body::Disconnect,
            (Kind::Disconnect, Some(_)) => return Err(PacketError::BadPayload),
            (Kind::Event | Kind::Ack, None) => Body::Nothing,
            (Kind::Event, Some(json)) => {
                let elements = elements(&json)?;
                let name = event_name(&json, elements.first().ok_or(PacketError::BadPayload)?)?;
                check_placeholders(&json, attachments.len())?;
                Body::Event { name, args: Args { json, attachments }, id }
            }
            (Kind::Ack, Some(json)) => {
                elements(&json)?;
                check_placeholders(&json, attachments.len())?;
                match id {
                    Some(id) => Body::Ack { id, args: Args { json, attachments } },
                    None => Body::Nothing,
                }
            }
        };
        Ok(Packet { namespace, body })
    }
}

/// Splits a text after its leading ASCII digits.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn check_object(json: &str) -> Result<(), PacketError> {
    let is_object = json.trim_start().starts_with('{');
    let is_json = serde_json::from_str::<&RawValue>(json).is_ok();
    if is_object && is_json { Ok(()) } else { Err(PacketError::BadPayload) }
}

/// The raw elements of a JSON array.
fn elements(json: &str) -> Result<Vec<&RawValue>, PacketError> {
    serde_json::from_str(json).map_err(|_| PacketError::BadPayload)
}

/// An event's name: a string that is not reserved, or the raw text of a number.
fn event_name(json: &ByteString, first: &RawValue) -> Result<ByteString, PacketError> {
    let raw = first.get();
    match raw.as_bytes().first() {
        Some(b'"') => {
            let Text(name) = serde_json::from_str(raw).map_err(|_| PacketError::BadPayload)?;
            if RESERVED.contains(&&*name) { Err(PacketError::ReservedName) } else { Ok(name.as_ref().into()) }
        }
        Some(b'-' | b'0'..=b'9') => Ok(json.slice_ref(raw)),
        _ => Err(PacketError::BadPayload),
    }
}

/// Checks that every placeholder has its attachment. Attachments without a placeholder are legal.
fn check_placeholders(json: &str, attachments: usize) -> Result<(), PacketError> {
    // Without attachments an object is never a placeholder.
    if attachments == 0 || placeholders::are_good(json, attachments) {
        Ok(())
    } else {
        Err(PacketError::BadPlaceholder)
    }
}

// ----- what a server sends -----

/// A packet of the server, encoded as an Engine.IO text message; its attachments follow as binary messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerPacket<'a> {
    /// The socket is connected: `{"sid": ..., "pid": ...}`.
    Connect {
        /// The socket's id, different in each namespace.
        sid: &'a str,
        /// The secret for recovery, if the namespace has it.
        pid: Option<&'a str>,
    },
    /// The server disconnects the socket from the namespace.
    Disconnect,
    /// An event.
    Event {
        /// The JSON array of name and arguments.
        json: &'a str,
        /// Number of attachments that follow.
        attachments: usize,
        /// The id of the ack, if one is wanted.
        id: Option<u64>,
    },
    /// An ack.
    Ack {
        /// The digits of the event's id.
        id: &'a str,
        /// The JSON array of the arguments.
        json: &'a str,
        /// Number of attachments that follow.
        attachments: usize,
    },
    /// The connection to the namespace is rejected.
    ConnectError {
        /// The object, `{"message": ...}`.
        json: &'a str,
    },
}

impl ServerPacket<'_> {
    /// The packet for `namespace`, with the digit of an Engine.IO message in front.
    pub(crate) fn to_message(self, namespace: &str) -> String {
        let mut out = String::from("4");
        self.write(namespace, &mut out).expect("a String takes everything");
        out
    }

    fn write(&self, namespace: &str, out: &mut String) -> fmt::Result {
        use fmt::Write as _;
        let namespace = Prefix(namespace);
        match self {
            Self::Connect { sid, pid: None } => write!(out, "0{namespace}{{\"sid\":\"{sid}\"}}"),
            Self::Connect { sid, pid: Some(pid) } => {
                write!(out, "0{namespace}{{\"sid\":\"{sid}\",\"pid\":\"{pid}\"}}")
            }
            // The comma is optional, but always sent.
            Self::Disconnect => write!(out, "1{namespace}"),
            Self::Event { json, attachments, id } => {
                match attachments {
                    0 => write!(out, "2{namespace}")?,
                    count => write!(out, "5{count}-{namespace}")?,
                }
                id.map_or(Ok(()), |id| write!(out, "{id}"))?;
                out.write_str(json)
            }
            Self::Ack { id, json, attachments } => match attachments {
                0 => write!(out, "3{namespace}{id}{json}"),
                count => write!(out, "6{count}-{namespace}{id}{json}"),
            },
            Self::ConnectError { json } => write!(out, "4{namespace}{json}"),
        }
    }
}

/// The namespace prefix of a packet; empty for the main one.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == MAIN { Ok(()) } else { write!(f, "{},", self.0) }
    }
}

#[cfg(test)]
mod tests;
