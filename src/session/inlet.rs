//! The way into a session: bytes from the client, decoded behind a gate.
//!
//! The gate is shut while the session has too much accepted and not dealt with, or too many of its own answers
//! unread. A shut gate stops the decoder between two messages; nothing is dropped, the bytes stay where they are,
//! and TCP slows the client down. The actor's mailbox and timers run on.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_core::Stream;

use super::outlet::Outbox;
use crate::{
    chat::Intake,
    protocol::websocket::{Decoder, Message, ProtocolError},
};

/// What comes in from the client.
#[derive(Debug)]
pub enum Inbound {
    /// A whole message.
    Message(Message),
    /// The bytes break the protocol or a limit; nothing more will come.
    Broken(ProtocolError),
    /// The connection ended; nothing more will come.
    Lost,
}

/// A stream of the client's messages, for `StreamHandler`.
#[derive(Debug)]
pub struct Inlet<P> {
    payload: P,
    chunk: Bytes,
    decoder: Decoder,
    intake: Intake,
    outbox: Outbox,
    max_answer_bytes: usize,
    ended: bool,
}

impl<P> Inlet<P> {
    /// Decodes `payload` while `intake` is open and `outbox` holds at most `max_answer_bytes` of answers.
    pub fn new(
        payload: P,
        decoder: Decoder,
        intake: Intake,
        outbox: Outbox,
        max_answer_bytes: usize,
    ) -> Self {
        Self { payload, chunk: Bytes::new(), decoder, intake, outbox, max_answer_bytes, ended: false }
    }

    fn poll_gate(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbox.answer_bytes() > self.max_answer_bytes {
            // Nobody needs to wake us: the outlet runs the actor, and so this stream, after each piece it yields.
            return Poll::Pending;
        }
        self.intake.poll_open(cx)
    }
}

impl<P> Stream for Inlet<P>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        ready!(this.poll_gate(cx));
        loop {
            match this.decoder.decode(&mut this.chunk) {
                Ok(Some(message)) => return Poll::Ready(Some(Inbound::Message(message))),
                Ok(None) => {}
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Inbound::Broken(error)));
                }
            }
            match ready!(Pin::new(&mut this.payload).poll_next(cx)) {
                Some(Ok(chunk)) => this.chunk = chunk,
                // actix-http reports the end of an upgraded connection as an incomplete payload.
                Some(Err(_)) | None => {
                    this.ended = true;
                    return Poll::Ready(Some(Inbound::Lost));
                }
            }
        }
    }
}
