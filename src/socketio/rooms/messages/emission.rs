//! An event, encoded once for all its recipients.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    broadcast::{Dialect, Encode},
    protocol::{
        socketio::{Args, ServerPacket},
        websocket::frame::OpCode,
    },
};

/// An event encoded for the clients of its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Emission {
    /// The packet, with the type digits of Engine.IO and Socket.IO.
    pub packet: ByteString,
    /// The attachments that follow the packet.
    pub attachments: Vec<Bytes>,
    /// Bytes at the end of the packet's arguments for the offset and the comma before it; 0 without an
    /// offset.
    offset_len: usize,
    /// No WebSocket compresses it.
    is_plain: bool,
}

/// Dialect with an offset behind the arguments, for clients that may recover.
pub(crate) const EVENTS: Dialect = Dialect::of(0);

/// Dialect without offsets.
pub(crate) const BARE: Dialect = Dialect::of(1);

impl Encode for Emission {
    fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)> {
        let packet = match dialect {
            BARE => match self.bare() {
                Cow::Borrowed(packet) => Cow::Borrowed(packet.as_bytes()),
                Cow::Owned(packet) => Cow::Owned(packet.into_bytes()),
            },
            _ => Cow::Borrowed(&**self.packet.as_bytes()),
        };
        Some((OpCode::Text, packet))
    }

    fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    fn may_be_compressed(&self) -> bool {
        !self.is_plain
    }
}

impl Emission {
    /// Encodes an event. `offset` becomes one more argument; `ack` is the id of the ack that the event asks
    /// for.
    pub(crate) fn new(namespace: &str, args: Args, offset: Option<&str>, ack: Option<u64>) -> Self {
        let Args { mut json, attachments } = args;
        let mut offset_len = 0;
        if let Some(offset) = offset
            && let Some(open) = json.trim_end().strip_suffix(']')
        {
            let more = format!(",\"{offset}\"");
            offset_len = more.len();
            json = format!("{open}{more}]").into();
        }
        let packet = ServerPacket::Event { json: &json, attachments: attachments.len(), id: ack };
        Self { packet: packet.to_message(namespace).into(), attachments, offset_len, is_plain: false }
    }

    /// The event, which WebSockets may compress or not.
    pub(crate) fn compressed(self, may_be: bool) -> Self {
        Self { is_plain: !may_be, ..self }
    }

    /// The packet without the offset.
    pub(crate) fn bare(&self) -> Cow<'_, str> {
        match self.packet.len().checked_sub(self.offset_len + 1) {
            Some(end) if self.offset_len > 0 => format!("{}]", &self.packet[..end]).into(),
            _ => Cow::Borrowed(&self.packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_its_offset_and_can_be_had_without() {
        let args =
            |json: &'static str| Args { json: json.into(), attachments: vec![Bytes::from_static(b"x")] };
        let numbered = Emission::new("/n", args("[\"a\", {} ,\"b\" ] "), Some("12"), None);
        assert_eq!(numbered.packet, "451-/n,[\"a\", {} ,\"b\" ,\"12\"]");
        assert_eq!(numbered.bare(), "451-/n,[\"a\", {} ,\"b\" ]");
        let asking = Emission::new("/", args("[\"a\"]"), None, Some(7));
        assert_eq!((&*asking.packet, asking.bare()), ("451-7[\"a\"]", Cow::from("451-7[\"a\"]")));
        assert_eq!(Emission::new("/", args("[\"a\"]"), Some("0"), None).bare(), "451-[\"a\"]");
    }
}
