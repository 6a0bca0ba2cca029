//! Decodes bytes into complete messages.
//!
//! The [`Decoder`] holds at most one unfinished header, one control payload and one message up to its limit.
//! Memory grows only with bytes that have arrived, not with the length in a header.

use bytes::{Buf as _, Bytes, BytesMut};
use bytestring::ByteString;

use super::{
    close::CloseFrame,
    deflate::Inflater,
    error::ProtocolError,
    frame::{self, ClientHeader, MAX_CLIENT_HEADER, OpCode},
};

/// A message of a client, fragments joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
    /// A ping, which asks for its payload in a pong.
    Ping(Bytes),
    /// A reply to a ping of the server, or an unsolicited pong.
    Pong(Bytes),
    /// The last message: later bytes are not decoded.
    Close(Option<CloseFrame>),
}

/// Bounds on a message.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum bytes of a message, fragments joined.
    pub message_size: usize,
    /// Maximum number of frames of a message.
    pub fragments: usize,
}

/// An incremental decoder for one connection's client side.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Present if permessage-deflate was negotiated.
    inflater: Option<Inflater>,
    header: PartialHeader,
    frame: Option<OpenFrame>,
    message: Option<OpenMessage>,
    control: BytesMut,
    ended: bool,
}

/// The bytes of an incomplete header.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; MAX_CLIENT_HEADER],
    len: usize,
}

/// The frame whose payload is arriving.
#[derive(Debug)]
struct OpenFrame {
    fin: bool,
    opcode: OpCode,
    mask: [u8; 4],
    arrived: usize,
    /// Checked against the limits before the frame was opened, so it fits a `usize`.
    len: usize,
}

/// The message whose frames are arriving.
#[derive(Debug)]
struct OpenMessage {
    is_text: bool,
    is_compressed: bool,
    payload: BytesMut,
    /// Number of payload bytes of a text that were checked to be UTF-8.
    valid: usize,
    fragments: usize,
}

impl Decoder {
    /// A decoder for a new connection; with an inflater if permessage-deflate was negotiated.
    pub fn new(limits: Limits, inflater: Option<Inflater>) -> Self {
        Self {
            limits,
            inflater,
            header: PartialHeader::default(),
            frame: None,
            message: None,
            control: BytesMut::new(),
            ended: false,
        }
    }

    /// Sets the maximum bytes of a message from now on.
    pub fn set_message_size(&mut self, size: usize) {
        self.limits.message_size = size;
    }

    /// Number of bytes received of an unfinished message, frame or header. It grows until that is complete.
    pub fn unfinished(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.payload.len().max(1));
        message + self.control.len() + self.header.len + usize::from(self.frame.is_some())
    }

    /// Bytes of memory allocated for the unfinished message.
    pub fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.payload.capacity()) + self.control.capacity()
    }

    /// Takes bytes from the front of `input` up to the end of the next message.
    ///
    /// `None` means that `input` is empty. After a close message or an error all further input is discarded.
    ///
    /// # Errors
    /// The bytes break a rule or limit; reported at the first byte that does.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Message>, ProtocolError> {
        if self.ended {
            input.clear();
            return Ok(None);
        }
        let result = self.decode_next(input);
        self.ended = matches!(result, Err(_) | Ok(Some(Message::Close(_))));
        result
    }

    fn decode_next(&mut self, input: &mut Bytes) -> Result<Option<Message>, ProtocolError> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => {
                    let Some(header) = self.header.read(input)? else {
                        return Ok(None);
                    };
                    let frame = self.open_frame(header)?;
                    self.frame.insert(frame)
                }
            };
            let arrived = frame.arrived;
            let part = input.split_to(input.len().min(frame.len - arrived));
            frame.arrived += part.len();
            let (mask, opcode) = (frame.mask, frame.opcode);
            let whole = frame.arrived == frame.len;
            let remaining = frame.len - frame.arrived;

            let into = match &mut self.message {
                Some(message) if !opcode.is_control() => &mut message.payload,
                _ => &mut self.control,
            };
            append_unmasked(into, &part, mask, arrived, remaining);

            if whole {
                let fin = frame.fin;
                self.frame = None;
                if let Some(message) = self.finish_frame(opcode, fin)? {
                    return Ok(Some(message));
                }
            } else {
                if let Some(message) = &mut self.message {
                    message.check_text()?;
                }
                return Ok(None);
            }
        }
    }

    /// Checks a new frame against the connection's state and the limits, before any payload is stored.
    fn open_frame(&mut self, header: ClientHeader) -> Result<OpenFrame, ProtocolError> {
        let ClientHeader { fin, compressed, opcode, mask, payload_len } = header;
        if compressed && self.inflater.is_none() {
            return Err(ProtocolError::ReservedBit);
        }
        match (opcode, &mut self.message) {
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            (OpCode::Continuation, Some(message)) => message.fragments += 1,
            (OpCode::Text | OpCode::Binary, none) => {
                *none = Some(OpenMessage::new(opcode == OpCode::Text, compressed))
            }
            (OpCode::Close | OpCode::Ping | OpCode::Pong, _) => {}
        }
        let mut len = usize::try_from(payload_len).unwrap_or(usize::MAX);
        if !opcode.is_control()
            && let Some(message) = &self.message
        {
            let Limits { message_size: limit, fragments } = self.limits;
            if len > limit.saturating_sub(message.payload.len()) {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            if message.fragments > fragments {
                return Err(ProtocolError::TooManyFragments { limit: fragments });
            }
        } else {
            // The header parser has rejected longer ones.
            len = len.min(frame::MAX_CONTROL_PAYLOAD);
        }
        Ok(OpenFrame { fin, opcode, mask, arrived: 0, len })
    }

    fn finish_frame(&mut self, opcode: OpCode, fin: bool) -> Result<Option<Message>, ProtocolError> {
        match opcode {
            OpCode::Ping => Ok(Some(Message::Ping(self.control.split().freeze()))),
            OpCode::Pong => Ok(Some(Message::Pong(self.control.split().freeze()))),
            OpCode::Close => CloseFrame::parse(self.control.split().freeze()).map(Message::Close).map(Some),
            OpCode::Continuation | OpCode::Text | OpCode::Binary => {
                if fin {
                    let Some(message) = self.message.take() else { return Ok(None) };
                    message.finish(self.inflater.as_ref(), self.limits.message_size).map(Some)
                } else {
                    self.message.as_mut().map_or(Ok(()), OpenMessage::check_text)?;
                    Ok(None)
                }
            }
        }
    }
}

impl PartialHeader {
    /// Takes a header from the front of `input`; `None` if `input` ends first.
    fn read(&mut self, input: &mut Bytes) -> Result<Option<ClientHeader>, ProtocolError> {
        if self.len == 0
            && let Some((header, len)) = ClientHeader::parse(input)?
        {
            input.advance(len);
            return Ok(Some(header));
        }
        let taken = input.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + taken].copy_from_slice(&input[..taken]);
        let Some((header, len)) = ClientHeader::parse(&self.bytes[..self.len + taken])? else {
            input.advance(taken);
            self.len += taken;
            return Ok(None);
        };
        // Bytes copied beyond the header belong to the payload and stay in `input`.
        input.advance(len - self.len);
        self.len = 0;
        Ok(Some(header))
    }
}

impl OpenMessage {
    fn new(is_text: bool, is_compressed: bool) -> Self {
        Self { is_text, is_compressed, payload: BytesMut::new(), valid: 0, fragments: 1 }
    }

    /// Checks the received part of a text; an incomplete character at its end may still become valid.
    fn check_text(&mut self) -> Result<(), ProtocolError> {
        if self.is_text && !self.is_compressed {
            self.valid += match std::str::from_utf8(&self.payload[self.valid..]) {
                Ok(text) => text.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(ProtocolError::BadText),
            };
        }
        Ok(())
    }

    fn finish(self, inflater: Option<&Inflater>, limit: usize) -> Result<Message, ProtocolError> {
        let payload = match inflater.filter(|_| self.is_compressed) {
            Some(inflater) => inflater.inflate(&self.payload, limit)?,
            None => self.payload.freeze(),
        };
        if self.is_text {
            ByteString::try_from(payload).map(Message::Text).map_err(|_| ProtocolError::BadText)
        } else {
            Ok(Message::Binary(payload))
        }
    }
}

/// Copies a payload out of the read buffer and unmasks it: the only copy.
fn append_unmasked(into: &mut BytesMut, part: &[u8], mask: [u8; 4], offset: usize, remaining: usize) {
    // Reserve for the rest of the frame, but at most twice the received part: the length is only claimed.
    into.reserve(part.len() + remaining.min(part.len()));
    let start = into.len();
    into.extend_from_slice(part);
    frame::unmask(&mut into[start..], mask, offset);
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LIMITS: Limits = Limits { message_size: 1000, fragments: 8 };

    /// A masked client frame; `first` is the first byte with FIN and opcode.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(0x80 | len as u8),
            len => {
                out.push(0xFE);
                out.extend((len as u16).to_be_bytes());
            }
        }
        let mask = [0xA1, 0x0B, 0x5C, 0xFF];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    /// All results of the decoder for `bytes`, fed in pieces of the given sizes, then the rest.
    fn decode_in_pieces(bytes: &[u8], sizes: &[usize]) -> (Vec<Message>, Option<ProtocolError>) {
        let mut decoder = Decoder::new(LIMITS, Some(Inflater::default()));
        let mut messages = Vec::new();
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut sizes = sizes.iter().copied();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
            let mut input = rest.split_to(size);
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
            assert!(decoder.held() <= 2 * LIMITS.message_size + 1024);
        }
        (messages, None)
    }

    fn decode(bytes: &[u8]) -> (Vec<Message>, Option<ProtocolError>) {
        decode_in_pieces(bytes, &[])
    }

    #[test]
    fn fragments_are_joined_and_control_frames_pass_between_them() {
        let bytes =
            [frame(0x01, "你".as_bytes()), frame(0x89, b"p"), frame(0x00, b""), frame(0x80, b"!")].concat();
        let expected = vec![Message::Ping(Bytes::from_static(b"p")), Message::Text("你!".into())];
        assert_eq!(decode(&bytes), (expected, None));
    }

    #[test]
    fn data_before_an_error_is_still_delivered() {
        let bytes = [frame(0x81, b"ok"), frame(0x83, b"")].concat();
        assert_eq!(
            decode(&bytes),
            (vec![Message::Text("ok".into())], Some(ProtocolError::ReservedOpCode(3)))
        );
    }

    #[test]
    fn nothing_is_decoded_after_a_close() {
        let bytes = [frame(0x88, b"\x03\xe8"), frame(0x81, b"late"), frame(0x83, b"")].concat();
        let close = Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }));
        assert_eq!(decode(&bytes), (vec![close], None));
    }

    #[test]
    fn the_order_of_fragments_is_checked() {
        assert_eq!(decode(&frame(0x80, b"x")).1, Some(ProtocolError::UnexpectedContinuation));
        let nested = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
        assert_eq!(decode(&nested).1, Some(ProtocolError::UnfinishedMessage));
    }

    #[test]
    fn bad_utf8_is_found_inside_an_unfinished_frame() {
        // 0xFF is never UTF-8; the frame claims 100 bytes and two have arrived.
        let mut bytes = frame(0x81, &[b'a', 0xFF]);
        bytes[1] = 0x80 | 100;
        assert_eq!(decode(&bytes).1, Some(ProtocolError::BadText));
        // A character truncated by the end of the message.
        assert_eq!(decode(&frame(0x81, &[0xE4, 0xBD])).1, Some(ProtocolError::BadText));
        // These bytes are valid while more may follow, and in a binary message.
        assert_eq!(decode(&frame(0x01, &[0xE4, 0xBD])).1, None);
        assert_eq!(decode(&frame(0x82, &[0xFF])).1, None);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_from_its_header() {
        let too_big = Some(ProtocolError::MessageTooBig { limit: 1000 });
        assert_eq!(decode(&frame(0x82, &[0; 1000])).1, None);
        assert_eq!(decode(&frame(0x82, &[0; 1001])[..8]).1, too_big);
        let joined = [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat();
        assert_eq!(decode(&joined[..joined.len() - 401]).1, too_big);
        let mut claim = vec![0x82, 0xFF];
        claim.extend((1_u64 << 40).to_be_bytes());
        claim.extend([0; 4]);
        assert_eq!(decode(&claim).1, too_big);
    }

    #[test]
    fn a_message_with_too_many_fragments_is_refused() {
        let mut bytes = frame(0x01, b"");
        for _ in 0..7 {
            bytes.extend(frame(0x00, b""));
        }
        assert_eq!(decode(&bytes), (vec![], None));
        bytes.extend(frame(0x80, b""));
        assert_eq!(decode(&bytes).1, Some(ProtocolError::TooManyFragments { limit: 8 }));
    }

    #[test]
    fn a_claimed_length_reserves_no_memory() {
        let mut decoder = Decoder::new(Limits { message_size: usize::MAX, fragments: 1 }, None);
        let mut bytes = vec![0x82, 0xFF];
        bytes.extend((1_u64 << 40).to_be_bytes());
        bytes.extend([0; 5]);
        assert_eq!(decoder.decode(&mut bytes.into()), Ok(None));
        assert!(decoder.held() <= 64);
        assert_eq!(decoder.unfinished(), 2);
    }

    /// A legal byte stream: messages in fragments, with pings between them.
    fn conversation(messages: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        let text =
            vec(any::<char>(), 0..40).prop_map(|chars| (true, chars.iter().collect::<String>().into_bytes()));
        let binary = vec(any::<u8>(), 0..300).prop_map(|bytes| (false, bytes));
        let message = (prop_oneof![text, binary], vec(0..300_usize, 0..6), any::<bool>());
        vec(message, messages).prop_map(|messages| {
            let mut out = Vec::new();
            for ((is_text, payload), cuts, ping) in messages {
                let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(payload.len())).collect();
                cuts.extend([0, payload.len()]);
                cuts.sort_unstable();
                let last = cuts.len() - 2;
                for (index, pair) in cuts.windows(2).enumerate() {
                    let opcode = if index > 0 {
                        0
                    } else if is_text {
                        1
                    } else {
                        2
                    };
                    let fin = if index == last { 0x80 } else { 0 };
                    out.extend(frame(fin | opcode, &payload[pair[0]..pair[1]]));
                    if ping {
                        out.extend(frame(0x89, b"between"));
                    }
                }
            }
            out
        })
    }

    proptest! {
        #[test]
        fn any_cut_of_the_byte_stream_gives_the_same_messages(
            bytes in conversation(0..8),
            sizes in vec(1..50_usize, 0..100),
        ) {
            let whole = decode(&bytes);
            prop_assert_eq!(&whole.1, &None);
            prop_assert_eq!(&decode_in_pieces(&bytes, &sizes), &whole);
            prop_assert_eq!(&decode_in_pieces(&bytes, &vec![1; bytes.len()]), &whole);
        }

        #[test]
        fn random_bytes_never_panic_nor_grow_memory_past_the_limit(
            bytes in vec(any::<u8>(), 0..2000),
            sizes in vec(1..50_usize, 0..100),
        ) {
            decode_in_pieces(&bytes, &sizes);
        }

        #[test]
        fn a_damaged_conversation_fails_at_the_same_place_however_it_is_cut(
            (bytes, at, bit) in conversation(1..8)
                .prop_flat_map(|bytes| { let len = bytes.len(); (Just(bytes), 0..len, 0..8_u8) }),
            sizes in vec(1..50_usize, 0..100),
        ) {
            let mut bytes = bytes;
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode_in_pieces(&bytes, &sizes), decode(&bytes));
        }
    }
}
