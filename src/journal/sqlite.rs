//! A journal in one SQLite file: the embedded default.
//!
//! Two threads, each with its own database connection: one writes, one reads. In WAL mode neither waits for
//! the other; a commit is flushed before its future resolves (`synchronous=FULL`). A shard of the chat sends its
//! next batch when one is durable, so a batch is what arrived meanwhile; batches of several shards that wait are
//! joined: commits group themselves.
//!
//! File locks exclude a second server; on file systems without locks, the file names its owner. If the store
//! cannot be opened or written now, the next job tries again. A third thread reads the whole file once at the
//! start.
//!
//! `docs/journal.md` describes the guarantees of the file and the reasons for them.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use self::{condition::Condition, files::Files, staged::Staged, writer::Writer};
use super::{
    Append, Damage, Journal, JournalError, Page, Pending, Range, Records, ReservedName, Retention, RoomState,
};
use crate::{
    domain::{Picture, PictureId, RoomName},
    parts::{Parts, Supervisor},
};

mod append;
mod attempts;
mod avatars;
mod checker;
mod columns;
mod condition;
mod connecting;
mod disk;
mod epochs;
mod fault;
mod files;
mod forgetting;
mod jobs;
mod meta;
mod moving;
mod names;
pub(crate) mod offline;
mod open;
mod open_files;
mod reader;
mod retention;
mod rooms;
mod rows;
mod run;
mod schema;
mod staged;
mod staging;
mod stamp;
#[cfg(test)]
mod tests;
mod transaction;
mod trim;
mod writer;

/// The names of the threads.
pub(crate) const WRITER: &str = "journal-writer";
const READER: &str = "journal-reader";
const CHECKER: &str = "journal-checker";

/// Maximum number of jobs queued for a thread; more jobs wait to be queued.
const QUEUE: usize = 1024;

/// A batch of at least this many rooms is staged, see [`staging`].
const MANY_ROOMS: usize = 8;

/// Errors of opening a journal after which the server must not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server holds the locks of the journal.
    #[error("another server uses the journal in {}", .0.display())]
    Locked(PathBuf),
    /// The file was written by a later version of this program.
    #[error("{} has schema {found}, this version knows up to {known}", .path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The latest schema version that this program knows.
        known: i64,
    },
    /// The path does not lead to a journal.
    #[error("{}: {reason}", .path.display())]
    NoJournal {
        /// The path of the folder or the file.
        path: PathBuf,
        /// The reason, as a part of a sentence.
        reason: String,
    },
    /// The system cannot start a thread.
    #[error("the journal's threads cannot be started: {0}")]
    Thread(io::Error),
}

/// A journal in one SQLite file. Its threads end when it is dropped.
pub struct SqliteJournal {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    condition: Arc<Condition>,
}

/// A job for the writer thread.
enum Write {
    AreYouThere(oneshot::Sender<()>),
    Check(Answer<()>),
    Rooms(Answer<Vec<(RoomName, u64)>>),
    Open(RoomName, Answer<RoomState>),
    Append(Vec<Append>, Answer<()>),
    Sweep(Answer<Vec<RoomName>>),
    Forget(RoomName, Answer<()>),
    Reserve(RoomName, Vec<ReservedName>, Answer<()>),
    Close(Answer<()>),
}

/// A job for the reader thread.
enum Read {
    AreYouThere(oneshot::Sender<()>),
    Page(RoomName, Range, Answer<Page>),
    Picture(PictureId, Answer<Option<Picture>>),
}

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

impl SqliteJournal {
    /// Opens or creates the journal in `folder`. A journal that is not available now is not an error here:
    /// its methods return the error until it is available.
    ///
    /// # Errors
    /// The journal needs a change by the operator, see [`OpenError`].
    pub fn open(folder: &Path, retention: Retention, parts: &Arc<Parts>) -> Result<Self, OpenError> {
        Self::open_to_stage(MANY_ROOMS, folder, retention, parts)
    }

    /// Like [`open`](Self::open), and stages batches of this many rooms.
    pub(super) fn open_to_stage(
        many_rooms: usize,
        folder: &Path,
        retention: Retention,
        parts: &Arc<Parts>,
    ) -> Result<Self, OpenError> {
        let (files, condition) = (Arc::new(Files::new(folder)), Arc::<Condition>::default());
        let staged = Arc::new(Staged::new(many_rooms));
        let mut writer =
            Writer::new(Arc::clone(&files), retention, Arc::clone(&condition), Arc::clone(&staged));
        writer.start()?;
        let (writes, write_jobs) = mpsc::channel(QUEUE);
        let (reads, read_jobs) = mpsc::channel(QUEUE);
        let write = move |supervisor: &Supervisor| writer.run(write_jobs, supervisor);
        parts.spawn(WRITER, write).map_err(OpenError::Thread)?;
        watch(parts, WRITER, &writes, Write::AreYouThere);
        let read_condition = Arc::clone(&condition);
        let read = move |supervisor: &Supervisor| {
            reader::run(&files, &staged, &read_condition, read_jobs, supervisor);
        };
        parts.spawn(READER, read).map_err(OpenError::Thread)?;
        watch(parts, READER, &reads, Read::AreYouThere);
        Ok(Self { writes, reads, condition })
    }
}

/// Total size in bytes of the database and its log in a folder; 0 if there are none.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let files = Files::new(folder);
    disk::len_of(&files.database) + disk::len_of(&files.wal())
}

/// Deletes all messages of a room from the journal in `folder`, which no server may be using.
///
/// # Errors
/// One sentence: the journal or the room does not exist, a server uses it, or it cannot be written.
pub(crate) fn forget(folder: &Path, room: &RoomName) -> Result<(), String> {
    let files = Arc::new(Files::new(folder));
    if !files.database.is_file() {
        return Err(format!("there is no journal at {}", files.database.display()));
    }
    writer_alone(files).forget_alone(room)
}

/// No bounds, for commands, which must delete nothing but what they are told to.
const KEEP_ALL: Retention = Retention {
    messages: u64::MAX / 2,
    bytes: u64::MAX,
    age: Duration::MAX,
    total_bytes: u64::MAX,
    names: u64::MAX,
    avatar_bytes: u64::MAX,
};

/// A writer for a command, without a thread.
fn writer_alone(files: Arc<Files>) -> Writer {
    Writer::new(files, KEEP_ALL, Arc::default(), Arc::new(Staged::new(MANY_ROOMS)))
}

/// Copies the journal in `folder` to the new file `target`, consistently, while a server may use it.
///
/// # Errors
/// One sentence: the journal does not exist, the target exists, or it cannot be written.
pub fn back_up(folder: &Path, target: &Path) -> Result<(), String> {
    let file = Files::new(folder).database;
    if !file.is_file() {
        return Err(format!("there is no journal at {}", file.display()));
    }
    if target.exists() {
        return Err(format!("{} exists already", target.display()));
    }
    let name = target.to_str().ok_or_else(|| format!("{} is not UTF-8", target.display()))?;
    Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|source| {
            // The log of a crashed server is left to its next start, so closing must not checkpoint it.
            source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            source.execute("VACUUM INTO ?1", [name])
        })
        .and_then(|_| run::disown(&Connection::open(target)?))
        .map_err(|error| format!("{} cannot be copied to {name}: {error}", file.display()))?;
    // The copy must be as durable as its source.
    File::open(target)
        .and_then(|copy| copy.sync_all())
        .and_then(|()| target.parent().map_or(Ok(()), disk::sync_folder))
        .map_err(|error| format!("{name}: {error}"))
}

impl Records for SqliteJournal {
    fn read(&self, room: RoomName, range: Range) -> Pending<Page> {
        ask(&self.reads, |answer| Read::Page(room, range, answer))
    }

    fn picture(&self, id: PictureId) -> Pending<Option<Picture>> {
        ask(&self.reads, |answer| Read::Picture(id, answer))
    }
}

impl Journal for SqliteJournal {
    fn check(&self) -> Pending<()> {
        ask(&self.writes, Write::Check)
    }

    fn damage(&self) -> Option<Damage> {
        self.condition.damage()
    }

    fn rooms(&self) -> Pending<Vec<(RoomName, u64)>> {
        ask(&self.writes, Write::Rooms)
    }

    fn open(&self, room: RoomName) -> Pending<RoomState> {
        ask(&self.writes, |answer| Write::Open(room, answer))
    }

    fn append(&self, batch: Vec<Append>) -> Pending<()> {
        ask(&self.writes, |answer| Write::Append(batch, answer))
    }

    fn sweep(&self) -> Pending<Vec<RoomName>> {
        ask(&self.writes, Write::Sweep)
    }

    fn forget(&self, room: RoomName) -> Pending<()> {
        ask(&self.writes, |answer| Write::Forget(room, answer))
    }

    fn reserve(&self, room: RoomName, names: Vec<ReservedName>) -> Pending<()> {
        ask(&self.writes, |answer| Write::Reserve(room, names, answer))
    }

    fn close(&self) -> Pending<()> {
        ask(&self.writes, Write::Close)
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteJournal")
    }
}

/// Queues a job for a thread and waits for its result.
fn ask<Job, T>(thread: &mpsc::Sender<Job>, job: impl FnOnce(Answer<T>) -> Job) -> Pending<T>
where
    Job: Send + 'static,
    T: Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let ended = || JournalError::Unavailable("its thread has ended".to_owned());
    // At once: the futures of several jobs may be polled in any order. If the queue is full, its free places are given
    // out in the order in which they are waited for.
    let late = match thread.try_send(job(answer)) {
        Ok(()) | Err(TrySendError::Closed(_)) => None,
        Err(TrySendError::Full(job)) => Some((thread.clone(), job)),
    };
    Box::pin(async move {
        if let Some((thread, job)) = late {
            thread.send(job).await.map_err(|_| ended())?;
        }
        answered.await.map_err(|_| ended())?
    })
}

/// Has a thread asked through its queue whether it is there, and its jobs counted. The journal must end when
/// its owner drops it, so the parts hold no sender.
fn watch<Job: Send + 'static>(
    parts: &Parts,
    name: &'static str,
    jobs: &mpsc::Sender<Job>,
    are_you_there: fn(oneshot::Sender<()>) -> Job,
) {
    let (asked, counted) = (jobs.downgrade(), jobs.downgrade());
    parts.watch(name, move || {
        let jobs = asked.upgrade()?;
        Some(Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            jobs.send(are_you_there(answer)).await.is_ok() && answered.await.is_ok()
        }))
    });
    parts.count(name, move || counted.upgrade().map(|jobs| jobs.max_capacity() - jobs.capacity()));
}
