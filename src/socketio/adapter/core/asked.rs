//! What this server has asked the others, until they have answered or the time is over.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use bytestring::ByteString;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use crate::{
    protocol::socketio::Args,
    socketio::{
        adapter::traffic::QueryId,
        cluster::{
            Answered, AnswersElsewhere, FoundElsewhere, Message, NoAck, RequestId, RoomsElsewhere,
            SocketShown,
        },
    },
};

/// What was asked, and what has come so far.
pub(super) enum What {
    /// Acks of sockets.
    Acks {
        /// How many more acks there may be than have come, of the servers that have told.
        owed: i64,
        /// Receives what becomes known.
        answers: UnboundedSender<Answered>,
    },
    /// Sockets.
    Sockets {
        /// Those that have come.
        found: Vec<SocketShown>,
        /// Receives them.
        to: oneshot::Sender<FoundElsewhere>,
    },
    /// Names of rooms.
    Rooms {
        /// Those that have come.
        rooms: Vec<ByteString>,
        /// Receives them.
        to: oneshot::Sender<RoomsElsewhere>,
    },
    /// Answers of servers.
    Answers {
        /// Those that have come.
        answers: Vec<Args>,
        /// Receives them.
        to: oneshot::Sender<AnswersElsewhere>,
    },
    /// Only the number of servers.
    Count {
        /// Receives it.
        to: oneshot::Sender<usize>,
    },
}

/// Acks of other servers that one event waits for, at most.
const MAX_OWED: i64 = 1_000_000;

/// A request under way.
struct Request {
    namespace: ByteString,
    what: What,
    /// Number of other servers; `None` while they are counted.
    servers: Option<usize>,
    /// Number of servers that have answered.
    answered: usize,
    deadline: Instant,
}

/// All requests under way.
#[derive(Default)]
pub(super) struct Asked {
    all: HashMap<RequestId, Request>,
    counts: HashMap<QueryId, RequestId>,
    deadlines: BTreeSet<(Instant, RequestId)>,
    /// The last known number of other servers.
    others: HashMap<ByteString, usize>,
}

impl What {
    /// Takes an answer. Returns whether its server has answered with that.
    fn take(&mut self, answer: Message) -> bool {
        // The caller may be gone; then the request ends by its deadline.
        match (self, answer) {
            (Self::Acks { owed, answers }, Message::Asked { clients, .. }) => {
                // Each of them becomes an item for the caller. A server that asked more has not told the truth.
                let more = i64::try_from(clients).unwrap_or(i64::MAX).min(MAX_OWED - *owed);
                *owed += more;
                let clients = usize::try_from(more).unwrap_or(0);
                let _ = answers.send(Answered::ExpectingElsewhere(clients));
                true
            }
            (Self::Acks { owed, answers }, Message::Acked { args, .. }) if *owed > -MAX_OWED => {
                *owed -= 1;
                let _ = answers.send(Answered::Of { sid: ByteString::new(), args });
                false
            }
            (Self::Sockets { found, .. }, Message::Sockets { sockets, .. }) => {
                found.extend(sockets);
                true
            }
            (Self::Rooms { rooms, .. }, Message::Rooms { rooms: more, .. }) => {
                rooms.extend(more);
                true
            }
            (Self::Rooms { rooms, .. }, Message::Sockets { sockets, .. }) => {
                rooms.extend(sockets.into_iter().flat_map(|socket| socket.rooms));
                true
            }
            (Self::Answers { answers, .. }, Message::ServerAnswer { args, .. }) => {
                answers.push(args);
                true
            }
            _ => false,
        }
    }

    /// Whether nothing more is expected of the servers that have answered.
    fn is_settled(&self) -> bool {
        match self {
            Self::Acks { owed, .. } => *owed <= 0,
            _ => true,
        }
    }

    /// Ends the wait: so many servers have not answered.
    pub(super) fn give_up(self, missing: usize) {
        // The caller may be gone.
        match self {
            Self::Acks { owed, answers } => {
                for _ in 0..owed {
                    let answered = Answered::Missing { sid: ByteString::new(), why: NoAck::TimedOut };
                    if answers.send(answered).is_err() {
                        return;
                    }
                }
                if missing > 0 {
                    let _ = answers.send(Answered::SilentServers(missing));
                }
            }
            Self::Sockets { found, to } => drop(to.send(FoundElsewhere { sockets: found, missing })),
            Self::Rooms { mut rooms, to } => {
                rooms.sort_unstable();
                rooms.dedup();
                drop(to.send(RoomsElsewhere { rooms, missing }));
            }
            Self::Answers { answers, to } => drop(to.send(AnswersElsewhere { answers, missing })),
            Self::Count { to } => drop(to),
        }
    }
}

impl Request {
    fn is_over(&self) -> bool {
        self.servers.is_some_and(|servers| self.answered >= servers) && self.what.is_settled()
    }
}

impl Asked {
    /// Waits for the answers to a request; the servers are counted by `count`.
    pub(super) fn wait(
        &mut self,
        namespace: ByteString,
        id: RequestId,
        count: QueryId,
        what: What,
        deadline: Instant,
    ) {
        self.counts.insert(count, id.clone());
        self.deadlines.insert((deadline, id.clone()));
        self.all.insert(id, Request { namespace, what, servers: None, answered: 0, deadline });
    }

    /// The last known number of other servers that serve a namespace.
    pub(super) fn others_of(&self, namespace: &ByteString) -> usize {
        self.others.get(namespace).copied().unwrap_or(0)
    }

    /// The namespace is not served any more.
    pub(super) fn forget(&mut self, namespace: &ByteString) {
        self.others.remove(namespace);
    }

    /// The servers were counted, this one included. Returns their namespace.
    pub(super) fn counted(&mut self, query: QueryId, count: usize) -> Option<ByteString> {
        let id = self.counts.remove(&query)?;
        let request = self.all.get_mut(&id)?;
        request.servers = Some(count.saturating_sub(1));
        let namespace = request.namespace.clone();
        self.others.insert(namespace.clone(), count.saturating_sub(1));
        if let What::Count { .. } = request.what
            && let Some(Request { what: What::Count { to }, .. }) = self.remove(&id)
        {
            // The caller may be gone.
            let _ = to.send(count.max(1));
        } else {
            self.settle(&id);
        }
        Some(namespace)
    }

    /// Takes an answer of another server.
    pub(super) fn answered(&mut self, answer: Message) {
        let id = match &answer {
            Message::Asked { request, .. }
            | Message::Acked { request, .. }
            | Message::Sockets { request, .. }
            | Message::Sids { request, .. }
            | Message::Rooms { request, .. }
            | Message::Done { request }
            | Message::ServerAnswer { request, .. } => request.clone(),
            _ => return,
        };
        if let Some(request) = self.all.get_mut(&id) {
            request.answered += usize::from(request.what.take(answer));
            self.settle(&id);
        }
    }

    fn settle(&mut self, id: &RequestId) {
        if self.all.get(id).is_some_and(Request::is_over) {
            self.end(id);
        }
    }

    fn remove(&mut self, id: &RequestId) -> Option<Request> {
        let request = self.all.remove(id)?;
        self.deadlines.remove(&(request.deadline, id.clone()));
        Some(request)
    }

    fn end(&mut self, id: &RequestId) {
        if let Some(Request { namespace, what, servers, answered, .. }) = self.remove(id) {
            let servers = servers.unwrap_or_else(|| self.others_of(&namespace));
            what.give_up(servers.saturating_sub(answered));
        }
    }

    /// Ends the requests whose time is over.
    pub(super) fn give_up_at(&mut self, now: Instant) {
        while let Some((deadline, id)) = self.deadlines.first().cloned()
            && deadline <= now
        {
            self.end(&id);
            self.deadlines.remove(&(deadline, id));
        }
        self.counts.retain(|_, id| self.all.contains_key(id));
    }

    /// Ends all requests: no answers will come.
    pub(super) fn give_up_all(&mut self) {
        let ids: Vec<_> = self.all.keys().cloned().collect();
        ids.iter().for_each(|id| self.end(id));
        self.counts.clear();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        Some(self.deadlines.first()?.0)
    }
}
