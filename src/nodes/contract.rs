//! What the chat asks of a link, and what it hears from it.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{NodeUid, Partition};
use crate::{
    domain::{Avatar, Nickname, NicknameKey, OwnerHash, Picture, PublicId, RoomName},
    journal::{Epoch, EpochId, JournalError, Keyed, Pending, Record},
};

/// The chat's number for a message that it hands to a link, unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SayId(pub u64);

/// The chat's number for something that it asks and that is answered, unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What the chat asks of a link. A link deals with what is asked of one room in that order.
#[derive(Clone, Debug)]
pub enum Order {
    /// To open a room, and to tell what is heard there from then on. Answered by [`Heard::Opened`] as soon as Redis can
    /// be reached.
    Open(RoomName),
    /// To close a room in which no session is.
    Close(RoomName),
    /// To say these messages in an open room. Each of them is answered by [`Heard::Accepted`] or [`Heard::Repeated`].
    Say(RoomName, Vec<ToSay>),
    /// To tell all nodes something that is not kept. Lost if Redis cannot be reached.
    Show(RoomName, Bytes),
    /// To claim a name in an open room. Answered by [`Heard::Entered`].
    Enter(RoomName, AskId, Box<Claim>),
    /// A user has no session at this node any more.
    Leave(RoomName, Leave),
    /// To tell one node something about an open room. Lost if Redis or the node cannot be reached.
    Whisper(RoomName, NodeUid, Bytes),
    /// To forget the messages of a room. Answered by [`Heard::Forgetting`]; all nodes hear [`Heard::Forgot`].
    Forget(RoomName, AskId),
    /// To keep an avatar picture, so that all nodes have it at its address. It is kept as soon as Redis can be reached.
    KeepPicture(Arc<Picture>),
    /// To have all nodes list rooms with the numbers of sessions that this node has in them now; in all other rooms it has
    /// none. What could not be told is told with the next ones.
    Sizes(HashMap<RoomName, u64>),
}

impl Order {
    /// The room; `None` for what is about no room.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Open(room)
            | Self::Close(room)
            | Self::Say(room, _)
            | Self::Show(room, _)
            | Self::Enter(room, ..)
            | Self::Leave(room, _)
            | Self::Whisper(room, ..)
            | Self::Forget(room, _) => Some(room),
            Self::KeepPicture(_) | Self::Sizes(_) => None,
        }
    }
}

/// A message to say.
#[derive(Clone, Debug)]
pub struct ToSay {
    /// The chat's number for it.
    pub id: SayId,
    /// The packed entry, see [`entry`](crate::journal::entry).
    pub entry: Bytes,
    /// The key, if its client gave it an id.
    pub key: Option<[u8; 16]>,
    /// The last message that the chat had heard when it took this one: none up to that one has the key.
    pub looked_to: u64,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// The user who says it: if it loses its name before that, the message is not said. `None` for a guest.
    pub author: Option<Author>,
}

impl ToSay {
    /// Whether a user with this name says it.
    pub(super) fn is_by(&self, key: &NicknameKey) -> bool {
        self.author.as_ref().is_some_and(|author| author.key == *key)
    }
}

/// The user who says a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub key: NicknameKey,
    /// The public id: another user may get the name.
    pub uid: PublicId,
}

/// What a user that comes to a node shows.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The name.
    pub name: Nickname,
    /// The avatar.
    pub avatar: Avatar,
    /// The user that the client says it is, if it bears a token.
    pub owner: Option<Owner>,
    /// The user that it is without a token, or if its token is that of another user who is there.
    pub spare: Owner,
    /// Whether the name is to be reserved: the client has shown its token.
    pub reserves: bool,
    /// The name that the session gives up by this, if no other session of this node has it.
    pub leaves: Option<NicknameKey>,
}

/// A user, as far as others may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The hash of the user's token.
    pub hash: OwnerHash,
    /// The public id of the user.
    pub uid: PublicId,
}

/// How a user leaves a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The name.
    pub key: NicknameKey,
    /// Whether the name is held for its user, because its connection has dropped.
    pub holds_name: bool,
    /// Whether the reservation of the name ends.
    pub releases: bool,
}

/// A user of a room over all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: Nickname,
    /// The avatar.
    pub avatar: Avatar,
    /// Who it is.
    pub owner: Owner,
    /// The nodes at which it has sessions. Empty if it is gone.
    pub nodes: Vec<NodeUid>,
    /// How long the name is held from now on, if the user is gone.
    pub held_for: Duration,
}

/// The way from the chat to a link, from any thread.
pub trait Link: fmt::Debug + Send + Sync {
    /// Takes an order. Never waits. Orders of one room must come in their order.
    fn order(&self, order: Order);

    /// At most `most` of the largest rooms of all nodes, and those that are `asked` for. A link without a list has
    /// none.
    fn list_rooms(&self, _most: usize, _asked: Vec<RoomName>) -> Pending<RoomSizes> {
        let why = "there is no list of the rooms of all nodes";
        Box::pin(std::future::ready(Err(JournalError::Unavailable(why.to_owned()))))
    }
}

/// Rooms of all nodes that have sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomSizes {
    /// The largest ones, the largest first.
    pub largest: Vec<RoomSize>,
    /// The number of all.
    pub count: u64,
    /// Those that were asked for.
    pub asked: Vec<RoomStanding>,
}

/// The size of a room over all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSize {
    /// The room.
    pub name: RoomName,
    /// Its sessions, guests included.
    pub sessions: u64,
    /// Its users.
    pub users: u64,
}

/// Size and position of a room over all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomStanding {
    /// The size.
    pub size: RoomSize,
    /// Epoch and offset of the last message; `None` if there was none.
    pub newest: Option<(EpochId, u64)>,
}

/// What a link tells the chat. What it tells of one room is in the order in which all nodes hear it.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A room is open. Also told when the node starts anew in it; then `reset` says so.
    Opened(RoomName, Box<Opened>),
    /// Something was said. The first offset follows the last one that was heard.
    Said(RoomName, Box<SaidRecord>),
    /// These messages are in Redis, each at this offset, and were heard before.
    Accepted(RoomName, Vec<(SayId, u64)>),
    /// These messages had been said before, each at this offset, and were heard before; they are not said again.
    Repeated(RoomName, Vec<(SayId, u64)>),
    /// These messages are not in Redis yet, and that will take a while: the sessions that wait may be told.
    Delayed(RoomName, Vec<SayId>),
    /// These messages are not said: their users have lost their names.
    Dropped(RoomName, Vec<SayId>),
    /// Something that is not kept.
    Shown(RoomName, NodeUid, Bytes),
    /// A user came, changed or went; for a change that this node has asked for, with what was asked.
    Person(RoomName, Box<Person>, Option<AskId>),
    /// The users anew: changes may have been missed.
    People(RoomName, Vec<Person>, Listed),
    /// The answer to [`Order::Enter`]; what it changed was heard before.
    Entered(RoomName, AskId, Result<OwnerHash, NotEntered>),
    /// A user of this node has lost its name to another one, while this node could not reach Redis.
    NameLost(RoomName, NicknameKey),
    /// What one node has told this one.
    Whispered(RoomName, NodeUid, Bytes),
    /// The answer to [`Order::Forget`]: whether there was anything to forget.
    Forgetting(AskId, Result<bool, Away>),
    /// The messages of a room up to this offset are forgotten.
    Forgot(RoomName, u64),
    /// Redis can be reached for these partitions.
    Up(Partitions),
    /// Redis cannot be reached for these partitions, or takes nothing.
    Down(Partitions, Away),
}

impl Heard {
    /// The room; `None` for what is about no room, or about many.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Opened(room, _)
            | Self::Said(room, _)
            | Self::Accepted(room, _)
            | Self::Repeated(room, _)
            | Self::Delayed(room, _)
            | Self::Dropped(room, _)
            | Self::Shown(room, ..)
            | Self::Person(room, ..)
            | Self::People(room, ..)
            | Self::Entered(room, ..)
            | Self::NameLost(room, _)
            | Self::Whispered(room, ..)
            | Self::Forgot(room, _) => Some(room),
            Self::Forgetting(..) | Self::Up(_) | Self::Down(..) => None,
        }
    }
}

/// Which users a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All users.
    All,
    /// Redis has lost something: users that are not listed may be there still. A list of all follows.
    Some,
}

/// The state of a room that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The epochs, the oldest first. Empty if nothing was ever said.
    pub epochs: Vec<Epoch>,
    /// The offset of the last message.
    pub head: u64,
    /// The keys of the messages that Redis has.
    pub keys: Vec<Keyed>,
    /// The users, and the names that are held.
    pub people: Vec<Person>,
    /// Whether the room was open, and members have heard what is not part of it any more.
    pub reset: bool,
}

/// A record that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidRecord {
    /// The messages.
    pub record: Record,
    /// The epoch that they are in; a new one begins with them.
    pub epoch: Epoch,
    /// The messages in their order, if this node has handed them in; else empty.
    pub own: Vec<SayId>,
}

/// Why a name was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEntered {
    /// It is another user's, or looks like that of another one.
    #[error("the name is taken")]
    Taken,
    /// Redis cannot be reached.
    #[error(transparent)]
    Away(#[from] Away),
}

/// Why Redis takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// A set of partitions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Partitions(u64);

impl Partitions {
    /// All partitions.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the partition is in the set.
    pub fn contains(self, partition: Partition) -> bool {
        self.0 & 1 << partition.number() != 0
    }

    /// Adds all of `others`.
    pub fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Removes all of `others`.
    pub fn remove(&mut self, others: Self) {
        self.0 &= !others.0;
    }

    /// Whether no partition is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The partitions, by their numbers.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        Partition::all().filter(move |partition| self.contains(*partition))
    }
}

impl FromIterator<Partition> for Partitions {
    fn from_iter<T: IntoIterator<Item = Partition>>(partitions: T) -> Self {
        Self(partitions.into_iter().fold(0, |set, partition| set | 1 << partition.number()))
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partitions({:#x})", self.0)
    }
}

/// Hears what a link tells, on the link's thread: it must not block.
pub trait Listener: Send + 'static {
    /// Hears something. What is heard of one room comes in order.
    fn heard(&self, heard: Heard);
}

impl<F: Fn(Heard) + Send + 'static> Listener for F {
    fn heard(&self, heard: Heard) {
        self(heard);
    }
}
