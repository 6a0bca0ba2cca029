//! The frames that wait for a connection, in order: pure, without a socket, a budget or a clock.
//!
//! All frames are finished WebSocket frames of a server, whatever takes them: a socket takes bytes, a poll takes the frames'
//! payloads as packets.

use std::{collections::VecDeque, io::IoSlice, mem};

use bytes::{Buf as _, Bytes, BytesMut};

use self::frames::Front;
use crate::{
    connection::{
        Backlog,
        wire::{MAX_PIECES, Slices},
    },
    protocol::{
        engineio,
        websocket::frame::{self, OpCode},
    },
};

mod frames;

/// Payloads of this size or larger are queued without copying. Smaller ones are copied behind the frames before them, so
/// that many small frames are one piece.
pub(super) const COPY_BELOW: usize = 2048;

/// Events that a client missed are copied below this size only: all clients that missed them share their bytes.
const COPY_MISSED_BELOW: usize = 256;

/// Small frames are one piece up to this size.
const MAX_TAIL: usize = 64 * 1024;

/// Memory of a waiting piece beside its bytes.
pub(super) const PIECE_BYTES: usize = 2 * size_of::<Piece>();

/// The source of a frame. It decides which bound the frame counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The session's own. Too many bytes stop the reading from the client.
    Answer,
    /// A broadcast's. Too many bytes evict the client.
    Delivery,
    /// Events that the client missed while it was away, which the store that kept them bounds; and broadcasts behind them, of
    /// as many bytes.
    Missed,
    /// The rest of a frame that was partly written when the queue was cleared.
    Rest,
}

#[derive(Clone, Debug)]
struct Piece {
    bytes: Bytes,
    kind: Kind,
    /// Only this queue holds the bytes. A broadcast charges the bytes that it shares.
    is_own: bool,
    /// Begins with a header. If not, the header is the end of the piece before, or is written already.
    starts_frame: bool,
}

/// The frames that wait.
#[derive(Debug)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
    /// Small frames behind the last piece, one after another, all of `tail_kind`.
    tail: BytesMut,
    tail_kind: Kind,
    /// Bytes of the first piece that are written, or of `tail` if there are no pieces.
    written: usize,
    /// Unwritten bytes of all kinds.
    bytes: usize,
    /// Unwritten bytes of answers.
    answers: usize,
    /// Bytes that only this queue holds. A piece counts until all of it is written.
    own: usize,
    /// Unwritten bytes of deliveries, with the memory of their pieces.
    delivered: usize,
    /// Unwritten bytes of the kind *missed*, and how many were missed since there were none.
    missed: usize,
    most_missed: usize,
    /// The backlog of deliveries: `delivered`, and what waits in the session's mailbox.
    backlog: Backlog,
}

impl Queue {
    /// An empty queue. Deliveries are counted in `backlog`.
    pub(super) fn new(backlog: Backlog) -> Self {
        Self {
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            tail_kind: Kind::Answer,
            written: 0,
            bytes: 0,
            answers: 0,
            own: 0,
            delivered: 0,
            missed: 0,
            most_missed: 0,
            backlog,
        }
    }

    /// Takes all that waits.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::new(self.backlog.clone());
        mem::replace(self, empty)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Unwritten bytes of all kinds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unwritten bytes of answers.
    pub(super) fn answers(&self) -> usize {
        self.answers
    }

    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// The memory that only this queue holds, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.own + self.pieces.len() * PIECE_BYTES
    }

    // ----- in -----

    /// Appends small finished frames, which `write` writes.
    pub(super) fn push_small(&mut self, kind: Kind, write: impl FnOnce(&mut BytesMut)) {
        if self.tail_kind != kind {
            self.flush_tail();
            self.tail_kind = kind;
        }
        let before = self.tail.len();
        write(&mut self.tail);
        let bytes = self.tail.len() - before;
        self.count(kind, bytes);
        self.own += bytes;
        if self.tail.len() >= MAX_TAIL {
            self.flush_tail();
        }
    }

    /// Appends one frame. A large payload is not copied.
    pub(super) fn push_frame(&mut self, kind: Kind, opcode: OpCode, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            return self.push_small(kind, |out| frame::write(out, opcode, &payload));
        }
        self.push_small(kind, |out| frame::write_header(out, opcode, payload.len()));
        // The header is a piece of its own now.
        self.push(payload, kind, true, false);
    }

    /// Appends one frame of an event that the client missed. Its bytes are shared, and charged by their owner.
    pub(super) fn push_missed(&mut self, opcode: OpCode, payload: Bytes) {
        let before = self.missed;
        if payload.len() < COPY_MISSED_BELOW {
            self.push_small(Kind::Missed, |out| frame::write(out, opcode, &payload));
        } else {
            self.push_small(Kind::Missed, |out| frame::write_header(out, opcode, payload.len()));
            self.push(payload, Kind::Missed, false, false);
        }
        self.most_missed += self.missed - before;
    }

    /// Appends finished frames of a broadcast. While a client reads what it missed, as many bytes of broadcasts may wait
    /// behind that as it missed: it is no slow reader because its rooms speak on.
    pub(super) fn push_delivery(&mut self, frames: &[Bytes], is_own: bool) {
        for frames in frames {
            let is_behind_missed = self.missed > 0 && self.missed + frames.len() <= 2 * self.most_missed;
            let kind = if is_behind_missed { Kind::Missed } else { Kind::Delivery };
            self.push(frames.clone(), kind, is_own, true);
        }
    }

    fn push(&mut self, bytes: Bytes, kind: Kind, is_own: bool, starts_frame: bool) {
        self.flush_tail();
        self.count(kind, bytes.len());
        self.count_piece(kind);
        if is_own {
            self.own += bytes.len();
        }
        self.pieces.push_back(Piece { bytes, kind, is_own, starts_frame });
    }

    /// Inserts a frame before all that wait, but not into a frame that is partly written, and not between an event and its
    /// attachments, because some clients accept no other packet there.
    pub(super) fn push_first(&mut self, opcode: OpCode, payload: &[u8]) {
        let mut frame = BytesMut::new();
        frame::write(&mut frame, opcode, payload);
        let bytes = frame.freeze();
        self.flush_tail();
        let mut place = self.end_of_begun_frame();
        while self.is_attachment(place)
            && let Some(next) = self.end_of_frame(place)
        {
            place = next;
        }
        self.split(place);
        let index = if place.offset == 0 { place.piece } else { place.piece + 1 };
        self.count(Kind::Answer, bytes.len());
        self.own += bytes.len();
        self.pieces.insert(index, Piece { bytes, kind: Kind::Answer, is_own: true, starts_frame: true });
    }

    /// Puts what waits in `former` before all that waits here.
    pub(super) fn go_behind(&mut self, mut former: Self) {
        former.flush_tail();
        self.flush_tail();
        former.backlog.subtract(former.delivered);
        self.backlog.add(former.delivered);
        self.written = former.written;
        self.bytes += former.bytes;
        self.answers += former.answers;
        self.own += former.own;
        self.delivered += former.delivered;
        self.missed += former.missed;
        self.most_missed += former.most_missed;
        former.pieces.extend(mem::take(&mut self.pieces));
        self.pieces = former.pieces;
    }

    /// Makes all binary frames text frames with base64.
    pub(super) fn make_text_only(&mut self) {
        let mut made = Self::new(self.backlog.clone());
        while let Some(Front { opcode, payload, len, kind }) = self.front() {
            self.advance(len);
            made.push_frame(
                kind,
                OpCode::Text,
                if opcode == OpCode::Binary { base64(&payload) } else { payload },
            );
        }
        made.most_missed = self.most_missed;
        *self = made;
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            let (bytes, kind) = (mem::take(&mut self.tail).freeze(), self.tail_kind);
            self.count_piece(kind);
            self.pieces.push_back(Piece { bytes, kind, is_own: true, starts_frame: true });
        }
    }

    // ----- out -----

    /// The first unwritten bytes, for one write to a socket.
    pub(super) fn unwritten(&self) -> Unwritten<'_> {
        if self.pieces.is_empty() {
            return Unwritten::One(&self.tail[self.written..]);
        }
        let pieces = self.pieces.iter().map(|piece| &*piece.bytes).chain([&*self.tail]);
        let mut slices: Slices<'_> = pieces.map(IoSlice::new).take(MAX_PIECES).collect();
        slices[0].advance(self.written);
        Unwritten::Many(slices)
    }

    /// Removes `bytes` bytes, which have been written. Returns how many of them were of answers.
    pub(super) fn advance(&mut self, mut bytes: usize) -> usize {
        let before = self.answers;
        while bytes > 0
            && let Some(piece) = self.pieces.front()
        {
            let (kind, is_own, len) = (piece.kind, piece.is_own, piece.bytes.len());
            let part = bytes.min(len - self.written);
            self.uncount(kind, part);
            self.written += part;
            bytes -= part;
            if self.written == len {
                self.pieces.pop_front();
                self.written = 0;
                self.remove_piece(len, kind, is_own);
            }
        }
        if self.pieces.is_empty() {
            self.advance_tail(bytes);
        }
        before - self.answers
    }

    fn advance_tail(&mut self, bytes: usize) {
        self.uncount(self.tail_kind, bytes);
        self.written += bytes;
        if self.written == self.tail.len() {
            self.own -= self.tail.len();
            // Free the buffers of an idle session.
            self.tail = BytesMut::new();
            self.written = 0;
            if self.pieces.capacity() > MAX_PIECES {
                self.pieces = VecDeque::new();
            }
        }
    }

    /// Takes packets for one poll response: at most `max_packets` and `max_bytes`, except that the first packet may be
    /// larger. `None` if nothing waits.
    pub(super) fn take_packets(&mut self, max_packets: usize, max_bytes: usize) -> Option<String> {
        let mut payload = String::new();
        for count in 0..max_packets {
            let Some(Front { opcode, payload: packet, len, .. }) = self.front() else {
                break;
            };
            let is_text = opcode == OpCode::Text;
            let size = if is_text { packet.len() } else { engineio::binary_len(packet.len()) };
            if count > 0 && payload.len() + 1 + size > max_bytes {
                break;
            }
            match str::from_utf8(&packet) {
                Ok(text) if is_text => engineio::push_text(&mut payload, text),
                _ => engineio::push_binary(&mut payload, &packet),
            }
            self.advance(len);
        }
        self.trim();
        (!payload.is_empty()).then_some(payload)
    }

    /// Lets the written part of the first piece go, of which only whole frames have been taken.
    fn trim(&mut self) {
        if let Some(first) = self.pieces.front_mut() {
            let written = mem::take(&mut self.written);
            first.bytes.advance(written);
            if first.is_own {
                self.own -= written;
            }
        }
    }

    /// Drops what waits, except the rest of a frame that is partly written: otherwise the client would read later bytes as
    /// part of it.
    pub(super) fn clear(&mut self) {
        self.flush_tail();
        let end = self.end_of_begun_frame();
        let rest: Vec<_> = self.pieces.iter().take(end.piece + 1).cloned().collect();
        let written = self.written;
        self.drop_all();
        for (index, piece) in rest.into_iter().enumerate() {
            let from = if index == 0 { written } else { 0 };
            let to = if index == end.piece { end.offset } else { piece.bytes.len() };
            if from < to {
                self.push(piece.bytes.slice(from..to), Kind::Rest, piece.is_own, false);
            }
        }
    }

    /// Drops all that waits.
    pub(super) fn drop_all(&mut self) {
        let dropped = self.take();
        dropped.backlog.subtract(dropped.delivered);
    }

    // ----- counts -----

    fn count(&mut self, kind: Kind, bytes: usize) {
        self.bytes += bytes;
        match kind {
            Kind::Answer => self.answers += bytes,
            Kind::Delivery => {
                self.delivered += bytes;
                self.backlog.add(bytes);
            }
            Kind::Missed => self.missed += bytes,
            Kind::Rest => {}
        }
    }

    fn uncount(&mut self, kind: Kind, bytes: usize) {
        self.bytes -= bytes;
        match kind {
            Kind::Answer => self.answers -= bytes,
            Kind::Delivery => {
                self.delivered -= bytes;
                self.backlog.subtract(bytes);
            }
            Kind::Missed => {
                self.missed -= bytes;
                if self.missed == 0 {
                    self.most_missed = 0;
                }
            }
            Kind::Rest => {}
        }
    }

    /// Counts the memory of a new piece beside its bytes.
    fn count_piece(&mut self, kind: Kind) {
        if kind == Kind::Delivery {
            self.delivered += PIECE_BYTES;
            self.backlog.add(PIECE_BYTES);
        }
    }

    /// Uncounts the memory of a piece that is written.
    fn remove_piece(&mut self, len: usize, kind: Kind, is_own: bool) {
        if is_own {
            self.own -= len;
        }
        if kind == Kind::Delivery {
            self.delivered -= PIECE_BYTES;
            self.backlog.subtract(PIECE_BYTES);
        }
    }
}

/// Bytes for one write to a socket.
pub(super) enum Unwritten<'a> {
    One(&'a [u8]),
    Many(Slices<'a>),
}

/// Finished frames of a broadcast for a client that takes no binary frames; `None` if none of them is binary.
pub(super) fn text_only(frames: &[Bytes]) -> Option<Bytes> {
    let frames: Vec<_> = frames.iter().cloned().flat_map(frame::payloads).collect();
    frames.iter().any(|(opcode, _)| *opcode == OpCode::Binary).then(|| {
        let mut out = BytesMut::new();
        for (opcode, payload) in frames {
            let payload = if opcode == OpCode::Binary { base64(&payload) } else { payload };
            frame::write(&mut out, OpCode::Text, &payload);
        }
        out.freeze()
    })
}

/// A binary message as the text of an Engine.IO packet.
pub(super) fn base64(bytes: &[u8]) -> Bytes {
    let mut text = String::with_capacity(engineio::binary_len(bytes.len()));
    engineio::push_binary(&mut text, bytes);
    Bytes::from(text)
}

#[cfg(test)]
mod tests;
