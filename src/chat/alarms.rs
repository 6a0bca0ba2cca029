//! The times at which rooms have something to do, behind one timer for all of them: actix looks at every timer of an actor
//! in each of its turns.

use std::{
    collections::BTreeSet,
    future::Future as _,
    pin::Pin,
    task::{self, Poll},
    time::Instant,
};

use actix::{Actor, ActorFuture, clock};

use super::rooms::RoomId;

/// What a room is to do when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Let names go that have been held long enough.
    Names,
    /// Tell its members who came and who went.
    News,
}

/// Alarms that have been set. A plain struct that is told the time.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeSet<(Instant, RoomId, Alarm)>);

impl Alarms {
    /// Sets an alarm. Alarms are not taken back: the room looks by itself whether there is still something to do.
    pub(super) fn set(&mut self, at: Instant, room: RoomId, alarm: Alarm) {
        self.0.insert((at, room, alarm));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, ..)| *at)
    }

    /// Takes one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(RoomId, Alarm)> {
        let (at, room, alarm) = *self.0.first()?;
        (at <= now).then(|| self.0.pop_first())?;
        Some((room, alarm))
    }
}

/// Calls `ring` of its actor whenever the time that `next` gives has come. Polled in each of the actor's turns, so it
/// needs no word when `next` changes.
pub(super) struct Ringing<A: Actor> {
    next: fn(&A) -> Option<Instant>,
    ring: fn(&mut A, &mut A::Context),
    /// Until when it sleeps.
    sleep: Option<(Instant, Pin<Box<clock::Sleep>>)>,
}

impl<A: Actor> Ringing<A> {
    /// Calls `ring` at the time that `next` gives.
    pub(super) fn new(next: fn(&A) -> Option<Instant>, ring: fn(&mut A, &mut A::Context)) -> Self {
        Self { next, ring, sleep: None }
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
                return Poll::Pending;
            }
            (self.ring)(actor, ctx);
        }
        self.sleep = None;
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
