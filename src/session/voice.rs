//! Answers of a WebSocket session to its own client.

use actix_web::web;
use bytes::{Bytes, BytesMut};

use super::Worker;
use crate::{
    connection::outbound::Outbound,
    protocol::{
        plain,
        websocket::{
            deflate::{self, Agreement},
            frame::{self, OpCode},
        },
    },
};

/// Writes answers as finished frames, compressed if that was agreed on and is worth it.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    /// The outgoing queue.
    pub outbound: Outbound,
    /// The compression that was agreed on in the handshake, if any.
    pub agreement: Option<Agreement>,
    worker: web::Data<Worker>,
}

impl Voice {
    /// For a session of `worker` that writes to `outbound`.
    pub(crate) fn new(outbound: Outbound, agreement: Option<Agreement>, worker: web::Data<Worker>) -> Self {
        Self { outbound, agreement, worker }
    }

    /// Answers a text in upper case.
    pub(crate) fn answer_in_upper_case(&self, text: &str) {
        if self.agreement.is_some() && deflate::is_worth_it(text.len()) {
            let mut answer = BytesMut::new();
            plain::write_text(&mut answer, text);
            self.answer(OpCode::Text, answer.freeze());
        } else {
            self.outbound.answer(|out| plain::write_answer(out, text));
        }
    }

    /// Queues a message as an answer.
    pub(crate) fn answer(&self, opcode: OpCode, payload: Bytes) {
        if let Some(agreement) = self.agreement.filter(|_| deflate::is_worth_it(payload.len()))
            && let Some(small) =
                self.worker.deflaters.borrow_mut().with_window(agreement.window_bits()).deflate(&payload)
        {
            return self.outbound.answer(|out| frame::write_compressed(out, opcode, small));
        }
        self.outbound.answer_frame(opcode, payload);
    }
}
