//! The callers that wait for answers to their calls.

use std::collections::HashMap;

use actix::ResponseFuture;
use tokio::sync::oneshot;

use crate::{
    chat::calls::{Answer, CallId},
    journal::JournalError,
};

/// The callers that wait for an answer, each by the number of its call.
#[derive(Debug, Default)]
pub(super) struct Answers {
    last: u64,
    waiting: HashMap<CallId, oneshot::Sender<Answer>>,
    /// What is answered at the end of the turn.
    due: Vec<(CallId, Answer)>,
}

impl Answers {
    /// A new call, and its answer when there is one.
    pub(super) fn expect(&mut self) -> (CallId, ResponseFuture<Answer>) {
        self.last += 1;
        let (id, (sender, answer)) = (CallId(self.last), oneshot::channel());
        self.waiting.insert(id, sender);
        let has_ended = || JournalError::Unavailable("this part of the chat has ended".to_owned());
        (id, Box::pin(async move { answer.await.unwrap_or_else(|_| Err(has_ended())) }))
    }

    /// Notes the answer to a call.
    pub(super) fn note(&mut self, id: CallId, answer: Answer) {
        self.due.push((id, answer));
    }

    /// Gives the answers.
    pub(super) fn give(&mut self) {
        for (id, answer) in self.due.drain(..) {
            if let Some(caller) = self.waiting.remove(&id) {
                // The caller may be gone.
                let _ = caller.send(answer);
            }
        }
    }
}
