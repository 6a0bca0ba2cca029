//! One process of the server: the product's shard and fan-outs, and the mailboxes between them.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use echoroom::{
    config::PerAddress,
    testing::{
        ForFanOut, Mail, MemberId, Metrics, Outlets, RoomId,
        simulation::{
            Budget, Call, CallId, ChatLimits, Common, Decided, Decisions, Effect, FanOutSessions, Heard,
            IdLimits, Now, Request, Shard, ShardId, ToShard as FromShard, Token,
        },
    },
};

use crate::{
    names::{Names, Shown},
    session::Session,
};

/// How long a nickname is held, in milliseconds.
pub const HOLD: u64 = 3000;

/// What the shard's mailbox holds.
pub enum ToShard {
    Request(Request),
    Decided(Decided),
    FromShard(FromShard),
    /// What the link to other nodes tells.
    Heard(Heard),
    /// Sessions that register from now on are turned away.
    Stop,
    /// All sessions are dismissed.
    DismissAll,
    Call(CallId, Call),
}

/// An actor of the chat: a shard and its mailbox.
pub struct Server {
    pub shard: Shard,
    pub inbox: VecDeque<ToShard>,
    pub now: Option<Now>,
    pub effects: Vec<Effect>,
    /// It handles nothing before it knows the rooms.
    pub waits: bool,
    pub decided: Arc<Decisive>,
    /// What it has for each worker in this turn.
    pub collected: Vec<Vec<ForFanOut>>,
    /// What it has for other shards in this turn.
    pub forwards: Vec<(ShardId, FromShard)>,
    pub has_stopped: bool,
    /// The calls that it has not answered.
    pub calls: Vec<CallId>,
    /// The calls that it answers at the end of this turn.
    pub answers: Vec<CallId>,
    /// Whether it panics over its next input.
    pub is_poisoned: bool,
}

/// A worker thread: its fan-out, and what the shard has sent it.
pub struct Worker {
    pub fanout: FanOutSessions,
    pub outlets: Outlets,
    pub mail: VecDeque<Mail>,
    /// Whether broadcasts may wait for the end of its turn.
    pub is_dirty: bool,
    /// Whether its fan-out panics over its next message.
    pub is_poisoned: bool,
}

/// Keeps what is decided on the threads of the fan-outs.
#[derive(Debug, Default)]
pub struct Decisive(Mutex<Vec<Decided>>);

impl Decisions for Decisive {
    fn decided(&self, decided: Decided) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(decided);
    }
}

impl Decisive {
    pub fn take(&self) -> Vec<Decided> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A session as a shard should know it, by what it has answered.
#[derive(Clone, Debug)]
pub struct View {
    pub shard: usize,
    pub session: u64,
    pub member: MemberId,
    pub client: usize,
    pub is_guest: bool,
    pub room: Option<usize>,
    pub user: Shown,
    /// Whether another tab of its user may have changed its looks by the same input.
    pub is_vague: bool,
    pub token: Option<Token>,
    pub is_subscribed: bool,
    /// The logins that wait for the journals of their rooms.
    pub logins: Vec<u64>,
    /// Its session has ended; true if its nickname is to be held.
    pub leaves: Option<bool>,
    /// The step at which it was registered.
    pub since: u64,
}

/// A private message that a session must get, if the session lives on.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    pub session: u64,
    pub number: u32,
    pub is_reader: bool,
    /// Whether it must get it: it was not on its way before.
    pub is_sure: bool,
}

pub struct Node {
    pub servers: Vec<Server>,
    /// How many of them still need the journal.
    pub open: usize,
    pub common: Arc<Common>,
    pub workers: Vec<Worker>,
    pub budget: Arc<Budget>,
    pub sessions: Vec<Session>,
    pub views: Vec<View>,
    pub opening: Vec<(RoomId, usize)>,
    pub owed: Vec<Owed>,
    /// Sessions that have come to rooms or have left rooms by the last input.
    pub moves: usize,
    /// The private messages that wait for an answer, by their tickets.
    pub privates: Vec<(u64, u32)>,
}

/// The bounds of a chat.
pub fn limits(tail_bytes: usize, commit_delay: Duration) -> ChatLimits {
    ChatLimits {
        max_rooms: 100,
        max_new_rooms: PerAddress::for_all(0),
        name_hold: Duration::from_millis(HOLD),
        name_reservation: Duration::from_secs(3600),
        max_held_names: 1000,
        ids: IdLimits { per_user: 4000, age: Duration::from_secs(24 * 3600), total: 1_000_000 },
        tail_bytes,
        commit_delay,
    }
}

impl Node {
    pub fn new(shards: usize, workers: usize, tail_bytes: usize, commit_delay: Duration, now: Now) -> Self {
        let budget = Budget::with(1 << 24, 1 << 20);
        Self::of(Common::new(limits(tail_bytes, commit_delay), budget, shards), shards, workers, now)
    }

    /// A node with shards that have this in common.
    pub fn of(common: Arc<Common>, shards: usize, workers: usize, now: Now) -> Self {
        let budget = Arc::clone(&common.budget);
        let server = |id| {
            let decided = Arc::<Decisive>::default();
            let decisions = Arc::clone(&decided) as Arc<dyn Decisions>;
            Server {
                shard: Shard::new(Arc::clone(&common), ShardId(id), decisions, now),
                inbox: VecDeque::new(),
                now: None,
                effects: Vec::new(),
                waits: false,
                decided,
                collected: (0..workers).map(|_| Vec::new()).collect(),
                forwards: Vec::new(),
                has_stopped: false,
                calls: Vec::new(),
                answers: Vec::new(),
                is_poisoned: false,
            }
        };
        let servers = (0..shards).map(server).collect();
        let metrics = Arc::new(Metrics::new());
        let worker = |_| {
            let outlets = Outlets::default();
            Worker {
                fanout: FanOutSessions::new(Duration::ZERO, outlets.clone(), Arc::clone(&metrics)),
                outlets,
                mail: VecDeque::new(),
                is_dirty: false,
                is_poisoned: false,
            }
        };
        Self {
            servers,
            open: shards,
            common,
            workers: (0..workers).map(worker).collect(),
            budget,
            sessions: Vec::new(),
            views: Vec::new(),
            opening: Vec::new(),
            owed: Vec::new(),
            moves: 0,
            privates: Vec::new(),
        }
    }

    pub fn session(&mut self, number: u64) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.number == number)
    }

    /// A session as a shard should know it.
    pub fn view(&mut self, shard: usize, member: MemberId) -> Option<&mut View> {
        self.views.iter_mut().find(|view| view.shard == shard && view.member == member)
    }

    /// The users of a room, in order.
    pub fn users(&self, room: usize, names: &Names) -> Vec<Shown> {
        let mut users: Vec<Shown> = Vec::with_capacity(self.views.len());
        for view in self.views.iter().filter(|view| !view.is_guest && view.room == Some(room)) {
            if users.iter().all(|user| names.key(user.name) != names.key(view.user.name)) {
                users.push(view.user);
            }
        }
        users.sort_unstable();
        users
    }

    /// Whether a list has the users of a room, and nothing else.
    pub fn is_list_of(&self, room: usize, mut listed: Vec<Shown>, names: &Names) -> bool {
        let users = self.users(room, names);
        let is_vague = |user: &Shown| {
            let key = names.key(user.name);
            self.views
                .iter()
                .any(|view| view.is_vague && view.room == Some(room) && names.key(view.user.name) == key)
        };
        listed.sort_unstable_by_key(|user| names.key(user.name));
        let mut users = users;
        users.sort_unstable_by_key(|user| names.key(user.name));
        let pairs = users.iter().zip(&listed);
        users.len() == listed.len()
            && pairs.into_iter().all(|(user, listed)| {
                user == listed || names.key(user.name) == names.key(listed.name) && is_vague(user)
            })
    }

    /// Sends what a shard has for the fan-outs and for other shards, and answers calls.
    pub fn send(&mut self, shard: usize) {
        let Server { collected, forwards, calls, answers, .. } = &mut self.servers[shard];
        calls.retain(|call| !answers.contains(call));
        answers.clear();
        for (worker, mail) in self.workers.iter_mut().zip(collected).filter(|(_, mail)| !mail.is_empty()) {
            worker.mail.push_back(Mail(mem::take(mail)));
        }
        for (to, message) in mem::take(forwards) {
            self.servers[to.0].inbox.push_back(ToShard::FromShard(message));
        }
    }

    /// Has the shards' mailboxes take what was decided.
    pub fn pass_decisions(&mut self) {
        for server in &mut self.servers {
            server.inbox.extend(server.decided.take().into_iter().map(ToShard::Decided));
        }
    }

    /// Whether no shard has anything in its mailbox, or for another one.
    pub fn has_read_all(&self) -> bool {
        self.servers.iter().all(|server| server.inbox.is_empty() && server.forwards.is_empty())
            && self.opening.is_empty()
    }
}
