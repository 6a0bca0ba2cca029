//! Keeps the journal busy: batches of records one after the other, a fault that is tried again, checks, and
//! the end. Callers pass the time.

use std::time::{Duration, Instant};

use super::{
    commits::{Commit, Commits, Receipt},
    effects::Job,
};
use crate::{
    broadcast::RoomId,
    domain::RoomName,
    journal::{JournalError, Record},
};

/// How often a journal with a fault is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the journal is checked for a fault.
const CHECK: Duration = Duration::from_secs(1);

/// How often messages that are too old are removed.
const SWEEP: Duration = Duration::from_secs(600);

/// What is being kept, and when the journal is asked what.
#[derive(Debug)]
pub(crate) struct Keeper {
    commits: Commits,
    /// How long records wait for more that the journal can store with them.
    delay: Duration,
    /// When they have waited long enough; `None` if none wait.
    commit_at: Option<Instant>,
    /// Whether the journal is being asked for its rooms.
    is_probing: bool,
    /// When a journal with a fault is tried again.
    retry_at: Option<Instant>,
    check_at: Option<Instant>,
    sweep_at: Option<Instant>,
    closing: Closing,
    jobs: Vec<Job>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    WhenIdle,
    Asked,
}

impl Keeper {
    /// Keeps nothing yet. Records for which no sender waits may wait for `delay`, so that the journal stores them with
    /// those that follow.
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            commits: Commits::default(),
            delay,
            commit_at: None,
            is_probing: false,
            retry_at: None,
            check_at: None,
            sweep_at: None,
            closing: Closing::No,
            jobs: Vec::new(),
        }
    }

    /// Asks which rooms have history, checks the journal and, if it `sweeps`, removes what is too old.
    pub(crate) fn start(&mut self, sweeps: bool) {
        self.start_again();
        self.jobs.extend(sweeps.then_some(Job::Sweep));
        self.jobs.push(Job::Check);
    }

    /// The server of rooms has begun again: asks which rooms have history.
    pub(crate) fn start_again(&mut self) {
        self.is_probing = false;
        self.probe(true);
    }

    /// The journal's answer to the batch is lost: gives it the batch again, which it stores once.
    pub(crate) fn give_again(&mut self) {
        // The answer may have been dealt with, and the next batch be about to go.
        if !self.jobs.iter().any(|job| matches!(job, Job::Append(_))) {
            self.commits.unanswered();
            self.jobs.extend(self.commits.retry().map(Job::Append));
        }
    }

    /// The journal's answer to a check or a sweep is lost: the next one is due.
    pub(crate) fn keep_up(&mut self, now: Instant) {
        self.check_at.get_or_insert(now + CHECK);
        self.sweep_at.get_or_insert(now + SWEEP);
    }

    /// Asks which rooms have history, unless that is being asked.
    pub(crate) fn probe(&mut self, is_awaited: bool) {
        if !std::mem::replace(&mut self.is_probing, true) {
            self.jobs.push(Job::Rooms { is_awaited });
        }
    }

    /// What the journal is to be asked now.
    pub(crate) fn jobs(&mut self) -> std::vec::Drain<'_, Job> {
        self.jobs.drain(..)
    }

    /// When [`wake`](Self::wake) is to be called; `None` if not by itself.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let commit_at = self.commit_at.filter(|_| self.commits.may_begin());
        [commit_at, self.retry_at, self.check_at, self.sweep_at].into_iter().flatten().min()
    }

    /// Asks the journal what is due.
    pub(crate) fn wake(&mut self, now: Instant) {
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        let (check, sweep, retry) =
            (is_due(&mut self.check_at), is_due(&mut self.sweep_at), is_due(&mut self.retry_at));
        if check {
            self.jobs.push(Job::Check);
        }
        if sweep {
            self.jobs.push(Job::Sweep);
        }
        if retry && self.commits.is_idle() {
            self.probe(false);
        } else if retry {
            self.jobs.extend(self.commits.retry().map(Job::Append));
        }
    }

    /// The journal has been checked.
    pub(crate) fn checked(&mut self, result: Result<(), JournalError>, now: Instant) {
        self.check_at = Some(now + CHECK);
        if let Err(error) = result {
            self.commits.suspect(error);
            self.retry_later(now);
        }
    }

    /// What was too old has been removed.
    pub(crate) fn swept(&mut self, now: Instant) {
        self.sweep_at = Some(now + SWEEP);
    }

    /// The journal has told which rooms have history, or has failed to.
    pub(crate) fn probed(&mut self, result: Result<(), JournalError>, now: Instant) {
        self.is_probing = false;
        match result {
            Ok(()) => {
                self.commits.recovered();
                self.commit_next(now);
            }
            Err(error) => {
                self.commits.suspect(error);
                self.retry_later(now);
            }
        }
    }

    /// Adds the record of a broadcast that has ended.
    pub(crate) fn keep(&mut self, commit: Commit) {
        self.commits.push(commit);
    }

    /// Adds an ack to a message that is being kept. False if no such message is.
    pub(crate) fn owe(&mut self, room: RoomId, receipt: Receipt) -> bool {
        self.commits.attach(room, receipt)
    }

    /// What waits at the end of this turn does not wait for more.
    pub(crate) fn hurry(&mut self) {
        self.commits.hurry();
    }

    /// Gives the journal its next batch, unless it has one or has a fault, or the records may wait for more.
    pub(crate) fn commit_next(&mut self, now: Instant) {
        if self.commits.are_waiting() {
            let at = *self.commit_at.get_or_insert(now + self.delay);
            if at <= now || self.commits.are_urgent() || self.closing != Closing::No {
                self.jobs.extend(self.commits.begin().map(Job::Append));
            }
        }
        if !self.commits.are_waiting() {
            self.commit_at = None;
            self.commits.take_time();
        }
    }

    /// The batch is durable. Returns it.
    pub(crate) fn committed(&mut self) -> Vec<Commit> {
        self.commits.done()
    }

    /// The journal has failed. Returns the acks that cannot be given; the records stay, to be tried again.
    pub(crate) fn failed(&mut self, error: JournalError, now: Instant) -> Vec<Receipt> {
        self.retry_later(now);
        self.commits.failed(error)
    }

    fn retry_later(&mut self, now: Instant) {
        self.retry_at.get_or_insert(now + RETRY);
    }

    /// The fault of the journal, if it has one.
    pub(crate) fn fault(&self) -> Option<&JournalError> {
        self.commits.fault()
    }

    /// Number of messages that have been accepted and are not durable yet.
    pub(crate) fn unkept(&self) -> u64 {
        self.commits.unkept()
    }

    /// The records of a room that are not durable yet, in order.
    pub(crate) fn records_of(&self, room: &RoomName) -> Vec<Record> {
        self.commits.records_of(room)
    }

    /// The offsets of the first and the last message of a room that are not durable; `None` if all are.
    pub(crate) fn unkept_in(&self, room: &RoomName) -> Option<(u64, u64)> {
        self.commits.unkept_in(room)
    }

    /// The server stops: the journal is closed once it has nothing to do.
    pub(crate) fn close(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::WhenIdle;
        }
    }

    /// Whether all records are durable.
    pub(super) fn is_idle(&self) -> bool {
        self.commits.is_idle()
    }

    /// Closes the journal if it is to be closed, has all records, and no request waits for it.
    pub(crate) fn close_if_idle(&mut self, is_awaited: impl FnOnce() -> bool) {
        if self.closing == Closing::WhenIdle && self.commits.is_idle() && !is_awaited() {
            self.closing = Closing::Asked;
            self.jobs.push(Job::Close);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::chat::position::{Asker, Place};
    use crate::{
        broadcast::{OpenBroadcast, Recipients, Subscribers},
        connection::Budget,
        domain::RoomName,
        domain::{MemberId, WorkerId},
        journal::{Append, Epoch, EpochId},
    };

    /// A commit of one message at this offset.
    fn commit(first: u64) -> Commit {
        let broadcast = OpenBroadcast::new(&Subscribers::default());
        Commit {
            room: RoomId::next(),
            append: Append {
                room: RoomName::parse("tea").expect("a legal name"),
                epoch: Epoch { id: EpochId { random: 1, number: 1 }, starts: 1 },
                record: Record { first, count: 1, at: 1, keys: Vec::new(), entries: Bytes::new() },
                pictures: Vec::new(),
            },
            receipts: Vec::new(),
            _broadcast: Arc::new(broadcast.finish(Recipients::Room, &Budget::new(1 << 20))),
        }
    }

    /// The offsets that the journal is to be given now.
    fn given(keeper: &mut Keeper) -> Vec<u64> {
        let batches = keeper.jobs().filter_map(|job| match job {
            Job::Append(batch) => Some(batch),
            _ => None,
        });
        batches.flatten().map(|append| append.record.first).collect()
    }

    #[test]
    fn a_batch_whose_answer_is_lost_is_given_to_the_journal_again_and_no_other_one_is() {
        let (mut keeper, now) = (Keeper::new(Duration::ZERO), Instant::now());
        keeper.keep(commit(1));
        keeper.commit_next(now);
        assert_eq!(given(&mut keeper), [1]);
        keeper.keep(commit(2));
        keeper.give_again();
        assert_eq!(given(&mut keeper), [1], "the second waits");
        // The answer has been dealt with, and the next batch is about to go.
        assert_eq!(keeper.committed().len(), 1);
        keeper.commit_next(now);
        keeper.give_again();
        assert_eq!(given(&mut keeper), [2], "once");
    }

    fn receipt() -> Receipt {
        let to = Asker { member: MemberId::of(1), worker: WorkerId(0), ticket: 1 };
        Receipt { to, place: Place { offset: 1, at: 1 } }
    }

    #[test]
    fn records_that_no_sender_waits_for_are_given_to_the_journal_together() {
        let (delay, now) = (Duration::from_millis(5), Instant::now());
        let mut keeper = Keeper::new(delay);
        assert_eq!(keeper.next_wake(), None);
        keeper.keep(commit(1));
        keeper.commit_next(now);
        assert_eq!((given(&mut keeper), keeper.next_wake()), (vec![], Some(now + delay)));
        keeper.keep(commit(2));
        keeper.commit_next(now + delay / 2);
        assert_eq!(
            (given(&mut keeper), keeper.next_wake()),
            (vec![], Some(now + delay)),
            "as long as the first"
        );
        keeper.commit_next(now + delay);
        assert_eq!((given(&mut keeper), keeper.next_wake()), (vec![1, 2], None));
    }

    #[test]
    fn records_wait_neither_for_more_if_a_sender_waits_nor_at_the_end_nor_if_they_are_many() {
        let (delay, now) = (Duration::from_secs(5), Instant::now());
        let acked = Commit { receipts: vec![receipt()], ..commit(2) };
        let mut keeper = Keeper::new(delay);
        keeper.keep(commit(1));
        keeper.commit_next(now);
        keeper.keep(acked);
        keeper.commit_next(now);
        assert_eq!(given(&mut keeper), [1, 2], "an ack is owed for the second");
        let mut keeper = Keeper::new(delay);
        let late = commit(1);
        let room = late.room;
        keeper.keep(late);
        keeper.commit_next(now);
        assert!(keeper.owe(room, receipt()));
        keeper.commit_next(now);
        assert_eq!(given(&mut keeper), [1], "an ack is owed since");
        let mut keeper = Keeper::new(delay);
        keeper.keep(commit(1));
        keeper.close();
        keeper.commit_next(now);
        assert_eq!(given(&mut keeper), [1], "the server stops");
        let mut keeper = Keeper::new(delay);
        (1..=256).for_each(|offset| keeper.keep(commit(offset)));
        keeper.commit_next(now);
        assert_eq!(given(&mut keeper).len(), 256);
    }

    #[test]
    fn a_batch_that_has_failed_does_not_wait_for_more() {
        let (delay, now) = (Duration::from_secs(5), Instant::now());
        let mut keeper = Keeper::new(delay);
        keeper.keep(commit(1));
        keeper.commit_next(now + delay);
        keeper.commit_next(now + delay * 2);
        assert_eq!(given(&mut keeper), [1]);
        keeper.keep(commit(2));
        let error = JournalError::Unavailable("the disk is full".to_owned());
        assert!(keeper.failed(error, now).is_empty());
        keeper.commit_next(now + delay * 9);
        assert_eq!(given(&mut keeper), Vec::<u64>::new(), "there is a fault");
        assert_eq!(keeper.next_wake(), Some(now + RETRY), "it is not busy until then");
        keeper.probe(false);
        keeper.probed(Ok(()), now + RETRY);
        assert_eq!(given(&mut keeper), [1]);
    }
}
