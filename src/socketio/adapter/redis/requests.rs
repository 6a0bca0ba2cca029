//! Requests and their replies, as values of Redis.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use redis::{Cmd, Pipeline, Value};

use crate::{
    redis_client::values::refusal,
    socketio::adapter::traffic::{Channel, Entry, Query, QueryId, Reply},
};

/// How long Redis holds a reader that has read all, in milliseconds. Shorter than a connection may be silent.
const BLOCK_MILLIS: u64 = 2000;

/// Bytes that a request is counted for beside its arguments.
pub(super) const REQUEST_BYTES: usize = 64;

/// What a reply is to.
#[derive(Debug)]
pub(super) enum Asked {
    /// Something was published or appended, by this command.
    Published(&'static str),
    /// A key was set.
    Stored,
    /// A question.
    Query(QueryId, Query),
}

/// A turn's requests.
#[derive(Default)]
pub(super) struct Batch {
    /// The commands.
    pub(super) commands: Pipeline,
    /// What they are, in their order.
    pub(super) asked: Vec<Asked>,
    /// Bytes of the commands, about.
    pub(super) bytes: usize,
}

impl Batch {
    /// Publishes a body.
    pub(super) fn publish(&mut self, channel: &ByteString, is_sharded: bool, body: &Bytes) {
        let command = if is_sharded { "SPUBLISH" } else { "PUBLISH" };
        let mut publish = Cmd::with_capacity(3, command.len() + channel.len() + body.len());
        publish.arg(command).arg(&channel[..]).arg(&body[..]);
        self.commands.add_command(publish);
        self.add(Asked::Published(command), channel.len() + body.len());
    }

    /// Appends to a stream.
    pub(super) fn append(&mut self, stream: &ByteString, fields: &[(&'static str, Bytes)], max_len: usize) {
        /// Arguments that are no fields, and the bytes of those that are not the stream.
        const HEAD: (usize, usize) = (6, 32);
        let bytes = stream.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let mut append = Cmd::with_capacity(HEAD.0 + 2 * fields.len(), HEAD.1 + bytes);
        append.arg("XADD").arg(&stream[..]).arg("MAXLEN").arg("~").arg(max_len).arg("*");
        for (name, value) in fields {
            append.arg(*name).arg(&value[..]);
        }
        self.commands.add_command(append);
        self.add(Asked::Published("XADD"), bytes);
    }

    /// Sets a key.
    pub(super) fn store(&mut self, key: &ByteString, value: &Bytes, expires_in: Duration) {
        let millis = u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX).max(1);
        self.commands.cmd("SET").arg(&key[..]).arg(&value[..]).arg("PX").arg(millis);
        self.add(Asked::Stored, key.len() + value.len());
    }

    /// Asks a question.
    pub(super) fn query(&mut self, id: QueryId, query: Query) {
        let commands = &mut self.commands;
        match &query {
            Query::Count { channel, is_sharded } => {
                let word = if *is_sharded { "SHARDNUMSUB" } else { "NUMSUB" };
                commands.cmd("PUBSUB").arg(word).arg(&channel[..]);
            }
            Query::Take { key } => {
                commands.cmd("MULTI").cmd("GET").arg(&key[..]).cmd("DEL").arg(&key[..]).cmd("EXEC");
            }
            Query::Last { stream } => {
                commands.cmd("XREVRANGE").arg(&stream[..]).arg("+").arg("-").arg("COUNT").arg(1);
            }
            Query::Range { stream, from, to, count } => {
                let command = commands.cmd("XRANGE").arg(&stream[..]);
                command.arg(&from[..]).arg(&to[..]).arg("COUNT").arg(*count);
            }
        }
        self.add(Asked::Query(id, query), REQUEST_BYTES);
    }

    fn add(&mut self, asked: Asked, bytes: usize) {
        self.asked.push(asked);
        self.bytes += bytes + REQUEST_BYTES;
    }
}

/// A turn's subscriptions.
#[derive(Default)]
pub(super) struct FeedBatch {
    /// The commands.
    pub(super) commands: Pipeline,
    /// Bytes of the commands, about.
    pub(super) bytes: usize,
}

impl FeedBatch {
    /// Subscribes.
    pub(super) fn subscribe(&mut self, channel: &Channel) {
        match channel {
            Channel::Plain(name) => self.add("SUBSCRIBE", name),
            Channel::Pattern(name) => self.add("PSUBSCRIBE", name),
            Channel::Shard(name) => self.add("SSUBSCRIBE", name),
        }
    }

    /// Unsubscribes.
    pub(super) fn unsubscribe(&mut self, channel: &Channel) {
        match channel {
            Channel::Plain(name) => self.add("UNSUBSCRIBE", name),
            Channel::Pattern(name) => self.add("PUNSUBSCRIBE", name),
            Channel::Shard(name) => self.add("SUNSUBSCRIBE", name),
        }
    }

    fn add(&mut self, word: &str, name: &ByteString) {
        self.commands.cmd(word).arg(&name[..]);
        self.bytes += name.len() + REQUEST_BYTES;
    }
}

impl Asked {
    /// The number of replies.
    pub(super) fn replies(&self) -> usize {
        match self {
            // MULTI, two that are queued, EXEC.
            Self::Query(_, Query::Take { .. }) => 4,
            _ => 1,
        }
    }
}

/// Reads the replies to a query.
///
/// # Errors
/// Redis has refused it, in its words, or the reply is not one to it.
pub(super) fn reply(query: &Query, mut values: Vec<Value>) -> Result<Reply, String> {
    // The reason why a transaction fails stands before the end of it.
    if let Some(text) = values.iter().find_map(refusal) {
        return Err(text);
    }
    let value = values.pop().unwrap_or(Value::Nil);
    let reply = match query {
        Query::Count { .. } => count(value).map(Reply::Count),
        Query::Take { .. } => taken(value).map(Reply::Value),
        Query::Last { .. } | Query::Range { .. } => Some(Reply::Entries(entries(value))),
    };
    reply.ok_or_else(|| "Redis has replied something else".to_owned())
}

fn count(value: Value) -> Option<usize> {
    let number = match value {
        Value::Array(values) => values.into_iter().nth(1),
        Value::Map(pairs) => pairs.into_iter().next().map(|(_, number)| number),
        _ => None,
    };
    match number {
        Some(Value::Int(number)) => usize::try_from(number).ok(),
        _ => None,
    }
}

fn taken(value: Value) -> Option<Option<Bytes>> {
    let Value::Array(values) = value else { return None };
    match values.into_iter().next() {
        Some(Value::BulkString(bytes)) => Some(Some(bytes.into())),
        Some(Value::Nil) => Some(None),
        _ => None,
    }
}

/// The request for entries behind an id, which are waited for.
pub(super) fn read(stream: &ByteString, after: &ByteString, count: usize) -> Cmd {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(count).arg("BLOCK").arg(BLOCK_MILLIS);
    command.arg("STREAMS").arg(&stream[..]).arg(&after[..]);
    command
}

/// The entries of the one stream that was read; none if there are no new ones.
pub(super) fn entries_read(value: Value) -> Vec<Entry> {
    let stream = match value {
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        Value::Array(streams) => streams.into_iter().next().and_then(|stream| match stream {
            Value::Array(pair) => pair.into_iter().nth(1),
            _ => None,
        }),
        _ => None,
    };
    stream.map(entries).unwrap_or_default()
}

fn entries(value: Value) -> Vec<Entry> {
    match value {
        Value::Array(values) => values.into_iter().filter_map(entry).collect(),
        _ => Vec::new(),
    }
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let id = text(parts.next()?)?;
    let mut fields = Vec::new();
    if let Some(Value::Array(values)) = parts.next() {
        let mut values = values.into_iter();
        while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
            (values.next(), values.next())
        {
            fields.push((name.into(), value.into()));
        }
    }
    Some(Entry { id, fields })
}

/// A text that is UTF-8.
pub(super) fn text(value: Value) -> Option<ByteString> {
    match value {
        Value::BulkString(bytes) => ByteString::try_from(Bytes::from(bytes)).ok(),
        Value::SimpleString(text) => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn list<const LEN: usize>(values: [Value; LEN]) -> Value {
        Value::Array(values.into())
    }

    #[test]
    fn entries_are_read_in_both_protocols_and_what_is_none_is_left_out() {
        let entry = |id: &str| list([bulk(id), list([bulk("uid"), bulk("a"), bulk("data"), bulk("{}")])]);
        let stream = || list([entry("1-0"), Value::Nil, list([Value::Int(1)]), entry("2-0")]);
        for value in
            [Value::Map(vec![(bulk("socket.io"), stream())]), list([list([bulk("socket.io"), stream()])])]
        {
            let entries = entries_read(value);
            let ids: Vec<_> = entries.iter().map(|entry| &entry.id[..]).collect();
            assert_eq!(ids, ["1-0", "2-0"]);
            assert_eq!(entries[1].fields[1], (Bytes::from_static(b"data"), Bytes::from_static(b"{}")));
        }
        for value in [Value::Nil, Value::Int(3), list([]), list([Value::Nil])] {
            assert!(entries_read(value).is_empty());
        }
    }

    #[test]
    fn a_reply_to_another_question_is_an_error() {
        let count = Query::Count { channel: "c".into(), is_sharded: false };
        assert_eq!(reply(&count, vec![list([bulk("c"), Value::Int(3)])]), Ok(Reply::Count(3)));
        assert_eq!(reply(&count, vec![Value::Map(vec![(bulk("c"), Value::Int(3))])]), Ok(Reply::Count(3)));
        let take = Query::Take { key: "k".into() };
        for value in [Value::Nil, Value::Int(3), list([]), list([bulk("c"), Value::Int(-1)])] {
            assert!(reply(&count, vec![value.clone()]).is_err(), "{value:?}");
        }
        for value in [Value::Nil, list([]), list([Value::Int(1)])] {
            assert!(reply(&take, vec![value.clone()]).is_err(), "{value:?}");
        }
        assert!(reply(&count, Vec::new()).is_err());
    }
}
