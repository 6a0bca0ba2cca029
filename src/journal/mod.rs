//! The journal: the kept messages of each room.
//!
//! `chat` gives every message of a room its offset (1, 2, 3...) and is the only writer; `session` reads pages
//! for members that missed messages. The [`Journal`] trait is the contract; [`sqlite`] keeps a file,
//! [`memory`] loses everything with the process. `app` chooses one. The contract tests run on both.

use std::{fmt, future::Future, pin::Pin, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    entry::{Entry, Kind, NewEntry},
    page::Page,
};
use crate::domain::{Picture, PictureId, RoomName};

mod age;
pub(crate) mod entry;
pub(crate) mod memory;
mod page;
pub(crate) mod sqlite;
#[cfg(test)]
mod tests;

/// The future result of a journal call.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send>>;

/// What sessions read of the kept messages, from a [`Journal`] or from a log that several nodes share.
///
/// No method blocks its caller.
pub trait Records: Send + Sync + fmt::Debug {
    /// Reads durable entries of a room, in the order of their offsets. An unknown room has none.
    fn read(&self, room: RoomName, range: Range) -> Pending<Page>;

    /// The avatar picture with this id, if it is still kept. A store that ends with the process keeps none.
    fn picture(&self, _: PictureId) -> Pending<Option<Picture>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A store of the messages of rooms, which are given their order by this process.
///
/// **Order.** Each room has one writer, the shard of the chat that the room is in, and a writer has at most one
/// [`append`](Self::append) in progress. A batch becomes durable as a whole or not at all, and the batches of a
/// writer become durable in call order. So the durable offsets of a
/// room have no gap after the oldest record that trimming left.
///
/// **Durability.** When the future of an `append` resolves with `Ok`, the batch survives the end of the
/// process, if the store outlives the process. After `Err` it may or may not be durable; the writer repeats
/// the batch until it gets `Ok`, and a record that is already stored is not stored twice.
///
/// **Blocking.** No method blocks its caller. Jobs wait in bounded queues for the store's own threads; while
/// a queue is full, the futures wait.
///
/// **Epochs.** An [`EpochId`] names a period of a room in which no broadcast message was lost. Each run of a
/// server begins a new epoch: the last run may have broadcast messages that are not durable, or the file may
/// be a restored copy, and those offsets are given out again. So an offset with its epoch identifies what a
/// client has received, even if the file was replaced since.
pub trait Journal: Records {
    /// Checks whether the store is writable, as far as this is visible without a write.
    fn check(&self) -> Pending<()>;

    /// The damage found in the store so far.
    fn damage(&self) -> Option<Damage>;

    /// The rooms in the store, each with the time of its last message in milliseconds since 1970.
    fn rooms(&self) -> Pending<Vec<(RoomName, u64)>>;

    /// The state of a room. An unknown room has no messages and the current epoch.
    fn open(&self, room: RoomName) -> Pending<RoomState>;

    /// Makes records durable, and trims their rooms to the bounds of [`Retention`]. An append to an unknown
    /// room creates it.
    fn append(&self, batch: Vec<Append>) -> Pending<()>;

    /// Deletes messages over the maximum age, removes rooms without messages and returns their names.
    fn sweep(&self) -> Pending<Vec<RoomName>>;

    /// Deletes all messages of a room. For an unknown room it does nothing.
    fn forget(&self, room: RoomName) -> Pending<()>;

    /// Reserves names of a room, or frees them. At most [`Retention::names`] are kept over all rooms; surplus
    /// names are not kept, which is not an error.
    fn reserve(&self, room: RoomName, names: Vec<ReservedName>) -> Pending<()>;

    /// Closes the journal after all appends are durable. Must be the last call.
    fn close(&self) -> Pending<()>;
}

/// The state of a room in its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Its epochs, the oldest first. The last one is the epoch of new messages, even if it has none yet.
    pub epochs: Vec<Epoch>,
    /// The offset of its last durable message, 0 if it never had one.
    pub head: u64,
    /// The keys of its messages that have a client id, see [`Record::keys`].
    pub keys: Vec<Keyed>,
    /// The nicknames that are reserved in it.
    pub names: Vec<ReservedName>,
}

/// A nickname reserved for its user in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedName {
    /// The case-folded name, common to all its spellings.
    pub key: String,
    /// The name as its user spells it.
    pub name: String,
    /// The hash of the user's token.
    pub owner: [u8; 16],
    /// The end of the reservation in milliseconds since 1970; 0 frees the name.
    pub until: u64,
}

/// A period of a room without lost messages, see [`Journal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The id of the epoch.
    pub id: EpochId,
    /// The first offset given out in this epoch.
    pub starts: u64,
}

/// The id of an [`Epoch`], unique even among copies of a journal. Written as `5f3a...-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochId {
    /// Random, so that copies of a journal give out different ids.
    pub random: u64,
    /// The number of the epoch in its journal, counting up.
    pub number: u64,
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.random, self.number)
    }
}

/// Parse error of [`EpochId`].
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

/// A record to store, with its room and epoch.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room of the record.
    pub room: RoomName,
    /// The room's current epoch.
    pub epoch: Epoch,
    /// The messages to store.
    pub record: Record,
    /// Avatar pictures of the senders that were not given to the journal recently.
    pub pictures: Vec<Arc<Picture>>,
}

/// The messages of one broadcast in one room: stored, read and trimmed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The offset of the first message.
    pub first: u64,
    /// Number of messages, at least 1.
    pub count: u32,
    /// When the last message was sent, in milliseconds since 1970.
    pub at: u64,
    /// Keys of the messages with a client id, to detect repetitions.
    pub keys: Vec<Keyed>,
    /// The messages, packed as described in [`entry`].
    pub entries: Bytes,
}

impl Record {
    /// The offset of the last message.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }
}

/// The key of a message, to find it by the hash of its sender and its client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Hash of the sender and the client's message id.
    pub key: [u8; 16],
    /// The offset of the message.
    pub offset: u64,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
}

/// The range of entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The oldest entries after an offset.
    After {
        /// The offset, exclusive.
        after: u64,
        /// Read until the entries have at least this many bytes; at least one entry is read.
        max_bytes: usize,
    },
    /// The newest entries before an offset.
    Before {
        /// The offset, exclusive.
        before: u64,
        /// Maximum number of entries.
        limit: usize,
        /// Read until the entries have at least this many bytes; at least one entry is read.
        max_bytes: usize,
    },
}

/// Bounds on what is kept. Whole records are deleted, the oldest first; the bounds of a room spare its
/// newest.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Minimum number of messages kept per room, unless another bound deletes them. Up to an eighth more may
    /// stay for a while.
    pub messages: u64,
    /// Maximum bytes of the messages of one room.
    pub bytes: u64,
    /// Maximum age of a message.
    pub age: Duration,
    /// Maximum bytes of all rooms.
    pub total_bytes: u64,
    /// Maximum number of reserved names in all rooms.
    pub names: u64,
    /// Maximum bytes of the avatar pictures.
    pub avatar_bytes: u64,
}

/// Errors of a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The store cannot be read or written now: a full disk, a folder without permission.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// The stored bytes are not what was written.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
}

/// Damage found in a store: stored bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Description of the first damage found.
    pub first: String,
    /// Number of times damage was found.
    pub found: u64,
}

/// The current time in milliseconds since 1970.
pub fn now_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
