//! The acks of an event that was emitted to many sockets.

use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytestring::ByteString;
use futures_core::Stream;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedReceiver;

use super::rooms::messages::{Answered, NoAck};
use crate::protocol::socketio::{DecodeError, EncodeError};

/// Why an event got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// The client did not answer in time, or the server failed while it waited.
    #[error("the client did not answer in time")]
    Timeout,
    /// The client has left before it answered, or had left already.
    #[error("the client has left")]
    Disconnected,
    /// The server waits for as many answers of this client as
    /// [`max_pending_acks`](crate::socketio::Builder::max_pending_acks) allows. The event was not sent.
    #[error("the client owes too many answers")]
    TooMany,
    /// The event could not be encoded and was not sent.
    #[error(transparent)]
    NotSent(EncodeError),
    /// The answer does not have the expected type.
    #[error("the answer is not the expected one: {0}")]
    BadAnswer(DecodeError),
}

/// The acks of an event, as they arrive: the id of each socket that the event was for, with the arguments of its ack, or
/// with the reason why there is none. The stream ends after the last socket. The server stops waiting if it is
/// dropped.
///
/// Other servers that share the namespace do not tell the ids of their sockets, which are empty here.
///
/// A stream without any item means that no socket was asked, or that the event was not emitted: [`all`](Self::all)
/// tells the two apart.
#[derive(Debug)]
#[must_use = "the acks are not waited for until the stream is read"]
pub struct AckStream<T> {
    answers: UnboundedReceiver<Answered>,
    /// Number of namespaces that have not told how many sockets are asked.
    unknown: usize,
    /// Number of sockets that are asked, as far as known.
    asked: usize,
    /// Number of sockets of which it is known what became of their acks.
    settled: usize,
    missing_servers: usize,
    arguments: PhantomData<fn() -> T>,
}

/// Not all sockets that an event was for have acknowledged it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} of {} sockets have acknowledged the event{}",
    acks.len(),
    acks.len() + missing.len(),
    silence(*missing_servers)
)]
pub struct MissingAcks<T> {
    /// The acks that have come, each with the id of its socket, in the order of their arrival. The id is empty for a socket of
    /// another server.
    pub acks: Vec<(ByteString, T)>,
    /// The sockets without an ack. The id is empty for a socket of another server.
    pub missing: Vec<(ByteString, AckError)>,
    /// Number of servers that have not told in time how many sockets they have asked.
    pub missing_servers: usize,
    /// Whether there may be more sockets, of which nothing is known: the event could not be encoded, the server failed when
    /// it was to be emitted, or there are `missing_servers`.
    pub is_cut_off: bool,
}

/// Says that servers did not answer, if some did not.
fn silence(missing_servers: usize) -> String {
    match missing_servers {
        0 => String::new(),
        1 => ", and a server did not answer".to_owned(),
        _ => format!(", and {missing_servers} servers did not answer"),
    }
}

impl<T> AckStream<T> {
    /// Reads the items of the room server for an event to this number of `namespaces`.
    pub(super) fn new(answers: UnboundedReceiver<Answered>, namespaces: usize) -> Self {
        Self {
            answers,
            unknown: namespaces,
            asked: 0,
            settled: 0,
            missing_servers: 0,
            arguments: PhantomData,
        }
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answered>> {
        let answered = ready!(self.answers.poll_recv(cx));
        match &answered {
            Some(Answered::Expecting(asked)) => {
                self.asked += asked;
                self.unknown = self.unknown.saturating_sub(1);
            }
            Some(Answered::ExpectingElsewhere(asked)) => self.asked += asked,
            Some(Answered::Of { .. } | Answered::Missing { .. }) => self.settled += 1,
            Some(Answered::SilentServers(servers)) => self.missing_servers += servers,
            None => {}
        }
        Poll::Ready(answered)
    }

    /// Number of servers that have not told in time how many sockets they have asked, as far as known: all are known at the
    /// end of the stream.
    pub fn missing_servers(&self) -> usize {
        self.missing_servers
    }
}

impl<T: DeserializeOwned> AckStream<T> {
    /// Waits for all acks.
    ///
    /// # Errors
    /// A socket has not acknowledged the event in time, or with other arguments, or was disconnected before; a server of the
    /// cluster did not answer; or the event was not emitted.
    pub async fn all(mut self) -> Result<Vec<(ByteString, T)>, MissingAcks<T>> {
        let (mut acks, mut missing) = (Vec::new(), Vec::new());
        while let Some((sid, ack)) = poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await {
            match ack {
                Ok(ack) => acks.push((sid, ack)),
                Err(error) => missing.push((sid, error)),
            }
        }
        let missing_servers = self.missing_servers;
        let is_cut_off = self.unknown > 0 || self.asked != self.settled || missing_servers > 0;
        match missing.is_empty() && !is_cut_off {
            true => Ok(acks),
            false => Err(MissingAcks { acks, missing, missing_servers, is_cut_off }),
        }
    }
}

impl<T: DeserializeOwned> Stream for AckStream<T> {
    type Item = (ByteString, Result<T, AckError>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let (sid, ack) = match ready!(self.poll_answered(cx)) {
                None => return Poll::Ready(None),
                Some(
                    Answered::Expecting(_) | Answered::ExpectingElsewhere(_) | Answered::SilentServers(_),
                ) => continue,
                Some(Answered::Of { sid, args }) => (sid, args.decode_answer().map_err(AckError::BadAnswer)),
                Some(Answered::Missing { sid, why: NoAck::TimedOut }) => (sid, Err(AckError::Timeout)),
                Some(Answered::Missing { sid, why: NoAck::Left }) => (sid, Err(AckError::Disconnected)),
            };
            return Poll::Ready(Some((sid, ack)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::protocol::socketio::Args;

    fn stream(items: Vec<Answered>) -> AckStream<u8> {
        let (to, answers) = mpsc::unbounded_channel();
        items.into_iter().for_each(|item| to.send(item).expect("the stream is there"));
        AckStream::new(answers, 1)
    }

    fn of(sid: &'static str, json: &'static str) -> Answered {
        Answered::Of { sid: sid.into(), args: Args { json: json.into(), attachments: Vec::new() } }
    }

    #[actix_web::test]
    async fn all_acks_come_together_with_their_ids() {
        let answers = stream(vec![Answered::Expecting(2), of("a", "[1]"), of("b", "[2,3]")]);
        let acks = answers.all().await.expect("all are there");
        assert_eq!(acks, [("a".into(), 1), ("b".into(), 2)]);
        assert!(stream(vec![Answered::Expecting(0)]).all().await.is_ok_and(|acks| acks.is_empty()));
    }

    #[actix_web::test]
    async fn who_has_not_acknowledged_is_known_and_why() {
        let missing = |sid: &'static str, why| Answered::Missing { sid: sid.into(), why };
        let items = vec![
            Answered::Expecting(4),
            missing("a", NoAck::Left),
            of("b", "[2]"),
            of("c", r#"["x"]"#),
            missing("d", NoAck::TimedOut),
        ];
        let error = stream(items).all().await.expect_err("some are missing");
        assert_eq!(error.to_string(), "1 of 4 sockets have acknowledged the event");
        assert_eq!(error.acks, [("b".into(), 2)]);
        let missing: Vec<_> = error.missing.iter().map(|(sid, error)| (&**sid, error)).collect();
        assert!(
            matches!(
                missing[..],
                [("a", AckError::Disconnected), ("c", AckError::BadAnswer(_)), ("d", AckError::Timeout)]
            ),
            "{missing:?}"
        );
        assert!(!error.is_cut_off);
    }

    #[actix_web::test]
    async fn sockets_of_other_servers_count_and_servers_that_are_silent_are_known() {
        let elsewhere = [Answered::ExpectingElsewhere(1), of("", "[3]")];
        let mut items = vec![Answered::Expecting(1), of("a", "[1]")];
        items.extend(elsewhere);
        let acks = stream(items.clone()).all().await.expect("all are there");
        assert_eq!(acks, [("a".into(), 1), ("".into(), 3)]);
        items.push(Answered::SilentServers(2));
        let error = stream(items.clone()).all().await.expect_err("servers are silent");
        assert_eq!((error.missing_servers, error.is_cut_off, error.acks.len()), (2, true, 2));
        assert!(
            error.to_string().ends_with("acknowledged the event, and 2 servers did not answer"),
            "{error}"
        );
        let mut acks = stream(items);
        while poll_fn(|cx| Pin::new(&mut acks).poll_next(cx)).await.is_some() {}
        assert_eq!(acks.missing_servers(), 2);
        // A socket that was asked there, and of which nothing has come.
        let items = vec![Answered::Expecting(0), Answered::ExpectingElsewhere(1)];
        assert!(stream(items).all().await.is_err_and(|error| error.is_cut_off && error.missing_servers == 0));
    }

    #[actix_web::test]
    async fn an_event_that_was_not_emitted_is_not_taken_for_one_without_recipients() {
        assert!(stream(vec![]).all().await.is_err_and(|error| error.is_cut_off));
        let items = vec![Answered::Expecting(2), of("a", "[1]")];
        assert!(stream(items).all().await.is_err_and(|error| error.is_cut_off));
    }
}
