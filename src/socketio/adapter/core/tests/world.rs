//! Several servers with a model of Redis between them. The test decides when what is on its way arrives.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot::Receiver;

use super::redis::Redis;
pub(super) use super::samples::{Random, args, event, number_of, to};
use crate::{
    protocol::socketio::{Args, Offset},
    socketio::{
        adapter::{
            core::{Bounds, Core},
            figures::Figures,
            settings::{AdapterSettings, KeepSessions, RedisFormat, SubscriptionMode},
            speech::Speech,
            traffic::{Decide as _, FromHere, Here, Input, Output},
        },
        cluster::{
            Deliver, FoundElsewhere, Message, Order, Restore, Restored, SocketShown, StreamId, Target,
        },
    },
};

pub(super) const FORMATS: [RedisFormat; 3] =
    [RedisFormat::Classic, RedisFormat::Sharded, RedisFormat::Streams];

pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

const BOUNDS: Bounds = Bounds {
    requests_timeout: TIMEOUT,
    max_foreign_requests: 3,
    max_held_bytes: 1_000,
    read_count: 3,
    max_missed: 10_000,
    session_time: Duration::from_secs(120),
    stream_len: 10_000,
};

/// What a server has done.
#[derive(Debug)]
pub(super) enum Done {
    /// For another server.
    Here(Here),
    /// What it had ordered itself under this number.
    Own(u64, Option<StreamId>),
    /// It has looked for the session of a client with this number.
    Restored(u64, Option<Restored>),
}

/// What is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A command to Redis.
    Command,
    /// A subscription to Redis.
    Subscription,
    /// What Redis pushes.
    Push,
    /// What Redis replies.
    Reply,
    /// Up to this number of entries of the stream.
    Entries(usize),
}

/// All ways, with a number of entries.
pub(super) fn ways(entries: usize) -> [Way; 5] {
    [Way::Command, Way::Subscription, Way::Push, Way::Reply, Way::Entries(entries)]
}

/// A server.
pub(super) struct Server {
    pub(super) core: Core,
    pub(super) figures: Arc<Figures>,
    /// To Redis.
    pub(super) commands: VecDeque<Output>,
    pub(super) subscriptions: VecDeque<Output>,
    /// From Redis.
    pushes: VecDeque<Input>,
    replies: VecDeque<Input>,
    /// The last entry of the stream that it was given, while it reads.
    reads: Option<StreamId>,
    done: Arc<Mutex<Vec<Done>>>,
    pub(super) has_ended: bool,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) redis: Redis,
    pub(super) servers: Vec<Server>,
}

/// The settings of a server.
fn settings(format: RedisFormat) -> AdapterSettings {
    AdapterSettings {
        format,
        key: "socket.io".into(),
        requests_timeout: TIMEOUT,
        has_specific_response_channel: false,
        subscription_mode: SubscriptionMode::Dynamic,
        stream_len: 10_000,
        read_count: 100,
        session_prefix: "sio:session:".into(),
        keep_sessions: KeepSessions::AtDisconnect,
        max_requests: 3,
        shows_headers: false,
    }
}

impl Server {
    fn new(settings: AdapterSettings, number: usize) -> Self {
        let figures = Arc::new(Figures::default());
        let uid = ByteString::from(format!("uid{number:03}"));
        Self {
            core: Core::new(Speech::with_uid(settings, uid), BOUNDS, Arc::clone(&figures)),
            figures,
            commands: VecDeque::new(),
            subscriptions: VecDeque::new(),
            pushes: VecDeque::new(),
            replies: VecDeque::new(),
            reads: None,
            done: Arc::default(),
            has_ended: false,
        }
    }

    fn done(&self) -> MutexGuard<'_, Vec<Done>> {
        self.done.lock().expect("no panic")
    }

    pub(super) fn junk(&self) -> u64 {
        self.figures.junk.load(Ordering::Relaxed)
    }

    pub(super) fn only_here(&self) -> u64 {
        self.figures.only_here.load(Ordering::Relaxed)
    }

    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Subscribe(_) | Output::Unsubscribe(_) => self.subscriptions.push_back(output),
                Output::Read { after, .. } => self.reads = Some(after.parse().expect("an id")),
                Output::Here(here) => self.done().push(Done::Here(here)),
                Output::Deliver(deliver, offset) => deliver.now(offset),
                Output::Restore(restore, restored) => restore.with(restored),
                Output::End => self.has_ended = true,
                Output::Publish { .. } | Output::Append { .. } | Output::Store { .. } | Output::Query(..) => {
                    self.commands.push_back(output);
                }
            }
        }
    }
}

impl World {
    /// Servers that serve `/`, and have connections; all subscriptions are confirmed.
    pub(super) fn new(format: RedisFormat, servers: usize) -> Self {
        let mut world = Self::without_connections(format, servers);
        world.all_up();
        world
    }

    /// Servers that keep each change of a socket.
    pub(super) fn keeping_changes(servers: usize) -> Self {
        let mut world = Self::without_connections(RedisFormat::Streams, 0);
        let settings =
            AdapterSettings { keep_sessions: KeepSessions::AtEveryChange, ..settings(RedisFormat::Streams) };
        world.redis = Redis::new(servers);
        world.servers = (0..servers).map(|number| Server::new(settings.clone(), number)).collect();
        world.all_serve();
        world.all_up();
        world
    }

    fn all_serve(&mut self) {
        (0..self.servers.len()).for_each(|server| self.order(server, Order::Serve { namespace: "/".into() }));
    }

    fn all_up(&mut self) {
        (0..self.servers.len()).for_each(|server| self.up(server));
        self.settle();
        (0..self.servers.len()).for_each(|server| drop(self.done(server)));
    }

    pub(super) fn without_connections(format: RedisFormat, servers: usize) -> Self {
        let mut world = Self {
            now: Instant::now(),
            redis: Redis::new(servers),
            servers: (0..servers).map(|number| Server::new(settings(format), number)).collect(),
        };
        world.all_serve();
        world
    }

    pub(super) fn give(&mut self, server: usize, input: Input) {
        let mut out = Vec::new();
        let its = &mut self.servers[server];
        its.core.handle(self.now, input, &mut out);
        its.take(out);
    }

    pub(super) fn order(&mut self, server: usize, order: Order) {
        self.give(server, Input::Order(order));
    }

    pub(super) fn up(&mut self, server: usize) {
        self.give(server, Input::Up);
    }

    /// A server loses its connections, with all that is on its way.
    pub(super) fn cut(&mut self, server: usize) {
        let its = &mut self.servers[server];
        (its.pushes, its.replies) = Default::default();
        (its.commands, its.subscriptions) = Default::default();
        its.reads = None;
        self.redis.forget(server);
    }

    pub(super) fn down(&mut self, server: usize) {
        self.cut(server);
        self.give(server, Input::Down("a test".into()));
    }

    /// Goes on after a panic.
    pub(super) fn begin_again(&mut self, server: usize) {
        self.cut(server);
        let mut out = Vec::new();
        let its = &mut self.servers[server];
        its.core.begin_again(&mut out);
        its.take(out);
    }

    /// What is next on a way arrives. Returns whether there was anything.
    pub(super) fn step(&mut self, server: usize, way: Way) -> bool {
        let its = &mut self.servers[server];
        match way {
            Way::Command => {
                let command = its.commands.pop_front();
                command.map(|command| self.command(server, command)).is_some()
            }
            Way::Subscription => {
                let subscription = its.subscriptions.pop_front();
                subscription.map(|subscription| self.subscription(server, subscription)).is_some()
            }
            Way::Push => {
                let push = its.pushes.pop_front();
                push.map(|push| self.give(server, push)).is_some()
            }
            Way::Reply => {
                let reply = its.replies.pop_front();
                reply.map(|reply| self.give(server, reply)).is_some()
            }
            Way::Entries(count) => {
                let entries = its.reads.map(|after| self.redis.read(after, count)).unwrap_or_default();
                let Some(last) = entries.last() else {
                    return false;
                };
                its.reads = Some(last.id.parse().expect("an id"));
                self.give(server, Input::Entries(entries));
                true
            }
        }
    }

    fn command(&mut self, server: usize, command: Output) {
        match command {
            Output::Publish { channel, is_sharded, body } => {
                for (to, push) in self.redis.publish(&channel, is_sharded, &body) {
                    self.servers[to].pushes.push_back(push);
                }
            }
            Output::Append { stream, fields, .. } => {
                let bytes =
                    |(name, value): (&'static str, Bytes)| (Bytes::from_static(name.as_bytes()), value);
                self.redis.append(&stream, fields.into_iter().map(bytes).collect());
            }
            Output::Store { key, value, expires_in } => self.redis.store(key, value, self.now + expires_in),
            Output::Query(id, query) => {
                let reply = Ok(self.redis.reply(self.now, &query));
                self.servers[server].replies.push_back(Input::Replied(id, reply));
            }
            other => panic!("{other:?}"),
        }
    }

    fn subscription(&mut self, server: usize, subscription: Output) {
        match subscription {
            Output::Subscribe(channel) => {
                self.redis.subscribe(server, channel.clone());
                self.servers[server].pushes.push_back(Input::Subscribed(channel));
            }
            Output::Unsubscribe(channel) => self.redis.unsubscribe(server, &channel),
            other => panic!("{other:?}"),
        }
    }

    /// All that is on its way arrives.
    pub(super) fn settle(&mut self) {
        let steps = (0..self.servers.len()).flat_map(|server| ways(2).map(|way| (server, way)));
        let steps: Vec<_> = steps.collect();
        while steps.iter().filter(|(server, way)| self.step(*server, *way)).count() > 0 {}
    }

    /// Time passes. The servers are woken when they want to be.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let next = |world: &Self, server: usize| {
            world.servers[server].core.next_wake().filter(|wake| *wake <= end).map(|wake| (wake, server))
        };
        while let Some((wake, server)) = (0..self.servers.len()).filter_map(|i| next(self, i)).min() {
            self.now = self.now.max(wake);
            self.give(server, Input::Wake);
            let again = self.servers[server].core.next_wake();
            assert!(again.is_none_or(|again| again > wake), "it is woken for something");
        }
        self.now = end;
    }

    /// A server says something; it is done here, under a number, in its turn.
    pub(super) fn say(&mut self, server: usize, message: Message, number: u64) {
        let done = Arc::clone(&self.servers[server].done);
        let deliver =
            Deliver::new(move |offset| done.lock().expect("no panic").push(Done::Own(number, offset)));
        let (message, deliver) = (Some(message), Some(deliver));
        self.order(server, Order::Tell { namespace: "/".into(), message, deliver });
    }

    /// A server does something, under a number, behind what it has said.
    pub(super) fn do_in_turn(&mut self, server: usize, number: u64) {
        let done = Arc::clone(&self.servers[server].done);
        let deliver =
            Deliver::new(move |offset| done.lock().expect("no panic").push(Done::Own(number, offset)));
        self.order(server, Order::Tell { namespace: "/".into(), message: None, deliver: Some(deliver) });
    }

    /// A server says something that it has done itself.
    pub(super) fn tell(&mut self, server: usize, message: Message) {
        self.order(server, Order::Tell { namespace: "/".into(), message: Some(message), deliver: None });
    }

    /// A client with this number comes back.
    pub(super) fn restore(&mut self, server: usize, number: u64, pid: &str, offset: Offset) {
        let done = Arc::clone(&self.servers[server].done);
        let to = Restore::new(move |restored| {
            done.lock().expect("no panic").push(Done::Restored(number, restored));
        });
        self.order(server, Order::Restore { namespace: "/".into(), pid: pid.into(), offset, to });
    }

    pub(super) fn occupy(&mut self, server: usize, room: &str) {
        self.order(server, Order::Occupied { namespace: "/".into(), room: room.into() });
    }

    /// What a server has done since it was asked last.
    pub(super) fn done(&mut self, server: usize) -> Vec<Done> {
        mem::take(&mut *self.servers[server].done())
    }

    /// Does what the others have asked of a server: it has one socket and one room, named after it. Returns the number of
    /// questions.
    pub(super) fn obey(&mut self, server: usize) -> usize {
        let answers: Vec<_> = self.done(server).into_iter().filter_map(|done| answer(server, done)).collect();
        let count = answers.len();
        answers.into_iter().for_each(|answer| self.give(server, Input::FromHere(answer)));
        count
    }

    /// Asks for the sockets of the others.
    pub(super) fn fetch(&mut self, server: usize) -> Receiver<FoundElsewhere> {
        let (to, found) = tokio::sync::oneshot::channel();
        self.order(server, Order::Fetch { namespace: "/".into(), target: Target::default(), to });
        found
    }
}

fn answer(server: usize, done: Done) -> Option<FromHere> {
    let id = ByteString::from(format!("socket {server}"));
    match done {
        Done::Here(Here::Look { id: to, .. }) => {
            let (handshake, data) = ("{}".into(), "{}".into());
            let socket = SocketShown { rooms: vec![id.clone()], id, handshake, data };
            Some(FromHere::Sockets(to, vec![socket]))
        }
        Done::Here(Here::LookRooms { id: to, .. }) => Some(FromHere::Rooms(to, vec![id])),
        Done::Here(Here::ServerEvent { id: Some(to), .. }) => {
            let json = format!("[{server}]").into();
            Some(FromHere::ServerAnswer(to, Args { json, attachments: Vec::new() }))
        }
        _ => None,
    }
}
