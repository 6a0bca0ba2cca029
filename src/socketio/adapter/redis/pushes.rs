//! What Redis sends without having been asked for.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytestring::ByteString;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use super::requests::text;
use crate::{
    redis_client::error::CLOSED,
    socketio::adapter::traffic::{Channel, Input},
};

/// Which of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The one for requests.
    Requests,
    /// The one for subscriptions.
    Feed,
    /// The one that waits for entries of a stream.
    Reader,
}

/// The number of connections.
pub(super) const LINES: usize = 3;

/// Something that was sent.
#[derive(Debug)]
pub(super) enum Pushed {
    /// A push, with its bytes.
    Push(Line, PushInfo, usize),
    /// More than may wait. Later ones are dropped.
    TooMuch,
}

/// Takes what is sent on the connections, up to a bound.
#[derive(Clone, Debug)]
pub(super) struct Inlet {
    pushes: mpsc::UnboundedSender<Pushed>,
    waiting: Arc<AtomicUsize>,
    most_bytes: usize,
}

/// What was sent on all connections and not taken, in its order.
#[derive(Debug)]
pub(super) struct Outlet {
    pushes: mpsc::UnboundedReceiver<Pushed>,
    waiting: Arc<AtomicUsize>,
}

/// A queue of at most so many bytes.
pub(super) fn queue(most_bytes: usize) -> (Inlet, Outlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    (
        Inlet { pushes: sender, waiting: Arc::clone(&waiting), most_bytes },
        Outlet { pushes: receiver, waiting },
    )
}

impl Inlet {
    /// Takes a push.
    ///
    /// # Errors
    /// It is not wanted: too many wait, or the connections were given up.
    pub(super) fn take(&self, line: Line, push: PushInfo) -> Result<(), NotWanted> {
        let bytes = bytes_of(&push);
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let pushed = if before > self.most_bytes {
            return Err(NotWanted);
        } else if before.saturating_add(bytes) > self.most_bytes {
            Pushed::TooMuch
        } else {
            Pushed::Push(line, push, bytes)
        };
        self.pushes.send(pushed).map_err(|_| NotWanted)
    }
}

/// A push is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotWanted;

impl Outlet {
    /// The next one. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Pushed {
        match self.pushes.recv().await {
            Some(pushed) => {
                if let Pushed::Push(_, _, bytes) = &pushed {
                    self.waiting.fetch_sub(*bytes, Ordering::Relaxed);
                }
                pushed
            }
            // An inlet is kept beside this.
            None => std::future::pending().await,
        }
    }
}

/// Bytes of a push, about.
fn bytes_of(push: &PushInfo) -> usize {
    let of_value = |value: &Value| match value {
        Value::BulkString(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<PushInfo>() + push.data.iter().map(|value| size_of::<Value>() + of_value(value)).sum::<usize>()
}

/// Reads what is sent, and knows which subscriptions this server has ended itself.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// How often each is being unsubscribed from.
    ending: HashMap<Channel, usize>,
}

/// Why a push is no input.
#[derive(Debug)]
pub(super) enum Unread {
    /// It cannot be read.
    Junk,
    /// It says that the connections are to be given up, for this reason.
    Lost(String),
}

impl Subscriptions {
    /// Notes that a subscription is being ended.
    pub(super) fn end(&mut self, channel: Channel) {
        *self.ending.entry(channel).or_default() += 1;
    }

    /// Reads a push: what the core is to be told, if anything.
    ///
    /// # Errors
    /// It cannot be read, or the connections are to be given up.
    pub(super) fn read(&mut self, push: PushInfo) -> Result<Option<Input>, Unread> {
        let mut data = push.data.into_iter();
        let mut next = || data.next().and_then(text);
        match push.kind {
            PushKind::Disconnection => Err(Unread::Lost(CLOSED.to_owned())),
            PushKind::Subscribe => subscribed(next().map(Channel::Plain)),
            PushKind::PSubscribe => subscribed(next().map(Channel::Pattern)),
            PushKind::SSubscribe => subscribed(next().map(Channel::Shard)),
            PushKind::Unsubscribe => self.ended(next().map(Channel::Plain)),
            PushKind::PUnsubscribe => self.ended(next().map(Channel::Pattern)),
            PushKind::SUnsubscribe => self.ended(next().map(Channel::Shard)),
            PushKind::Message => {
                let channel = next();
                published(channel.clone().map(Channel::Plain), channel, data.next())
            }
            PushKind::SMessage => {
                let channel = next();
                published(channel.clone().map(Channel::Shard), channel, data.next())
            }
            PushKind::PMessage => {
                let pattern = next().map(Channel::Pattern);
                let channel = next();
                published(pattern, channel, data.next())
            }
            _ => Ok(None),
        }
    }

    /// A subscription has ended: by this server, or because the slot of the channel is another server's now.
    fn ended(&mut self, channel: Option<Channel>) -> Result<Option<Input>, Unread> {
        let Some(channel) = channel else { return Ok(None) };
        match self.ending.get_mut(&channel) {
            Some(1) => _ = self.ending.remove(&channel),
            Some(times) => *times -= 1,
            None => {
                return Err(Unread::Lost(
                    "Redis has given the slot of a channel to another server".to_owned(),
                ));
            }
        }
        Ok(None)
    }
}

fn subscribed(channel: Option<Channel>) -> Result<Option<Input>, Unread> {
    channel.map(|channel| Some(Input::Subscribed(channel))).ok_or(Unread::Junk)
}

fn published(
    by: Option<Channel>,
    channel: Option<ByteString>,
    body: Option<Value>,
) -> Result<Option<Input>, Unread> {
    match (by, channel, body) {
        (Some(by), Some(channel), Some(Value::BulkString(body))) => {
            Ok(Some(Input::Published { by, channel, body: body.into() }))
        }
        _ => Err(Unread::Junk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(kind: PushKind, texts: &[&[u8]]) -> PushInfo {
        PushInfo { kind, data: texts.iter().map(|text| Value::BulkString(text.to_vec())).collect() }
    }

    #[test]
    fn a_subscription_that_this_server_has_not_ended_was_ended_by_redis() {
        let mut subscriptions = Subscriptions::default();
        let room = || push(PushKind::SUnsubscribe, &[b"room"]);
        subscriptions.end(Channel::Shard("room".into()));
        subscriptions.end(Channel::Shard("room".into()));
        for _ in 0..2 {
            assert!(matches!(subscriptions.read(room()), Ok(None)));
        }
        subscriptions.read(room()).expect_err("it was ended by Redis");
    }

    #[test]
    fn what_cannot_be_read_is_junk() {
        let mut subscriptions = Subscriptions::default();
        let channel_of_junk: &[u8] = b"socket.io#/#\xff#";
        for push in [
            push(PushKind::PMessage, &[b"socket.io#*", channel_of_junk, b"body"]),
            push(PushKind::Message, &[b"channel"]),
            push(PushKind::SMessage, &[]),
            push(PushKind::Subscribe, &[b"\xff"]),
        ] {
            let said = subscriptions.read(push.clone());
            assert!(matches!(said, Err(Unread::Junk)), "{push:?}: {said:?}");
        }
    }

    #[actix_web::test]
    async fn more_bytes_than_may_wait_are_dropped_and_end_the_connections() {
        let large = || push(PushKind::Message, &[&[0; 600]]);
        let (inlet, mut outlet) = queue(1500);
        for _ in 0..3 {
            inlet.take(Line::Feed, large()).expect("it waits alone");
            assert!(matches!(outlet.next().await, Pushed::Push(Line::Feed, ..)));
        }
        inlet.take(Line::Feed, large()).expect("it fits");
        inlet.take(Line::Feed, large()).expect("it fits");
        inlet.take(Line::Feed, large()).expect("it says that they are too many");
        inlet.take(Line::Feed, large()).expect_err("it is dropped");
        for _ in 0..2 {
            assert!(matches!(outlet.next().await, Pushed::Push(..)));
        }
        assert!(matches!(outlet.next().await, Pushed::TooMuch));
    }
}
