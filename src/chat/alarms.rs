//! When rooms have work to do at a given time. One timer serves all rooms, because actix polls every timer of
//! an actor in each of its turns.

use std::{
    collections::BTreeSet,
    future::Future as _,
    pin::Pin,
    task::{self, Poll},
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

/// Calls `ring` of its actor whenever the time that `next` gives has come. Polled in each turn of the actor,
/// so a change of `next` needs no notification.
pub(super) struct Ringing<A: Actor> {
    next: fn(&A) -> Option<Instant>,
    ring: fn(&mut A, &mut A::Context),
    /// The running timer and the time it is set to.
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
