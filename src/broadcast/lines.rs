//! A broadcast: what was said in a room in one go, encoded once for all subscribers.
//!
//! Lines are appended as finished frames to one buffer for each dialect that a subscriber has. A second
//! buffer with the large lines compressed follows once there is such a line and a subscriber that can read
//! it. A subscriber that gets all lines is sent the whole buffer; one that does not (a plain session skips
//! its own lines) is sent the pieces between.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{
    aim::{Reach, Recipients},
    encoding::{Dialect, Encode, Encoding},
    subscribers::Subscribers,
};
use crate::{
    connection::{Accepted, Budget, counted},
    domain::MemberId,
    protocol::websocket::{
        deflate::{self, Deflater},
        frame::{self, OpCode},
    },
};

/// A broadcast ends at this many lines, or earlier.
pub(super) const MAX_LINES: usize = 256;

/// A broadcast ends at this many bytes, or earlier. Its last line may exceed them.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// Learns which sessions were handed a broadcast. Dropped when the last worker has delivered the broadcast.
pub(crate) trait Handed: fmt::Debug + Send + Sync {
    /// A session was handed the broadcast.
    fn note(&self, member: MemberId);
}

/// A finished broadcast.
#[derive(Debug)]
pub struct Broadcast {
    recipients: Recipients,
    /// The subscribers that each line is for, by index.
    reaches: Vec<Reach>,
    /// One for each dialect that a subscriber has.
    versions: SmallVec<[Versions<Bytes>; 1]>,
    /// Held until the last worker has delivered the broadcast, so that broadcasts under way stay within the
    /// intake bounds.
    accepted: Vec<Accepted>,
    /// The sender is answered when the last worker has delivered the broadcast.
    handed: Option<Box<dyn Handed>>,
}

/// A broadcast that lines can be added to.
#[derive(Debug)]
pub struct OpenBroadcast {
    reaches: Vec<Reach>,
    versions: SmallVec<[Versions<BytesMut>; 1]>,
    accepted: Vec<Accepted>,
    /// For each line the length of its longest encoding, added up.
    bytes: usize,
}

/// A broadcast in one dialect.
#[derive(Debug)]
struct Versions<B> {
    dialect: Dialect,
    plain: Encoded<B>,
    /// `None` while it would equal `plain`.
    deflated: Option<Box<Encoded<B>>>,
    /// Whether a subscriber takes compressed frames in this dialect.
    is_read_deflated: bool,
}

/// Consecutive frames, and the end of each line; a line that the dialect leaves out has no bytes.
#[derive(Clone, Debug, Default)]
struct Encoded<B> {
    frames: B,
    ends: Vec<usize>,
    /// Number of lines that have bytes.
    lines: usize,
}

impl OpenBroadcast {
    /// An empty broadcast, in the dialects of these subscribers.
    pub fn new(subscribers: &Subscribers) -> Self {
        Self {
            reaches: Vec::new(),
            versions: Dialect::ALL
                .iter()
                .filter_map(|dialect| Versions::read_by(subscribers, *dialect))
                .collect(),
            accepted: Vec::new(),
            bytes: 0,
        }
    }

    /// Appends a line, in each dialect of the subscribers.
    pub fn push(&mut self, line: &impl Encode, reach: Reach, mut deflater: Option<&mut Deflater>) {
        let mut longest = 0;
        if !line.may_be_compressed() {
            deflater = None;
        }
        for versions in &mut self.versions {
            let before = versions.plain.frames.len();
            match line.payload(versions.dialect) {
                Some((opcode, payload)) => {
                    versions.push(opcode, &payload, deflater.as_deref_mut());
                    line.attachments().iter().for_each(|attachment| versions.attach(attachment));
                }
                None => versions.skip(),
            }
            longest = longest.max(versions.plain.frames.len() - before);
        }
        self.bytes += longest;
        self.reaches.push(reach);
    }

    /// Holds the share of a message until the broadcast is delivered.
    pub(super) fn hold(&mut self, accepted: Accepted) {
        self.accepted.push(accepted);
    }

    /// Whether the broadcast has reached one of its bounds.
    pub(super) fn is_full(&self) -> bool {
        self.reaches.len() >= MAX_LINES || self.bytes >= MAX_BYTES
    }

    /// Ends the broadcast. Its frames are charged to `budget` until the last subscriber has dropped them.
    pub fn finish(self, recipients: Recipients, budget: &Arc<Budget>) -> Broadcast {
        let versions = self.versions.into_iter().map(|versions| versions.finish(budget)).collect();
        let (reaches, accepted) = (self.reaches, self.accepted);
        Broadcast { recipients, reaches, versions, accepted, handed: None }
    }
}

impl Versions<BytesMut> {
    /// Empty, if a subscriber has the dialect.
    fn read_by(subscribers: &Subscribers, dialect: Dialect) -> Option<Self> {
        let is_read_deflated = subscribers.reads_deflated_in(dialect);
        subscribers.speaks(dialect).then(|| Self {
            dialect,
            plain: Encoded::default(),
            deflated: None,
            is_read_deflated,
        })
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8], deflater: Option<&mut Deflater>) {
        let compressed = match deflater {
            Some(deflater) if self.is_read_deflated && deflate::is_worth_it(payload.len()) => {
                deflater.deflate(payload)
            }
            _ => None,
        };
        if let Some(compressed) = compressed {
            let deflated = self.deflated.get_or_insert_with(|| Box::new(self.plain.clone()));
            deflated.push(|out| frame::write_compressed(out, opcode, compressed));
        } else if let Some(deflated) = &mut self.deflated {
            deflated.push(|out| frame::write(out, opcode, payload));
        }
        self.plain.push(|out| frame::write(out, opcode, payload));
    }

    /// Appends a binary frame to the last line.
    fn attach(&mut self, payload: &[u8]) {
        for encoded in std::iter::once(&mut self.plain).chain(self.deflated.as_deref_mut()) {
            frame::write(&mut encoded.frames, OpCode::Binary, payload);
            if let Some(end) = encoded.ends.last_mut() {
                *end = encoded.frames.len();
            }
        }
    }

    fn skip(&mut self) {
        for encoded in std::iter::once(&mut self.plain).chain(self.deflated.as_deref_mut()) {
            encoded.ends.push(encoded.frames.len());
        }
    }

    fn finish(self, budget: &Arc<Budget>) -> Versions<Bytes> {
        let Self { dialect, plain, deflated, is_read_deflated } = self;
        let deflated = deflated.map(|deflated| Box::new(deflated.finish(budget)));
        Versions { dialect, plain: plain.finish(budget), deflated, is_read_deflated }
    }
}

impl Encoded<BytesMut> {
    fn push(&mut self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.frames);
        self.ends.push(self.frames.len());
        self.lines += 1;
    }

    fn finish(self, budget: &Arc<Budget>) -> Encoded<Bytes> {
        Encoded { frames: counted(self.frames, budget), ends: self.ends, lines: self.lines }
    }
}

impl Broadcast {
    /// Has `handed` learn which sessions were handed the broadcast.
    #[must_use]
    pub(super) fn with_handed(self, handed: Option<Box<dyn Handed>>) -> Self {
        Self { handed, ..self }
    }

    /// What learns which sessions were handed the broadcast.
    pub(crate) fn handed(&self) -> Option<&dyn Handed> {
        self.handed.as_deref()
    }

    /// The subscribers that get it.
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// All lines and their number, for a session that gets all. `None` if there are none.
    pub fn frames(&self, encoding: Encoding) -> Option<(&Bytes, usize)> {
        let Encoded { frames, lines, .. } = self.encoded(encoding)?;
        (*lines > 0).then_some((frames, *lines))
    }

    /// The subscribers that each line is for.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// Whether a line is only for some of the subscribers, by [`Reach::To`].
    pub fn is_aimed(&self) -> bool {
        self.reaches.iter().any(|reach| matches!(reach, Reach::To(_)))
    }

    /// Sessions that miss a line of a broadcast that is not aimed, once for each such line.
    pub fn excluded(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.reaches.iter().filter_map(|reach| match reach {
            Reach::Exclude(member) => Some(*member),
            Reach::All | Reach::To(_) => None,
        })
    }

    /// How long ago the first message was accepted from its sender; `None` without one.
    pub fn age(&self) -> Option<Duration> {
        self.accepted.first().map(Accepted::age)
    }

    /// The lines that `session` gets of a broadcast that is not aimed, and their number. Adjacent lines are
    /// one piece.
    pub fn frames_for(&self, member: MemberId, encoding: Encoding) -> (Vec<Bytes>, usize) {
        let own = Reach::Exclude(member);
        self.pieces(encoding, |line| self.reaches[line] != own)
    }

    /// The lines for whose index `is_wanted` holds, and their number. Adjacent lines are one piece.
    pub fn pieces(&self, encoding: Encoding, is_wanted: impl Fn(usize) -> bool) -> (Vec<Bytes>, usize) {
        let Some(Encoded { frames, ends, .. }) = self.encoded(encoding) else {
            return (Vec::new(), 0);
        };
        let (mut pieces, mut lines, mut before) = (Vec::new(), 0, 0);
        let mut stretch: Option<usize> = None;
        for (line, end) in ends.iter().copied().enumerate() {
            if is_wanted(line) {
                lines += usize::from(end > before);
                stretch.get_or_insert(before);
            } else if let Some(start) = stretch.take().filter(|start| *start < before) {
                pieces.push(frames.slice(start..before));
            }
            before = end;
        }
        if let Some(start) = stretch.filter(|start| *start < before) {
            pieces.push(frames.slice(start..before));
        }
        (pieces, lines)
    }

    fn encoded(&self, encoding: Encoding) -> Option<&Encoded<Bytes>> {
        let versions = self.versions.iter().find(|versions| versions.dialect == encoding.dialect)?;
        Some(match &versions.deflated {
            Some(deflated) if encoding.deflated => deflated,
            _ => &versions.plain,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{domain::WorkerId, protocol::websocket::deflate::FULL_WINDOW};

    const PLAIN: Encoding = Encoding { dialect: Dialect::of(0), deflated: false };
    const DEFLATED: Encoding = Encoding { dialect: Dialect::of(0), deflated: true };
    const OTHER: Encoding = Encoding { dialect: Dialect::of(1), deflated: false };

    /// A line that is a text in the first dialect, and a text with attachments in the second.
    struct Line<'a> {
        texts: [Option<&'a str>; 2],
        attachments: Vec<Bytes>,
    }

    impl Encode for Line<'_> {
        fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)> {
            let text = *self.texts.get(dialect.index())?;
            text.map(|text| (OpCode::Text, Cow::Borrowed(text.as_bytes())))
        }

        fn attachments(&self) -> &[Bytes] {
            &self.attachments
        }
    }

    fn text(text: &str) -> Line<'_> {
        Line { texts: [Some(text), None], attachments: Vec::new() }
    }

    fn event<'a>(text: &'a str, attachments: &[&'static [u8]]) -> Line<'a> {
        let attachments = attachments.iter().map(|bytes| Bytes::from_static(bytes)).collect();
        Line { texts: [None, Some(text)], attachments }
    }

    fn subscribers(encodings: &[Encoding]) -> Subscribers {
        let mut subscribers = Subscribers::default();
        encodings.iter().for_each(|encoding| subscribers.add(WorkerId(0), *encoding));
        subscribers
    }

    fn finish(open: OpenBroadcast) -> Broadcast {
        open.finish(Recipients::Room, &Budget::new(1 << 20))
    }

    /// A broadcast of texts, each of which its sender does not get.
    fn broadcast(
        lines: &[(u64, &str)],
        deflater: &mut Option<Deflater>,
        encodings: &[Encoding],
    ) -> Broadcast {
        let mut open = OpenBroadcast::new(&subscribers(encodings));
        for (sender, words) in lines {
            open.push(&text(words), Reach::Exclude(MemberId::of(*sender)), deflater.as_mut());
        }
        finish(open)
    }

    fn received(broadcast: &Broadcast, member: u64, encoding: Encoding) -> (Vec<Vec<u8>>, usize) {
        let (pieces, lines) = broadcast.frames_for(MemberId::of(member), encoding);
        (pieces.iter().map(|piece| piece.to_vec()).collect(), lines)
    }

    #[test]
    fn a_sender_gets_the_stretches_between_its_own_lines() {
        let lines = [(1, "a"), (2, "b"), (3, "c"), (1, "d"), (1, "e"), (2, "f")];
        let broadcast = broadcast(&lines, &mut None, &[PLAIN]);
        for encoding in [PLAIN, DEFLATED] {
            assert_eq!(
                received(&broadcast, 1, encoding),
                (vec![b"\x81\x01b\x81\x01c".to_vec(), b"\x81\x01f".to_vec()], 3)
            );
            assert_eq!(
                received(&broadcast, 2, encoding),
                (vec![b"\x81\x01a".to_vec(), b"\x81\x01c\x81\x01d\x81\x01e".to_vec()], 4)
            );
            let (all, lines) = broadcast.frames(encoding).expect("lines");
            assert_eq!(received(&broadcast, 9, encoding), (vec![all.to_vec()], lines));
        }
        assert!(broadcast.frames(OTHER).is_none(), "no member has this dialect");
    }

    #[test]
    fn a_sender_alone_gets_nothing() {
        let broadcast = broadcast(&[(1, "a"), (1, "b")], &mut None, &[PLAIN]);
        assert_eq!(received(&broadcast, 1, PLAIN), (vec![], 0));
    }

    #[test]
    fn large_lines_are_compressed_once_for_all_that_can_read_them() {
        let large = "again and again ".repeat(200);
        let mut deflater = Some(Deflater::new(FULL_WINDOW));
        let broadcast = broadcast(&[(1, "a"), (2, &large), (1, "b")], &mut deflater, &[PLAIN, DEFLATED]);
        let (plain, deflated) =
            (broadcast.frames(PLAIN).expect("lines").0, broadcast.frames(DEFLATED).expect("lines").0);
        assert!(plain.len() > large.len() && deflated.len() < large.len() / 10);
        assert!(deflated.starts_with(b"\x81\x01a\xc1"), "the compressed line has RSV1 set");
        assert!(deflated.ends_with(b"\x81\x01b"));
        assert_eq!(received(&broadcast, 2, DEFLATED).0, [b"\x81\x01a", b"\x81\x01b"]);
    }

    #[test]
    fn a_dialect_that_no_member_reads_compressed_is_not_compressed() {
        let large = "again and again ".repeat(200);
        let mut open = OpenBroadcast::new(&subscribers(&[DEFLATED, OTHER]));
        let line = Line { texts: [Some(&large), Some(&large)], attachments: Vec::new() };
        open.push(&line, Reach::All, Some(&mut Deflater::new(FULL_WINDOW)));
        let broadcast = finish(open);
        let len = |encoding| broadcast.frames(encoding).expect("lines").0.len();
        assert!(len(DEFLATED) < large.len() / 10);
        assert!(len(Encoding { deflated: true, ..OTHER }) > large.len());
    }

    #[test]
    fn a_line_goes_out_with_its_attachments_behind_it_in_each_dialect_that_has_words_for_it() {
        let mut open = OpenBroadcast::new(&subscribers(&[OTHER, PLAIN]));
        open.push(&event("a", &[]), Reach::All, None);
        open.push(&event("b", &[b"x", b"y"]), Reach::Exclude(MemberId::of(5)), None);
        open.push(&event("c", &[]), Reach::All, None);
        let broadcast = finish(open);
        let (all, lines) = broadcast.frames(OTHER).expect("lines");
        assert_eq!((&all[..], lines), (&b"\x81\x01a\x81\x01b\x82\x01x\x82\x01y\x81\x01c"[..], 3));
        assert_eq!(received(&broadcast, 5, OTHER), (vec![b"\x81\x01a".to_vec(), b"\x81\x01c".to_vec()], 2));
        assert!(broadcast.frames(PLAIN).is_none());
    }

    #[test]
    fn a_broadcast_is_full_at_its_bounds() {
        let mut many = OpenBroadcast::new(&subscribers(&[PLAIN]));
        for _ in 0..MAX_LINES {
            assert!(!many.is_full());
            many.push(&text(""), Reach::All, None);
        }
        assert!(many.is_full());
        let mut large = OpenBroadcast::new(&subscribers(&[PLAIN]));
        large.push(&text(&"x".repeat(MAX_BYTES)), Reach::All, None);
        assert!(large.is_full());
    }
}
