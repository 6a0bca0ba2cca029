//! Finds lost sockets that the cluster keeps, and what their clients have missed.
//!
//! A client has missed the entries of the stream behind the one that it has seen last. This server reads the stream too, and
//! hands each entry to its sockets; the found socket joins them at one moment. What the client gets from the stream ends
//! there: first the entries up to the one that was handed over when the search began, then those since, which are
//! remembered here. A client that has seen more than this server has handed over waits for that. So no event comes twice, and
//! none is missing.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::{Duration, Instant},
};

use bytestring::ByteString;
use log::error;

use super::{Core, State};
use crate::{
    protocol::socketio::{Args, Offset},
    socketio::{
        adapter::traffic::{Entry, Output, Query, QueryId, Reply},
        cluster::{Message, Opts, Restore, Restored, Session, StreamId, Target},
    },
};

/// A client may come back sooner than its former server has stored its session, or while that takes its former connection for
/// alive: the session is claimed, and asked for again so often.
const TRIES: u32 = 5;

/// The time between.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Bytes of the secret of a client, which sends what it likes. Servers give out 20.
const MAX_PID: usize = 64;

/// The searches under way.
#[derive(Default)]
pub(super) struct Restoring {
    searches: HashMap<QueryId, Search>,
    /// Searches that ask again for the session at this time.
    later: VecDeque<(Instant, Search)>,
    /// Sockets that were found, but whose clients have seen more than this server has handed over.
    ahead: Vec<Found>,
    /// The events that were handed over since the oldest search began.
    since: VecDeque<Event>,
}

/// An event of the stream.
struct Event {
    id: StreamId,
    namespace: ByteString,
    opts: Opts,
    args: Args,
}

struct Search {
    namespace: ByteString,
    /// The secret of the client.
    pid: ByteString,
    /// The last entry that the client has seen; `None` if it has seen none.
    seen: Option<StreamId>,
    /// The last entry that was handed over when the search began.
    up_to: StreamId,
    step: Step,
    /// The key of the session.
    key: ByteString,
    /// How often the session was asked for in vain.
    tries: u32,
    to: Restore,
}

/// A socket that was found.
struct Found {
    namespace: ByteString,
    session: Session,
    /// The last entry that the client has seen.
    seen: StreamId,
    /// The last entry that was handed over when the search began.
    up_to: StreamId,
    /// The missed events up to there.
    missed: Missed,
    to: Restore,
}

enum Step {
    /// The session is asked for.
    Session,
    /// The entry that the client has seen last is looked for: if it is gone, others behind it may be, too.
    Seen(Session),
    /// Entries behind it are read.
    Missed { session: Session, after: StreamId, missed: Missed },
}

/// The missed events so far.
#[derive(Default)]
struct Missed {
    events: Vec<(StreamId, Args)>,
    /// Their length.
    bytes: usize,
    /// Number of entries that were read.
    entries: usize,
}

impl Restoring {
    pub(super) fn is_any(&self) -> bool {
        !self.searches.is_empty() || !self.later.is_empty() || !self.ahead.is_empty()
    }

    pub(super) fn has_asked(&self, id: QueryId) -> bool {
        self.searches.contains_key(&id)
    }

    /// An entry of the stream is handed over.
    pub(super) fn heard(&mut self, id: StreamId, namespace: &ByteString, message: &Message) {
        if let Message::Broadcast { args, opts } = message {
            let (namespace, opts, args) = (namespace.clone(), opts.clone(), args.clone());
            self.since.push_back(Event { id, namespace, opts, args });
        }
    }

    /// Ends all searches without success.
    pub(super) fn give_up_all(&mut self) -> Vec<Output> {
        self.since.clear();
        let later = mem::take(&mut self.later).into_iter().map(|(_, search)| search);
        let searches = mem::take(&mut self.searches).into_values().chain(later);
        let ahead = mem::take(&mut self.ahead).into_iter().map(|found| found.to);
        searches.map(|search| search.to).chain(ahead).map(|to| Output::Restore(to, None)).collect()
    }

    /// When sessions are asked for again.
    pub(super) fn next_try(&self) -> Option<Instant> {
        Some(self.later.front()?.0)
    }

    fn forget_since(&mut self) {
        let later = self.later.iter().map(|(_, search)| search);
        let searches = self.searches.values().chain(later).map(|search| search.up_to);
        match searches.chain(self.ahead.iter().map(|found| found.up_to)).min() {
            None => self.since.clear(),
            Some(oldest) => {
                while self.since.front().is_some_and(|event| event.id <= oldest) {
                    self.since.pop_front();
                }
            }
        }
    }
}

/// Whether an event is for a socket, and is repeated for it.
fn is_missed(session: &Session, id: StreamId, opts: &Opts) -> bool {
    let began = |name: &ByteString| {
        let since = session.since.iter().find(|(room, _)| room == name);
        since.and_then(|(_, since)| since.parse::<StreamId>().ok()).unwrap_or_default()
    };
    let is_in = |name: &ByteString| session.rooms.contains(name) && began(name) < id;
    let Target { to, except } = &opts.target;
    let is_called = to.is_empty() || to.iter().any(is_in);
    is_called && !except.iter().any(is_in) && began(&session.sid) < id && !opts.flags.volatile
}

fn len_of(args: &Args) -> usize {
    args.json.len() + args.attachments.iter().map(bytes::Bytes::len).sum::<usize>()
}

impl Core {
    /// Begins to look for a lost socket.
    pub(super) fn restore(
        &mut self,
        namespace: ByteString,
        pid: &ByteString,
        offset: &Offset,
        to: Restore,
        out: &mut Vec<Output>,
    ) {
        let seen = match offset {
            Offset::Missing => Ok(None),
            Offset::Text(text) => text.parse().map(Some).map_err(|_| ()),
            Offset::Other => Err(()),
        };
        let up_to = self.link.read_up_to().filter(|_| self.link.state() == State::Ready);
        let key = self.speech.session_key(pid).filter(|_| pid.len() <= MAX_PID);
        let (Ok(seen), Some((_, up_to)), Some(key)) = (seen, up_to, key) else {
            return out.push(Output::Restore(to, None));
        };
        if self.speech.keeps_changes() {
            // It is kept while its former socket lives.
            self.claim(&namespace, pid, out);
        }
        let query = Query::Take { key: key.clone() };
        let pid = pid.clone();
        let search = Search { namespace, pid, seen, up_to, step: Step::Session, key, tries: 0, to };
        self.look_on(search, query, out);
    }

    /// Has the former socket of a client end, if another server has it and does not know yet that it is lost.
    fn claim(&mut self, namespace: &ByteString, pid: &ByteString, out: &mut Vec<Output>) {
        match self.speech.tell(namespace, &Message::Claim { pid: pid.clone() }) {
            Ok(sending) => self.send_message(sending, out),
            Err(problem) => error!("namespace {namespace}: a socket is not claimed: {problem}"),
        }
    }

    fn look_on(&mut self, search: Search, query: Query, out: &mut Vec<Output>) {
        let id = self.query(query, out);
        self.restoring.searches.insert(id, search);
    }

    /// Asks again for the sessions that were not there.
    pub(super) fn look_again(&mut self, now: Instant, out: &mut Vec<Output>) {
        while self.restoring.later.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, search)) = self.restoring.later.pop_front()
        {
            let query = Query::Take { key: search.key.clone() };
            self.look_on(search, query, out);
        }
    }

    /// Goes on with a search.
    pub(super) fn restore_on(
        &mut self,
        now: Instant,
        id: QueryId,
        reply: Result<Reply, String>,
        out: &mut Vec<Output>,
    ) {
        let Some(search) = self.restoring.searches.remove(&id) else {
            return;
        };
        if let (Step::Session, Ok(Reply::Value(None))) = (&search.step, &reply)
            && search.tries < TRIES
        {
            if search.tries == 0 && !self.speech.keeps_changes() {
                self.claim(&search.namespace, &search.pid, out);
            }
            let search = Search { tries: search.tries + 1, ..search };
            return self.restoring.later.push_back((now + BETWEEN_TRIES, search));
        }
        let Search { namespace, pid, mut seen, up_to, step, key, tries, to } = search;
        let stream = self.link.read_up_to().map(|(stream, _)| stream.clone()).unwrap_or_default();
        let next = match (step, reply) {
            (Step::Session, Ok(Reply::Value(Some(value)))) => {
                let session = self.speech.read_session(&value);
                session.and_then(|session| self.first_step(session, &mut seen, up_to, &stream))
            }
            (Step::Seen(session), Ok(Reply::Entries(entries))) => {
                let after = entries.first().and_then(|entry| entry.id.parse().ok());
                after.map(|after| self.page(session, after, Missed::default(), up_to, &stream))
            }
            (Step::Missed { session, after, missed }, Ok(Reply::Entries(entries))) => {
                let is_last = entries.len() <= self.bounds.read_count;
                let (before, seen_id) = ((after, missed), seen.unwrap_or_default());
                match self.missed(&namespace, &session, (seen_id, up_to), entries, before) {
                    Some((_, missed)) if is_last => {
                        let found = Found { namespace, session, seen: seen_id, up_to, missed, to };
                        self.restoring.ahead.push(found);
                        return self.hand_out(out);
                    }
                    read => read.map(|(after, missed)| self.page(session, after, missed, up_to, &stream)),
                }
            }
            _ => None,
        };
        match next {
            Some((step, query)) => {
                self.look_on(Search { namespace, pid, seen, up_to, step, key, tries, to }, query, out);
            }
            None => {
                out.push(Output::Restore(to, None));
                self.restoring.forget_since();
            }
        }
    }

    /// The step that follows once the session is known.
    fn first_step(
        &self,
        session: Session,
        seen: &mut Option<StreamId>,
        up_to: StreamId,
        stream: &ByteString,
    ) -> Option<(Step, Query)> {
        // A client without an offset has seen no event since it connected; only servers of this crate tell when that was.
        let began = || {
            let (_, began) = session.since.iter().find(|(room, _)| *room == session.sid)?;
            began.parse().ok()
        };
        let id = seen.or_else(began)?;
        *seen = Some(id);
        if id == StreamId::default() {
            // The stream was empty.
            return Some(self.page(session, id, Missed::default(), up_to, stream));
        }
        let id = ByteString::from(id.to_string());
        let query = Query::Range { stream: stream.clone(), from: id.clone(), to: id, count: 1 };
        Some((Step::Seen(session), query))
    }

    /// The step that reads the next entries, the one that was read last first.
    fn page(
        &self,
        session: Session,
        after: StreamId,
        missed: Missed,
        up_to: StreamId,
        stream: &ByteString,
    ) -> (Step, Query) {
        let query = Query::Range {
            stream: stream.clone(),
            from: after.to_string().into(),
            to: up_to.to_string().into(),
            count: self.bounds.read_count + 1,
        };
        (Step::Missed { session, after, missed }, query)
    }

    /// Adds the entries that the client has missed. `None` if they are too many bytes, or some may be gone.
    fn missed(
        &self,
        namespace: &ByteString,
        session: &Session,
        (seen, up_to): (StreamId, StreamId),
        entries: Vec<Entry>,
        (mut after, mut missed): (StreamId, Missed),
    ) -> Option<(StreamId, Missed)> {
        let mut entries = entries.into_iter();
        // If the entry that was read last is gone, others behind it may be, too.
        if after != StreamId::default() && after <= up_to && entries.next()?.id.parse() != Ok(after) {
            return None;
        }
        for Entry { id, fields } in entries {
            missed.entries += 1;
            let Ok(id) = id.parse() else {
                continue;
            };
            after = id;
            let head = self.speech.entry_head(&fields);
            if head.is_none_or(|(_, its, _)| its != *namespace) {
                continue;
            }
            if let Ok(envelope) = self.speech.read_entry(&fields)
                && let Message::Broadcast { args, opts } = envelope.message
                && is_missed(session, id, &opts)
            {
                missed.bytes += len_of(&args);
                missed.events.push((id, args));
            }
        }
        // What a client has seen of an empty stream cannot be looked for, but a stream that is as long may have been trimmed.
        let may_be_trimmed = seen == StreamId::default() && missed.entries >= self.bounds.stream_len;
        (missed.bytes <= self.bounds.max_missed && !may_be_trimmed).then_some((after, missed))
    }

    /// Hands out the found sockets whose clients have seen no more than this server has handed over. It is done in the place
    /// of the next event.
    pub(super) fn hand_out(&mut self, out: &mut Vec<Output>) {
        let Some((_, last)) = self.link.read_up_to() else {
            return;
        };
        for found in self.restoring.ahead.extract_if(.., |found| found.seen <= last) {
            let Found { namespace, session, seen, up_to, mut missed, to } = found;
            for Event { id, namespace: its, opts, args } in &self.restoring.since {
                let is_new = *id > up_to && *id > seen && *its == namespace;
                if is_new && is_missed(&session, *id, opts) {
                    missed.bytes += len_of(args);
                    missed.events.push((*id, args.clone()));
                }
            }
            let is_little = missed.bytes <= self.bounds.max_missed;
            let restored = Restored { session, missed: missed.events, last };
            out.push(Output::Restore(to, is_little.then_some(restored)));
        }
        self.restoring.forget_since();
    }
}
