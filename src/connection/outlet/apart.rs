//! Runs the actor of a session whose connection is carried by actix-http, in a task of its own.
//!
//! actix-http does not poll a response's body while the client takes nothing. An actor inside the body would not
//! learn then that it is dismissed, and would keep its name and its place in the room.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::time::timeout;
use bytes::Bytes;
use futures_core::Stream;

use super::Outbox;
use crate::connection::admission::Admitted;

/// Runs a session to its end, and keeps its place until its last byte is on its way. A client that takes nothing keeps
/// its connection, because actix-http's cannot be cut, but after `patience` no longer its place.
pub(super) async fn run<S, E>(actor: S, outbox: Outbox, admitted: Option<Admitted>, patience: Duration)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let over = Over(outbox.clone());
    run_actor(actor, &outbox).await;
    drop(over);
    // Either way the place is free.
    let _ = timeout(patience, poll_fn(|cx| outbox.poll_gone(cx))).await;
    drop(admitted);
}

/// Runs an actor to its end, and wakes the body for what the actor writes to the outbox.
async fn run_actor<S, E>(mut actor: S, outbox: &Outbox)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut has_told_refusal = false;
    poll_fn(|cx| {
        outbox.0.borrow_mut().runner = Some(cx.waker().clone());
        loop {
            match Pin::new(&mut actor).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(written_past_the_outbox))) => {
                    outbox.answer(|out| out.extend_from_slice(&written_past_the_outbox));
                }
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(()),
            }
            let before = outbox.answer_bytes();
            outbox.wake_body();
            // The actor's inlet ends a session that is refused memory.
            let is_to_be_told = !has_told_refusal && outbox.is_refused();
            has_told_refusal |= is_to_be_told;
            if !is_to_be_told && !outbox.lets_inlet_go_on(before) {
                return Poll::Pending;
            }
        }
    })
    .await;
}

impl Outbox {
    /// Wakes the body, if anything waits for it.
    fn wake_body(&self) {
        let queue = &mut *self.0.borrow_mut();
        if queue.is_deaf {
            queue.drop_all();
        } else if !queue.is_empty()
            && let Some(body) = queue.session.take()
        {
            body.wake();
        }
    }

    /// Ready when the body is gone.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let queue = &mut *self.0.borrow_mut();
        if queue.is_deaf {
            return Poll::Ready(());
        }
        queue.runner = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Ends the body when the actor has ended, by a panic, too.
struct Over(Outbox);

impl Drop for Over {
    fn drop(&mut self) {
        let queue = &mut *self.0.0.borrow_mut();
        queue.is_over = true;
        if let Some(body) = queue.session.take() {
            body.wake();
        }
    }
}
