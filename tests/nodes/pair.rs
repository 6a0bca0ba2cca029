//! A real Redis and its model, which are asked the same things and must say the same.

use std::{thread::sleep, time::Duration};

use bytes::Bytes;
use echoroom::testing::nodes::*;
use redis::{Connection, Value};

use crate::redis_server::Redis;

/// How far away from a deadline a call must be at first, in milliseconds. Closer to it, model and Redis could be on
/// different sides of it.
const SLACK: u64 = 20;

/// A call took so long that a deadline has passed meanwhile: nothing can be compared any more.
#[derive(Debug)]
pub struct TooSlow;

/// What was answered and published by both.
pub type Said = (Answer, Vec<(Channel, Published)>);

pub struct Pair {
    pub server: Redis,
    pub calls: Connection,
    feed: Connection,
    publications: Publications,
    pub model: ModelRedis,
    pub bounds: Bounds,
    /// The time after the last call.
    last: u64,
    /// More than any call has taken, in milliseconds: deadlines in Redis are by up to that later than those of the model.
    pub slack: u64,
}

impl Pair {
    /// Starts a Redis, and hears the channels of these rooms and nodes.
    pub fn new(bounds: Bounds, rooms: &[RoomName], nodes: &[NodeUid]) -> Self {
        Self::on(Redis::with_functions(), bounds, rooms, nodes)
    }

    /// Hears the channels of these rooms and nodes.
    pub fn on(server: Redis, bounds: Bounds, rooms: &[RoomName], nodes: &[NodeUid]) -> Self {
        let (calls, mut feed) = (server.connect(), server.connect());
        let of_rooms = rooms.iter().map(channel_of);
        let of_nodes =
            rooms.iter().flat_map(|room| nodes.iter().map(|node| channel_of_node(Partition::of(room), node)));
        for channel in of_rooms.chain(of_nodes).collect::<std::collections::BTreeSet<_>>() {
            let subscribe = redis::cmd("SSUBSCRIBE").arg(channel).get_packed_command();
            feed.send_packed_command(&subscribe).expect("sent");
            feed.recv_response().expect("a confirmation");
        }
        let model = ModelRedis::new("run");
        Self {
            server,
            calls,
            feed,
            publications: Publications::default(),
            model,
            bounds,
            last: 0,
            slack: SLACK,
        }
    }

    /// The time of Redis in milliseconds.
    fn time(&mut self) -> u64 {
        let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut self.calls).expect("the time");
        seconds * 1000 + micros / 1000
    }

    /// The first deadline in a span of time.
    fn deadline_in(&self, from: u64, to: u64) -> Option<u64> {
        self.model.deadlines().range(from..=to).next().copied()
    }

    /// Waits until no deadline is near, and the last call was in another millisecond.
    fn settle(&mut self) -> u64 {
        loop {
            let now = self.time();
            match self.deadline_in(now.saturating_sub(self.slack), now + self.slack) {
                Some(deadline) => sleep(Duration::from_millis(deadline + self.slack + 1 - now)),
                None if now == self.last => sleep(Duration::from_micros(200)),
                None => return now,
            }
        }
    }

    /// Asks both, compares, and returns what they say.
    pub fn try_call(&mut self, command: &Command) -> Result<Said, TooSlow> {
        let now = self.settle();
        let reply = call(command, &self.bounds).query::<Value>(&mut self.calls);
        self.last = self.time();
        if self.deadline_in(now, self.last).is_some() {
            return Err(TooSlow);
        }
        self.slack = self.slack.max(self.last - now + 5);
        let reply = answer(command, reply.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let real = (reply.unwrap_or_else(|error| panic!("{command:?}: {error}")), self.heard());
        let model = self.model.call(now, command, &self.bounds);
        let (mut one, mut other) = (real.clone(), model);
        let (times, others) = (take_times(&mut one.0), take_times(&mut other.0));
        assert_eq!(format!("{one:#?}"), format!("{other:#?}"), "{command:#?}");
        let are_near = times
            .iter()
            .zip(&others)
            .all(|(one, other)| one.abs_diff(*other).as_millis() <= u128::from(self.slack));
        assert!(times.len() == others.len() && are_near, "{times:?} {others:?} {command:#?}");
        Ok(real)
    }

    /// Asks both where no deadline matters.
    pub fn call(&mut self, command: &Command) -> Said {
        self.try_call(command).expect("no deadline passes")
    }

    /// What was published since the last call.
    fn heard(&mut self) -> Vec<(Channel, Published)> {
        self.feed.send_packed_command(&redis::cmd("PING").get_packed_command()).expect("sent");
        let mut heard = Vec::new();
        loop {
            let Value::Array(words) = self.feed.recv_response().expect("a message") else {
                panic!("no message");
            };
            let mut words = words.into_iter().map(|word| match word {
                Value::BulkString(bytes) => bytes,
                other => panic!("{other:?}"),
            });
            if words.next().as_deref() == Some(b"pong") {
                return heard;
            }
            let (channel, payload) = (words.next().expect("a channel"), words.next().expect("a payload"));
            let read = self.publications.read(&channel, Bytes::from(payload)).expect("readable");
            heard.extend(read.map(|(room, published)| (target(&channel, room), published)));
        }
    }

    /// Deletes all.
    pub fn flush(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.calls).expect("flushed");
        self.model.flush();
    }
}

fn target(channel: &[u8], room: RoomName) -> Channel {
    let channel = std::str::from_utf8(channel).expect("a text");
    match channel.split_once(":node:") {
        Some((_, node)) => Channel::Node(node.parse().expect("a uid"), room),
        None => Channel::Room(room),
    }
}

/// Takes times out of an answer that differ a little between both.
fn take_times(answer: &mut Answer) -> Vec<Duration> {
    match answer {
        Answer::Attached { wait, .. } => vec![std::mem::take(wait)],
        Answer::Appended(Appended::Wait(wait)) => vec![std::mem::take(wait)],
        Answer::Position(position) => {
            let people =
                position.people.iter_mut().flatten().map(|person| std::mem::take(&mut person.held_for));
            people.chain([std::mem::take(&mut position.wait)]).collect()
        }
        _ => Vec::new(),
    }
}
