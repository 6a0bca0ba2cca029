//! What waits for its place in the order of the cluster.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::socketio::cluster::Deliver;

/// How long something is waited for that this server has said, until it is done here all the same. Redis does not refuse what
/// is published without a reason that is logged.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this server has said and not heard yet, in order, with what was ordered only for itself behind it.
#[derive(Default)]
pub(super) struct Queue(VecDeque<Waiting>);

struct Waiting {
    /// What was said; `None` for what is done behind that before it.
    body: Option<Bytes>,
    deliver: Deliver,
    since: Instant,
}

impl Queue {
    /// Adds something that was said, or that is done behind what was said. Returns it if nothing is waited for.
    pub(super) fn push(&mut self, now: Instant, body: Option<Bytes>, deliver: Deliver) -> Option<Deliver> {
        if body.is_none() && self.0.is_empty() {
            return Some(deliver);
        }
        self.0.push_back(Waiting { body, deliver, since: now });
        None
    }

    /// Takes out what this server hears itself say, with what waits before it and behind it; nothing if it is not waited for.
    /// What was said before it will not be heard any more.
    pub(super) fn heard(&mut self, body: &Bytes) -> Vec<Deliver> {
        let place = self.0.iter().position(|waiting| waiting.body.as_ref() == Some(body));
        let Some(place) = place else {
            return Vec::new();
        };
        let behind = self.0.iter().skip(place + 1).take_while(|waiting| waiting.body.is_none()).count();
        self.take(place + 1 + behind)
    }

    /// Takes out what has waited for too long, and what waits only for that.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Deliver> {
        let is_overdue = |waiting: &Waiting| waiting.body.is_none() || waiting.since + PATIENCE <= now;
        if self.0.front().is_none_or(|first| first.since + PATIENCE > now) {
            return Vec::new();
        }
        let count = self.0.iter().take_while(|waiting| is_overdue(waiting)).count();
        self.take(count)
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Deliver> {
        self.take(self.0.len())
    }

    fn take(&mut self, count: usize) -> Vec<Deliver> {
        self.0.drain(..count).map(|waiting| waiting.deliver).collect()
    }

    /// When the first has waited for too long.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        Some(self.0.front()?.since + PATIENCE)
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
        let heard = test.queue.heard(&Bytes::from_static(b"a"));
        assert_eq!(test.done(heard), [1, 2, 3]);
        let heard = test.queue.heard(&Bytes::from_static(b"other"));
        assert!(test.done(heard).is_empty());
        // What was said before is not heard any more.
        let heard = test.queue.heard(&Bytes::from_static(b"a"));
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
}
