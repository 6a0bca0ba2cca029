//! Turns of actors: the hooks that end broadcasts.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{self, Poll},
};

use actix::{
    Actor, ActorFuture, AsyncContext as _, Context,
    fut::{ActorFutureExt as _, wrap_future},
};

/// Calls a method of its actor each time the actor's mailbox is empty.
///
/// Actix polls an actor's own futures when its mailbox is empty, at the end of the turn and before the thread
/// runs other tasks. This future never ends and needs no waker.
struct WhenMailboxIsEmpty<A: Actor>(fn(&mut A, &mut A::Context));

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

/// Calls a method of its actor one turn after the actor has got work. The other ready tasks of the thread run
/// first and may add work.
pub(crate) struct OneTurnLater<A: Actor> {
    has_work: fn(&A) -> bool,
    work: fn(&mut A, &mut A::Context),
    waited: bool,
}

impl<A: Actor> OneTurnLater<A> {
    /// Calls `work` one turn after `has_work` has become true.
    pub(crate) fn new(has_work: fn(&A) -> bool, work: fn(&mut A, &mut A::Context)) -> Self {
        Self { has_work, work, waited: false }
    }
}

impl<A: Actor> ActorFuture<A> for OneTurnLater<A> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut A::Context,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let has_work = (self.has_work)(actor);
        if has_work && self.waited {
            (self.work)(actor, ctx);
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

/// Number of messages in one turn after which an actor lets the other tasks of its thread run.
const MESSAGES_PER_TURN: usize = 1024;

/// Counts the messages that an actor handles in one turn. Actix empties a mailbox before it lets anything
/// else run. Other threads can refill it as fast as it empties, so the actor pauses by itself.
#[derive(Debug, Default)]
pub(crate) struct TurnLength(usize);

impl TurnLength {
    /// Counts one message. True if the actor must pause.
    fn is_over(&mut self) -> bool {
        self.0 += 1;
        self.0 >= MESSAGES_PER_TURN
    }

    /// Starts a new count.
    fn end(&mut self) {
        self.0 = 0;
    }
}

/// An actor that collects work during a turn, and does it when its mailbox is empty or the turn is too long.
pub(crate) trait Turns: Actor<Context = Context<Self>> {
    /// The length of the current turn.
    fn turn(&mut self) -> &mut TurnLength;

    /// Does the work that was collected.
    fn end_turn(&mut self, ctx: &mut Context<Self>);

    /// Ends each turn from now on. Call when the actor starts.
    fn start_turns(ctx: &mut Context<Self>) {
        ctx.spawn(WhenMailboxIsEmpty(|actor: &mut Self, ctx| {
            actor.end_turn(ctx);
            actor.turn().end();
        }));
    }

    /// Counts one message, after it has been handled. Ends a turn that is too long.
    fn count_turn(&mut self, ctx: &mut Context<Self>) {
        if self.turn().is_over() {
            self.end_turn(ctx);
            self.turn().end();
            ctx.wait(wrap_future(yield_now()).map(|(), _, _| ()));
        }
    }
}

/// Returns after the other ready tasks of the thread have run.
async fn yield_now() {
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
