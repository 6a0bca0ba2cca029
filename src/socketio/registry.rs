//! What all sessions at one address share: their settings, their ids, and the ended ones that wait for their clients.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::rt::time::timeout;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::sync::Notify;

use super::{
    carrier::Closing, ids::IdError, request::Request, requests::Entry, settings::EngineSettings,
    transport::Transport,
};
use crate::{
    config::NodeName,
    connection::{Budget, Ending, Lease},
    metrics::Metrics,
    protocol::engineio::Handshake,
};

/// Id of an Engine.IO session: the name of its node, and 16 random characters, which are 96 bits. It is a secret: a request
/// with this id acts for the session.
pub(super) type Sid = Arc<str>;

/// Length of an id in characters.
const SID: usize = 20;

/// Interval at which a server that stops looks whether sessions are left, if none tells.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Random bytes of an id. Each three of them are four characters.
const RANDOM_BYTES: usize = (SID - NodeName::LEN) / 4 * 3;

/// All sessions at one address, on all workers, by their ids.
pub(crate) struct Registry {
    /// Settings of all sessions.
    pub settings: EngineSettings,
    /// The name that the ids begin with; `None` if the system had no random numbers for one.
    node: Option<NodeName>,
    /// Counters of all sessions.
    pub metrics: Arc<Metrics>,
    /// The memory budget of all sessions: input that is not dealt with, and output that waits.
    budget: Arc<Budget>,
    /// `None` for an id whose session has not begun.
    sessions: Mutex<HashMap<Sid, Option<Entry>>>,
    ended: Mutex<Ended>,
    closing: Closing,
    /// The server stops.
    is_ending: AtomicBool,
    /// Told when a session is gone while the server stops.
    gone: Arc<Notify>,
}

/// A session of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtherNode {
    /// This node.
    pub here: NodeName,
    /// The node of the session.
    pub there: NodeName,
}

/// Ended sessions of polling clients that have not learned of the end, oldest first.
#[derive(Debug, Default)]
struct Ended {
    last: u64,
    sids: BTreeMap<u64, Sid>,
}

impl Registry {
    /// No sessions yet. Input that is not dealt with, and output that waits, are charged to `budget`.
    pub(super) fn new(settings: EngineSettings, metrics: Arc<Metrics>, budget: Arc<Budget>) -> Arc<Self> {
        let gone = Arc::<Notify>::default();
        let closing = Closing::new(settings.stall_timeout, Arc::clone(&gone));
        let node = settings.node.or_else(|| NodeName::random().ok());
        Arc::new(Self {
            settings,
            node,
            metrics,
            budget,
            sessions: Mutex::default(),
            ended: Mutex::default(),
            closing,
            is_ending: AtomicBool::new(false),
            gone,
        })
    }

    /// The memory budget of all clients.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Creates a lease in the engine's memory budget.
    pub(crate) fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.budget))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Option<Entry>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a session by id. The session may have ended and wait for its client.
    pub(crate) fn find(&self, sid: &str) -> Option<Entry> {
        self.sessions().get(sid).cloned().flatten()
    }

    /// Number of sessions, including those that are about to begin, and ended ones that wait for their clients.
    pub(crate) fn count(&self) -> usize {
        self.sessions().len()
    }

    /// Adds a session. One that starts while the others are ended is ended, too.
    pub(super) fn add(&self, sid: Sid, session: Entry) {
        self.sessions().insert(sid, Some(session.clone()));
        if self.is_ending.load(Ordering::SeqCst) {
            session.end(Ending::Restart);
        }
    }

    /// Closes the WebSockets of sessions that have ended.
    pub(super) fn closing(&self) -> &Closing {
        &self.closing
    }

    /// The number of WebSockets whose sessions have ended, and whose last bytes are still written.
    pub(crate) fn count_finishing(&self) -> usize {
        self.closing.count()
    }

    /// Reserves an id for the session that a request begins.
    ///
    /// # Errors
    /// The program's own id cannot be used, or the system has no random numbers.
    pub(super) fn reserve(self: &Arc<Self>, request: &Request) -> Result<Reserved, IdError> {
        let sid: Sid = match &self.settings.generate_id {
            Some(ids) => ids.generate(request)?.into(),
            None => self.random_id().map_err(IdError::Random)?.into(),
        };
        match self.sessions().entry(Arc::clone(&sid)) {
            hash_map::Entry::Occupied(_) => return Err(IdError::Taken),
            hash_map::Entry::Vacant(place) => place.insert(None),
        };
        Ok(Reserved { registry: Arc::clone(self), sid })
    }

    fn random_id(&self) -> Result<String, getrandom::Error> {
        let node = self.node.map_or_else(NodeName::random, Ok)?;
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        Ok(format!("{node}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
    }

    /// The open packet of a session that begins by this transport.
    pub(super) fn open_packet(&self, sid: &str, transport: Transport) -> String {
        let (ping_interval, ping_timeout) = self.settings.advertised_pings();
        let upgrades: &[&str] = match transport {
            Transport::Polling if self.settings.offers_upgrade() => &["websocket"],
            Transport::Polling | Transport::WebSocket => &[],
        };
        let max_payload = self.settings.max_payload;
        Handshake { sid, upgrades, ping_interval, ping_timeout, max_payload }.to_packet()
    }

    /// This node and the one that an id names, if nodes have names and it is another one: a balancer has sent the request
    /// here that should have sent it there.
    pub(crate) fn other_node(&self, sid: &str) -> Option<OtherNode> {
        let here = self.settings.node?;
        let is_sid = sid.len() == SID && sid.bytes().all(NodeName::is_allowed);
        let there: NodeName = sid.get(..NodeName::LEN).filter(|_| is_sid)?.parse().ok()?;
        (there != here).then_some(OtherNode { here, there })
    }

    /// Removes an ended session, and its number from [`keep_ended`](Self::keep_ended), if it has one.
    pub(super) fn forget(&self, sid: &str, remains: Option<u64>) {
        self.sessions().remove(sid);
        self.gone.notify_waiters();
        if let Some(number) = remains {
            self.ended().sids.remove(&number);
        }
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of ended sessions whose clients have not learned of the end.
    #[cfg(test)]
    pub(crate) fn count_ended(&self) -> usize {
        self.ended().sids.len()
    }

    /// Keeps an ended session until its client learns of the end. Returns its number. Above the limit the
    /// oldest kept session is dropped.
    pub(super) fn keep_ended(&self, sid: &Sid) -> u64 {
        let (number, gone) = {
            let mut ended = self.ended();
            ended.last += 1;
            let number = ended.last;
            ended.sids.insert(number, Arc::clone(sid));
            let is_over = ended.sids.len() > self.settings.max_ended_sessions;
            (number, is_over.then(|| ended.sids.pop_first()).flatten())
        };
        if let Some(entry) = gone.and_then(|(_, sid)| self.find(&sid)) {
            entry.depart();
        }
        number
    }

    /// Whether the server stops: no session begins.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// Ends all sessions because the server stops.
    pub(crate) fn end_all(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        for entry in self.sessions().values().flatten() {
            entry.end(Ending::Restart);
        }
    }
}

impl Registry {
    /// Ends all sessions, whose reason is then `server shutting down`, and refuses new ones. Ready when no
    /// session is left and the last bytes of each WebSocket are written, or its client was given up after
    /// [`EngineSettings::stall_timeout`].
    pub(crate) async fn close(&self) {
        self.end_all();
        loop {
            let gone = self.gone.notified();
            let is_alive = |entry: &Option<Entry>| entry.as_ref().is_some_and(Entry::is_alive);
            if !self.sessions().values().any(is_alive) && self.closing.count() == 0 {
                return;
            }
            // A session whose thread ends does not tell.
            let _ = timeout(LOOK_AGAIN, gone).await;
        }
    }
}

/// An id whose session has not begun. Given back on drop.
#[derive(Debug)]
pub(super) struct Reserved {
    registry: Arc<Registry>,
    sid: Sid,
}

impl Reserved {
    /// The id.
    pub(super) fn sid(&self) -> &Sid {
        &self.sid
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut sessions = self.registry.sessions();
        if let Some(None) = sessions.get(&self.sid) {
            sessions.remove(&self.sid);
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use actix_web::test::TestRequest;

    use super::*;
    use crate::socketio::ids::GenerateId;

    fn registry(node: Option<&str>) -> Arc<Registry> {
        let node = node.map(|name| name.parse().expect("a name"));
        let settings = EngineSettings { node, ..EngineSettings::default() };
        Registry::new(settings, Arc::new(Metrics::new()), Budget::with(1 << 20, 1 << 20))
    }

    fn sids(registry: &Arc<Registry>, count: usize) -> HashSet<Sid> {
        let reserve = |_| Arc::clone(registry.reserve(&Request::default()).expect("random numbers").sid());
        (0..count).map(reserve).collect()
    }

    #[test]
    fn an_id_is_reserved_once_and_free_again_when_its_session_does_not_begin() {
        let settings = EngineSettings {
            generate_id: Some(GenerateId::new(|request| request.url().to_owned())),
            ..EngineSettings::default()
        };
        let registry = Registry::new(settings, Arc::new(Metrics::new()), Budget::with(1 << 20, 1 << 20));
        let request = Request::of(&TestRequest::with_uri("/a").to_http_request(), &[]);
        let first = registry.reserve(&request).expect("a free id");
        assert_eq!(registry.reserve(&request).expect_err("taken"), IdError::Taken);
        assert!(registry.find("/a").is_none() && registry.count() == 1);
        drop(first);
        assert!(registry.reserve(&request).is_ok() && registry.count() == 0);
    }

    #[test]
    fn an_id_that_is_not_visible_ascii_of_64_bytes_is_refused() {
        let registry = |id: &'static str, times: usize| {
            let generate = GenerateId::new(move |_| id.repeat(times));
            let settings = EngineSettings { generate_id: Some(generate), ..EngineSettings::default() };
            Registry::new(settings, Arc::new(Metrics::new()), Budget::with(1 << 20, 1 << 20))
        };
        let error = |id, times| registry(id, times).reserve(&Request::default()).err();
        assert_eq!((error("x", 64), error("x", 65)), (None, Some(IdError::TooLong(65))));
        assert_eq!(error("", 1), Some(IdError::Empty));
        for id in ["a b", "a\n", "\u{e9}", "\0"] {
            assert_eq!(error(id, 1), Some(IdError::Character), "{id:?}");
        }
    }

    #[test]
    fn the_ids_of_a_node_begin_with_its_name_and_differ_in_16_characters() {
        let sids = sids(&registry(Some("tea1")), 1000);
        assert_eq!(sids.len(), 1000);
        assert!(sids.iter().all(|sid| sid.starts_with("tea1") && sid.len() == SID), "{sids:?}");
        for place in NodeName::LEN..SID {
            let characters: HashSet<_> = sids.iter().map(|sid| sid.as_bytes()[place]).collect();
            assert!(characters.len() > 48, "place {place} has {} of 64 characters", characters.len());
        }
    }

    #[test]
    fn without_a_name_the_ids_of_a_process_begin_with_a_random_one() {
        let names = [(); 2].map(|()| {
            let names: HashSet<_> =
                sids(&registry(None), 3).iter().map(|sid| sid[..NodeName::LEN].to_owned()).collect();
            assert_eq!(names.len(), 1, "{names:?}");
            names
        });
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn an_id_tells_the_node_of_its_session_if_nodes_have_names() {
        let sid = "tea2ABCDEFGHIJKLMNOP";
        let (here, there) = ("tea1".parse().expect("a name"), "tea2".parse().expect("a name"));
        assert_eq!(registry(Some("tea1")).other_node(sid), Some(OtherNode { here, there }));
        assert_eq!(registry(Some("tea2")).other_node(sid), None);
        assert_eq!(registry(None).other_node(sid), None);
        for junk in ["", "tea2", "tea2ABCDEFGHIJKLMNO", "tea2ABCDEFGHIJKLMN\nP", "téa2ABCDEFGHIJKLMNO"] {
            assert_eq!(registry(Some("tea1")).other_node(junk), None, "{junk:?}");
        }
    }
}
