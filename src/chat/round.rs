//! A round: what was said in one room in one go, encoded once for everybody.
//!
//! Lines are appended as finished frames to one buffer. Whoever said nothing in the round is sent that buffer
//! as it is; whoever did, the stretches between its own lines.

use bytes::{Bytes, BytesMut};

use super::{
    budget::Accepted,
    messages::{Payload, Publish},
};
use crate::{
    domain::SessionId,
    protocol::websocket::frame::{self, OpCode},
};

/// A round ends at this many lines, if not before.
pub const MAX_LINES: usize = 256;

/// A round ends at this many bytes, if not before. The last line may reach over it.
pub const MAX_BYTES: usize = 256 * 1024;

/// A finished round.
#[derive(Debug)]
pub struct Round {
    frames: Bytes,
    lines: Vec<Line>,
    /// Held until the last worker has fanned the round out, so that rounds under way stay within the intake bounds.
    _accepted: Vec<Accepted>,
}

/// One message: who said it, and where its frame ends.
#[derive(Clone, Copy, Debug)]
struct Line {
    sender: SessionId,
    end: usize,
}

/// A round that still grows.
#[derive(Debug, Default)]
pub struct OpenRound {
    frames: BytesMut,
    lines: Vec<Line>,
    accepted: Vec<Accepted>,
}

impl OpenRound {
    /// Appends a message as a finished frame.
    pub fn push(&mut self, publish: Publish) {
        match &publish.payload {
            Payload::Text(text) => frame::write(&mut self.frames, OpCode::Text, text.as_bytes()),
            Payload::Binary(bytes) => frame::write(&mut self.frames, OpCode::Binary, bytes),
        }
        self.lines.push(Line { sender: publish.session, end: self.frames.len() });
        self.accepted.push(publish.accepted);
    }

    /// Whether the round has reached one of its bounds.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= MAX_LINES || self.frames.len() >= MAX_BYTES
    }

    /// Nothing can be added any more.
    pub fn finish(self) -> Round {
        Round { frames: self.frames.freeze(), lines: self.lines, _accepted: self.accepted }
    }
}

impl Round {
    /// All lines, for a session that said none of them.
    pub fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// Who said something, in order, each as often as it did.
    pub fn senders(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.lines.iter().map(|line| line.sender)
    }

    /// The lines of the others: one piece for each stretch between lines of `session`.
    pub fn frames_without(&self, session: SessionId) -> impl Iterator<Item = Bytes> + '_ {
        self.lines
            .chunk_by(move |a, b| (a.sender == session) == (b.sender == session))
            .scan(0, move |start, stretch| {
                let end = stretch.last().map_or(*start, |line| line.end);
                let piece =
                    if stretch[0].sender == session { None } else { Some(self.frames.slice(*start..end)) };
                *start = end;
                Some(piece)
            })
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::budget::{Budget, Intake};

    fn round(lines: &[(u64, &str)]) -> Round {
        let intake = Intake::new(1 << 20, Budget::new(1 << 20));
        let mut open = OpenRound::default();
        for &(sender, text) in lines {
            let payload = Payload::Text(text.into());
            open.push(Publish {
                session: SessionId::of(sender),
                payload,
                accepted: intake.accept(text.len()),
            });
        }
        open.finish()
    }

    fn heard(round: &Round, session: u64) -> Vec<Vec<u8>> {
        round.frames_without(SessionId::of(session)).map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn a_sender_gets_the_stretches_between_its_own_lines() {
        let round = round(&[(1, "a"), (2, "b"), (3, "c"), (1, "d"), (1, "e"), (2, "f")]);
        assert_eq!(heard(&round, 1), [&b"\x81\x01b\x81\x01c"[..], b"\x81\x01f"]);
        assert_eq!(heard(&round, 2), [&b"\x81\x01a"[..], b"\x81\x01c\x81\x01d\x81\x01e"]);
        assert_eq!(heard(&round, 9), [round.frames().to_vec()]);
    }

    #[test]
    fn a_sender_alone_hears_nothing() {
        assert!(heard(&round(&[(1, "a"), (1, "b")]), 1).is_empty());
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
            many.push(publish(0));
        }
        assert!(many.is_full());
        let mut large = OpenRound::default();
        large.push(publish(MAX_BYTES));
        assert!(large.is_full());
    }
}
