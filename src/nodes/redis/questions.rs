//! Questions to Redis past the link: what sessions and pages read.

use redis::{Cmd, Pipeline, Value};
use tokio::sync::oneshot;

use crate::{
    journal::{JournalError, Pending},
    nodes::Partition,
    redis_client::values::refusal,
};

/// What is done with the answers, or with the reason why there are none.
type Answer = Box<dyn FnOnce(Result<Vec<Value>, String>) + Send>;

/// A question about one partition: requests that are sent in one write.
pub(super) struct Question {
    pub(super) partition: Partition,
    pub(super) requests: Pipeline,
    pub(super) answer: Answer,
}

impl Question {
    /// A question about a partition, and its answer as `read` reads it of the answers to the requests, of which none is an error.
    pub(super) fn new<T: Send + 'static>(
        partition: Partition,
        requests: impl IntoIterator<Item = Cmd>,
        read: impl FnOnce(Vec<Value>) -> Result<T, JournalError> + Send + 'static,
    ) -> (Self, Pending<T>) {
        let mut pipeline = Pipeline::new();
        for request in requests {
            pipeline.add_command(request);
        }
        let (sender, answered) = oneshot::channel();
        let answer = Box::new(move |replies: Result<Vec<Value>, String>| {
            let answer = replies.map_err(JournalError::Unavailable).and_then(|replies| {
                match replies.iter().find_map(refusal) {
                    Some(text) => Err(JournalError::Unavailable(text)),
                    None => read(replies),
                }
            });
            // The caller may not wait any more.
            let _ = sender.send(answer);
        });
        let has_ended = || JournalError::Unavailable("the link to Redis has ended".to_owned());
        let pending = Box::pin(async move { answered.await.unwrap_or_else(|_| Err(has_ended())) });
        (Self { partition, requests: pipeline, answer }, pending)
    }

    /// Gives no answer, for this reason.
    pub(super) fn refuse(self, why: String) {
        (self.answer)(Err(why));
    }
}
