//! What a link has at hand while it deals with an input: the time, the calls under way, and what comes out of it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    domain::{PictureId, RoomName},
    nodes::{
        NodeUid, Partition,
        commands::Command,
        contract::{AskId, Heard, Partitions},
    },
};

/// The number of a call, unique within a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What comes out of a link.
#[derive(Clone, Debug)]
pub enum Output {
    /// Redis is to be asked; the answer is an [`Input::Answered`](super::Input::Answered).
    Call(CallId, Command),
    /// The channel of a room is to be listened to, which an [`Input::Subscribed`](super::Input::Subscribed) confirms.
    Subscribe(RoomName),
    /// The channel of a room is not needed any more.
    Unsubscribe(RoomName),
    /// The channel of a node in a partition is to be listened to.
    SubscribeNode(Partition, NodeUid),
    /// The chat is told.
    Tell(Heard),
    /// The node has left: nothing is under way any more.
    Left,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Attach(Partition),
    /// Of a node that was connected before: whether it has been fenced meanwhile.
    Return(Partition),
    Alive(Partition),
    Probe,
    Bury(Partition, NodeUid),
    Room(RoomName, RoomCall),
    Sweep(Partition),
    /// Sizes of rooms.
    Sizes,
    /// A picture to keep.
    Picture(PictureId),
    /// The answer changes nothing.
    Nothing,
}

/// What a call about a room is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoomCall {
    Open,
    Read,
    Append,
    Heal,
    /// A change of the users, by its number in the room.
    Change(u64),
    Forget(AskId),
}

/// The calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u64,
    under_way: HashMap<CallId, About>,
}

impl Calls {
    /// What the answer with this number is about; `None` if it is not waited for any more.
    pub(super) fn answered(&mut self, id: CallId) -> Option<About> {
        self.under_way.remove(&id)
    }

    /// Waits for no answer any more.
    pub(super) fn forget_all(&mut self) {
        self.under_way.clear();
    }

    /// Waits for no answer any more, except those to what was asked to be forgotten.
    pub(super) fn forget_but_forgettings(&mut self) {
        self.under_way.retain(|_, about| matches!(about, About::Room(_, RoomCall::Forget(_))));
    }

    /// Whether an answer about the place of the node is waited for.
    pub(super) fn is_joining(&self) -> bool {
        self.under_way.values().any(|about| {
            matches!(
                about,
                About::Attach(_) | About::Return(_) | About::Alive(_) | About::Probe | About::Bury(..)
            )
        })
    }

    /// Waits for no answer any more about where a room stands.
    pub(super) fn forget_reads_of(&mut self, room: &RoomName) {
        let is_read = |call: &RoomCall| matches!(call, RoomCall::Open | RoomCall::Read | RoomCall::Heal);
        self.under_way.retain(|_, about| match about {
            About::Room(other, call) => other != room || !is_read(call),
            _ => true,
        });
    }

    /// Whether any answer is waited for.
    pub(super) fn is_any(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// What was asked to be forgotten and is not answered.
    pub(super) fn forgettings(&self) -> Vec<AskId> {
        let asks = self.under_way.values().filter_map(|about| match about {
            About::Room(_, RoomCall::Forget(ask)) => Some(*ask),
            _ => None,
        });
        asks.collect()
    }
}

/// The turn of one input.
pub(super) struct Turn<'a> {
    /// The time.
    pub now: Instant,
    /// The node, until it is fenced.
    pub node: NodeUid,
    /// The node's run, under which its messages are known.
    pub run: NodeUid,
    /// The partitions that the node has joined, and may say something in.
    pub open: Partitions,
    /// The lease of a node.
    pub lease: Duration,
    pub calls: &'a mut Calls,
    pub random: &'a mut dyn FnMut() -> u64,
    pub last_seq: &'a mut u64,
    pub unconfirmed: &'a mut HashMap<RoomName, u32>,
    pub out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    /// Asks Redis.
    pub(super) fn call(&mut self, about: About, command: Command) -> CallId {
        self.calls.last += 1;
        let id = CallId(self.calls.last);
        self.calls.under_way.insert(id, about);
        self.out.push(Output::Call(id, command));
        id
    }

    /// Asks Redis about a room.
    pub(super) fn call_of(&mut self, room: &RoomName, call: RoomCall, command: Command) {
        self.call(About::Room(room.clone(), call), command);
    }

    /// Subscribes to the channel of a room.
    pub(super) fn subscribe(&mut self, room: &RoomName) {
        *self.unconfirmed.entry(room.clone()).or_default() += 1;
        self.out.push(Output::Subscribe(room.clone()));
    }

    /// Tells the chat.
    pub(super) fn tell(&mut self, heard: Heard) {
        self.out.push(Output::Tell(heard));
    }
}
