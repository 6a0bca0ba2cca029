//! The way out of a session: what waits to be written, counted.
//!
//! A session actor lives inside its response body. The body's stream is an [`Outlet`] wrapped round the actor's: it
//! runs the actor, then hands the socket what waits in the [`Outbox`] that both share. While the socket is full
//! nobody polls the body, so the count in the outbox is also what others see of a session that is stuck.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use prometheus::IntCounter;

use super::{admission::Admitted, linger};
use crate::{
    chat::messages::Waiting,
    protocol::websocket::frame::{self, OpCode},
};

/// A payload from this size on is queued as it is; a smaller one is copied behind the answers before it, so that many
/// small answers leave as one piece.
const COPY_BELOW: usize = 2048;

/// Finished frames waiting for the socket, shared by a session's actor, its inlet and its outlet.
#[derive(Clone, Debug)]
pub struct Outbox(Rc<RefCell<Queue>>);

#[derive(Debug)]
struct Queue {
    pieces: VecDeque<Piece>,
    /// Answers behind the last piece.
    tail: BytesMut,
    /// Bytes of answers, in `pieces` and `tail`.
    answers: usize,
    /// Bytes of deliveries, in `pieces` and still in the mailbox.
    waiting: Waiting,
    /// Counts the bytes of answers; those of deliveries are counted where they come from.
    bytes_out: IntCounter,
}

#[derive(Debug)]
enum Piece {
    /// What the session answers to its own client.
    Answer(Bytes),
    /// The payload of an answer whose header ends the piece before.
    Payload(Bytes),
    /// What its room says.
    Delivery(Bytes),
}

impl Outbox {
    /// An empty one, which counts what leaves it as answers in `bytes_out`.
    pub fn new(bytes_out: IntCounter) -> Self {
        Self(Rc::new(RefCell::new(Queue {
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            answers: 0,
            waiting: Waiting::default(),
            bytes_out,
        })))
    }

    /// Whether anything waits to be written.
    pub fn has_waiting(&self) -> bool {
        let queue = self.0.borrow();
        !queue.pieces.is_empty() || !queue.tail.is_empty()
    }

    /// The count of delivered bytes, for whoever delivers.
    pub fn waiting(&self) -> Waiting {
        self.0.borrow().waiting.clone()
    }

    /// Bytes of answers that wait. Over the bound the session reads no further messages, see
    /// [`inlet`](super::inlet).
    pub fn answer_bytes(&self) -> usize {
        self.0.borrow().answers
    }

    /// Queues answers: `write` appends finished frames.
    pub fn answer(&self, write: impl FnOnce(&mut BytesMut)) {
        let queue = &mut *self.0.borrow_mut();
        let before = queue.tail.len();
        write(&mut queue.tail);
        queue.answers += queue.tail.len() - before;
    }

    /// Queues one frame as an answer, a large payload without copying it.
    pub fn answer_frame(&self, opcode: OpCode, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            return self.answer(|out| frame::write(out, opcode, &payload));
        }
        self.answer(|out| frame::write_header(out, opcode, payload.len()));
        let queue = &mut *self.0.borrow_mut();
        queue.answers += payload.len();
        queue.flush_tail();
        queue.pieces.push_back(Piece::Payload(payload));
    }

    /// Queues frames that were delivered; they have been counted already.
    pub fn deliver(&self, frames: &[Bytes]) {
        let queue = &mut *self.0.borrow_mut();
        queue.flush_tail();
        queue.pieces.extend(frames.iter().cloned().map(Piece::Delivery));
    }

    /// Drops all that waits, but the rest of a frame whose header is on its way: what is queued next must not be read
    /// as that frame's payload.
    pub fn clear(&self) {
        let queue = &mut *self.0.borrow_mut();
        let begun = match queue.pieces.front() {
            Some(Piece::Payload(payload)) => Some(payload.clone()),
            _ => None,
        };
        let delivered = queue.pieces.iter().map(|piece| match piece {
            Piece::Delivery(bytes) => bytes.len(),
            Piece::Answer(_) | Piece::Payload(_) => 0,
        });
        queue.waiting.subtract(delivered.sum());
        queue.pieces.clear();
        queue.tail.clear();
        queue.answers = begun.as_ref().map_or(0, Bytes::len);
        queue.pieces.extend(begun.map(Piece::Payload));
    }

    fn pop(&self) -> Option<Bytes> {
        let queue = &mut *self.0.borrow_mut();
        match queue.pieces.pop_front() {
            Some(Piece::Answer(bytes) | Piece::Payload(bytes)) => Some(queue.count_answer(bytes)),
            Some(Piece::Delivery(bytes)) => {
                queue.waiting.subtract(bytes.len());
                Some(bytes)
            }
            None if queue.tail.is_empty() => None,
            None => {
                let tail = std::mem::take(&mut queue.tail).freeze();
                Some(queue.count_answer(tail))
            }
        }
    }
}

impl Queue {
    fn count_answer(&mut self, bytes: Bytes) -> Bytes {
        self.answers -= bytes.len();
        self.bytes_out.inc_by(bytes.len() as u64);
        bytes
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(Piece::Answer(std::mem::take(&mut self.tail).freeze()));
        }
    }
}

/// The body of a session's response: runs the actor and yields what it, and its room, want written.
#[derive(Debug)]
pub struct Outlet<S> {
    /// `None` once the actor has ended; what it left in the outbox is still written.
    actor: Option<S>,
    outbox: Outbox,
    /// The session's place, kept until its last byte is on its way.
    _admitted: Admitted,
}

impl<S> Outlet<S> {
    /// Wraps the stream of an actor that writes to `outbox` only.
    pub fn new(actor: S, outbox: Outbox, admitted: Admitted) -> Self {
        Self { actor: Some(actor), outbox, _admitted: admitted }
    }
}

impl<S, E> Stream for Outlet<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(actor) = &mut self.actor {
            match Pin::new(actor).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(None) => self.actor = None,
                written_past_the_outbox => return written_past_the_outbox,
            }
        }
        match self.outbox.pop() {
            Some(bytes) => Poll::Ready(Some(Ok(bytes))),
            None if self.actor.is_none() => {
                linger::wake_when_over(cx.waker().clone());
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(IntCounter::new("bytes", "bytes").expect("a legal name"))
    }

    fn drain(outbox: &Outbox) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| outbox.pop()).map(|bytes| bytes.to_vec()).collect()
    }

    #[test]
    fn answers_and_deliveries_leave_in_the_order_they_came() {
        let outbox = outbox();
        outbox.answer_frame(OpCode::Text, Bytes::from_static(b"a"));
        outbox.answer_frame(OpCode::Text, Bytes::from_static(b"b"));
        outbox.waiting().add(1);
        outbox.deliver(&[Bytes::from_static(b"D")]);
        outbox.answer_frame(OpCode::Binary, Bytes::from(vec![7; COPY_BELOW]));
        outbox.answer_frame(OpCode::Text, Bytes::from_static(b"c"));
        assert_eq!(
            drain(&outbox),
            [
                b"\x81\x01a\x81\x01b".to_vec(),
                b"D".to_vec(),
                b"\x82\x7e\x08\x00".to_vec(),
                vec![7; COPY_BELOW],
                b"\x81\x01c".to_vec(),
            ]
        );
    }

    #[test]
    fn a_frame_that_has_begun_is_finished_when_the_rest_is_dropped() {
        let outbox = outbox();
        outbox.answer_frame(OpCode::Binary, Bytes::from(vec![7; COPY_BELOW]));
        outbox.answer_frame(OpCode::Binary, Bytes::from(vec![8; COPY_BELOW]));
        assert_eq!(outbox.pop().as_deref(), Some(&b"\x82\x7e\x08\x00"[..]), "a header has left");
        outbox.clear();
        assert_eq!(outbox.answer_bytes(), COPY_BELOW);
        outbox.answer_frame(OpCode::Close, Bytes::new());
        assert_eq!(drain(&outbox), [vec![7; COPY_BELOW], b"\x88\x00".to_vec()]);
        assert_eq!(outbox.answer_bytes(), 0);
    }

    #[test]
    fn what_has_left_or_was_dropped_is_no_longer_counted() {
        let outbox = outbox();
        outbox.answer_frame(OpCode::Text, Bytes::from_static(b"abc"));
        outbox.answer_frame(OpCode::Text, Bytes::from(vec![b'x'; 5000]));
        outbox.waiting().add(10);
        outbox.deliver(&[Bytes::from_static(b"0123456789")]);
        assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (5 + 5004, 10));
        outbox.pop();
        assert_eq!(outbox.answer_bytes(), 5000);
        outbox.pop();
        outbox.clear();
        assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (0, 0));
    }
}
