//! The jobs of the writer thread. Batches that wait behind each other become one: one commit for several shards.

use tokio::sync::mpsc;

use super::{Answer, Write};
use crate::journal::Append;

/// Maximum number of records in a joined batch, beside those of its first part.
const MAX_RECORDS: usize = 4096;

/// The queue of jobs, in order.
pub(super) struct Jobs {
    receiver: mpsc::Receiver<Write>,
    /// A job that was taken from the queue and is not done yet.
    put_back: Option<Write>,
}

impl Jobs {
    /// The jobs of this queue.
    pub(super) fn new(receiver: mpsc::Receiver<Write>) -> Self {
        Self { receiver, put_back: None }
    }

    /// The next job, if one waits.
    pub(super) fn waiting(&mut self) -> Option<Write> {
        self.put_back.take().or_else(|| self.receiver.try_recv().ok())
    }

    /// The next job; `None` once the journal is dropped.
    pub(super) fn next(&mut self) -> Option<Write> {
        self.put_back.take().or_else(|| self.receiver.blocking_recv())
    }

    /// Joins a batch with those that wait right behind it, up to a job of another kind. All are answered alike.
    pub(super) fn join(
        &mut self,
        mut batch: Vec<Append>,
        answer: Answer<()>,
    ) -> (Vec<Append>, Vec<Answer<()>>) {
        let mut answers = vec![answer];
        let most = batch.len() + MAX_RECORDS;
        while batch.len() < most
            && let Some(job) = self.waiting()
        {
            match job {
                Write::Append(more, answer) => {
                    batch.extend(more);
                    answers.push(answer);
                }
                other => {
                    self.put_back = Some(other);
                    break;
                }
            }
        }
        (batch, answers)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn batch(records: usize) -> (Write, oneshot::Receiver<Result<(), crate::journal::JournalError>>) {
        let (answer, answered) = oneshot::channel();
        (Write::Append(vec![append(); records], answer), answered)
    }

    fn append() -> Append {
        use crate::{
            domain::RoomName,
            journal::{Epoch, EpochId, Record},
        };
        let record = Record { first: 1, count: 1, at: 0, keys: Vec::new(), entries: bytes::Bytes::new() };
        let epoch = Epoch { id: EpochId { random: 1, number: 1 }, starts: 1 };
        Append { room: RoomName::default(), epoch, record, pictures: Vec::new() }
    }

    /// Sends jobs, takes the first and joins it. Returns the sizes of the batch and of its answers, and how many
    /// jobs are left.
    fn joined(jobs: Vec<Write>) -> (usize, usize, usize) {
        let (sender, receiver) = mpsc::channel(64);
        jobs.into_iter().for_each(|job| assert!(sender.try_send(job).is_ok()));
        let mut jobs = Jobs::new(receiver);
        let Some(Write::Append(batch, answer)) = jobs.waiting() else {
            panic!("a batch comes first");
        };
        let (batch, answers) = jobs.join(batch, answer);
        let left = std::iter::from_fn(|| jobs.waiting()).count();
        (batch.len(), answers.len(), left)
    }

    #[test]
    fn batches_that_wait_behind_each_other_are_joined_up_to_another_job_and_to_a_bound() {
        let close = || Write::Close(oneshot::channel().0);
        assert_eq!(joined(vec![batch(2).0]), (2, 1, 0));
        assert_eq!(joined(vec![batch(2).0, batch(3).0, batch(1).0]), (6, 3, 0));
        assert_eq!(joined(vec![batch(2).0, batch(3).0, close(), batch(1).0]), (5, 2, 2));
        assert_eq!(joined(vec![batch(2).0, batch(MAX_RECORDS).0, batch(1).0]), (2 + MAX_RECORDS, 2, 1));
    }
}
