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
    /// By rooms.
    chatters: Vec<Vec<Chatter>>,
    nodes: usize,
}

/// The name of the room with this number. They are of different partitions.
fn room(number: usize) -> String {
    ["tea", "coffee", "milk"][number].to_owned()
}

impl Storm {
    /// Begins with `count` chatters in the room `tea`, spread over the nodes, and waits until all are in.
    pub fn begin(nodes: &[SocketAddr], count: usize, manner: &Manner, rng: &mut Rng) -> Self {
        Self::in_rooms(1, nodes, count, manner, rng)
    }

    /// Begins with `count` chatters in each of a number of rooms.
    pub fn in_rooms(
        rooms: usize,
        nodes: &[SocketAddr],
        count: usize,
        manner: &Manner,
        rng: &mut Rng,
    ) -> Self {
        let mut begin = |room: &str, number: usize| {
            let mut own = nodes.to_vec();
            own.rotate_left(number % nodes.len());
            Chatter::begin(format!("c{number}"), room, own, manner.clone(), Rng::new(rng.next()))
        };
        let mut all_in = |room: &str| (0..count).map(|number| begin(room, number)).collect();
        let chatters = (0..rooms).map(|number| all_in(&room(number))).collect();
        let storm = Self { chatters, nodes: nodes.len() };
        storm.wait_until_all_are_in();
        storm
    }

    fn all(&self) -> impl Iterator<Item = &Chatter> {
        self.chatters.iter().flatten()
    }

    pub fn wait_until_all_are_in(&self) {
        self.wait("all are in", |storm| storm.all().all(Chatter::is_in));
    }

    /// The number of messages that were acked so far.
    pub fn acked(&self) -> u64 {
        self.all().map(Chatter::acked).sum()
    }

    /// The chatters that began at this one of the nodes.
    fn at(&self, node: usize) -> impl Iterator<Item = &Chatter> {
        self.chatters.iter().flat_map(move |room| room.iter().skip(node).step_by(self.nodes))
    }

    /// The number of messages that were acked so far of the chatters that began at this one of the nodes.
    pub fn acked_by(&self, node: usize) -> u64 {
        self.at(node).map(Chatter::acked).sum()
    }

    /// Waits until so many more messages are acked.
    pub fn wait_for_acks(&self, more: u64) {
        let goal = self.acked() + more;
        self.wait("messages are acked", |storm| storm.acked() >= goal);
    }

    /// Waits until so many more messages of the chatters that began at this one of the nodes are acked.
    pub fn wait_for_acks_by(&self, node: usize, more: u64) {
        let goal = self.acked_by(node) + more;
        self.wait("messages of a node are acked", |storm| storm.acked_by(node) >= goal);
    }

    /// Waits until each chatter has heard something that was said later than now.
    pub fn wait_until_all_hear(&self) {
        let head = |room: &Vec<Chatter>| room.iter().map(Chatter::heard).max().unwrap_or_default();
        let heads: Vec<_> = self.chatters.iter().map(head).collect();
        self.wait("all hear", |storm| {
            let mut rooms = storm.chatters.iter().zip(&heads);
            rooms.all(|(room, head)| room.iter().all(|chatter| chatter.heard() > *head))
        });
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let state: Vec<_> = self.all().map(|one| (one.is_in(), one.acked(), one.heard())).collect();
            assert!(Instant::now() < deadline, "not so: {what}: (in, acked, heard) {state:?}");
            thread::sleep(PAUSE);
        }
    }

    /// Waits until all that was said is acked and heard, and judges it by what these nodes have kept.
    pub fn end(self, nodes: &[SocketAddr]) -> Verdict {
        self.all().for_each(Chatter::quiet);
        let deadline = Instant::now() + PATIENCE;
        while !self.all().all(Chatter::is_done) && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        let rooms = self.chatters.into_iter().enumerate();
        rooms.map(|(number, chatters)| judge(chatters, &room(number), nodes)).sum()
    }
}

/// Ends the chatters of a room as soon as they have heard all that is kept.
fn judge(chatters: Vec<Chatter>, room: &str, nodes: &[SocketAddr]) -> Verdict {
    let heard = chatters.iter().map(Chatter::heard).max().unwrap_or_default();
    let histories: Vec<_> = nodes.iter().map(|node| history(*node, room, heard)).collect();
    let head = histories.iter().filter_map(|history| history.last()).map(|last| last.0).max();
    chatters.iter().for_each(|chatter| chatter.end(head.unwrap_or_default()));
    let recordings: Vec<_> = chatters.into_iter().map(Chatter::recording).collect();
    Verdict::of(&recordings, &histories)
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
