//! What waits for its place in the order of the cluster.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::socketio::cluster::Deliver;

/// How long something is waited for that this server has said while nothing is heard at all, until it is done here all the
/// same. Redis does not refuse what is published without a reason that is logged.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is waited for while only other servers are heard.
const MOST_PATIENCE: Duration = Duration::from_secs(10);

/// A look at the time that is so late shows that this process has stood still: what has come meanwhile is heard first.
const STANDSTILL: Duration = Duration::from_millis(250);

/// What this server has said and not heard yet, in order, with what was ordered only for itself behind it.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// When something was heard last.
    heard_at: Option<Instant>,
    /// When this server has heard itself last.
    own_at: Option<Instant>,
}

struct Waiting {
    /// What was said; `None` for what is done behind that before it.
    body: Option<Bytes>,
    deliver: Deliver,
    since: Instant,
}

impl Queue {
    /// Adds something that was said, or that is done behind what was said. Returns it if nothing is waited for.
    pub(super) fn push(&mut self, now: Instant, body: Option<Bytes>, deliver: Deliver) -> Option<Deliver> {
        if body.is_none() && self.waiting.is_empty() {
            return Some(deliver);
        }
        self.waiting.push_back(Waiting { body, deliver, since: now });
        None
    }

    /// Takes out what this server hears itself say, with what waits before it and behind it; nothing if it is not waited for.
    /// What was said before it will not be heard any more.
    pub(super) fn heard(&mut self, now: Instant, body: &Bytes) -> Vec<Deliver> {
        let place = self.waiting.iter().position(|waiting| waiting.body.as_ref() == Some(body));
        let Some(place) = place else {
            return Vec::new();
        };
        self.own_at = Some(now);
        let behind = self.waiting.iter().skip(place + 1).take_while(|waiting| waiting.body.is_none()).count();
        self.take(place + 1 + behind)
    }

    /// Something was heard: what this server has said may come behind it.
    pub(super) fn heard_something(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Takes out what has waited for too long, and what waits only for that.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Deliver> {
        let Some(deadline) = self.next_overdue().filter(|deadline| *deadline <= now) else {
            return Vec::new();
        };
        if now > deadline + STANDSTILL {
            (self.heard_at, self.own_at) = (Some(now), Some(now));
            return Vec::new();
        }
        let is_overdue = |waiting: &&Waiting| waiting.body.is_none() || self.deadline_of(waiting) <= now;
        let count = self.waiting.iter().take_while(is_overdue).count();
        self.take(count)
    }

    fn deadline_of(&self, waiting: &Waiting) -> Instant {
        let last = |heard: Option<Instant>| heard.map_or(waiting.since, |heard| heard.max(waiting.since));
        (last(self.heard_at.max(self.own_at)) + PATIENCE).min(last(self.own_at) + MOST_PATIENCE)
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Deliver> {
        self.take(self.waiting.len())
    }

    fn take(&mut self, count: usize) -> Vec<Deliver> {
        self.waiting.drain(..count).map(|waiting| waiting.deliver).collect()
    }

    /// When the first has waited for too long.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        Some(self.deadline_of(self.waiting.front()?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A queue, and what has been delivered of it.
    #[derive(Default)]
    struct Test {
        queue: Queue,
        done: Arc<Mutex<Vec<u8>>>,
    }

    impl Test {
        fn push(&mut self, now: Instant, body: Option<&'static str>, number: u8) -> bool {
            let done = Arc::clone(&self.done);
            let deliver = Deliver::new(move |_| done.lock().expect("no panic").push(number));
            let body = body.map(|body| Bytes::from_static(body.as_bytes()));
            self.queue.push(now, body, deliver).is_some()
        }

        fn done(&self, taken: Vec<Deliver>) -> Vec<u8> {
            taken.into_iter().for_each(|deliver| deliver.now(None));
            std::mem::take(&mut *self.done.lock().expect("no panic"))
        }
    }

    #[test]
    fn what_is_heard_is_done_in_order_with_what_waits_behind_it() {
        let (mut test, now) = (Test::default(), Instant::now());
        assert!(test.push(now, None, 0), "nothing is before it");
        assert_eq!(test.done(Vec::new()), [0], "what is dropped is done");
        for (body, number) in [(Some("a"), 1), (None, 2), (None, 3), (Some("b"), 4), (Some("a"), 5)] {
            assert!(!test.push(now, body, number));
        }
        let heard = test.queue.heard(now, &Bytes::from_static(b"a"));
        assert_eq!(test.done(heard), [1, 2, 3]);
        let heard = test.queue.heard(now, &Bytes::from_static(b"other"));
        assert!(test.done(heard).is_empty());
        // What was said before is not heard any more.
        let heard = test.queue.heard(now, &Bytes::from_static(b"a"));
        assert_eq!(test.done(heard), [4, 5]);
        assert!(test.queue.next_overdue().is_none());
    }

    #[test]
    fn what_is_not_heard_in_time_is_done_all_the_same() {
        let (mut test, now) = (Test::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        test.push(now, Some("a"), 1);
        test.push(later, None, 2);
        test.push(later, Some("b"), 3);
        assert_eq!(test.queue.next_overdue(), Some(now + PATIENCE));
        let overdue = test.queue.overdue(later);
        assert!(test.done(overdue).is_empty());
        let overdue = test.queue.overdue(now + PATIENCE);
        assert_eq!(test.done(overdue), [1, 2]);
        let all = test.queue.take_all();
        assert_eq!(test.done(all), [3]);
    }

    #[test]
    fn what_may_come_behind_others_is_waited_for_longer_but_not_for_ever() {
        let (mut test, now) = (Test::default(), Instant::now());
        test.push(now, Some("a"), 1);
        test.push(now, Some("b"), 2);
        let heard = test.queue.heard(now + PATIENCE, &Bytes::from_static(b"a"));
        assert_eq!(test.done(heard), [1]);
        assert_eq!(test.queue.next_overdue(), Some(now + 2 * PATIENCE));
        test.queue.heard_something(now + 5 * PATIENCE);
        assert_eq!(test.queue.next_overdue(), Some(now + PATIENCE + MOST_PATIENCE));
        let overdue = test.queue.overdue(now + PATIENCE + MOST_PATIENCE);
        assert_eq!(test.done(overdue), [2]);
    }

    #[test]
    fn after_a_standstill_it_is_waited_for_once_more() {
        let (mut test, now) = (Test::default(), Instant::now());
        test.push(now, Some("a"), 1);
        let later = now + Duration::from_secs(60);
        let overdue = test.queue.overdue(later);
        assert!(test.done(overdue).is_empty());
        let overdue = test.queue.overdue(later + PATIENCE);
        assert_eq!(test.done(overdue), [1]);
    }
}
