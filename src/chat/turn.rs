//! When an actor's turn ends: the hooks that rounds are made with.

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
pub(super) struct WhenMailboxIsEmpty<A: Actor>(pub(super) fn(&mut A, &mut A::Context));

impl<A: Actor> ActorFuture<A> for WhenMailboxIsEmpty<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut A::Context,
        _: &mut task::Context<'_>,
    ) -> Poll<()> {
        (self.0)(actor, ctx);
        Poll::Pending
    }
}

/// Calls a method of its actor one turn after the actor has got something to do: what is ready on the thread by then
/// runs first, and may add to it.
pub(super) struct OneTurnLater<A> {
    has_work: fn(&A) -> bool,
    work: fn(&mut A),
    waited: bool,
}

impl<A> OneTurnLater<A> {
    /// Calls `work` one turn after `has_work` has become true.
    pub(super) fn new(has_work: fn(&A) -> bool, work: fn(&mut A)) -> Self {
        Self { has_work, work, waited: false }
    }
}

impl<A: Actor> ActorFuture<A> for OneTurnLater<A> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        _: &mut A::Context,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let has_work = (self.has_work)(actor);
        if has_work && self.waited {
            (self.work)(actor);
            self.waited = false;
        } else {
            self.waited = has_work;
            if has_work {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

/// After this many messages without a pause an actor lets the other tasks of its thread run.
const MESSAGES_PER_TURN: usize = 1024;

/// Counts the messages that an actor handles in one turn. Actix empties a mailbox before it lets anything else run;
/// other threads can refill one as fast as it empties, so after a while the actor stops by itself.
#[derive(Debug, Default)]
pub(super) struct TurnLength(usize);

impl TurnLength {
    /// One more message; whether the turn has been long enough.
    pub(super) fn is_over(&mut self) -> bool {
        self.0 += 1;
        self.0 >= MESSAGES_PER_TURN
    }

    /// The turn ends.
    pub(super) fn end(&mut self) {
        self.0 = 0;
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
