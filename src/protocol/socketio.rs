//! Socket.IO 5: packets over Engine.IO messages.
//!
//! `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`, followed, when there are attachments, by so many binary
//! messages, for which the JSON has placeholders. Arguments are kept as the JSON text they came as, with their
//! attachments beside it, so that what is only passed on is never parsed and written again.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::json::Text;
pub use auth::{Auth, Offset};

mod auth;
mod placeholders;

/// The namespace of clients that name none.
pub const MAIN: &str = "/";

/// Events that only a library emits; a client that sends one is no client.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A packet of a client, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it goes.
    pub namespace: ByteString,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `0`: the client wants in, with this JSON object if it brings one.
    Connect(Option<ByteString>),
    /// `1`: it leaves the namespace.
    Disconnect,
    /// `2` or `5`: an event, to be answered if it bears an id.
    Event {
        /// The event's name, its first argument. Half of a surrogate pair is U+FFFD here; `args` has it as it came.
        name: ByteString,
        /// All of it.
        args: Args,
        /// The digits of the number that the ack must bear.
        id: Option<ByteString>,
    },
    /// `3` or `6`: the answer to an event of the server.
    Ack {
        /// The digits of the number that the event bore.
        id: ByteString,
        /// What was answered.
        args: Args,
    },
    /// An event or an ack that says nothing to anybody: the reference lets it pass.
    Nothing,
}

/// The arguments of an event or an ack: a JSON array, and the binary parts that its placeholders stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// The array as a text.
    pub json: ByteString,
    /// The parts, in the order of their numbers.
    pub attachments: Vec<Bytes>,
}

impl Args {
    /// An event with one argument.
    pub fn event(name: &str, data: &impl Serialize) -> Self {
        let json = serde_json::to_string(&(name, data)).expect("what is emitted is JSON");
        Self { json: json.into(), attachments: Vec::new() }
    }

    /// An ack with one argument.
    pub fn answer(data: &impl Serialize) -> Self {
        let json = serde_json::to_string(&[data]).expect("what is answered is JSON");
        Self { json: json.into(), attachments: Vec::new() }
    }

    /// The arguments of an event without its name, as an ack has them.
    pub fn without_name(&self) -> Self {
        let json = format!("[{}]", self.behind_name());
        Self { json: json.into(), attachments: self.attachments.clone() }
    }

    /// The same arguments of another event.
    pub fn renamed(&self, name: &str) -> Self {
        let name = Value::from(name);
        let (comma, rest) = match self.behind_name() {
            "" => ("", ""),
            rest => (",", rest),
        };
        Self { json: format!("[{name}{comma}{rest}]").into(), attachments: self.attachments.clone() }
    }

    /// Whether the last argument behind the name is a text.
    pub fn ends_with_text(&self) -> bool {
        self.behind_name().ends_with('"')
    }

    /// The element of that number, as it stands there.
    pub fn element(&self, index: usize) -> Option<&str> {
        elements(&self.json).ok()?.get(index).map(|element| element.get())
    }

    /// What stands between the name and the end of the array, as it stands there.
    fn behind_name(&self) -> &str {
        let elements = elements(&self.json).unwrap_or_default();
        let (Some(first), Some(last)) = (elements.get(1), elements.last()) else {
            return "";
        };
        // All of them are slices of the text.
        let start = first.get().as_ptr() as usize - self.json.as_ptr() as usize;
        let end = last.get().as_ptr() as usize - self.json.as_ptr() as usize + last.get().len();
        &self.json[start..end]
    }
}

/// Why a message is no packet. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The first character is no type, or one that only a server sends.
    #[error("{0:?} is no type of packet that a client sends")]
    UnknownType(char),
    /// There is not even a type.
    #[error("a packet is empty")]
    Empty,
    /// The number of attachments is no number from 1 up to the limit, or has no `-` behind it.
    #[error("a packet has from 1 to {limit} attachments")]
    BadAttachments {
        /// The limit.
        limit: usize,
    },
    /// The part behind the header is not the JSON that the type wants.
    #[error("the payload of a packet is not what its type wants")]
    BadPayload,
    /// An event that only a library emits.
    #[error("an event has a reserved name")]
    ReservedName,
    /// A text where an attachment must come.
    #[error("a text comes where an attachment is due")]
    AttachmentDue,
    /// An attachment that nothing announced.
    #[error("an attachment comes that no packet announced")]
    UnexpectedAttachment,
    /// A placeholder for an attachment that there is not.
    #[error("a placeholder has no attachment")]
    BadPlaceholder,
    /// Attachments of more bytes than one message may have.
    #[error("the attachments of a packet have more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// How much a packet may bring.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Attachments of one packet.
    pub attachments: usize,
    /// Bytes of a packet's attachments together.
    pub attachment_bytes: usize,
}

impl Default for Limits {
    /// As the reference: ten attachments, one message of a megabyte.
    fn default() -> Self {
        Self { attachments: 10, attachment_bytes: 1_000_000 }
    }
}

/// Puts packets together from the messages of one connection.
#[derive(Debug)]
pub struct Decoder {
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
    /// A decoder at the beginning of a connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, pending: None }
    }

    /// A text message. Gives back a packet if it is whole with that.
    ///
    /// # Errors
    /// It is no packet.
    pub fn text(&mut self, text: &ByteString) -> Result<Option<Packet>, PacketError> {
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

    /// A binary message. Gives back a packet if it is whole with that.
    ///
    /// # Errors
    /// No packet waits for it, or it is too large.
    pub fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, PacketError> {
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

/// The ASCII digits that a text begins with, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn check_object(json: &str) -> Result<(), PacketError> {
    let is_object = json.trim_start().starts_with('{');
    let is_json = serde_json::from_str::<&RawValue>(json).is_ok();
    if is_object && is_json { Ok(()) } else { Err(PacketError::BadPayload) }
}

/// The elements of a JSON array, as they stand there.
fn elements(json: &str) -> Result<Vec<&RawValue>, PacketError> {
    serde_json::from_str(json).map_err(|_| PacketError::BadPayload)
}

/// An event's name: a text that is not reserved, or a number as it stands there.
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

/// Every placeholder stands for an attachment that is there. Attachments without one are legal.
fn check_placeholders(json: &str, attachments: usize) -> Result<(), PacketError> {
    // Without attachments nothing is read as a placeholder.
    if attachments == 0 || placeholders::are_good(json, attachments) {
        Ok(())
    } else {
        Err(PacketError::BadPlaceholder)
    }
}

// ----- what a server sends -----

/// A packet of the server, written as the text of an Engine.IO message; its attachments go behind it as binary ones.
#[derive(Clone, Copy, Debug)]
pub enum ServerPacket<'a> {
    /// The client is in: `{"sid": ..., "pid": ...}`.
    Connect {
        /// The socket's id, another one in each namespace.
        sid: &'a str,
        /// The secret with which it can come back, if it can.
        pid: Option<&'a str>,
    },
    /// The client is put out of the namespace.
    Disconnect,
    /// An event: the JSON array of its name and arguments, and how many attachments it has.
    Event {
        /// The array.
        json: &'a str,
        /// How many attachments go behind it.
        attachments: usize,
        /// The number of the answer that is wanted.
        id: Option<u64>,
    },
    /// An answer: the JSON array of its arguments, and how many attachments it has.
    Ack {
        /// The digits that the event bore.
        id: &'a str,
        /// The array.
        json: &'a str,
        /// How many attachments go behind it.
        attachments: usize,
    },
    /// The client is not let in, for the reason of this JSON object.
    ConnectError {
        /// The object, `{"message": ...}`.
        json: &'a str,
    },
}

impl ServerPacket<'_> {
    /// The packet for `namespace`, with the digit of an Engine.IO message in front.
    pub fn to_message(&self, namespace: &str) -> String {
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
            // Its comma may be left out, but never is.
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

/// A namespace in front of what follows it; the main one is left out.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == MAIN { Ok(()) } else { write!(f, "{},", self.0) }
    }
}

#[cfg(test)]
mod tests;
