//! A round: what happened in one room in one go, encoded once for everybody.
//!
//! Lines are appended as finished frames to one buffer for each dialect that somebody in the room speaks, and to a
//! second one, with the large lines compressed, once there is such a line and somebody who can read it. Whoever is
//! to hear all of a round is sent its buffer as it is; whoever is not (a plain session its own lines), the stretches
//! between. What is to be kept is packed for the journal on the way.

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

/// A round ends at this many lines, if not before.
pub const MAX_LINES: usize = 256;

/// A round ends at this many bytes, if not before. The last line may reach over it.
pub const MAX_BYTES: usize = 256 * 1024;

/// How a session wants its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// In which words.
    pub dialect: Dialect,
    /// Whether large messages come by permessage-deflate, with the full window.
    pub deflated: bool,
}

impl Encoding {
    /// How many there are.
    pub const COUNT: usize = 2 * Dialect::ALL.len();

    /// Its place in tables of encodings.
    pub fn index(self) -> usize {
        2 * self.dialect.index() + usize::from(self.deflated)
    }
}

/// Who hears a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hearers {
    /// Everybody in its room.
    #[default]
    Room,
    /// Those in its room who have next to nothing waiting; the others do without.
    Idle,
    /// These sessions, which hear the room.
    Only(Vec<SessionId>),
}

/// Who of those in a round's room hears a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// All but this one.
    AllBut(SessionId),
    /// Some of them.
    Some(Arc<Aim>),
}

/// Some of those in a room: whoever is in one of these other rooms or is one of these sessions, but for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// Everybody in the room, to begin with.
    pub all: bool,
    /// Those in these rooms.
    pub rooms: Vec<RoomId>,
    /// These sessions.
    pub sessions: Vec<SessionId>,
    /// But not those in these rooms,
    pub but_rooms: Vec<RoomId>,
    /// and not these sessions.
    pub but_sessions: Vec<SessionId>,
}

/// A finished round.
#[derive(Debug)]
pub struct Round {
    hearers: Hearers,
    /// Who hears each line.
    reaches: Vec<Reach>,
    /// For each dialect that is spoken in the room.
    versions: [Option<Versions<Bytes>>; Dialect::ALL.len()],
    /// Held until the last worker has fanned the round out, so that rounds under way stay within the intake bounds.
    accepted: Vec<Accepted>,
    /// Its sender is answered when the last worker has fanned the round out.
    handing: Option<Handing>,
}

/// A round that still grows.
#[derive(Debug)]
pub struct OpenRound {
    reaches: Vec<Reach>,
    versions: [Option<Versions<BytesMut>>; Dialect::ALL.len()],
    accepted: Vec<Accepted>,
    /// Bytes of the line that was longest in each, added up.
    bytes: usize,
    kept: Kept,
}

/// What the journal is to keep of a round.
#[derive(Debug, Default)]
pub struct Kept {
    entries: BytesMut,
    first: u64,
    count: u32,
    at: u64,
    keys: Vec<Keyed>,
    pictures: Vec<Arc<Picture>>,
    /// Who waits for it.
    pub receipts: Vec<Receipt>,
}

/// A round in one dialect.
#[derive(Debug, Default)]
struct Versions<B> {
    plain: Encoded<B>,
    /// Missing if it would be the same.
    deflated: Option<Encoded<B>>,
}

/// Frames one behind the other, and where each line ends; one that is not heard in the dialect has no bytes.
#[derive(Clone, Debug, Default)]
struct Encoded<B> {
    frames: B,
    ends: Vec<usize>,
    /// Lines that have bytes.
    lines: usize,
}

impl OpenRound {
    /// An empty round for those who hear it.
    pub fn new(audience: &Audience) -> Self {
        Self {
            reaches: Vec::new(),
            versions: Dialect::ALL.map(|dialect| audience.speaks(dialect).then(Versions::default)),
            accepted: Vec::new(),
            bytes: 0,
            kept: Kept::default(),
        }
    }

    /// Appends a line.
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

    /// Holds the share of a message until the round has been dealt with.
    pub fn hold(&mut self, accepted: Accepted) {
        self.accepted.push(accepted);
    }

    /// The journal is to know the message at `place` by `key`.
    pub fn remember(&mut self, key: Key, place: Place) {
        self.kept.keys.push(Keyed { key, offset: place.offset, at: place.at });
    }

    /// The journal is to have the picture that a speaker wears.
    pub fn keep_picture(&mut self, picture: Arc<Picture>) {
        self.kept.pictures.push(picture);
    }

    /// Who waits for a message of this round gets a receipt.
    pub fn owe(&mut self, receipt: Receipt) {
        self.kept.receipts.push(receipt);
    }

    /// Whether the round has reached one of its bounds.
    pub fn is_full(&self) -> bool {
        self.reaches.len() >= MAX_LINES || self.bytes.max(self.kept.entries.len()) >= MAX_BYTES
    }

    /// Nothing can be added any more: the round, whose frames are charged to `budget` as long as they wait for anybody, and
    /// what is to be kept of it.
    pub fn finish(self, hearers: Hearers, budget: &Arc<Budget>) -> (Round, Kept) {
        let versions = self.versions.map(|versions| versions.map(|versions| versions.finish(budget)));
        let (reaches, accepted) = (self.reaches, self.accepted);
        (Round { hearers, reaches, versions, accepted, handing: None }, self.kept)
    }
}

impl Kept {
    /// The record for the journal, the pictures of its speakers, and who waits for it, if there is anything to keep.
    pub fn into_record(self) -> Option<(Record, Vec<Arc<Picture>>, Vec<Receipt>)> {
        let Self { entries, first, count, at, keys, pictures, receipts } = self;
        let record = || Record { first, count, at, keys, entries: entries.freeze() };
        (count > 0).then(|| (record(), pictures, receipts))
    }
}

impl Versions<BytesMut> {
    fn push(&mut self, opcode: OpCode, payload: &[u8], deflater: Option<&mut Deflater>) {
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
    }

    /// A binary frame that belongs to the last line.
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
        Versions { plain: self.plain.finish(budget), deflated }
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
    /// The same, and its sender is to know whether it was handed over.
    pub(super) fn with_handing(self, handing: Handing) -> Self {
        Self { handing: Some(handing), ..self }
    }

    /// Where a session is noted that it was handed to.
    pub(super) fn handing(&self) -> Option<&Handing> {
        self.handing.as_ref()
    }

    /// Who hears it.
    pub fn hearers(&self) -> &Hearers {
        &self.hearers
    }

    /// All lines, and how many there are, for a session that is to hear all.
    pub fn frames(&self, encoding: Encoding) -> Option<(&Bytes, usize)> {
        let Encoded { frames, lines, .. } = self.encoded(encoding)?;
        (*lines > 0).then_some((frames, *lines))
    }

    /// Who hears each line.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// Whether some lines are only for some of those in the room.
    pub fn is_aimed(&self) -> bool {
        self.reaches.iter().any(|reach| matches!(reach, Reach::Some(_)))
    }

    /// Sessions that do not hear all of a round that is not aimed, each as often as it has such a line.
    pub fn deaf(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.reaches.iter().filter_map(|reach| match reach {
            Reach::AllBut(session) => Some(*session),
            Reach::All | Reach::Some(_) => None,
        })
    }

    /// How long ago the first line was accepted from its sender, if one was.
    pub fn age(&self) -> Option<Duration> {
        self.accepted.first().map(Accepted::age)
    }

    /// The lines that `session` hears of a round that is not aimed: one piece for each stretch between others, and how
    /// many lines there are in all.
    pub fn frames_for(&self, session: SessionId, encoding: Encoding) -> (Vec<Bytes>, usize) {
        let own = Reach::AllBut(session);
        self.pieces(encoding, |line| self.reaches[line] != own)
    }

    /// The lines that `hears` is true of, by their places in the round: one piece for each stretch between others, and
    /// how many lines there are in all.
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

    /// A round of plain sessions' texts, which their senders do not hear.
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
