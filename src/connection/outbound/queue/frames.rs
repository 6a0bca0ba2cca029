//! Where the frames of a queue begin and end.

use bytes::Bytes;

use super::{Kind, Piece, Queue};
use crate::protocol::websocket::frame::{self, OpCode};

/// A place between two bytes of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub piece: usize,
    pub offset: usize,
}

/// The first frame of a queue.
pub(super) struct Front {
    pub opcode: OpCode,
    pub payload: Bytes,
    /// Length of the frame.
    pub len: usize,
    pub kind: Kind,
}

impl Queue {
    /// Whether fewer than `count` frames wait.
    pub(in crate::connection::outbound) fn has_fewer_frames_than(&self, count: usize) -> bool {
        let mut place = Place { piece: 0, offset: self.written };
        let in_pieces = std::iter::from_fn(|| {
            place = self.end_of_frame(place)?;
            Some(())
        });
        let in_pieces = in_pieces.take(count).count();
        let mut tail = &self.tail[if self.pieces.is_empty() { self.written } else { 0 }..];
        let in_tail = std::iter::from_fn(|| {
            let header = frame::ServerHeader::parse(tail)?;
            tail = tail.get(header.len + header.payload_len..).unwrap_or_default();
            Some(())
        });
        in_pieces + in_tail.take(count).count() < count
    }

    /// The first frame. The frame before it is written whole.
    pub(super) fn front(&mut self) -> Option<Front> {
        self.flush_tail();
        let piece = self.pieces.front()?;
        let frames = piece.bytes.get(self.written..)?;
        let header = frame::ServerHeader::parse(frames)?;
        let (from, len) = (self.written + header.len, header.len + header.payload_len);
        let payload = if len <= frames.len() {
            piece.bytes.slice(from..from + header.payload_len)
        } else {
            self.pieces.get(1)?.bytes.clone()
        };
        Some(Front { opcode: header.opcode, payload, len, kind: piece.kind })
    }

    /// The end of the frame that is partly written; the start of the queue if there is none. Call it without a tail.
    pub(super) fn end_of_begun_frame(&self) -> Place {
        let start = Place { piece: 0, offset: 0 };
        let Some(first) = self.pieces.front() else {
            return start;
        };
        if !first.starts_frame {
            return Place { piece: self.next_start(0), offset: 0 };
        }
        let mut place = start;
        while place.piece == 0
            && place.offset < self.written
            && let Some(next) = self.end_of_frame(place)
        {
            place = next;
        }
        place
    }

    /// The first piece behind `index` that begins with a header.
    pub(super) fn next_start(&self, index: usize) -> usize {
        let behind = self.pieces.iter().skip(index + 1);
        index + 1 + behind.take_while(|piece| !piece.starts_frame).count()
    }

    /// The end of the frame that begins at `place`; `None` behind the last frame.
    pub(super) fn end_of_frame(&self, Place { piece: index, offset }: Place) -> Option<Place> {
        let piece = self.pieces.get(index)?;
        let header = frame::ServerHeader::parse(piece.bytes.get(offset..)?)?;
        let end = offset + header.len + header.payload_len;
        let is_inside = end < piece.bytes.len();
        Some(if is_inside {
            Place { piece: index, offset: end }
        } else if end == piece.bytes.len() {
            Place { piece: index + 1, offset: 0 }
        } else {
            Place { piece: self.next_start(index), offset: 0 }
        })
    }

    /// Whether the frame at `place` is a binary message, as such or as base64.
    pub(super) fn is_attachment(&self, Place { piece: index, offset }: Place) -> bool {
        let Some(frames) = self.pieces.get(index).and_then(|piece| piece.bytes.get(offset..)) else {
            return false;
        };
        let Some(header) = frame::ServerHeader::parse(frames) else {
            return false;
        };
        let behind = self.pieces.get(index + 1).filter(|piece| !piece.starts_frame);
        let first = frames.get(header.len).or_else(|| behind?.bytes.first());
        header.opcode == OpCode::Binary || header.opcode == OpCode::Text && first == Some(&b'b')
    }

    /// Makes the piece at `place` two pieces, if `place` is inside of it.
    pub(super) fn split(&mut self, Place { piece: index, offset }: Place) {
        if offset == 0 {
            return;
        }
        if let Some(piece) = self.pieces.get_mut(index) {
            let rest = Piece { bytes: piece.bytes.split_off(offset), starts_frame: true, ..*piece };
            let kind = rest.kind;
            self.pieces.insert(index + 1, rest);
            self.count_piece(kind);
        }
    }
}
