//! A model of Redis: what is subscribed to, one stream, and keys that expire. The test passes the time.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;

use crate::socketio::{
    adapter::traffic::{Channel, Entry, Input, Query, Reply},
    cluster::StreamId,
};

/// The only stream.
const STREAM: &str = "socket.io";

/// The model.
#[derive(Default)]
pub(super) struct Redis {
    /// The subscriptions of each server.
    subscribed: Vec<HashSet<Channel>>,
    stream: Vec<Entry>,
    keys: HashMap<ByteString, (Bytes, Instant)>,
}

impl Redis {
    /// Without subscriptions of this number of servers.
    pub(super) fn new(servers: usize) -> Self {
        Self { subscribed: vec![HashSet::new(); servers], ..Self::default() }
    }

    pub(super) fn subscribe(&mut self, server: usize, channel: Channel) {
        self.subscribed[server].insert(channel);
    }

    pub(super) fn unsubscribe(&mut self, server: usize, channel: &Channel) {
        self.subscribed[server].remove(channel);
    }

    /// A server has lost its connections.
    pub(super) fn forget(&mut self, server: usize) {
        self.subscribed[server].clear();
    }

    pub(super) fn subscriptions(&self, server: usize) -> &HashSet<Channel> {
        &self.subscribed[server]
    }

    /// Publishes. Returns what is pushed to which servers, once for each subscription that it matches.
    pub(super) fn publish(&self, channel: &str, is_sharded: bool, body: &Bytes) -> Vec<(usize, Input)> {
        let matches = |subscription: &Channel| match subscription {
            Channel::Plain(name) => !is_sharded && name == channel,
            Channel::Shard(name) => is_sharded && name == channel,
            Channel::Pattern(pattern) => {
                let start = pattern.strip_suffix('*').expect("a pattern of names with a common start");
                !is_sharded && channel.starts_with(&start.replace('\\', ""))
            }
        };
        let of = |(server, all): (usize, &HashSet<Channel>)| {
            let by: Vec<_> = all.iter().filter(|channel| matches(channel)).cloned().collect();
            by.into_iter().map(move |by| (server, by))
        };
        let all = self.subscribed.iter().enumerate().flat_map(of);
        all.map(|(server, by)| (server, Input::Published { by, channel: channel.into(), body: body.clone() }))
            .collect()
    }

    /// Appends an entry. Three have one millisecond.
    pub(super) fn append(&mut self, stream: &str, fields: Vec<(Bytes, Bytes)>) {
        assert_eq!(stream, STREAM);
        let number = self.stream.len();
        let id = format!("{}-{}", 1000 + number / 3, number % 3).into();
        self.stream.push(Entry { id, fields });
    }

    /// Drops the oldest entries.
    pub(super) fn trim(&mut self, left: usize) {
        // Ids go by the number of entries, so those that are dropped leave their places.
        let dropped = self.stream.len() - left;
        self.stream[..dropped].iter_mut().for_each(|entry| entry.id = "0-0".into());
    }

    /// Entries behind an id.
    pub(super) fn read(&self, after: StreamId, count: usize) -> Vec<Entry> {
        self.stream.iter().filter(|entry| id_of(entry) > after).take(count).cloned().collect()
    }

    pub(super) fn store(&mut self, key: ByteString, value: Bytes, expires: Instant) {
        self.keys.insert(key, (value, expires));
    }

    /// How long a key lasts.
    pub(super) fn lasts(&self, now: Instant, key: &str) -> Option<Duration> {
        self.keys.get(key).map(|(_, expires)| expires.duration_since(now))
    }

    /// Replies to a query.
    pub(super) fn reply(&mut self, now: Instant, query: &Query) -> Reply {
        match query {
            Query::Count { channel, is_sharded } => {
                let channel = match is_sharded {
                    true => Channel::Shard(channel.clone()),
                    false => Channel::Plain(channel.clone()),
                };
                Reply::Count(self.subscribed.iter().filter(|its| its.contains(&channel)).count())
            }
            Query::Take { key } => {
                let taken = self.keys.remove(key).filter(|(_, expires)| *expires > now);
                Reply::Value(taken.map(|(value, _)| value))
            }
            Query::Last { stream } => {
                assert_eq!(stream, STREAM);
                Reply::Entries(self.stream.last().cloned().into_iter().collect())
            }
            Query::Range { stream, from, to, count } => {
                assert_eq!(stream, STREAM);
                let id = |text: &str| text.parse::<StreamId>().expect("an id");
                let is_in = |entry: &&Entry| {
                    let start = match from.strip_prefix('(') {
                        Some(after) => id_of(entry) > id(after),
                        None => id_of(entry) >= id(from),
                    };
                    start && id_of(entry) <= id(to) && entry.id != "0-0"
                };
                Reply::Entries(self.stream.iter().filter(is_in).take(*count).cloned().collect())
            }
        }
    }
}

fn id_of(entry: &Entry) -> StreamId {
    entry.id.parse().expect("an id")
}
