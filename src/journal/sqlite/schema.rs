//! The tables, how they come to be, and what can go wrong with the file.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior};

use super::{OpenError, Place};
use crate::journal::{EpochId, JournalError};

/// A round's number holds its room above this bit and its first offset below.
const OFFSET_BITS: u32 = 40;

/// What brings a file from each version to the next. A file's `user_version` says how many have been applied.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        head INTEGER NOT NULL,      -- offset of the last message
        messages INTEGER NOT NULL,  -- how many are kept
        bytes INTEGER NOT NULL      -- of the rounds that are kept
    );
    CREATE TABLE epochs (
        room INTEGER NOT NULL,
        number INTEGER NOT NULL,
        starts INTEGER NOT NULL,    -- first offset given out in it
        PRIMARY KEY (room, number)
    ) WITHOUT ROWID;
    -- In the order of rooms and offsets without an index: id = room << 40 | first offset.
    CREATE TABLE rounds (
        id INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,     -- messages
        at INTEGER NOT NULL,        -- when the last was said, ms since 1970
        keys BLOB,                  -- of messages with an id: key, offset, time; before entries, to be read without
        entries BLOB NOT NULL
    );
"];

/// The file cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// Not until somebody changes something.
    Fatal(OpenError),
    /// Not now.
    Passing(JournalError),
}

impl Fault {
    pub(super) fn passing(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Passing(JournalError::Unavailable(format!("{}: {error}", path.display())))
    }

    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Fatal(OpenError::NoJournal { path: path.to_owned(), reason: error.to_string() })
            }
            _ => Self::passing(path, error),
        }
    }
}

impl From<Fault> for JournalError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Fatal(error) => Self::Unavailable(error.to_string()),
            Fault::Passing(error) => error,
        }
    }
}

/// The counters that name epochs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    /// The journal's own number.
    pub journal: u64,
    /// The epoch of a room that is not known.
    pub epoch: u64,
    /// Rooms whose last epoch is before this one begin a new one: the server was not stopped, it died.
    pub crashed: u64,
}

impl Counters {
    pub fn id(&self, number: u64) -> EpochId {
        EpochId { journal: self.journal, number }
    }
}

/// The number of a round.
pub(super) fn round_id(room: i64, offset: u64) -> i64 {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX).min((1 << OFFSET_BITS) - 1);
    room << OFFSET_BITS | offset
}

/// The first offset of a round.
pub(super) fn offset_of(id: i64) -> u64 {
    (id & ((1 << OFFSET_BITS) - 1)).unsigned_abs()
}

/// A number as SQLite keeps it. What we count stays far below its bound.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Opens the file for writing: makes or migrates its tables, and notes that it is in use.
pub(super) fn open_to_write(place: &Place, is_first: bool) -> Result<(Connection, Counters), Fault> {
    let fault = |error| Fault::of(&place.file, error);
    let mut connection = Connection::open(&place.file).map_err(fault)?;
    configure(&connection).map_err(fault)?;
    migrate(&mut connection, place)?;
    let counters = begin(&mut connection, is_first).map_err(fault)?;
    Ok((connection, counters))
}

/// Opens the file, which the writer has made, for reading.
pub(super) fn open_to_read(place: &Place) -> Result<Connection, Fault> {
    let fault = |error| Fault::of(&place.file, error);
    let connection = Connection::open_with_flags(&place.file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(fault)?;
    connection.pragma_update(None, "query_only", true).map_err(fault)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A copy being made holds the file for moments only.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The WAL shrinks to this when it has been copied back.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
}

fn migrate(connection: &mut Connection, place: &Place) -> Result<(), Fault> {
    let fault = |error| Fault::of(&place.file, error);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fault)?;
    let known = MIGRATIONS.len() as i64;
    let steps = usize::try_from(found)
        .ok()
        .and_then(|applied| MIGRATIONS.get(applied..))
        .ok_or_else(|| Fault::Fatal(OpenError::Newer { path: place.file.clone(), found, known }))?;
    let transaction = immediate(connection).map_err(fault)?;
    for step in steps {
        transaction.execute_batch(step).map_err(fault)?;
    }
    if !steps.is_empty() {
        transaction.pragma_update(None, "user_version", known).map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

/// Reads the counters and notes that the journal is in use; if it still was, the last server died.
fn begin(connection: &mut Connection, is_first: bool) -> rusqlite::Result<Counters> {
    let transaction = immediate(connection)?;
    let journal = match meta(&transaction, "journal")? {
        Some(journal) => journal.cast_unsigned(),
        None => {
            let journal: i64 = transaction.query_row("SELECT random()", [], |row| row.get(0))?;
            set_meta(&transaction, "journal", journal)?;
            journal.cast_unsigned()
        }
    };
    let mut epoch = meta(&transaction, "epoch")?.unwrap_or(1);
    let mut crashed = meta(&transaction, "crashed")?.unwrap_or(0);
    if is_first && meta(&transaction, "in_use")? == Some(1) {
        epoch += 1;
        crashed = epoch;
    }
    for (key, value) in [("epoch", epoch), ("crashed", crashed), ("in_use", 1)] {
        set_meta(&transaction, key, value)?;
    }
    transaction.commit()?;
    Ok(Counters { journal, epoch: epoch.unsigned_abs(), crashed: crashed.unsigned_abs() })
}

/// The next transaction that writes; it waits for its turn at once and not in its middle.
pub(super) fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .execute("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", (key, value))
        .map(|_| ())
}
