//! When rooms have work to do at a given time. One timer serves all rooms, because actix polls every timer of
//! an actor in each of its turns.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::Future as _,
    pin::Pin,
    rc::Rc,
    task::{self, Poll, Waker},
    time::Instant,
};

use actix::{Actor, ActorFuture, clock};

use crate::broadcast::RoomId;

/// What a room does when an alarm is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Release the nicknames whose hold has ended.
    Names,
    /// Tell its members which users came and went.
    News,
    /// Leave memory, if nothing is lost by that.
    Rest,
}

/// The alarms that are set. Callers pass the time.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeSet<(Instant, RoomId, Alarm)>);

impl Alarms {
    /// Sets an alarm. An alarm cannot be withdrawn: the room checks whether there is still work to do.
    pub(super) fn set(&mut self, at: Instant, room: RoomId, alarm: Alarm) {
        self.0.insert((at, room, alarm));
    }

    /// The time of the earliest alarm.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// Removes and returns the earliest alarm if it is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(RoomId, Alarm)> {
        let (at, room, alarm) = *self.0.first()?;
        (at <= now).then(|| self.0.pop_first())?;
        Some((room, alarm))
    }
}

/// Has a [`Ringing`] look again when it is due.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Rc<RefCell<Option<Set>>>);

/// What a [`Ringing`] waits for.
#[derive(Debug)]
struct Set {
    waker: Waker,
    until: Option<Instant>,
}

impl Bell {
    /// Looks again, after all that its actor does in this turn, if `next` is before the time that was set. A
    /// later time needs nothing: at the time that was set, the ringing looks by itself.
    pub(super) fn look_again(&self, next: Option<Instant>) {
        if let (Some(next), Some(Set { waker, until })) = (next, &*self.0.borrow())
            && until.is_none_or(|until| next < until)
        {
            waker.wake_by_ref();
        }
    }

    fn note(&self, waker: &Waker, until: Option<Instant>) {
        let mut noted = self.0.borrow_mut();
        match &mut *noted {
            Some(set) if set.waker.will_wake(waker) => set.until = until,
            _ => *noted = Some(Set { waker: waker.clone(), until }),
        }
    }
}

/// Calls `ring` of its actor whenever the time that `next` gives has come. Polled in each turn of the actor,
/// behind the messages: a message that changes `next` needs no notification. Another future of the actor may be
/// polled behind this one, and must ring the [`Bell`].
pub(super) struct Ringing<A: Actor> {
    bell: Bell,
    next: fn(&A) -> Option<Instant>,
    ring: fn(&mut A, &mut A::Context),
    /// The running timer and the time it is set to.
    sleep: Option<(Instant, Pin<Box<clock::Sleep>>)>,
}

impl<A: Actor> Ringing<A> {
    /// Calls `ring` at the time that `next` gives.
    pub(super) fn new(
        bell: Bell,
        next: fn(&A) -> Option<Instant>,
        ring: fn(&mut A, &mut A::Context),
    ) -> Self {
        Self { bell, next, ring, sleep: None }
    }
}

impl<A: Actor> ActorFuture<A> for Ringing<A> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut A::Context,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        while let Some(at) = (self.next)(actor) {
            let mut sleep = match self.sleep.take() {
                Some((until, sleep)) if until == at => sleep,
                _ => Box::pin(clock::sleep_until(at.into())),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                self.sleep = Some((at, sleep));
                self.bell.note(cx.waker(), Some(at));
                return Poll::Pending;
            }
            (self.ring)(actor, ctx);
        }
        self.sleep = None;
        self.bell.note(cx.waker(), None);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Rings once, at the time that its own future sets.
    struct Sleeper {
        bell: Bell,
        at: Option<Instant>,
        rung: Option<tokio::sync::oneshot::Sender<()>>,
    }

    impl Actor for Sleeper {
        type Context = actix::Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            use actix::{
                AsyncContext as _,
                fut::{ActorFutureExt as _, wrap_future},
            };
            let ring = |sleeper: &mut Self, _: &mut Self::Context| {
                sleeper.at = None;
                if let Some(rung) = sleeper.rung.take() {
                    rung.send(()).expect("the test listens");
                }
            };
            ctx.spawn(Ringing::new(self.bell.clone(), |sleeper| sleeper.at, ring));
            // Behind the other one.
            ctx.spawn(wrap_future(tokio::task::yield_now()).map(|(), sleeper: &mut Self, _| {
                sleeper.at = Some(Instant::now() + Duration::from_millis(1));
                sleeper.bell.look_again(sleeper.at);
            }));
        }
    }

    #[actix_web::test]
    async fn an_alarm_that_is_set_outside_of_a_message_rings_without_another_message() {
        let (rung, hears) = tokio::sync::oneshot::channel();
        let _sleeper = Sleeper { bell: Bell::default(), at: None, rung: Some(rung) }.start();
        assert_eq!(hears.await, Ok(()));
    }

    #[test]
    fn alarms_are_due_in_their_order_and_once() {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        let (a, b) = (RoomId::next(), RoomId::next());
        let later = now + Duration::from_secs(1);
        alarms.set(later, a, Alarm::News);
        alarms.set(now, b, Alarm::Names);
        alarms.set(now, b, Alarm::Names);
        assert_eq!(alarms.next(), Some(now));
        assert_eq!(alarms.take_due(now), Some((b, Alarm::Names)));
        assert_eq!(alarms.take_due(now), None);
        assert_eq!(alarms.take_due(later), Some((a, Alarm::News)));
        assert_eq!(alarms.next(), None);
    }
}
