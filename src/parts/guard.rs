//! Polls a shared actor, and notes if it dies.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use actix::{Actor, Context, dev::ContextFut};

use super::Parts;

/// A shared actor whose panics outside of its steps are caught.
pub(super) struct Guarded<A: Actor<Context = Context<A>>> {
    parts: Arc<Parts>,
    name: Arc<str>,
    /// `None` once the actor has panicked.
    context: Option<ContextFut<A, Context<A>>>,
    /// Ends the time in which the actor is not polled.
    #[cfg(feature = "poison")]
    stall: Option<Pin<Box<actix_web::rt::time::Sleep>>>,
}

impl<A: Actor<Context = Context<A>>> Guarded<A> {
    pub(super) fn new(parts: Arc<Parts>, name: Arc<str>, context: ContextFut<A, Context<A>>) -> Self {
        Self {
            parts,
            name,
            context: Some(context),
            #[cfg(feature = "poison")]
            stall: None,
        }
    }

    /// Whether the actor is held up for a test.
    #[cfg(feature = "poison")]
    fn is_stalled(&mut self, cx: &mut task::Context<'_>) -> bool {
        if let Some(until) = self.parts.stalled_until(&self.name) {
            self.stall = Some(Box::pin(actix_web::rt::time::sleep_until(until.into())));
        }
        self.stall.as_mut().is_some_and(|stall| stall.as_mut().poll(cx).is_pending())
    }
}

impl<A: Actor<Context = Context<A>>> Unpin for Guarded<A> {}

impl<A: Actor<Context = Context<A>>> Future for Guarded<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        #[cfg(feature = "poison")]
        if this.is_stalled(cx) {
            return Poll::Pending;
        }
        let Some(context) = &mut this.context else {
            return Poll::Ready(());
        };
        let step = catch_unwind(AssertUnwindSafe(|| Pin::new(context).poll(cx)));
        match step {
            Ok(poll) => poll,
            Err(panic) => {
                this.parts.died(&this.name, &*panic);
                // Dropping the broken state may panic again, which adds no information.
                let _ = catch_unwind(AssertUnwindSafe(|| this.context = None));
                Poll::Ready(())
            }
        }
    }
}
