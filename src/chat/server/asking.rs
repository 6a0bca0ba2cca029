//! Asks the journal.

use std::{mem, pin::Pin, sync::Arc, time::Instant};

use crate::{
    chat::effects::{Done, Job},
    journal::{Journal, JournalError, Pending, now_millis},
    metrics::Metrics,
};

/// The journal, and what it is being asked.
pub(super) struct Asking {
    journal: Arc<dyn Journal>,
    metrics: Arc<Metrics>,
    /// Number of jobs that are not answered.
    under_way: usize,
    /// Whether the journal is to be closed once they are answered: jobs may reach it in another order than they
    /// were made in.
    is_close_due: bool,
    /// When the batch that is not durable yet was asked first. A batch that fails is asked again.
    batch_begun: Option<Instant>,
}

/// A job that the journal is asked.
pub(super) struct Asked {
    /// Its answer.
    pub answer: Pin<Box<dyn Future<Output = Done>>>,
    /// For an append, the number of its messages.
    pub messages: Option<u64>,
}

impl Asking {
    /// Asks `journal`, and counts in `metrics`.
    pub(super) fn new(journal: Arc<dyn Journal>, metrics: Arc<Metrics>) -> Self {
        Self { journal, metrics, under_way: 0, is_close_due: false, batch_begun: None }
    }

    /// The journal, for questions that it answers at once.
    pub(super) fn journal(&self) -> &dyn Journal {
        &*self.journal
    }

    /// Whether a job must wait for the answers that are under way; [`answered`](Self::answered) gives it back then.
    pub(super) fn must_wait(&mut self, job: &Job) -> bool {
        let must_wait = matches!(job, Job::Close) && self.under_way > 0;
        self.is_close_due |= must_wait;
        must_wait
    }

    /// Asks the journal a job that need not wait.
    pub(super) fn ask(&mut self, job: Job) -> Asked {
        let messages = match &job {
            Job::Append(batch) => {
                self.batch_begun.get_or_insert_with(Instant::now);
                Some(batch.iter().map(|append| u64::from(append.record.count)).sum())
            }
            _ => None,
        };
        self.under_way += 1;
        Asked { answer: job.ask(&*self.journal), messages }
    }

    /// Takes note of an answer. Returns what the journal is to be asked next.
    pub(super) fn answered(&mut self, done: &Done, messages: Option<u64>) -> Option<Job> {
        if let (Done::Appended(Ok(())), Some(messages)) = (done, messages)
            && let Some(begun) = self.batch_begun.take()
        {
            self.metrics.committed(messages, begun.elapsed());
        }
        if matches!(done, Done::Checked(_) | Done::Opened(..)) {
            self.metrics.set_journal_damage(self.journal.damage().map_or(0, |damage| damage.found));
        }
        self.under_way -= 1;
        (self.under_way == 0 && mem::take(&mut self.is_close_due)).then_some(Job::Close)
    }
}

impl Job {
    /// Asks the journal.
    fn ask(self, journal: &dyn Journal) -> Pin<Box<dyn Future<Output = Done>>> {
        fn then<T: 'static>(
            pending: Pending<T>,
            done: impl FnOnce(Result<T, JournalError>) -> Done + 'static,
        ) -> Pin<Box<dyn Future<Output = Done>>> {
            Box::pin(async move { done(pending.await) })
        }
        match self {
            Self::Rooms { .. } => then(journal.rooms(), Done::Rooms),
            Self::Open(id, room) => then(journal.open(room), move |answer| Done::Opened(id, answer)),
            Self::Append(batch) => then(journal.append(batch), Done::Appended),
            Self::Check => then(journal.check(), Done::Checked),
            Self::Sweep => {
                let asked_at = now_millis();
                then(journal.sweep(), move |answer| Done::Swept(asked_at, answer))
            }
            Self::Forget(room, call) => {
                then(journal.forget(room.clone()), move |answer| Done::Forgot(room, call, answer))
            }
            Self::Reserve(room, names) => then(journal.reserve(room, names), Done::Reserved),
            Self::Close => then(journal.close(), Done::Closed),
        }
    }
}
