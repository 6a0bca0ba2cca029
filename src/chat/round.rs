//! A broadcast (`Round`): what was said in a room in one go, encoded once for all subscribers.
//!
//! Lines are appended as finished frames to one buffer for each dialect that a subscriber has. A second
//! buffer with the large lines compressed follows once there is such a line and a subscriber that can read
//! it. A subscriber that gets all lines is sent the whole buffer; one that does not (a plain session skips
//! its own lines) is sent the pieces between. What the journal is to keep is packed on the way.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    audience::Audience,
    budget::{Accepted, Budget},
    commits::Receipt,
    handing::Handing,
    ids::Key,
    lease::counted,
    line::{Dialect, Line},
    log::Place,
    rooms::RoomId,
};
use crate::{
    domain::{Picture, SessionId},
    journal::{Keyed, Record},
    protocol::websocket::{
        deflate::{self, Deflater},
        frame::{self, OpCode},
    },
};

/// A broadcast ends at this many lines, or earlier.
pub const MAX_LINES: usize = 256;

/// A broadcast ends at this many bytes, or earlier. Its last line may exceed them.
pub const MAX_BYTES: usize = 256 * 1024;

/// How the frames of a session are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The words of the lines.
    pub dialect: Dialect,
    /// Whether large messages are compressed: permessage-deflate (RFC 7692) with the full window.
    pub deflated: bool,
}

impl Encoding {
    /// The number of encodings.
    pub const COUNT: usize = 2 * Dialect::ALL.len();

    /// Index into tables of encodings.
    pub fn index(self) -> usize {
        2 * self.dialect.index() + usize::from(self.deflated)
    }
}

/// The subscribers that get a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hearers {
    /// All subscribers of its room.
    #[default]
    Room,
    /// The writable subscribers of its room; it is left out for the others.
    Idle,
    /// Only these subscribers of its room.
    Only(Vec<SessionId>),
}

/// Which of the subscribers that get a broadcast get one of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All that get the broadcast.
    All,
    /// All except this session.
    AllBut(SessionId),
    /// The subscribers that the aim selects.
    Some(Arc<Aim>),
}

/// Selects subscribers of a room by other rooms and by session, with exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// Whether to start with all subscribers of the room.
    pub all: bool,
    /// Include the members of these rooms.
    pub rooms: Vec<RoomId>,
    /// Include these sessions.
    pub sessions: Vec<SessionId>,
    /// Exclude the members of these rooms.
    pub but_rooms: Vec<RoomId>,
    /// Exclude these sessions.
    pub but_sessions: Vec<SessionId>,
}

/// A finished broadcast.
#[derive(Debug)]
pub struct Round {
    hearers: Hearers,
    /// The subscribers that each line is for, by index.
    reaches: Vec<Reach>,
    /// One for each dialect that a subscriber has.
    versions: [Option<Versions<Bytes>>; Dialect::ALL.len()],
    /// Held until the last worker has delivered the broadcast, so that broadcasts under way stay within the
    /// intake bounds.
    accepted: Vec<Accepted>,
    /// The sender is answered when the last worker has delivered the broadcast.
    handing: Option<Handing>,
}

/// A broadcast that lines can be added to.
#[derive(Debug)]
pub struct OpenRound {
    reaches: Vec<Reach>,
    versions: [Option<Versions<BytesMut>>; Dialect::ALL.len()],
    accepted: Vec<Accepted>,
    /// For each line the length of its longest encoding, added up.
    bytes: usize,
    kept: Kept,
}

/// What the journal is to keep of a broadcast.
#[derive(Debug, Default)]
pub struct Kept {
    entries: BytesMut,
    first: u64,
    count: u32,
    at: u64,
    keys: Vec<Keyed>,
    pictures: Vec<Arc<Picture>>,
    /// The acks to send once the record is durable.
    pub receipts: Vec<Receipt>,
}

/// A broadcast in one dialect.
#[derive(Debug, Default)]
struct Versions<B> {
    plain: Encoded<B>,
    /// `None` while it would equal `plain`.
    deflated: Option<Encoded<B>>,
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

impl OpenRound {
    /// An empty broadcast, in the dialects of this audience.
    pub fn new(audience: &Audience) -> Self {
        Self {
            reaches: Vec::new(),
            versions: Dialect::ALL.map(|dialect| Versions::read_by(audience, dialect)),
            accepted: Vec::new(),
            bytes: 0,
            kept: Kept::default(),
        }
    }

    /// Appends a line, in each dialect of the audience.
    pub fn push(&mut self, line: &Line<'_>, reach: Reach, mut deflater: Option<&mut Deflater>) {
        let mut longest = 0;
        for dialect in Dialect::ALL {
            if let Some(versions) = &mut self.versions[dialect.index()] {
                let before = versions.plain.frames.len();
                match line.payload(dialect) {
                    Some((opcode, payload)) => {
                        versions.push(opcode, &payload, deflater.as_deref_mut());
                        line.attachments().iter().for_each(|attachment| versions.attach(attachment));
                    }
                    None => versions.skip(),
                }
                longest = longest.max(versions.plain.frames.len() - before);
            }
        }
        self.bytes += longest;
        self.reaches.push(reach);
        if let Line::Said(offset, entry) = line {
            let kept = &mut self.kept;
            if kept.count == 0 {
                kept.first = *offset;
            }
            kept.count += 1;
            kept.at = entry.at;
            entry.pack(&mut kept.entries);
        }
    }

    /// Holds the share of a message until the broadcast is delivered.
    pub fn hold(&mut self, accepted: Accepted) {
        self.accepted.push(accepted);
    }

    /// Has the journal store `key`, by which the message at `place` is recognized.
    pub fn remember(&mut self, key: Key, place: Place) {
        self.kept.keys.push(Keyed { key, offset: place.offset, at: place.at });
    }

    /// Has the journal store a picture that a sender wears.
    pub fn keep_picture(&mut self, picture: Arc<Picture>) {
        self.kept.pictures.push(picture);
    }

    /// Adds an ack to send once the record is durable.
    pub fn owe(&mut self, receipt: Receipt) {
        self.kept.receipts.push(receipt);
    }

    /// Whether the broadcast has reached one of its bounds.
    pub fn is_full(&self) -> bool {
        self.reaches.len() >= MAX_LINES || self.bytes.max(self.kept.entries.len()) >= MAX_BYTES
    }

    /// Ends the broadcast. Its frames are charged to `budget` until the last subscriber has dropped them.
    /// Also returns what the journal is to keep of it.
    pub fn finish(self, hearers: Hearers, budget: &Arc<Budget>) -> (Round, Kept) {
        let versions = self.versions.map(|versions| versions.map(|versions| versions.finish(budget)));
        let (reaches, accepted) = (self.reaches, self.accepted);
        (Round { hearers, reaches, versions, accepted, handing: None }, self.kept)
    }
}

impl Kept {
    /// The record for the journal, the pictures of its senders and the acks to send; `None` if there is
    /// nothing to keep.
    pub fn into_record(self) -> Option<(Record, Vec<Arc<Picture>>, Vec<Receipt>)> {
        let Self { entries, first, count, at, keys, pictures, receipts } = self;
        let record = || Record { first, count, at, keys, entries: entries.freeze() };
        (count > 0).then(|| (record(), pictures, receipts))
    }
}

impl Versions<BytesMut> {
    /// Empty, if a subscriber has the dialect.
    fn read_by(audience: &Audience, dialect: Dialect) -> Option<Self> {
        let is_read_deflated = audience.reads_deflated_in(dialect);
        audience.speaks(dialect).then(|| Self { is_read_deflated, ..Self::default() })
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8], deflater: Option<&mut Deflater>) {
        let compressed = match deflater {
            Some(deflater) if self.is_read_deflated && deflate::is_worth_it(payload.len()) => {
                deflater.deflate(payload)
            }
            _ => None,
        };
        if let Some(compressed) = compressed {
            let deflated = self.deflated.get_or_insert_with(|| self.plain.clone());
            deflated.push(|out| frame::write_compressed(out, opcode, compressed));
        } else if let Some(deflated) = &mut self.deflated {
            deflated.push(|out| frame::write(out, opcode, payload));
        }
        self.plain.push(|out| frame::write(out, opcode, payload));
    }

    /// Appends a binary frame to the last line.
    fn attach(&mut self, payload: &[u8]) {
        for encoded in std::iter::once(&mut self.plain).chain(&mut self.deflated) {
            frame::write(&mut encoded.frames, OpCode::Binary, payload);
            if let Some(end) = encoded.ends.last_mut() {
                *end = encoded.frames.len();
            }
        }
    }

    fn skip(&mut self) {
        for encoded in std::iter::once(&mut self.plain).chain(&mut self.deflated) {
            encoded.ends.push(encoded.frames.len());
        }
    }

    fn finish(self, budget: &Arc<Budget>) -> Versions<Bytes> {
        let deflated = self.deflated.map(|deflated| deflated.finish(budget));
        let is_read_deflated = self.is_read_deflated;
        Versions { plain: self.plain.finish(budget), deflated, is_read_deflated }
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

impl Round {
    /// Adds a [`Handing`], which tells the sender whether the message was handed over.
    pub(super) fn with_handing(self, handing: Handing) -> Self {
        Self { handing: Some(handing), ..self }
    }

    /// Notes to which sessions the broadcast was handed.
    pub(super) fn handing(&self) -> Option<&Handing> {
        self.handing.as_ref()
    }

    /// The subscribers that get it.
    pub fn hearers(&self) -> &Hearers {
        &self.hearers
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

    /// Whether a line is only for some of the subscribers, by [`Reach::Some`].
    pub fn is_aimed(&self) -> bool {
        self.reaches.iter().any(|reach| matches!(reach, Reach::Some(_)))
    }

    /// Sessions that miss a line of a broadcast that is not aimed, once for each such line.
    pub fn deaf(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.reaches.iter().filter_map(|reach| match reach {
            Reach::AllBut(session) => Some(*session),
            Reach::All | Reach::Some(_) => None,
        })
    }

    /// How long ago the first message was accepted from its sender; `None` without one.
    pub fn age(&self) -> Option<Duration> {
        self.accepted.first().map(Accepted::age)
    }

    /// The lines that `session` gets of a broadcast that is not aimed, and their number. Adjacent lines are
    /// one piece.
    pub fn frames_for(&self, session: SessionId, encoding: Encoding) -> (Vec<Bytes>, usize) {
        let own = Reach::AllBut(session);
        self.pieces(encoding, |line| self.reaches[line] != own)
    }

    /// The lines for whose index `hears` holds, and their number. Adjacent lines are one piece.
    pub fn pieces(&self, encoding: Encoding, hears: impl Fn(usize) -> bool) -> (Vec<Bytes>, usize) {
        let Some(Encoded { frames, ends, .. }) = self.encoded(encoding) else {
            return (Vec::new(), 0);
        };
        let (mut pieces, mut lines, mut before) = (Vec::new(), 0, 0);
        let mut stretch: Option<usize> = None;
        for (line, end) in ends.iter().copied().enumerate() {
            if hears(line) {
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
        let versions = self.versions[encoding.dialect.index()].as_ref()?;
        Some(match &versions.deflated {
            Some(deflated) if encoding.deflated => deflated,
            _ => &versions.plain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::messages::Emission,
        domain::WorkerId,
        journal::{Kind, NewEntry, entry},
        protocol::{socketio::Args, websocket::deflate::FULL_WINDOW},
    };

    const PLAIN: Encoding = Encoding { dialect: Dialect::Plain, deflated: false };
    const DEFLATED: Encoding = Encoding { dialect: Dialect::Plain, deflated: true };
    const CHAT: Encoding = Encoding { dialect: Dialect::Chat, deflated: false };

    fn audience(encodings: &[Encoding]) -> Audience {
        let mut audience = Audience::default();
        encodings.iter().for_each(|encoding| audience.add(WorkerId(0), *encoding));
        audience
    }

    fn said(offset: u64, body: &str) -> Line<'_> {
        Line::Said(
            offset,
            NewEntry { kind: Kind::Message, at: 9, username: "u", avatar: "cat", uid: None, id: "", body },
        )
    }

    /// A broadcast of plain sessions' texts, which their senders do not get.
    fn round(lines: &[(u64, &str)], deflater: &mut Option<Deflater>, encodings: &[Encoding]) -> Round {
        let mut open = OpenRound::new(&audience(encodings));
        for (offset, (sender, text)) in (1..).zip(lines) {
            open.push(&said(offset, text), Reach::AllBut(SessionId::of(*sender)), deflater.as_mut());
        }
        open.finish(Hearers::Room, &Budget::new(1 << 20)).0
    }

    fn heard(round: &Round, session: u64, encoding: Encoding) -> (Vec<Vec<u8>>, usize) {
        let (pieces, lines) = round.frames_for(SessionId::of(session), encoding);
        (pieces.iter().map(|piece| piece.to_vec()).collect(), lines)
    }

    #[test]
    fn a_sender_gets_the_stretches_between_its_own_lines() {
        let lines = [(1, "a"), (2, "b"), (3, "c"), (1, "d"), (1, "e"), (2, "f")];
        let round = round(&lines, &mut None, &[PLAIN]);
        for encoding in [PLAIN, DEFLATED] {
            assert_eq!(
                heard(&round, 1, encoding),
                (vec![b"\x81\x01b\x81\x01c".to_vec(), b"\x81\x01f".to_vec()], 3)
            );
            assert_eq!(
                heard(&round, 2, encoding),
                (vec![b"\x81\x01a".to_vec(), b"\x81\x01c\x81\x01d\x81\x01e".to_vec()], 4)
            );
            let (all, lines) = round.frames(encoding).expect("lines");
            assert_eq!(heard(&round, 9, encoding), (vec![all.to_vec()], lines));
        }
        assert!(round.frames(CHAT).is_none(), "nobody speaks it here");
    }

    #[test]
    fn a_sender_alone_hears_nothing() {
        let round = round(&[(1, "a"), (1, "b")], &mut None, &[PLAIN]);
        assert_eq!(heard(&round, 1, PLAIN), (vec![], 0));
    }

    #[test]
    fn each_dialect_hears_what_it_has_words_for() {
        let mut open = OpenRound::new(&audience(&[PLAIN, CHAT]));
        let picture = NewEntry {
            kind: Kind::Image,
            at: 9,
            username: "u",
            avatar: "cat",
            uid: None,
            id: "",
            body: "data:,",
        };
        open.push(&said(1, "a"), Reach::All, None);
        open.push(&Line::Said(2, picture), Reach::All, None);
        open.push(&Line::Binary(&Bytes::from_static(b"x")), Reach::AllBut(SessionId::of(5)), None);
        open.push(&said(3, "b"), Reach::AllBut(SessionId::of(5)), None);
        let (round, kept) = open.finish(Hearers::Room, &Budget::new(1 << 20));
        let (plain, lines) = round.frames(PLAIN).expect("lines");
        assert_eq!((&plain[..], lines), (&b"\x81\x01a\x82\x01x\x81\x01b"[..], 3));
        assert_eq!(heard(&round, 5, PLAIN), (vec![b"\x81\x01a".to_vec()], 1));
        let (chat, lines) = round.frames(CHAT).expect("lines");
        let chat = String::from_utf8_lossy(chat);
        assert_eq!(lines, 3);
        assert!(chat.contains("receiveMessage") && chat.contains("receiveImage"), "{chat}");
        let (record, ..) = kept.into_record().expect("something to keep");
        assert_eq!((record.first, record.count, record.at), (1, 3, 9));
        assert_eq!(entry::unpack(&record).expect("readable")[2].body, "b");
    }

    #[test]
    fn large_lines_are_compressed_once_for_those_who_can_read_them() {
        let large = "again and again ".repeat(200);
        let mut deflater = Some(Deflater::new(FULL_WINDOW));
        let round = round(&[(1, "a"), (2, &large), (1, "b")], &mut deflater, &[PLAIN, DEFLATED]);
        let (plain, deflated) =
            (round.frames(PLAIN).expect("lines").0, round.frames(DEFLATED).expect("lines").0);
        assert!(plain.len() > large.len() && deflated.len() < large.len() / 10);
        assert!(deflated.starts_with(b"\x81\x01a\xc1"), "the compressed line has RSV1 set");
        assert!(deflated.ends_with(b"\x81\x01b"));
        assert_eq!(heard(&round, 2, DEFLATED).0, [b"\x81\x01a", b"\x81\x01b"]);
    }

    #[test]
    fn an_event_goes_out_with_its_attachments_behind_it() {
        let sockets = Encoding { dialect: Dialect::SocketIo, deflated: false };
        let mut open = OpenRound::new(&audience(&[sockets, PLAIN]));
        let attachments = [Bytes::from_static(b"x"), Bytes::from_static(b"y")];
        let emission = |json: &'static str, attachments: &[Bytes]| {
            Emission::new("/", Args { json: json.into(), attachments: attachments.to_vec() }, None, None)
        };
        open.push(&Line::Emitted(&emission("[]", &[])), Reach::All, None);
        open.push(&Line::Emitted(&emission("[]", &attachments)), Reach::AllBut(SessionId::of(5)), None);
        open.push(&Line::Emitted(&emission("[1]", &[])), Reach::All, None);
        let round = open.finish(Hearers::Room, &Budget::new(1 << 20)).0;
        let (all, lines) = round.frames(sockets).expect("lines");
        assert_eq!((&all[..], lines), (&b"\x81\x0442[]\x81\x06452-[]\x82\x01x\x82\x01y\x81\x0542[1]"[..], 3));
        assert_eq!(heard(&round, 5, sockets), (vec![b"\x81\x0442[]".to_vec(), b"\x81\x0542[1]".to_vec()], 2));
        assert!(round.frames(PLAIN).is_none(), "an event has no plain words");
    }

    #[test]
    fn what_nobody_keeps_is_no_record() {
        let mut open = OpenRound::new(&audience(&[PLAIN]));
        open.push(&Line::Binary(&Bytes::from_static(b"x")), Reach::All, None);
        assert!(open.finish(Hearers::Room, &Budget::new(1 << 20)).1.into_record().is_none());
    }

    #[test]
    fn a_round_is_full_at_its_bounds() {
        for audience in [audience(&[PLAIN]), audience(&[])] {
            let mut many = OpenRound::new(&audience);
            for offset in 1..=MAX_LINES as u64 {
                assert!(!many.is_full());
                many.push(&said(offset, ""), Reach::All, None);
            }
            assert!(many.is_full());
            let mut large = OpenRound::new(&audience);
            large.push(&said(1, &"x".repeat(MAX_BYTES)), Reach::All, None);
            assert!(large.is_full());
        }
    }
}
