//! The thread with a core whose decisions are the test's.

use std::{
    cell::Cell,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    super::handle::{RedisAdapterHandle, start},
    server::PATIENCE,
};
use crate::{
    parts::Parts,
    socketio::{
        adapter::{
            figures::Figures,
            settings::{RedisFormat, RedisOptions},
            traffic::{Channel, Decide, FromHere, Here, HereId, Input, Local, Output, Query, QueryId, Reply},
        },
        cluster::Order,
    },
};

/// What the core does at the next order.
enum Act {
    Put(Vec<Output>),
    Panic,
}

struct Core {
    acts: Receiver<Act>,
    inputs: Sender<Input>,
    again: Sender<()>,
}

impl Decide for Core {
    fn handle(&mut self, _: Instant, input: Input, out: &mut Vec<Output>) {
        if !matches!(input, Input::Order(_)) {
            // The test may have ended.
            let _ = self.inputs.send(input);
            return;
        }
        match self.acts.recv().expect("an act for each order") {
            Act::Put(outputs) => out.extend(outputs),
            Act::Panic => {
                out.push(publish("c", "it is thrown away"));
                panic!("as it was told");
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        None
    }

    fn begin_again(&mut self, _: &mut Vec<Output>) {
        let _ = self.again.send(());
    }
}

/// Answers each look at rooms, and panics where anything else is wanted.
struct Server;

impl Local for Server {
    fn perform(&mut self, here: Here, replies: &UnboundedSender<FromHere>) {
        let Here::LookRooms { id: HereId(id), namespace } = here else { panic!("as it was told") };
        let replies = replies.clone();
        actix_web::rt::spawn(async move { replies.send(FromHere::Rooms(HereId(id), vec![namespace])) });
    }
}

/// The thread, and what its core was told.
pub(super) struct Scripted {
    pub(super) handle: RedisAdapterHandle,
    pub(super) figures: Arc<Figures>,
    pub(super) parts: Arc<Parts>,
    acts: Sender<Act>,
    inputs: Receiver<Input>,
    /// How often the core was told that something is refused.
    pub(super) refusals: Cell<usize>,
    pub(super) again: Receiver<()>,
}

impl Scripted {
    /// Starts it for the Redis at an address.
    pub(super) fn to(url: &str) -> Self {
        Self::with(url, |_| {})
    }

    /// Starts it with other options.
    pub(super) fn with(url: &str, change: impl FnOnce(&mut RedisOptions)) -> Self {
        let mut options = RedisOptions {
            url: url.parse().expect("an address"),
            format: RedisFormat::Classic,
            home_key: "socket.io".into(),
            read_count: 3,
            max_unanswered_bytes: 64 << 20,
        };
        change(&mut options);
        let (parts, figures) = (Arc::<Parts>::default(), Arc::<Figures>::default());
        let ((acts, script), (told, inputs), (begun, again)) = (channel(), channel(), channel());
        let core = Core { acts: script, inputs: told, again: begun };
        let handle = start(&parts, options, Arc::clone(&figures), core, Server).expect("a thread");
        Self { handle, figures, parts, acts, inputs, refusals: Cell::new(0), again }
    }

    /// Has the core put out something.
    pub(super) fn put(&self, outputs: impl IntoIterator<Item = Output>) {
        self.act(Act::Put(outputs.into_iter().collect()));
    }

    /// Has the core panic.
    pub(super) fn panic(&self) {
        self.act(Act::Panic);
    }

    fn act(&self, act: Act) {
        self.acts.send(act).expect("the core is there");
        self.handle.order(Order::Unserve { namespace: "/".into() });
    }

    /// The next thing that the core is told, but for refusals, which are counted.
    pub(super) fn next(&self) -> Input {
        loop {
            match self.inputs.recv_timeout(PATIENCE).expect("an input") {
                Input::Refused => self.refusals.set(self.refusals.get() + 1),
                input => return input,
            }
        }
    }

    /// Waits until there are connections.
    pub(super) fn up(&self) {
        let input = self.next();
        assert!(matches!(input, Input::Up), "{input:?}");
    }

    /// Waits until they are lost; the reason.
    pub(super) fn down(&self) -> String {
        match self.next() {
            Input::Down(why) => why,
            input => panic!("{input:?}"),
        }
    }

    /// Subscribes, and waits for the confirmation.
    pub(super) fn subscribe(&self, channel: Channel) {
        self.put([Output::Subscribe(channel.clone())]);
        match self.next() {
            Input::Subscribed(confirmed) => assert_eq!(confirmed, channel),
            input => panic!("{input:?}"),
        }
    }

    /// The next publication: by which subscription it came, its channel, and its body.
    pub(super) fn heard(&self) -> (Channel, String, Bytes) {
        match self.next() {
            Input::Published { by, channel, body } => (by, channel.to_string(), body),
            input => panic!("{input:?}"),
        }
    }

    /// The reply to a query.
    pub(super) fn reply_to(&self, query: Query) -> Result<Reply, String> {
        self.put([Output::Query(QueryId(7), query)]);
        match self.next() {
            Input::Replied(QueryId(7), reply) => reply,
            input => panic!("{input:?}"),
        }
    }

    /// The ids of the entries that were read next.
    pub(super) fn ids_read(&self) -> Vec<String> {
        match self.next() {
            Input::Entries(entries) => entries.into_iter().map(|entry| entry.id.to_string()).collect(),
            input => panic!("{input:?}"),
        }
    }

    /// Asserts that the core was told nothing else before it is told of what `last` causes.
    pub(super) fn is_told_nothing_before_rooms(&self) {
        self.put([Output::Here(Here::LookRooms { id: HereId(3), namespace: "/".into() })]);
        match self.next() {
            Input::FromHere(FromHere::Rooms(HereId(3), rooms)) => assert_eq!(rooms, ["/"]),
            input => panic!("{input:?}"),
        }
    }
}

/// A publication.
pub(super) fn publish(channel: &'static str, body: &str) -> Output {
    Output::Publish {
        channel: channel.into(),
        is_sharded: false,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}
