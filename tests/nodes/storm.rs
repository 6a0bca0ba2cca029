//! Many chatters in one room, who talk while a test does harm to what is between them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    chatter::{Chatter, Manner},
    judge::{History, Verdict},
    program::PATIENCE,
    rng::Rng,
    visitor::Visitor,
};

/// Between two looks at how far chatters are.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a node may take to have what another one has kept.
const SYNC: Duration = Duration::from_secs(10);

/// Chatters that talk.
pub struct Storm {
    chatters: Vec<Chatter>,
    room: String,
}

impl Storm {
    /// Begins with `count` chatters, spread over the nodes, and waits until all are in.
    pub fn begin(nodes: &[SocketAddr], count: usize, manner: &Manner, rng: &mut Rng) -> Self {
        let begin = |number: usize| {
            let mut own = nodes.to_vec();
            own.rotate_left(number % nodes.len());
            Chatter::begin(format!("c{number}"), own, manner.clone(), Rng::new(rng.next()))
        };
        let storm = Self { chatters: (0..count).map(begin).collect(), room: manner.room.clone() };
        storm.wait_until_all_are_in();
        storm
    }

    pub fn wait_until_all_are_in(&self) {
        self.wait("all are in", |storm| storm.chatters.iter().all(Chatter::is_in));
    }

    /// The number of messages that were acked so far.
    pub fn acked(&self) -> u64 {
        self.chatters.iter().map(Chatter::acked).sum()
    }

    /// The number of messages of those chatters that were acked so far that began at this one of `nodes` nodes.
    pub fn acked_by(&self, node: usize, nodes: usize) -> u64 {
        self.chatters.iter().skip(node).step_by(nodes).map(Chatter::acked).sum()
    }

    /// Waits until so many more messages are acked.
    pub fn wait_for_acks(&self, more: u64) {
        let goal = self.acked() + more;
        self.wait("messages are acked", |storm| storm.acked() >= goal);
    }

    /// Waits until each chatter has heard something that was said later than now.
    pub fn wait_until_all_hear(&self) {
        let goal = self.chatters.iter().map(Chatter::heard).max().unwrap_or_default() + 1;
        self.wait("all hear", |storm| storm.chatters.iter().all(|chatter| chatter.heard() >= goal));
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let state: Vec<_> =
                self.chatters.iter().map(|one| (one.is_in(), one.acked(), one.heard())).collect();
            assert!(Instant::now() < deadline, "not so: {what}: (in, acked, heard) {state:?}");
            thread::sleep(PAUSE);
        }
    }

    /// Waits until all that was said is acked and heard, and judges it by what these nodes have kept.
    pub fn end(self, nodes: &[SocketAddr]) -> Verdict {
        self.chatters.iter().for_each(Chatter::quiet);
        let deadline = Instant::now() + PATIENCE;
        while !self.chatters.iter().all(Chatter::is_done) && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        let heard = self.chatters.iter().map(Chatter::heard).max().unwrap_or_default();
        let histories: Vec<_> = nodes.iter().map(|node| history(*node, &self.room, heard)).collect();
        let head = histories.iter().filter_map(|history| history.last()).map(|last| last.0).max();
        self.chatters.iter().for_each(|chatter| chatter.end(head.unwrap_or_default()));
        let recordings: Vec<_> = self.chatters.into_iter().map(Chatter::recording).collect();
        Verdict::of(&recordings, &histories)
    }
}

/// What a node has kept of a room, for a client that was never there. Waits a while until that reaches up to `head`.
pub fn history(node: SocketAddr, room: &str, head: u64) -> History {
    static READERS: AtomicU64 = AtomicU64::new(0);
    let deadline = Instant::now() + SYNC;
    loop {
        let name = format!("reader {}", READERS.fetch_add(1, Ordering::Relaxed));
        let history = Visitor::login(node, &name, room).history();
        if history.last().map_or(0, |last| last.0) >= head || Instant::now() > deadline {
            return history;
        }
        thread::sleep(PAUSE);
    }
}
