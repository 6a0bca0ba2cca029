//! The whole simulation: one seeded scheduler picks what happens next.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use echoroom::testing::{
    Delivery, ForFanOut,
    simulation::{Call, CallId, ChatNews, Input, LostMail, Now, Request, Token, Unregister},
};

use crate::{
    client::Client,
    journal::Journal,
    names::{Names, token},
    node::{Node, ToShard},
    rng::Rng,
    seat::Seen,
    session::{Desk, Session},
    trace::{SHOWN, Trace},
    truth::Truth,
};

/// The wall clock at the start of a simulation, in milliseconds since 1970.
pub const EPOCH: u64 = 1_700_000_000_000;

/// The sizes and faults of one simulation, chosen by its seed.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub rooms: usize,
    pub workers: usize,
    pub shards: usize,
    pub clients: usize,
    /// Bytes that may wait for a client.
    pub bound: usize,
    pub tail_bytes: usize,
    /// How long messages without an ack wait for more that are stored with them.
    pub commit_delay: Duration,
    /// How many of a thousand jobs of the journal fail.
    pub faults: usize,
    pub has_crashes: bool,
    pub has_full_disks: bool,
    pub has_panics: bool,
    /// How many of a thousand actions of a client have it stop or begin to read.
    pub slow: usize,
    /// The longest message.
    pub len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// The shards send all that was said, and take no more sessions.
    Stopping,
    /// The sessions are dismissed.
    Dismissing,
    /// The journal is closed when it has everything.
    Closing,
}

/// A nickname that is held for the owner of a token.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub room: usize,
    pub name: usize,
    pub token: Token,
    /// The end, by the clock of the simulation.
    pub until: u64,
}

pub struct World {
    pub rng: Rng,
    pub trace: Trace,
    pub config: Config,
    pub clock: u64,
    base: Instant,
    pub names: Names,
    pub journal: Journal,
    pub truth: Truth,
    pub clients: Vec<Client>,
    pub node: Node,
    pub phase: Phase,
    pub held: Vec<Held>,
    pub seen: Rc<RefCell<Seen>>,
    pub last_session: u64,
    pub last_ticket: u64,
    pub last_token: u64,
    /// Counts that the report shows.
    pub counts: Counts,
}

/// What a simulation has come across.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub acks: u64,
    pub told: u64,
    pub privates: u64,
    pub resumes: u64,
    pub lost_resumes: u64,
    pub evictions: u64,
    pub crashes: u64,
    pub stops: u64,
    pub panics: u64,
    pub rests: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let is_faulty = rng.chance(600);
        let config = Config {
            rooms: 1 + rng.below(3),
            workers: 1 + rng.below(3),
            shards: 1 + rng.below(3),
            clients: 3 + rng.below(8),
            bound: [1500, 4000, 1 << 20][rng.below(3)],
            tail_bytes: [0, 1 << 20][rng.below(2)],
            faults: if is_faulty { [5, 40][rng.below(2)] } else { 0 },
            has_crashes: rng.chance(700),
            has_full_disks: is_faulty && rng.chance(500),
            has_panics: rng.chance(400),
            slow: [0, 40][rng.below(2)],
            len: [20, 600][rng.below(2)],
            commit_delay: [Duration::ZERO, Duration::from_millis(5)][rng.below(2)],
        };
        let base = Instant::now();
        let now = Now { at: base, millis: EPOCH };
        let clients =
            (0..config.clients).map(|number| Client::new(number, config.rooms, rng.below(config.rooms)));
        let clients = clients.collect();
        let mut world = Self {
            rng,
            trace: Trace::new(SHOWN),
            config,
            clock: 0,
            base,
            names: Names::new(config.rooms),
            journal: Journal::new(config.rooms, config.faults),
            truth: Truth::new(config.rooms),
            clients,
            node: Node::new(config.shards, config.workers, config.tail_bytes, config.commit_delay, now),
            phase: Phase::Running,
            held: Vec::new(),
            seen: Rc::default(),
            last_session: 0,
            last_ticket: 0,
            last_token: 0,
            counts: Counts::default(),
        };
        world.begin_run();
        world
    }

    /// Runs until `steps` steps are done or a promise is broken, and then to a rest.
    pub fn run(&mut self, steps: u64) {
        while self.trace.step < steps && self.trace.broken.is_none() {
            self.step();
            if self.rng.below(600) == 0 {
                self.rest();
            }
        }
        self.rest();
    }

    /// One step: something happens, or there is nothing to do where the scheduler has looked.
    fn step(&mut self) {
        self.trace.step += 1;
        for _ in 0..16 {
            let is_done = match self.rng.below(100) {
                0..=21 => self.client_acts(),
                22..=43 => self.any_shard(Self::shard_takes),
                44..=50 => self.any_shard(Self::shard_ends_turn),
                51..=61 => self.fanout_takes(),
                62..=66 => self.fanout_delivers(),
                67..=76 => self.any_session(Self::session_takes_mail),
                77..=83 => self.any_session(Self::session_takes_request),
                84..=90 => self.any_client_reads(),
                91..=93 => self.journal_works(),
                94..=96 => self.journal_answers(),
                97 => self.any_session(Self::session_reads_journal),
                98 => self.time_passes(),
                _ => self.trouble(),
            };
            if is_done {
                break;
            }
        }
        self.settle();
    }

    /// Collects what a step has left in cells, and goes on with a stop.
    pub fn settle(&mut self) {
        self.node.pass_decisions();
        let (handed, broken) = {
            let mut seen = self.seen.borrow_mut();
            (std::mem::take(&mut seen.handed), seen.broken.take())
        };
        for (session, number) in handed {
            let is_owed = |owed: &&crate::node::Owed| owed.session == session && owed.number == number;
            if self.node.owed.iter().find(is_owed).is_some_and(|owed| owed.is_reader) {
                self.truth.message(number).handed_in = self.journal.run();
            }
        }
        if let Some((promise, what)) = broken {
            self.trace.fail(promise, || what);
        }
        match self.phase {
            Phase::Stopping if self.node.servers.iter().all(|server| server.has_stopped) => {
                self.phase = Phase::Dismissing;
                self.node.servers[0].inbox.push_back(ToShard::DismissAll);
            }
            Phase::Dismissing if self.node.sessions.is_empty() && self.node.has_read_all() => {
                self.phase = Phase::Closing;
                for server in &mut self.node.servers {
                    for (number, call) in [Call::UntilIdle, Call::Close].into_iter().enumerate() {
                        let id = CallId(number as u64);
                        server.calls.push(id);
                        server.inbox.push_back(ToShard::Call(id, call));
                    }
                }
            }
            Phase::Closing if self.journal.is_closed && self.journal.answers.is_empty() => self.stopped(),
            _ => {}
        }
    }

    // ----- the process -----

    pub fn time(&self) -> Now {
        Now { at: self.base + Duration::from_millis(self.clock), millis: EPOCH + self.clock }
    }

    fn begin_run(&mut self) {
        self.journal.begin_run();
        self.phase = Phase::Running;
        for shard in 0..self.config.shards {
            let server = &mut self.node.servers[shard];
            server.shard.start(&mut server.effects);
            self.carry_out(shard);
        }
    }

    /// The process is gone, and another one starts on the journal.
    fn restart(&mut self) {
        self.clients.iter_mut().for_each(Client::lost);
        let Config { shards, workers, tail_bytes, commit_delay, .. } = self.config;
        self.node = Node::new(shards, workers, tail_bytes, commit_delay, self.time());
        self.begin_run();
    }

    pub fn crash(&mut self) {
        self.trace.note("the process crashes", [0; 3]);
        self.counts.crashes += 1;
        self.journal.crash(&mut self.rng, &self.names, &mut self.truth, &mut self.trace);
        self.held.clear();
        self.restart();
    }

    /// The process has stopped as it should.
    fn stopped(&mut self) {
        self.trace.note("the process has stopped", [0; 3]);
        self.counts.stops += 1;
        let owed: Vec<_> = self.node.servers.iter().map(|server| server.calls.clone()).collect();
        self.trace.check(owed.iter().all(Vec::is_empty), "each call is answered", || format!("{owed:?}"));
        for room in 0..self.config.rooms {
            let (head, durable) = (self.truth.head(room), self.journal.head(room));
            self.trace.check(head == durable, "a stop loses nothing", || {
                format!("room {room} had {head} messages, {durable} are kept")
            });
        }
        let now = self.time().millis;
        self.held.retain(|held| held.until > self.clock);
        if self.journal.has_lost_names {
            self.held.clear();
        }
        for held in std::mem::take(&mut self.held) {
            let owner = self.journal.owner(held.room, self.names.nicknames[held.name].key().as_str(), now);
            self.trace.check(owner.is_some(), "a stop keeps the names of users", || format!("{held:?}"));
            // A name that is reserved stays that of the owner for whom it is.
            if owner == Some(held.token.owner_hash().0) {
                self.held.push(held);
            }
        }
        self.journal.answers.clear();
        self.restart();
    }

    fn trouble(&mut self) -> bool {
        match self.rng.below(10) {
            0 if self.config.has_crashes && self.rng.chance(200) => self.crash(),
            1 if self.rng.chance(100) && self.config.has_crashes && self.phase == Phase::Running => {
                self.trace.note("the process is to stop", [0; 3]);
                self.phase = Phase::Stopping;
                self.node.servers.iter_mut().for_each(|server| server.inbox.push_back(ToShard::Stop));
            }
            2 if self.config.has_full_disks && !self.journal.is_full => {
                self.trace.note("the disk is full", [0; 3]);
                self.journal.is_full = true;
            }
            7 if self.config.has_panics && self.rng.chance(300) => {
                let shard = self.rng.below(self.config.shards);
                self.node.servers[shard].is_poisoned = true;
            }
            8 if self.config.has_panics && self.rng.chance(100) => {
                let worker = self.rng.below(self.config.workers);
                self.node.workers[worker].is_poisoned = true;
            }
            3..=6 if self.journal.is_full => {
                self.trace.note("the disk has space", [0; 3]);
                self.journal.is_full = false;
            }
            _ => return false,
        }
        true
    }

    fn time_passes(&mut self) -> bool {
        let millis = if self.rng.chance(100) { 4000 } else { 400 };
        self.clock += 1 + self.rng.below(millis) as u64;
        self.trace.note("time passes", [self.clock, 0, 0]);
        if self.rng.chance(800) {
            self.wake();
        }
        true
    }

    /// Wakes the shards for which that is due.
    pub fn wake(&mut self) -> bool {
        let mut is_awake = false;
        for shard in 0..self.config.shards {
            let server = &self.node.servers[shard];
            let is_due = server.shard.next_wake().is_some_and(|at| at <= self.time().at);
            if is_due && !server.waits {
                self.trace.note("a shard is woken", [shard as u64, 0, 0]);
                self.feed_alone(shard, Input::Wake);
                is_awake = true;
            }
        }
        is_awake
    }

    // ----- fan-outs -----

    fn fanout_takes(&mut self) -> bool {
        let worker = self.rng.below(self.node.workers.len());
        self.fanout_of_takes(worker)
    }

    pub fn fanout_of_takes(&mut self, number: usize) -> bool {
        let worker = &mut self.node.workers[number];
        let Some(mail) = worker.mail.pop_front() else {
            return false;
        };
        self.trace.note("a fan-out takes mail", [number as u64, mail.0.len() as u64, 0]);
        worker.is_dirty = true;
        // Sessions that are sent away are told by their mailboxes alone.
        let mut is_by_mail_alone = false;
        for message in mail.0 {
            if std::mem::take(&mut worker.is_poisoned) {
                self.trace.note("a fan-out panics", [number as u64, 0, 0]);
                let lost = LostMail::of(&message);
                drop(message);
                worker.fanout.begin_again(lost);
                is_by_mail_alone = true;
            } else {
                is_by_mail_alone |= matches!(message, ForFanOut::Dismiss(_));
                worker.fanout.take(message);
            }
        }
        if is_by_mail_alone {
            self.node.sessions.iter().for_each(|session| session.outlet.set_mail(true));
        }
        true
    }

    fn fanout_delivers(&mut self) -> bool {
        let worker = self.rng.below(self.node.workers.len());
        self.fanout_of_delivers(worker)
    }

    pub fn fanout_of_delivers(&mut self, number: usize) -> bool {
        let worker = &mut self.node.workers[number];
        if !std::mem::take(&mut worker.is_dirty) {
            return false;
        }
        self.trace.note("a fan-out delivers", [number as u64, 0, 0]);
        worker.fanout.deliver_all();
        true
    }

    // ----- sessions -----

    fn any_shard(&mut self, act: fn(&mut Self, usize) -> bool) -> bool {
        let first = self.rng.below(self.config.shards);
        (0..self.config.shards).any(|shard| act(self, (first + shard) % self.config.shards))
    }

    fn any_session(&mut self, act: fn(&mut Self, usize) -> bool) -> bool {
        let count = self.node.sessions.len();
        if count == 0 {
            return false;
        }
        let first = self.rng.below(count);
        (0..count).any(|index| {
            let index = (first + index) % count;
            index < self.node.sessions.len() && act(self, index)
        })
    }

    /// A session takes the next message from its mailbox.
    pub fn session_takes_mail(&mut self, index: usize) -> bool {
        let session = &mut self.node.sessions[index];
        if !session.outlet.has_mail() && !session.is_evicted.load(Ordering::Relaxed) {
            return false;
        }
        let Some(delivery) = session.mailbox.next() else {
            session.outlet.set_mail(false);
            return false;
        };
        let number = session.number;
        match delivery {
            Delivery::Frames { frames, .. } => {
                session.outlet.take_mail();
                session.outbound.take_mailed(&frames, false);
                self.trace.note("a session takes frames", [number, frames.len() as u64, 0]);
            }
            Delivery::Volatile { frames, .. } => {
                session.outlet.take_mail();
                session.outbound.take_mailed(&frames, true);
                self.trace.note("a session takes volatile frames", [number, frames.len() as u64, 0]);
            }
            Delivery::News { news, .. } => {
                session.outlet.take_mail();
                self.trace.note("a session takes news", [number, 0, 0]);
                if let Ok(news) = news.downcast::<ChatNews>() {
                    let ending = self.at_desk(index, |session, desk| session.news(*news, desk));
                    self.check_session(index);
                    if let Some(ending) = ending {
                        self.end_session(index, ending.is_loss(), false);
                    }
                }
            }
            Delivery::Dismissed(ending) => {
                self.counts.evictions += u64::from(self.phase == Phase::Running);
                self.trace.note("a session is dismissed", [number, 0, 0]);
                self.end_session(index, ending.is_loss(), false);
            }
        }
        true
    }

    fn check_session(&mut self, index: usize) {
        if let Some((promise, what)) = self.node.sessions[index].broken.take() {
            self.trace.fail(promise, || what);
        }
    }

    /// A session reads the next request of its client.
    pub fn session_takes_request(&mut self, index: usize) -> bool {
        let session = &mut self.node.sessions[index];
        if !session.reads() {
            return false;
        }
        let Some(ask) = session.asks.pop_front() else {
            return false;
        };
        let number = session.number;
        self.trace.note("a session takes a request", [number, session.asks.len() as u64, 0]);
        self.at_desk(index, |session, desk| session.take(ask, desk));
        true
    }

    /// A session reads a page of the journal, or takes one that was read.
    pub fn session_reads_journal(&mut self, index: usize) -> bool {
        let session = &mut self.node.sessions[index];
        let may_read = session.may_read();
        let Some(reading) = session.readings.first_mut() else {
            return false;
        };
        if reading.page.is_none() {
            if !may_read {
                return false;
            }
            reading.page = Some(self.journal.read(reading.room, reading.range, &mut self.rng));
            self.trace.note("a page is read", [session.number, reading.room as u64, 0]);
            return true;
        }
        let reading = session.readings.remove(0);
        self.trace.note("a session takes a page", [session.number, 0, 0]);
        let ending = self.at_desk(index, |session, desk| session.have_read(reading, desk));
        if let Some(ending) = ending {
            self.end_session(index, ending.is_loss(), false);
        }
        true
    }

    /// Has a session do something, and sends what it asks of the shard.
    pub fn at_desk<T>(&mut self, index: usize, act: impl FnOnce(&mut Session, &mut Desk<'_>) -> T) -> T {
        let mut requests = std::collections::VecDeque::<(usize, Request)>::new();
        self.last_token += 1;
        let mut desk = Desk {
            names: &self.names,
            common: &self.node.common,
            ticket: &mut self.last_ticket,
            spare: token(self.last_token),
            requests: &mut requests,
        };
        let result = act(&mut self.node.sessions[index], &mut desk);
        for (shard, request) in requests {
            self.node.servers[shard].inbox.push_back(ToShard::Request(request));
        }
        result
    }

    /// Ends a session. `is_by_client`: what its client had sent before may still be handled.
    pub fn end_session(&mut self, index: usize, is_lost: bool, is_by_client: bool) {
        if is_by_client && self.rng.chance(500) {
            self.at_desk(index, Session::take_last);
        }
        let session = self.node.sessions.remove(index);
        self.trace.note("a session ends", [session.number, is_lost.into(), is_by_client.into()]);
        let holds_name = is_lost || session.has_shown_token;
        let unregister = Unregister { member: session.member, holds_name };
        self.node.servers[session.shard].inbox.push_back(ToShard::Request(unregister.into()));
        session.outbound.end();
        session.outbound.drop_all();
        session.outlet.close();
        self.node.workers[session.worker].outlets.take(session.member);
        self.node.owed.retain(|owed| owed.session != session.number);
        self.clients[session.client].lost();
    }
}
