//! What a link asks of Redis, and what Redis answers and publishes, as values. [`redis`](super::redis) writes and reads
//! them as bytes; [`model`](super::model) is a Redis that takes and gives them as they are.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

pub use super::relation::Relation;
use super::{
    NodeUid, Partition,
    contract::{AskId, Claim, Leave, Person},
};
use crate::{
    domain::{OwnerHash, Picture, RoomName},
    journal::{Epoch, EpochId, Keyed},
};

/// Most epochs of a room that are known.
pub const MOST_EPOCHS: usize = 16;

/// A call of a function in Redis. Each changes, or reads, all that it is about in one step.
#[derive(Clone, Debug)]
pub enum Command {
    /// A node joins a partition, or has a new connection to it. Answered by [`Answer::Attached`].
    Attach {
        /// The partition.
        partition: Partition,
        /// The node.
        node: NodeUid,
        /// The run of the node, see [`Append::run`].
        run: NodeUid,
        /// The run of Redis that the node is connected to, and the history of its data: `run_id+master_replid`.
        server: String,
        /// The number of the newest epoch that the node knows of a room of this partition; 0 if none.
        number: u64,
    },
    /// A node is alive: its lease begins anew. Nodes whose lease is over are fenced. Answered by [`Answer::Alive`].
    Alive {
        /// The partition.
        partition: Partition,
        /// The node.
        node: NodeUid,
    },
    /// Whether a function that writes would be called: Redis refuses it if it has no memory left, for example. Answered
    /// by [`Answer::Done`].
    Probe {
        /// The partition.
        partition: Partition,
    },
    /// Takes a node that is fenced, or that leaves, out of a room of the partition, and closes its grave when it is in
    /// none any more. Harmless if repeated. Answered by [`Answer::Buried`].
    Bury {
        /// The partition.
        partition: Partition,
        /// The node that is gone.
        gone: NodeUid,
    },
    /// Where a room stands. Answered by [`Answer::Position`].
    Open {
        /// The room.
        room: RoomName,
        /// Whether the keys of all messages are wanted.
        wants_keys: bool,
        /// The version of the users that the node knows; 0 if none.
        version: u64,
    },
    /// Records after an offset, the oldest first. Answered by [`Answer::Records`].
    Read {
        /// The room.
        room: RoomName,
        /// The offset, exclusive.
        after: u64,
    },
    /// Appends a round. Answered by [`Answer::Appended`].
    Append(Box<Append>),
    /// Gives records back that Redis lacks. Answered by [`Answer::Healed`].
    Heal(Box<Heal>),
    /// Publishes something that is not kept on the channel of a room. Answered by [`Answer::Done`].
    Publish {
        /// The room.
        room: RoomName,
        /// The node.
        node: NodeUid,
        /// What is published.
        payload: Bytes,
    },
    /// Publishes something for one node. Answered by [`Answer::Done`].
    Whisper {
        /// The room that it is about; its partition has the channel.
        room: RoomName,
        /// The sender.
        node: NodeUid,
        /// The receiver.
        to: NodeUid,
        /// What is published.
        payload: Bytes,
    },
    /// Claims a name. Answered by [`Answer::Entered`].
    Enter {
        /// The room.
        room: RoomName,
        /// The node.
        node: NodeUid,
        /// The node's number for this, which is published with the change; `None` if the chat has not asked for it.
        ask: Option<AskId>,
        /// What is claimed.
        claim: Box<Claim>,
    },
    /// A user has no session at a node any more. Harmless if repeated. Answered by [`Answer::Left`].
    Leave {
        /// The room.
        room: RoomName,
        /// The node.
        node: NodeUid,
        /// Who, and how.
        leave: Leave,
    },
    /// Forgets the messages of a room. Answered by [`Answer::Forgot`].
    Forget {
        /// The room.
        room: RoomName,
    },
    /// Keeps an avatar picture. Harmless if repeated. Answered by [`Answer::Done`].
    KeepPicture {
        /// The picture.
        picture: Arc<Picture>,
    },
    /// Removes some of what is too old, or is too much over all nodes, unless another node has done it lately. Answered by
    /// [`Answer::Swept`].
    Sweep {
        /// The partition.
        partition: Partition,
        /// The node.
        node: NodeUid,
        /// What there is in all partitions, as far as the node knows.
        all: Swept,
    },
    /// Notes how many sessions a node has in rooms. Harmless if repeated. Answered by [`Answer::Sized`].
    Sizes {
        /// The partition.
        partition: Partition,
        /// The node, whose lease must not be over.
        node: NodeUid,
        /// Whether the node has sessions in no other room of the partition.
        is_whole: bool,
        /// Rooms of the partition, with the number of sessions in each.
        sizes: Vec<(RoomName, u64)>,
    },
}

/// A round to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room: RoomName,
    /// The node, whose lease must not be over.
    pub node: NodeUid,
    /// The run of the node, by which the round is known again, also if the node was fenced meanwhile.
    pub run: NodeUid,
    /// The number of the round among those of this run in this room, counting up. A round that was appended is not
    /// appended again.
    pub seq: u64,
    /// The last message that the node knows, with its epoch; `None` if it knows none.
    pub known: Option<(EpochId, u64)>,
    /// The offset up to which the node has looked for the keys itself. If the round is asked again, that may be less than
    /// what the node knows by then.
    pub looked_to: u64,
    /// Number of messages, at least 1.
    pub count: u32,
    /// When the last message was sent, in milliseconds since 1970.
    pub at: u64,
    /// The messages, packed.
    pub entries: Bytes,
    /// The keys of those that have one.
    pub keys: Vec<RoundKey>,
    /// A random number, for the id of an epoch that begins with this round.
    pub nonce: u64,
}

/// The key of a message of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundKey {
    /// The key.
    pub key: [u8; 16],
    /// The place of the message in the round, from 0.
    pub index: u16,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
}

/// Records to give back.
#[derive(Clone, Debug)]
pub struct Heal {
    /// The room.
    pub room: RoomName,
    /// The node, whose lease must not be over.
    pub node: NodeUid,
    /// The epochs of the room as the node knows them, the oldest first.
    pub epochs: Vec<Epoch>,
    /// The records, in their order and without gaps.
    pub records: Vec<Stored>,
    /// Whether the first record may come behind a gap: no node has what was there, so Redis forgets all before it.
    pub over_gap: bool,
}

/// A record in the stream of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The offset of the first message.
    pub first: u64,
    /// Number of messages, at least 1.
    pub count: u32,
    /// When the last message was sent, in milliseconds since 1970.
    pub at: u64,
    /// The epoch that they are in.
    pub epoch: EpochId,
    /// The run of the node that has appended them.
    pub run: NodeUid,
    /// The run's number for the round.
    pub seq: u64,
    /// The keys of the messages that have one.
    pub keys: Vec<RoundKey>,
    /// The messages, packed. `None` in a publication of a record that is too large for one: it is in the stream.
    pub entries: Option<Bytes>,
}

impl Stored {
    /// The offset of the last message.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    /// The keys with the offsets of their messages.
    pub fn keyed(&self) -> impl Iterator<Item = Keyed> {
        self.keys.iter().map(|key| Keyed {
            key: key.key,
            offset: self.first + u64::from(key.index),
            at: key.at,
        })
    }
}

/// What Redis answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A node has joined a partition.
    Attached {
        /// How long nothing is appended, so that all nodes can give back what Redis has lost.
        wait: Duration,
        /// The number of the partition's newest epoch.
        number: u64,
    },
    /// A node is alive, or is not one any more.
    Alive {
        /// Whether it has been fenced: others do not count on it any more.
        is_fenced: bool,
        /// A node that is to be buried, by the one that asked first.
        grave: Option<NodeUid>,
    },
    /// A node was taken out of a room of the partition.
    Buried {
        /// Whether it is in another one.
        is_more: bool,
    },
    /// Where a room stands.
    Position(Box<Position>),
    /// Records, as many as fit into an answer.
    Records(Vec<Stored>),
    /// What became of a round.
    Appended(Appended),
    /// What became of records that were given back.
    Healed(Healed),
    /// A name was claimed: the version of the users after that, and whose it is; `None` if it is taken, or the node is
    /// fenced.
    Entered(Entered),
    /// A user is gone from a node: the version of the users after that. `None` if it was not there, or the node is
    /// fenced.
    Left(Option<u64>),
    /// Whether there was anything to forget.
    Forgot(bool),
    /// What there is in a partition.
    Swept(Swept),
    /// Sizes of rooms are noted.
    Sized {
        /// Whether nothing was noted, for the node is fenced.
        is_fenced: bool,
    },
    /// Done.
    Done,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rooms with messages.
    pub rooms: u64,
    /// Bytes of their messages, estimated.
    pub bytes: u64,
}

impl std::iter::Sum for Swept {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |all, part| Self {
            rooms: all.rooms + part.rooms,
            bytes: all.bytes + part.bytes,
        })
    }
}

/// Where a room stands in Redis.
#[derive(Clone, Debug)]
pub struct Position {
    /// The epochs, the oldest first.
    pub epochs: Vec<Epoch>,
    /// The offset of the last message, 0 if there was none.
    pub head: u64,
    /// How long nothing is appended, see [`Answer::Attached`].
    pub wait: Duration,
    /// The keys of all messages in Redis, if they are wanted; else empty.
    pub keys: Vec<Keyed>,
    /// The version of the users.
    pub version: u64,
    /// The users and the held names; `None` if the node knows this version.
    pub people: Option<Vec<Person>>,
}

/// What became of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is appended, now or before, and begins at this offset.
    At(u64),
    /// It was not appended, and never will be: a later round of the run is.
    Old,
    /// The node is fenced.
    Fenced,
    /// Nothing is appended for a time, see [`Answer::Attached`].
    Wait(Duration),
    /// Redis lacks what the node knows, or something else was said there.
    Not(Relation),
    /// These messages of the round, by their places in it, have been said before, each at this offset. Nothing was
    /// appended.
    Repeated(Vec<(u16, u64)>),
}

/// What became of records that were given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healed {
    /// Those that Redis lacked are there. The offset of the last message in Redis.
    To(u64),
    /// The room has gone another way since: none of them belongs to it.
    Diverged,
    /// The node is fenced.
    Fenced,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The name is given.
    Yes {
        /// The version of the users after that.
        version: u64,
        /// Whose it is.
        owner: OwnerHash,
    },
    /// It is another user's, or looks like that of another one.
    Taken,
    /// The node is fenced.
    Fenced,
}

/// What Redis publishes on the channel of a room, or for a node.
#[derive(Clone, Debug)]
pub enum Published {
    /// A record was appended.
    Said(Box<Stored>),
    /// A user came, changed or went.
    Person {
        /// The version of the users after that.
        version: u64,
        /// The user.
        person: Box<Person>,
        /// The node that has caused it.
        node: NodeUid,
        /// The number of its call, for an [`Command::Enter`].
        ask: Option<AskId>,
    },
    /// Something that is not kept.
    Shown {
        /// The node that has published it.
        node: NodeUid,
        /// What it is.
        payload: Bytes,
    },
    /// Something for this node alone.
    Whispered {
        /// The node that has published it.
        node: NodeUid,
        /// What it is.
        payload: Bytes,
    },
    /// The messages up to this offset are forgotten.
    Forgot(u64),
}

/// Redis has refused a call: it has no memory left, is loading its data, or is a replica. It may take the call later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);
