//! What other servers have asked this one, until it has answered.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use bytestring::ByteString;

use crate::socketio::{
    adapter::traffic::{FromHere, Here, HereId},
    cluster::{Answered, Message, RequestId, Target},
};

/// How long an answer of this server's listeners and sockets is waited for, where the asker does not say it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest time that an asker can want.
const MOST_PATIENCE: Duration = Duration::from_secs(3600);

/// What the answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Acks,
    Sockets,
    Sids,
    Rooms,
    Server,
}

struct Question {
    namespace: ByteString,
    asker: Option<ByteString>,
    request: RequestId,
    kind: Kind,
    until: Instant,
}

/// All questions under way.
#[derive(Default)]
pub(super) struct Asking {
    last: u64,
    all: HashMap<HereId, Question>,
    until: BTreeSet<(Instant, u64)>,
}

impl Asking {
    /// Takes a question. Returns what is to be done here; `None` if it is no question, or one too many.
    pub(super) fn take(
        &mut self,
        now: Instant,
        namespace: ByteString,
        asker: Option<ByteString>,
        message: Message,
        most: usize,
    ) -> Option<Here> {
        if self.all.len() >= most {
            return None;
        }
        self.last += 1;
        let id = HereId(self.last);
        let name = namespace.clone();
        let mut patience = PATIENCE;
        let (request, kind, here) = match message {
            Message::Ask { request, args, opts } => {
                let wanted = opts.flags.timeout.map_or(PATIENCE, Duration::from_millis);
                patience = wanted.min(MOST_PATIENCE);
                (request, Kind::Acks, Here::Ask { id, namespace, args, opts })
            }
            Message::ListSids { request, rooms } => {
                let target = Target { to: rooms, except: Vec::new() };
                (request, Kind::Sids, Here::Look { id, namespace, target })
            }
            Message::ListRooms { request } => (request, Kind::Rooms, Here::LookRooms { id, namespace }),
            Message::Fetch { request, opts } => {
                (request, Kind::Sockets, Here::Look { id, namespace, target: opts.target })
            }
            Message::ServerEvent { args, request: Some(request) } => {
                (request, Kind::Server, Here::ServerEvent { id: Some(id), namespace, args })
            }
            Message::ServerEvent { args, request: None } => {
                return Some(Here::ServerEvent { id: None, namespace, args });
            }
            _ => return None,
        };
        let until = now + patience;
        self.until.insert((until, id.0));
        self.all.insert(id, Question { namespace: name, asker, request, kind, until });
        Some(here)
    }

    /// What is answered to whom.
    pub(super) fn answer(&mut self, answer: FromHere) -> Option<(ByteString, Option<ByteString>, Message)> {
        let (id, is_last) = match &answer {
            FromHere::Answered(id, answered) => (*id, answered.is_none()),
            FromHere::Sockets(id, _) | FromHere::Rooms(id, _) | FromHere::ServerAnswer(id, _) => (*id, true),
        };
        let question = self.all.get(&id)?;
        let request = question.request.clone();
        let message = match (question.kind, answer) {
            (Kind::Acks, FromHere::Answered(_, Some(Answered::Expecting(clients)))) => {
                Some(Message::Asked { request, clients })
            }
            (Kind::Acks, FromHere::Answered(_, Some(Answered::Of { args, .. }))) => {
                Some(Message::Acked { request, args })
            }
            (Kind::Sockets, FromHere::Sockets(_, sockets)) => Some(Message::Sockets { request, sockets }),
            (Kind::Sids, FromHere::Sockets(_, sockets)) => {
                let sids = sockets.into_iter().map(|socket| socket.id).collect();
                Some(Message::Sids { request, sids })
            }
            (Kind::Rooms, FromHere::Rooms(_, rooms)) => Some(Message::Rooms { request, rooms }),
            (Kind::Server, FromHere::ServerAnswer(_, args)) => Some(Message::ServerAnswer { request, args }),
            _ => None,
        };
        let (namespace, asker) = (question.namespace.clone(), question.asker.clone());
        if is_last && let Some(question) = self.all.remove(&id) {
            self.until.remove(&(question.until, id.0));
        }
        Some((namespace, asker, message?))
    }

    /// Forgets the questions that nothing has answered in time.
    pub(super) fn forget_at(&mut self, now: Instant) {
        while let Some((until, id)) = self.until.first().copied()
            && until <= now
        {
            self.until.remove(&(until, id));
            self.all.remove(&HereId(id));
        }
    }

    /// Forgets all questions: no answer arrives.
    pub(super) fn forget_all(&mut self) {
        self.all.clear();
        self.until.clear();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        Some(self.until.first()?.0)
    }
}
