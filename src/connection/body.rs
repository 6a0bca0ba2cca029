//! The response bodies of sessions that are on the thread of their connection.
//!
//! A session's actor lives inside its response body, a [`SessionBody`] around the actor's stream: it runs the actor, then
//! writes the [`Outbound`] that both share. A lesson runs in a task of its own, and its body only writes ([`Output`]).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;

use super::{admission::Admitted, outbound::Outbound};

/// The body of a response whose session runs elsewhere on the thread: writes its output until it has ended.
#[derive(Debug)]
pub(crate) struct Output(pub Outbound);

impl Drop for Output {
    fn drop(&mut self) {
        self.0.drop_all();
        self.0.release();
    }
}

impl Stream for Output {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.0.poll_write(cx))?;
        if self.0.has_ended() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// The body of a session's response: runs the session's actor, and writes its output.
#[derive(Debug)]
pub(crate) struct SessionBody<S> {
    /// `None` once it has ended. What it left in the outbound is still written.
    actor: Option<S>,
    outbound: Outbound,
    /// The inlet has been polled since the outbound exceeded the memory budget.
    has_told_refusal: bool,
    /// The session's place, kept until its last byte is on its way.
    _admitted: Admitted,
}

impl<S> SessionBody<S> {
    /// Wraps the stream of an actor that writes to `outbound` only.
    pub(crate) fn new(actor: S, outbound: Outbound, admitted: Admitted) -> Self {
        Self { actor: Some(actor), outbound, has_told_refusal: false, _admitted: admitted }
    }
}

impl<S> Drop for SessionBody<S> {
    fn drop(&mut self) {
        // The fan-out may keep the outbound a little longer. It must not keep the socket open.
        self.outbound.release();
    }
}

impl<S, E> Stream for SessionBody<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: From<io::Error>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.outbound.set_attended(true);
        loop {
            if let Some(actor) = &mut this.actor {
                match Pin::new(actor).poll_next(cx) {
                    Poll::Pending => {}
                    Poll::Ready(None) => this.actor = None,
                    past_the_queue => return past_the_queue,
                }
            }
            let before = this.outbound.answer_bytes();
            if let Poll::Ready(Err(error)) = this.outbound.poll_write(cx) {
                if this.actor.is_none() || this.outbound.is_cut() {
                    return Poll::Ready(Some(Err(error.into())));
                }
                // The actor must read what the client sent before the failure; then it ends.
                this.outbound.drop_all();
            }
            // The inlet ends a session that exceeds the memory budget.
            let is_to_be_told = !this.has_told_refusal && this.outbound.is_refused();
            this.has_told_refusal |= is_to_be_told;
            if !is_to_be_told && !this.outbound.lets_inlet_go_on(before) {
                break;
            }
        }
        this.outbound.set_attended(false);
        if this.actor.is_none() && !this.outbound.has_waiting() { Poll::Ready(None) } else { Poll::Pending }
    }
}
