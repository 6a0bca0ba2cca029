//! A round: what was said in one room in one go, encoded once for everybody.
//!
//! Lines are appended as finished frames to one buffer, and to a second one, with the large lines compressed, once
//! there is such a line and somebody who can read it. Whoever said nothing in the round is sent its buffer as it is;
//! whoever did, the stretches between its own lines.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{
    budget::Accepted,
    messages::{Payload, Publish},
};
use crate::{
    domain::SessionId,
    protocol::websocket::{
        deflate::{self, Deflater},
        frame::{self, OpCode},
    },
};

/// A round ends at this many lines, if not before.
pub const MAX_LINES: usize = 256;

/// A round ends at this many bytes, if not before. The last line may reach over it.
pub const MAX_BYTES: usize = 256 * 1024;

/// How a session wants its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Plain,
    /// Large messages by permessage-deflate, with the full window.
    Deflated,
}

/// A finished round.
#[derive(Debug)]
pub struct Round {
    /// Who said each line.
    senders: Vec<SessionId>,
    plain: Encoded<Bytes>,
    /// Missing if it would be the same.
    deflated: Option<Encoded<Bytes>>,
    /// Held until the last worker has fanned the round out, so that rounds under way stay within the intake bounds.
    accepted: Vec<Accepted>,
}

/// A round that still grows.
#[derive(Debug, Default)]
pub struct OpenRound {
    senders: Vec<SessionId>,
    plain: Encoded<BytesMut>,
    deflated: Option<Encoded<BytesMut>>,
    accepted: Vec<Accepted>,
}

/// Frames one behind the other, and where each ends.
#[derive(Clone, Debug, Default)]
struct Encoded<B> {
    frames: B,
    ends: Vec<usize>,
}

impl OpenRound {
    /// Appends a message as a finished frame; a large one also compressed, if somebody in the room can read that.
    pub fn push(&mut self, publish: Publish, deflater: Option<&mut Deflater>) {
        let (opcode, payload) = match &publish.payload {
            Payload::Text(text) => (OpCode::Text, &text.as_bytes()[..]),
            Payload::Binary(bytes) => (OpCode::Binary, &bytes[..]),
        };
        let compressed = match deflater {
            Some(deflater) if deflate::is_worth_it(payload.len()) => deflater.deflate(payload),
            _ => None,
        };
        if let Some(compressed) = compressed {
            let deflated = self.deflated.get_or_insert_with(|| self.plain.clone());
            deflated.push(|out| frame::write_compressed(out, opcode, compressed));
        } else if let Some(deflated) = &mut self.deflated {
            deflated.push(|out| frame::write(out, opcode, payload));
        }
        self.plain.push(|out| frame::write(out, opcode, payload));
        self.senders.push(publish.session);
        self.accepted.push(publish.accepted);
    }

    /// Whether the round has reached one of its bounds.
    pub fn is_full(&self) -> bool {
        self.senders.len() >= MAX_LINES || self.plain.frames.len() >= MAX_BYTES
    }

    /// Nothing can be added any more.
    pub fn finish(self) -> Round {
        Round {
            senders: self.senders,
            plain: self.plain.finish(),
            deflated: self.deflated.map(Encoded::finish),
            accepted: self.accepted,
        }
    }
}

impl Encoded<BytesMut> {
    fn push(&mut self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.frames);
        self.ends.push(self.frames.len());
    }

    fn finish(self) -> Encoded<Bytes> {
        Encoded { frames: self.frames.freeze(), ends: self.ends }
    }
}

impl Round {
    /// All lines, for a session that said none of them.
    pub fn frames(&self, encoding: Encoding) -> &Bytes {
        &self.encoded(encoding).frames
    }

    /// Whether the encodings differ.
    pub fn is_deflated(&self) -> bool {
        self.deflated.is_some()
    }

    /// Who said something, in order, each as often as it did.
    pub fn senders(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.senders.iter().copied()
    }

    /// Messages in the round.
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// How long ago the first line was accepted from its sender.
    pub fn age(&self) -> Duration {
        self.accepted.first().map_or(Duration::ZERO, Accepted::age)
    }

    /// The lines of the others: one piece for each stretch between lines of `session`.
    pub fn frames_without(&self, session: SessionId, encoding: Encoding) -> impl Iterator<Item = Bytes> + '_ {
        let Encoded { frames, ends } = self.encoded(encoding);
        let mut line = 0;
        self.senders.chunk_by(move |a, b| (*a == session) == (*b == session)).filter_map(move |stretch| {
            let start = if line == 0 { 0 } else { ends[line - 1] };
            line += stretch.len();
            (stretch[0] != session).then(|| frames.slice(start..ends[line - 1]))
        })
    }

    fn encoded(&self, encoding: Encoding) -> &Encoded<Bytes> {
        match (encoding, &self.deflated) {
            (Encoding::Deflated, Some(deflated)) => deflated,
            _ => &self.plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::budget::{Budget, Intake},
        protocol::websocket::deflate::FULL_WINDOW,
    };

    fn open(lines: &[(u64, &str)], deflater: &mut Option<Deflater>) -> OpenRound {
        let intake = Intake::new(1 << 20, Budget::new(1 << 20));
        let mut open = OpenRound::default();
        for &(sender, text) in lines {
            let payload = Payload::Text(text.into());
            let publish =
                Publish { session: SessionId::of(sender), payload, accepted: intake.accept(text.len()) };
            open.push(publish, deflater.as_mut());
        }
        open
    }

    fn heard(round: &Round, session: u64, encoding: Encoding) -> Vec<Vec<u8>> {
        round.frames_without(SessionId::of(session), encoding).map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn a_sender_gets_the_stretches_between_its_own_lines() {
        let lines = [(1, "a"), (2, "b"), (3, "c"), (1, "d"), (1, "e"), (2, "f")];
        let round = open(&lines, &mut None).finish();
        for encoding in [Encoding::Plain, Encoding::Deflated] {
            assert_eq!(heard(&round, 1, encoding), [&b"\x81\x01b\x81\x01c"[..], b"\x81\x01f"]);
            assert_eq!(heard(&round, 2, encoding), [&b"\x81\x01a"[..], b"\x81\x01c\x81\x01d\x81\x01e"]);
            assert_eq!(heard(&round, 9, encoding), [round.frames(encoding).to_vec()]);
        }
    }

    #[test]
    fn a_sender_alone_hears_nothing() {
        let round = open(&[(1, "a"), (1, "b")], &mut None).finish();
        assert!(heard(&round, 1, Encoding::Plain).is_empty());
    }

    #[test]
    fn large_lines_are_compressed_once_for_those_who_can_read_them() {
        let large = "again and again ".repeat(200);
        let mut deflater = Some(Deflater::new(FULL_WINDOW));
        let round = open(&[(1, "a"), (2, &large), (1, "b")], &mut deflater).finish();
        let (plain, deflated) = (round.frames(Encoding::Plain), round.frames(Encoding::Deflated));
        assert!(plain.len() > large.len() && deflated.len() < large.len() / 10);
        assert!(deflated.starts_with(b"\x81\x01a\xc1"), "the compressed line has RSV1 set");
        assert!(deflated.ends_with(b"\x81\x01b"));
        assert_eq!(heard(&round, 2, Encoding::Deflated), [b"\x81\x01a", b"\x81\x01b"]);
    }

    #[test]
    fn without_a_large_line_there_is_one_buffer() {
        let mut deflater = Some(Deflater::new(FULL_WINDOW));
        assert!(!open(&[(1, "a"), (2, "b")], &mut deflater).finish().is_deflated());
    }

    #[test]
    fn a_round_is_full_at_its_bounds() {
        let intake = Intake::new(1 << 20, Budget::new(1 << 20));
        let publish = |len: usize| Publish {
            session: SessionId::of(1),
            payload: Payload::Binary(vec![0; len].into()),
            accepted: intake.accept(len),
        };
        let mut many = OpenRound::default();
        for _ in 0..MAX_LINES {
            assert!(!many.is_full());
            many.push(publish(0), None);
        }
        assert!(many.is_full());
        let mut large = OpenRound::default();
        large.push(publish(MAX_BYTES), None);
        assert!(large.is_full());
    }
}
