//! Events from other servers of the cluster, and their answers.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytestring::ByteString;
use log::error;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use super::cluster::AnswersElsewhere;
use crate::protocol::socketio::{Args, DecodeError};

/// Told of an event from another server.
pub(crate) type ServerListener = dyn Fn(&ServerEvent) + Send + Sync;

/// An event from another server of the cluster, see [`Namespace::on_server_side`](crate::socketio::Namespace::on_server_side).
/// Clones are cheap and refer to one answer.
#[derive(Clone)]
pub struct ServerEvent {
    name: ByteString,
    args: Args,
    /// `None` if no answer is wanted; empty once it has been given.
    answer: Option<Arc<Mutex<Option<oneshot::Sender<Args>>>>>,
}

impl ServerEvent {
    /// An event whose answer goes to `answer`, if one is wanted.
    pub(crate) fn new(name: ByteString, args: Args, answer: Option<oneshot::Sender<Args>>) -> Self {
        Self { name, args, answer: answer.map(|answer| Arc::new(Mutex::new(Some(answer)))) }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments as received: a JSON array that begins with the name. Servers of Node send binary values as
    /// `{"type": "Buffer", "data": [...]}`.
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// Decodes the arguments: a tuple takes several, another type the first one.
    ///
    /// # Errors
    /// The argument that does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.args.decode()
    }

    /// Whether the other server waits for an answer, and has not been given one.
    pub fn is_answer_wanted(&self) -> bool {
        let lock =
            |answer: &Mutex<Option<_>>| answer.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.answer.as_deref().is_some_and(lock)
    }

    /// Answers the event with one value, which may be done later and on any thread. Only the first answer of all listeners
    /// counts. Nothing happens if no answer is wanted. An answer that cannot be encoded is logged as an error and not sent.
    pub fn answer(&self, value: &(impl Serialize + ?Sized)) {
        let Some(answer) = &self.answer else {
            return;
        };
        match Args::encode_answer(&(value,)) {
            Ok(args) => {
                let first = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                // The other server may not wait any more.
                first.into_iter().for_each(|answer| _ = answer.send(args.clone()));
            }
            Err(problem) => error!("the answer to an event of servers is not sent: {problem}"),
        }
    }
}

impl fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEvent").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What other servers have answered to an event.
#[derive(Clone, Debug)]
pub struct ServerAnswers<T> {
    /// The answers, in the order of their arrival.
    pub answers: Vec<T>,
    /// Why other answers are not of the expected type.
    pub bad_answers: Vec<DecodeError>,
    /// Number of servers that have not answered in time.
    pub missing_servers: usize,
}

impl<T> Default for ServerAnswers<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), bad_answers: Vec::new(), missing_servers: 0 }
    }
}

impl<T: DeserializeOwned> ServerAnswers<T> {
    /// Adds the answers of a namespace.
    pub(crate) fn add(&mut self, AnswersElsewhere { answers, missing }: AnswersElsewhere) {
        self.missing_servers += missing;
        for answer in answers {
            match answer.decode_answer::<(T,)>() {
                Ok((answer,)) => self.answers.push(answer),
                Err(problem) => self.bad_answers.push(problem),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(json: &'static str) -> Args {
        Args { json: json.into(), attachments: Vec::new() }
    }

    #[test]
    fn the_first_answer_counts_and_may_be_given_on_another_thread() {
        let (to, mut answered) = oneshot::channel();
        let event = ServerEvent::new("hello".into(), args(r#"["hello",2,"x"]"#), Some(to));
        assert_eq!((event.name(), event.decode::<(u8, String)>().ok()), ("hello", Some((2, "x".to_owned()))));
        let later = event.clone();
        assert!(event.is_answer_wanted());
        std::thread::spawn(move || later.answer(&(1, "two"))).join().expect("it does not panic");
        assert!(!event.is_answer_wanted());
        event.answer("too late");
        assert_eq!(answered.try_recv().ok(), Some(args(r#"[[1,"two"]]"#)), "one value");
    }

    #[test]
    fn an_answer_that_cannot_be_encoded_leaves_room_for_another_one() {
        let (to, mut answered) = oneshot::channel();
        let event = ServerEvent::new("hello".into(), args(r#"["hello"]"#), Some(to));
        event.answer(&std::collections::BTreeMap::from([(vec![1], 2)]));
        event.answer("now");
        assert_eq!(answered.try_recv().ok(), Some(args(r#"["now"]"#)));
    }

    #[test]
    fn an_event_that_wants_no_answer_takes_none() {
        let event = ServerEvent::new("hello".into(), args(r#"["hello"]"#), None);
        event.answer(&1);
        assert!(!event.is_answer_wanted());
    }

    #[test]
    fn answers_of_another_type_are_told_apart() {
        let mut all = ServerAnswers::<u8>::default();
        all.add(AnswersElsewhere { answers: vec![args("[1]"), args(r#"["x"]"#), args("[]")], missing: 1 });
        all.add(AnswersElsewhere { answers: vec![args("[2,3]")], missing: 2 });
        assert_eq!((all.answers, all.bad_answers.len(), all.missing_servers), (vec![1, 2], 2, 3));
        let mut pairs = ServerAnswers::<(u8, u8)>::default();
        pairs.add(AnswersElsewhere { answers: vec![args("[[1,2]]")], missing: 0 });
        assert_eq!(pairs.answers, [(1, 2)], "an answer is one value");
    }
}
