//! What was said in each room, kept.
//!
//! `chat` gives every message of a room its offset (1, 2, 3...) and is the only writer; `session` reads pages for
//! those who missed something. The [`Journal`] trait is the contract; [`sqlite`] keeps a file, [`memory`] forgets with
//! the process. `app` picks one. The same tests run on both.

use std::{fmt, future::Future, pin::Pin, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    entry::{Entry, Kind, NewEntry},
    page::Page,
};
use crate::domain::{Picture, PictureId, RoomName};

mod age;
pub mod entry;
pub mod memory;
mod page;
pub mod sqlite;
#[cfg(test)]
mod tests;

/// The answer of a journal, later.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send>>;

/// A store of rooms' messages.
///
/// **Order.** There is one writer, which has one [`append`](Self::append) under way at a time. A batch becomes durable
/// as a whole or not at all, and batches in the order they were given; so what is durable of a room is always a
/// run of offsets without a hole, up to where trimming has come.
///
/// **Durability.** When the future of an `append` is ready with `Ok`, the batch survives the end of the process, for a
/// store that outlives it. With `Err` it may or may not be durable; the writer gives the same batch again until
/// it is, and a record that is there already stays there once.
///
/// **Blocking.** No method blocks its caller. What a store has to do waits in bounded queues, on threads of its own;
/// while a queue is full the futures wait.
///
/// **Epochs.** An [`EpochId`] names a stretch of a room's life in which nothing that was relayed has been lost. Each run
/// of a server begins a new one: the last run may have relayed messages that are not durable, or the file may be a copy
/// that was put back, and their offsets are given out again. So an offset and its epoch tell what a client has seen,
/// whatever became of the file since.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Whether the store can be written as far as can be told without writing.
    fn check(&self) -> Pending<()>;

    /// What damage of the store was met so far.
    fn damage(&self) -> Option<Damage>;

    /// The rooms that have history, each with the time of its last message in milliseconds since 1970.
    fn rooms(&self) -> Pending<Vec<(RoomName, u64)>>;

    /// Where a room stands. One that is not known has no messages and the current epoch.
    fn open(&self, room: RoomName) -> Pending<Position>;

    /// Makes records durable, and trims their rooms to the bounds of [`Retention`]. An append to a room that is not
    /// known makes it known.
    fn append(&self, batch: Vec<Append>) -> Pending<()>;

    /// Reads durable entries of a room, in the order of their offsets. A room that is not known has none.
    fn read(&self, room: RoomName, range: Range) -> Pending<Page>;

    /// A picture that a user has spoken under, if it is kept still. A store that does not outlive the process has none.
    fn picture(&self, _: PictureId) -> Pending<Option<Picture>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Lets go what is older than [`Retention`] allows and forgets the rooms that have nothing left, which it names.
    fn sweep(&self) -> Pending<Vec<RoomName>>;

    /// Lets all messages of a room go. A room that is not known has none.
    fn forget(&self, room: RoomName) -> Pending<()>;

    /// Reserves names of a room, or frees them. Over all rooms at most [`Retention::names`] are kept; what is more is not,
    /// and that is no error.
    fn reserve(&self, room: RoomName, names: Vec<ReservedName>) -> Pending<()>;

    /// The writer has nothing more to say, and all it said is durable. To be called last.
    fn close(&self) -> Pending<()>;
}

/// Where a room stands in its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its epochs, the oldest first. The last one is what messages are said in now, even if none has been yet.
    pub epochs: Vec<Epoch>,
    /// The offset of its last durable message, 0 if there never was one.
    pub head: u64,
    /// The keys of its messages that have one, see [`Record::keys`].
    pub keys: Vec<Keyed>,
    /// The names that are reserved in it.
    pub names: Vec<ReservedName>,
}

/// A nickname that is kept for its user in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedName {
    /// What all spellings of the name have in common.
    pub key: String,
    /// The name as its user spells it.
    pub name: String,
    /// The hash of the user's token.
    pub owner: [u8; 16],
    /// Until when, in milliseconds since 1970; 0 frees the name.
    pub until: u64,
}

/// A stretch of a room's life, see [`Journal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its name.
    pub id: EpochId,
    /// The first offset that was given out in it.
    pub starts: u64,
}

/// The name of an [`Epoch`], different from all others, those of copies of a journal too. Written as `5f3a...-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochId {
    /// A random number.
    pub random: u64,
    /// Which of its journal's epochs, counting up.
    pub number: u64,
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.random, self.number)
    }
}

/// A text is not the name of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is the text that came with loginSuccess or roomJoined")]
pub struct EpochIdError;

impl FromStr for EpochId {
    type Err = EpochIdError;

    fn from_str(text: &str) -> Result<Self, EpochIdError> {
        let (random, number) = text.split_once('-').ok_or(EpochIdError)?;
        let random = u64::from_str_radix(random, 16).map_err(|_| EpochIdError)?;
        let number = number.parse().map_err(|_| EpochIdError)?;
        Ok(Self { random, number })
    }
}

/// A record and where it belongs.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room: RoomName,
    /// The room's current epoch.
    pub epoch: Epoch,
    /// What was said.
    pub record: Record,
    /// Pictures that its speakers wear and that have not been given to the journal for a while.
    pub pictures: Vec<Arc<Picture>>,
}

/// The messages of one round of one room: what is stored, read and trimmed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The offset of the first message.
    pub first: u64,
    /// How many there are, at least 1.
    pub count: u32,
    /// When the last one was said, in milliseconds since 1970.
    pub at: u64,
    /// The messages by which a repetition is known: those whose client gave them an id.
    pub keys: Vec<Keyed>,
    /// The messages, packed as [`entry`] has it.
    pub entries: Bytes,
}

impl Record {
    /// The offset of the last message.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }
}

/// A message that can be asked for by the hash of its sender and the id its client gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The hash.
    pub key: [u8; 16],
    /// The offset of the message.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
}

/// Which entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The oldest ones behind an offset.
    After {
        /// The offset, itself left out.
        after: u64,
        /// Entries end when they have come to so many bytes; there is at least one.
        max_bytes: usize,
    },
    /// The newest ones before an offset.
    Before {
        /// The offset, itself left out.
        before: u64,
        /// How many entries at most.
        limit: usize,
        /// Entries end when they have come to so many bytes; there is at least one.
        max_bytes: usize,
    },
}

/// How much is kept. Records go whole, the oldest first; the newest one of a room is spared by the bounds of its room.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// So many messages of a room are kept at least, unless another bound lets them go. An eighth more may stay for a
    /// while.
    pub messages: u64,
    /// Bytes of a room's messages, at most.
    pub bytes: u64,
    /// How old a message gets.
    pub age: Duration,
    /// Bytes of all rooms, at most.
    pub total_bytes: u64,
    /// Reserved names of all rooms, at most.
    pub names: u64,
    /// Bytes of pictures that users have spoken under, at most.
    pub avatar_bytes: u64,
}

/// Why a journal does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store cannot be reached or written, for now: a full disk, a folder without permission.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
}

/// Something that is stored is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What was met first.
    pub first: String,
    /// How often any was met.
    pub found: u64,
}

/// Milliseconds since 1970.
pub fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
