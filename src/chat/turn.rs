//! When an actor's turn ends: the two hooks that rounds are made with.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{self, Poll},
};

use actix::{Actor, ActorFuture};

/// Calls a method of its actor each time the actor's mailbox has been emptied.
///
/// Actix polls an actor's own futures after its mailbox ran dry, in the same turn and before the thread does
/// anything else; this one never ends and needs no waking.
pub(super) struct WhenMailboxIsEmpty<A>(pub(super) fn(&mut A));

impl<A: Actor> ActorFuture<A> for WhenMailboxIsEmpty<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, actor: &mut A, _: &mut A::Context, _: &mut task::Context<'_>) -> Poll<()> {
        (self.0)(actor);
        Poll::Pending
    }
}

/// Pending once, so that the other tasks of the thread have their turn.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
