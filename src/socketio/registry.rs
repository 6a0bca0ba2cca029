//! What all sessions at one address share: their settings, their ids, and the ended ones that wait for their clients.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{carrier::Closing, requests::Entry, settings::EngineSettings};
use crate::{
    config::NodeName,
    connection::{Budget, Ending, Lease},
    metrics::Metrics,
    protocol::engineio::Handshake,
};

/// Id of an Engine.IO session: the name of its node, and 16 random characters, which are 96 bits. It is a secret: a request
/// with this id acts for the session.
pub type Sid = Arc<str>;

/// Length of an id in characters.
const SID: usize = 20;

/// Random bytes of an id. Each three of them are four characters.
const RANDOM_BYTES: usize = (SID - NodeName::LEN) / 4 * 3;

/// All sessions at one address, on all workers, by their ids.
pub struct Registry {
    /// Settings of all sessions.
    pub settings: EngineSettings,
    /// The name that the ids begin with; `None` if the system had no random numbers for one.
    node: Option<NodeName>,
    /// Counters of all sessions.
    pub metrics: Arc<Metrics>,
    /// The memory budget of all sessions: input that is not dealt with, and output that waits.
    budget: Arc<Budget>,
    sessions: Mutex<HashMap<Sid, Entry>>,
    ended: Mutex<Ended>,
    closing: Closing,
    /// The server stops.
    is_ending: AtomicBool,
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
        let closing = Closing::new(settings.stall_timeout);
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
        })
    }

    /// The memory budget of all clients.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Creates a lease in the engine's memory budget.
    pub fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.budget))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a session by id. The session may have ended and wait for its client.
    pub fn find(&self, sid: &str) -> Option<Entry> {
        self.sessions().get(sid).cloned()
    }

    /// Number of sessions, including ended ones that wait for their clients.
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    /// Adds a session. One that starts while the others are ended is ended, too.
    pub(super) fn add(&self, sid: Sid, session: Entry) {
        self.sessions().insert(sid, session.clone());
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

    /// A new session id, and the open packet of its session.
    pub(super) fn open_packet(&self, upgrades: &[&str]) -> Result<(Sid, String), getrandom::Error> {
        let node = self.node.map_or_else(NodeName::random, Ok)?;
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let sid: Sid = format!("{node}{}", BASE64_URL_SAFE_NO_PAD.encode(random)).into();
        let (ping_interval, ping_timeout) = self.settings.advertised_pings();
        let handshake = Handshake {
            sid: &sid,
            upgrades,
            ping_interval,
            ping_timeout,
            max_payload: self.settings.max_payload,
        };
        let open = handshake.to_packet();
        Ok((sid, open))
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
        if let Some(number) = remains {
            self.ended().sids.remove(&number);
        }
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of ended sessions whose clients have not learned of the end.
    pub fn count_ended(&self) -> usize {
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

    /// Ends all sessions because the server stops.
    pub fn end_all(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        for entry in self.sessions().values() {
            entry.end(Ending::Restart);
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

    use super::*;

    fn registry(node: Option<&str>) -> Arc<Registry> {
        let node = node.map(|name| name.parse().expect("a name"));
        let settings = EngineSettings { node, ..EngineSettings::default() };
        Registry::new(settings, Arc::new(Metrics::new()), Budget::with(1 << 20, 1 << 20))
    }

    fn sids(registry: &Registry, count: usize) -> HashSet<Sid> {
        (0..count).map(|_| registry.open_packet(&[]).expect("random numbers").0).collect()
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
