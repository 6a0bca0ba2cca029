//! Shards of two nodes that share a room: Redis gives the order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

use bytes::Bytes;
use serde_json::Value;

use self::redis::Redis;
use super::{LIMITS, sentence};
use crate::{
    broadcast::{
        Encoding, FanOutBroadcast, ForFanOut, Recipients, RoomId, Seat,
        testing::{PLAIN, seat},
    },
    chat::{
        calls::{Answer, Call, CallId},
        common::{ChatLimits, Common, ShardId, Sharing},
        core::Lost,
        effects::{Effect, Input, Job, Now},
        handing::{Decided, Decisions},
        line::CHAT,
        log::Resume,
        messages::{
            CaughtUp, ChatNews, ListUsers, Login, Logout, Payload, Post, Publish, Register, Reply,
            SendPrivate, ShowTyping, Unregister, UntilKept,
        },
        position::Position,
        shard::Shard,
        transfer::ToShard,
    },
    connection::{Budget, Intake},
    domain::{Avatar, MemberId, Nickname, Profile, RoomName, Token, WorkerId},
    journal::{JournalError, Kind},
    nodes::{
        NodeUid,
        contract::{Away, Heard, Listed, Opened, Order, Partitions},
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

mod any_order;
mod beginning_again;
mod names;
mod new_rooms;
mod private;
mod redis;
mod said;
mod shards;

/// Keeps what fan-outs have decided.
#[derive(Debug, Default)]
struct Decisive(Mutex<Vec<Decided>>);

impl Decisions for Decisive {
    fn decided(&self, decided: Decided) {
        self.0.lock().expect("no test panics with it").push(decided);
    }
}

/// A node: a shard, its fan-out, and what is between it and Redis.
struct Node {
    shard: Shard,
    decisive: Arc<Decisive>,
    intake: Intake,
    budget: Arc<Budget>,
    now: Now,
    /// What the link has been given, and Redis has not done.
    orders: VecDeque<Order>,
    /// What Redis tells, and the shard has not been told.
    heard: VecDeque<Heard>,
    /// The link cannot reach Redis.
    is_cut: bool,
    encodings: BTreeMap<MemberId, Encoding>,
    subscribed: BTreeMap<MemberId, RoomId>,
    /// What each session was told, and the lines that it got.
    told: BTreeMap<MemberId, Vec<String>>,
    /// The epochs that sessions were told, which most tests pass over.
    epochs: BTreeMap<MemberId, Vec<String>>,
    answered: Vec<(CallId, Answer)>,
    /// What goes to other shards.
    forwards: Vec<(ShardId, ToShard)>,
    jobs: Vec<Job>,
}

impl Node {
    fn new(number: u64, limits: ChatLimits) -> Self {
        let now = Now { at: Instant::now(), millis: 1000 };
        let budget = Budget::new(1 << 30);
        let node = name_of(number).parse().expect("a name");
        let common = Common::shared(limits, Arc::clone(&budget), 1, Sharing { node, seed: 70 + number });
        Self::of(&common, ShardId(0), now)
    }

    /// A shard of a node.
    fn of(common: &Arc<Common>, id: ShardId, now: Now) -> Self {
        let budget = Arc::clone(&common.budget);
        let decisive = Arc::new(Decisive::default());
        let shard = Shard::new(Arc::clone(common), id, Arc::clone(&decisive) as _, now);
        let mut node = Self {
            shard,
            decisive,
            intake: Intake::new(1 << 20, Arc::clone(&budget)),
            budget,
            now,
            orders: VecDeque::new(),
            heard: VecDeque::new(),
            is_cut: false,
            encodings: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            told: BTreeMap::new(),
            epochs: BTreeMap::new(),
            answered: Vec::new(),
            forwards: Vec::new(),
            jobs: Vec::new(),
        };
        let mut effects = Vec::new();
        node.shard.start(&mut effects);
        node.carry_out(effects);
        node
    }

    fn feed(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.shard.handle(self.now, input, &mut effects);
        self.carry_out(effects);
    }

    fn ask(&mut self, request: impl Into<crate::chat::messages::Request>) {
        self.feed(Input::Request(request.into()));
    }

    /// The chat panics over an input.
    fn panic(&mut self, input: &Input) {
        let mut effects = Vec::new();
        self.shard.begin_again(self.now, Lost::of(input), &mut effects);
        self.carry_out(effects);
    }

    /// Takes the next thing that is to be heard.
    fn next_heard(&mut self) -> Heard {
        self.heard.pop_front().expect("something is to be heard")
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Ask(job) => self.jobs.push(job),
                Effect::Send(_, message) => self.send(message),
                Effect::TurnAway(_, ending) => panic!("turned away: {ending:?}"),
                Effect::Forward(to, message) => self.forwards.push((to, message)),
                Effect::Answer(id, answer) => self.answered.push((id, answer)),
                Effect::Order(order) => self.orders.push_back(order),
            }
        }
    }

    /// Does what a fan-out does.
    fn send(&mut self, message: ForFanOut) {
        match message {
            ForFanOut::Attach(attach) => _ = self.encodings.insert(attach.member, attach.seat.encoding),
            ForFanOut::Subscribe(subscribe) => {
                self.encodings.insert(subscribe.member, subscribe.encoding);
                self.subscribed.insert(subscribe.member, subscribe.room);
            }
            ForFanOut::Unsubscribe(unsubscribe) => _ = self.subscribed.remove(&unsubscribe.member),
            ForFanOut::Detach(detach) => _ = self.subscribed.remove(&detach.member),
            ForFanOut::Dismiss(dismiss) => {
                self.subscribed.remove(&dismiss.member);
                self.note(dismiss.member, format!("{:?}", dismiss.ending));
            }
            ForFanOut::Tell(tell) => {
                let news = *tell.news.downcast::<ChatNews>().expect("news of the chat");
                self.note(tell.member, told(&news));
            }
            ForFanOut::Broadcast(broadcast) => self.deliver(&broadcast),
            ForFanOut::DismissAll(_) => {}
        }
    }

    fn deliver(&mut self, FanOutBroadcast { room, broadcast }: &FanOutBroadcast) {
        let in_room: Vec<_> =
            self.subscribed.iter().filter(|(_, its)| *its == room).map(|(member, _)| *member).collect();
        for member in in_room {
            let gets = match broadcast.recipients() {
                Recipients::Only(members) => members.contains(&member),
                Recipients::Room | Recipients::Volatile => true,
            };
            if gets {
                let frames = broadcast.frames_for(member, self.encodings[&member]).0.concat();
                lines(&frames).into_iter().for_each(|line| self.note(member, line));
                broadcast.handed().into_iter().for_each(|handed| handed.note(member));
            }
        }
    }

    fn note(&mut self, member: MemberId, what: String) {
        if what.starts_with("epoch ") {
            return self.epochs.entry(member).or_default().push(what);
        }
        self.told.entry(member).or_default().push(what);
    }

    /// What a session was told since this was last called.
    fn told(&mut self, member: MemberId) -> Vec<String> {
        self.told.remove(&member).unwrap_or_default()
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.feed(Input::Wake);
    }
}

/// Two nodes and Redis.
struct Nodes {
    nodes: [Node; 2],
    redis: Redis,
}

impl Nodes {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: ChatLimits) -> Self {
        let uid = |number: u64| NodeUid::new(name_of(number).parse().expect("a name"), [number as u8; 12]);
        let redis = Redis { nodes: vec![uid(0), uid(1)], epoch: 1, ..Redis::default() };
        Self { nodes: [0, 1].map(|number| Node::new(number, limits)), redis }
    }

    /// Redis does what a node has ordered.
    fn run_redis(&mut self, node: usize) {
        while !self.nodes[node].is_cut
            && let Some(order) = self.nodes[node].orders.pop_front()
        {
            for (to, heard) in self.redis.take(node, order) {
                self.nodes[to].heard.push_back(heard);
            }
        }
    }

    /// All turns end, and all that is ordered is done and heard.
    fn run(&mut self) {
        loop {
            let mut is_quiet = true;
            for node in 0..2 {
                self.nodes[node].feed(Input::TurnEnded);
                is_quiet &= self.nodes[node].is_cut || self.nodes[node].orders.is_empty();
                self.run_redis(node);
            }
            for node in &mut self.nodes {
                let decided = std::mem::take(&mut *node.decisive.0.lock().expect("no test panics with it"));
                is_quiet &= node.heard.is_empty() && decided.is_empty();
                decided.into_iter().for_each(|decided| node.feed(Input::Decided(decided)));
                while let Some(heard) = node.heard.pop_front() {
                    node.feed(Input::Heard(heard));
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    /// A session of a node registers, without a room.
    fn register(&mut self, node: usize, number: u64) -> MemberId {
        let member = MemberId::of(number);
        let seat = Seat { encoding: Encoding { dialect: CHAT, deflated: false }, ..seat(PLAIN) };
        self.nodes[node].ask(Register { member, room: None, worker: WorkerId(0), seat, address: None });
        member
    }

    /// A guest of a node enters the room.
    fn guest(&mut self, node: usize, number: u64) -> MemberId {
        let (member, room) = (MemberId::of(number), Some(room()));
        self.nodes[node].ask(Register {
            member,
            room,
            worker: WorkerId(0),
            seat: seat(PLAIN),
            address: None,
        });
        self.run();
        member
    }

    fn login_of(&self, node: usize, member: MemberId, ticket: u64, name: &str, token: Option<u64>) -> Login {
        let nickname = Nickname::parse(name).expect("a legal name");
        Login {
            member,
            ticket,
            room: room(),
            profile: Some(Profile { nickname, avatar: Avatar::default(), uid: None }),
            token: token.map(self::token),
            has_shown_token: token.is_some(),
            spare: self::token(100 * member.number() + ticket),
            position: None,
            wants_changes: Some(true),
            _accepted: self.nodes[node].intake.accept(1),
        }
    }

    /// A user logs in at a node and subscribes. Its ticket is the number of its session.
    fn user(&mut self, node: usize, number: u64, name: &str, token: Option<u64>) -> MemberId {
        let member = self.register(node, number);
        let login = self.login_of(node, member, number, name, token);
        self.nodes[node].ask(login);
        self.run();
        let after = self.redis.rooms[&room()].opened(false).head;
        self.nodes[node].ask(CaughtUp { member, visit: number, after });
        self.run();
        member
    }

    /// Ann at the first node, Ben at the second one, who know of each other.
    fn ann_and_ben(&mut self) -> (MemberId, MemberId) {
        let (ann, ben) = (self.user(0, 1, "ann", Some(1)), self.user(1, 2, "ben", Some(2)));
        self.forget_told();
        (ann, ben)
    }

    fn forget_told(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.told.clear());
    }

    fn post(&mut self, node: usize, member: MemberId, ticket: u64, id: &str) {
        let (body, id) = (format!("text {ticket}").into(), Some(id.into()));
        let accepted = self.nodes[node].intake.accept(4);
        self.nodes[node].ask(Post { member, ticket, kind: Kind::Message, body, id, accepted });
    }

    fn publish(&mut self, node: usize, member: MemberId, payload: Payload) {
        let accepted = self.nodes[node].intake.accept(4);
        self.nodes[node].ask(Publish { member, payload, accepted });
    }

    fn told(&mut self, node: usize, member: MemberId) -> Vec<String> {
        self.nodes[node].told(member)
    }

    /// The names that a node knows to be in the room.
    fn users_at(&mut self, node: usize, member: MemberId) -> Vec<String> {
        let before = self.told(node, member);
        let asked = ListUsers {
            member,
            ticket: 999,
            after: None,
            limit: 9,
            _accepted: self.nodes[node].intake.accept(1),
        };
        self.nodes[node].ask(asked);
        let names = self.told(node, member).pop().unwrap_or_default();
        self.nodes[node].told.insert(member, before);
        names.split(' ').skip(1).map(str::to_owned).collect()
    }

    fn leave(&mut self, node: usize, member: MemberId, holds_name: bool) {
        self.nodes[node].ask(Unregister { member, holds_name });
    }

    fn down(&mut self, node: usize) {
        self.nodes[node].is_cut = true;
        self.nodes[node].feed(Input::Heard(Heard::Down(Partitions::ALL, Away("gone".to_owned()))));
    }

    /// Redis loses the newest record of the room, and all nodes begin anew there.
    fn lose(&mut self) {
        self.redis.epoch += 1;
        let Some(room) = self.redis.rooms.get_mut(&room()) else {
            return;
        };
        room.records.pop();
        let opened = room.opened(true);
        room.keys.retain(|keyed| keyed.offset <= opened.head);
        for node in &room.open_at {
            let opened = Box::new(Opened { keys: room.keys.clone(), ..(*opened).clone() });
            self.nodes[*node].heard.push_back(Heard::Opened(self::room(), opened));
        }
    }

    fn up(&mut self, node: usize) {
        self.nodes[node].is_cut = false;
        self.nodes[node].feed(Input::Heard(Heard::Up(Partitions::ALL)));
    }
}

fn room() -> RoomName {
    RoomName::parse("a").expect("a legal name")
}

fn name_of(number: u64) -> String {
    format!("nod{number}")
}

fn token(number: u64) -> Token {
    format!("{number:032x}").parse().expect("a token")
}

fn told(news: &ChatNews) -> String {
    match news {
        ChatNews::Reply { ticket, reply: Reply::Users(page) } => {
            let names: Vec<_> = page.users.iter().map(|user| user.nickname.as_str()).collect();
            format!("{ticket}: {}", names.join(" "))
        }
        ChatNews::Reply { ticket, reply: Reply::PrivateSent { delivered, .. } } => {
            format!("{ticket}: {}", if *delivered { "delivered" } else { "not delivered" })
        }
        ChatNews::Reply { ticket, reply: Reply::LoggedIn(login) } if login.resume != Resume::Fresh => {
            format!("{ticket}: logged in, {:?}", login.resume)
        }
        other => sentence(other),
    }
}

/// The lines in finished frames.
fn lines(mut frames: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let [first, len, rest @ ..] = frames {
        let (len, rest) = match (*len, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (len, rest) => (usize::from(len), rest),
        };
        let (payload, rest) = rest.split_at(len);
        lines.push(if *first == 0x82 { format!("{payload:?}") } else { line(payload) });
        frames = rest;
    }
    lines
}

fn line(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload).into_owned();
    let Ok(Value::Object(event)) = serde_json::from_str(&text) else {
        return text;
    };
    let (name, data) = (event["event"].as_str().unwrap_or_default(), &event["data"]);
    let of = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
    match name {
        "receiveMessage" => format!("{} {}: {}", data["offset"], of("username"), of("msg")),
        "receivePrivate" => format!("{} to {}: {}", of("username"), of("to"), of("msg")),
        "addUser" => format!("+{} of {}", of("username"), data["count"]),
        "delUser" => format!("-{} of {}", of("username"), data["count"]),
        "typing" => format!("{} types: {}", of("username"), data["typing"]),
        "epoch" => format!("epoch {}", of("epoch")),
        other => other.to_owned(),
    }
}
