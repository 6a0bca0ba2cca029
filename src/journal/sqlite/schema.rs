//! The tables and their migrations, opening the file, and its faults.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Duration,
};

use log::{info, warn};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, config::DbConfig};

use super::{
    OpenError, Place,
    place::sync_folder,
    stamp::{Evidence, Left, Stamp},
    transaction::Transaction,
};
use crate::journal::{EpochId, JournalError};

/// A row of `rounds` has the id `room << OFFSET_BITS | first offset`.
pub(super) const OFFSET_BITS: u32 = 40;

/// Number of server runs whose clients can resume in a room.
const MAX_RUNS: i64 = 16;

/// The migrations of the file. `user_version` is the number of migrations applied. A released migration never
/// changes; a new one is appended.
pub(super) const MIGRATIONS: &[&str] = &[
    "
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
    ",
    "
    -- Numbers alone are given out again when a copy of the file goes on by itself.
    CREATE TABLE epoch_names (
        number INTEGER PRIMARY KEY,
        name INTEGER NOT NULL,      -- random
        is_run INTEGER NOT NULL     -- whether a run of a server began with it
    );
    INSERT INTO epoch_names
        SELECT number, journal.value, number IS (SELECT value FROM meta WHERE key = 'crashed')
        FROM (SELECT number FROM epochs UNION SELECT value FROM meta WHERE key IN ('epoch', 'crashed') AND value > 0),
            meta AS journal
        WHERE journal.key = 'journal';
    DELETE FROM meta WHERE key IN ('journal', 'epoch', 'crashed');
    ALTER TABLE rounds ADD COLUMN sum INTEGER;  -- CRC-32 of the other columns; none of rounds of version 1
    ",
    "
    -- Nicknames that are kept for their users.
    CREATE TABLE names (
        room TEXT NOT NULL,
        key TEXT NOT NULL,          -- what all spellings have in common
        name TEXT NOT NULL,
        owner BLOB NOT NULL,        -- hash of the user's token
        until INTEGER NOT NULL,     -- ms since 1970
        PRIMARY KEY (room, key)
    ) WITHOUT ROWID;
    ",
    "
    -- Pictures that users have spoken under.
    CREATE TABLE avatars (
        id BLOB PRIMARY KEY,        -- a hash of type and bytes
        media_type TEXT NOT NULL,
        bytes BLOB NOT NULL,
        used INTEGER NOT NULL       -- when somebody last spoke under it, ms since 1970, to about a day
    );
    CREATE INDEX avatars_by_use ON avatars (used);
    ",
    "
    -- From here on a row of `rooms` may be some records behind: those after `head` are not counted in it. A version
    -- that does not know this must not open the file.
    ",
];

/// Faults of the database file.
#[derive(Debug)]
pub(super) enum Fault {
    /// Unusable until the operator changes something.
    Fatal(OpenError),
    /// Unavailable for now, or damaged.
    Passing(JournalError),
    /// An error of SQLite.
    Sql(rusqlite::Error),
}

impl Fault {
    pub(super) fn passing(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Passing(JournalError::Unavailable(format!("{}: {error}", path.display())))
    }

    pub(super) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Passing(JournalError::Damaged(format!("{}: {what}", path.display())))
    }

    /// Converts a fault at the start: `Err` if the server must not start.
    pub(super) fn at_start(self, place: &Place) -> Result<JournalError, OpenError> {
        match self {
            Self::Fatal(error) => Err(error),
            // The file of another program must not be changed.
            Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                Err(OpenError::NoJournal { path: place.file.clone(), reason: error.to_string() })
            }
            fault => Ok(fault.later(place)),
        }
    }

    /// Converts a fault of a running server.
    pub(super) fn later(self, place: &Place) -> JournalError {
        match self {
            Self::Fatal(error) => JournalError::Unavailable(error.to_string()),
            Self::Passing(error) => error,
            Self::Sql(error) => {
                let sentence = format!("{}: {error}", place.file.display());
                if is_damage(&error) {
                    JournalError::Damaged(sentence)
                } else {
                    JournalError::Unavailable(sentence)
                }
            }
        }
    }

    /// Whether the connection may be used further. After a failed write or flush it may not: the kernel's
    /// cache may then differ from the disk.
    pub(super) fn spares_connection(&self) -> bool {
        match self {
            Self::Fatal(_) | Self::Passing(_) => true,
            Self::Sql(error) => {
                is_damage(error)
                    || !matches!(
                        error.sqlite_error_code(),
                        None | Some(
                            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ApiMisuse
                        )
                    )
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Whether the error means that stored bytes are not what was written.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
    ) || matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// One run of a server, from opening the journal to its end. The file contains this random number while this
/// run owns it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub number: i64,
}

/// The row id of a record.
pub(super) fn round_id(room: i64, offset: u64) -> i64 {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX).min((1 << OFFSET_BITS) - 1);
    room << OFFSET_BITS | offset
}

/// The first offset of a record, from its row id.
pub(super) fn offset_of(id: i64) -> u64 {
    (id & ((1 << OFFSET_BITS) - 1)).unsigned_abs()
}

/// The room of a record, from its row id.
pub(super) fn room_of(id: i64) -> i64 {
    id >> OFFSET_BITS
}

/// CRC-32 of a row of `rounds`, to detect changed rows.
pub(super) fn checksum(id: i64, count: u32, at: i64, keys: &[u8], entries: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    for bytes in [&id.to_le_bytes()[..], &count.to_le_bytes(), &at.to_le_bytes(), keys, entries] {
        sum.update(bytes);
    }
    sum.sum()
}

/// Converts a number to SQLite's type; saturates at `i64::MAX`, which no counter reaches.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Opens the file for writing, creates or migrates its tables, and makes `run`, or else a new run, its owner.
pub(super) fn open_to_write(
    place: &Place,
    run: Option<Run>,
    evidence: &mut Option<Evidence>,
) -> Result<(Connection, Run), Fault> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // If the file vanishes while the server runs, do not create an empty one silently.
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, !place.was_open());
    let mut connection = Connection::open_with_flags(&place.file, flags)?;
    configure(&connection)?;
    write_log_again(&mut connection, place)?;
    migrate(&mut connection, place)?;
    let run = match run {
        Some(run) => {
            check_owner(&connection, place, run)?;
            run
        }
        None => begin_run(&mut connection, place, evidence)?,
    };
    // Checkpoint, so that the file's header contains the application id of this run.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let fault = |error: io::Error| Fault::passing(&place.folder, error);
    // SQLite ignores errors when it flushes the folder, so flush it here.
    sync_folder(&place.folder).map_err(fault)?;
    place.hold(application_id(run)).map_err(fault)?;
    Ok((connection, run))
}

/// Opens the file for reading. The writer must have created it.
pub(super) fn open_to_read(place: &Place) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(&place.file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Only the writer may checkpoint.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A backup in progress locks the file for moments only.
    connection.busy_timeout(Duration::from_secs(5))?;
    // After a failed flush the log must be rewritten before any checkpoint.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The log shrinks to this size after a checkpoint.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
}

/// Rewrites the bytes of the log in place and flushes them.
///
/// A failed flush may leave pages in the kernel's cache marked clean, so that a later flush succeeds without
/// writing them: readers see bytes that are not on the disk. A crashed server, or an earlier connection of
/// this one, may have left such a log. After the rewrite and flush, all readable bytes of the log are on the
/// disk. The bytes do not change, so readers notice nothing, and a power cut during the rewrite is safe.
fn write_log_again(connection: &mut Connection, place: &Place) -> Result<(), Fault> {
    const STEP: usize = 1024 * 1024;
    let wal = place.wal();
    // The transaction prevents appends by other connections.
    let transaction = Transaction::immediate(connection)?;
    let rewrite = || {
        let file = match File::options().read(true).write(true).open(&wal) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let len = file.metadata()?.len();
        let mut bytes = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
        let mut at = 0;
        while at < len {
            let read = file.read_at(&mut bytes, at)?;
            if read == 0 {
                break;
            }
            file.write_all_at(&bytes[..read], at)?;
            at += read as u64;
        }
        if len > 0 { file.sync_all() } else { Ok(()) }
    };
    rewrite().map_err(|error| Fault::passing(&wal, error))?;
    Ok(transaction.commit()?)
}

fn migrate(connection: &mut Connection, place: &Place) -> Result<(), Fault> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    let steps = usize::try_from(found)
        .ok()
        .and_then(|applied| MIGRATIONS.get(applied..))
        .ok_or_else(|| Fault::Fatal(OpenError::Newer { path: place.file.clone(), found, known }))?;
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::immediate(connection)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// Begins a run of the server with a new epoch: even if the file is a copy, no client knows this epoch.
fn begin_run(
    connection: &mut Connection,
    place: &Place,
    evidence: &mut Option<Evidence>,
) -> Result<Run, Fault> {
    let transaction = Transaction::immediate(connection)?;
    let left = Left { run: meta(&transaction, "run")?, in_use: meta(&transaction, "in_use")? == Some(1) };
    // Take the evidence, so that a repeated attempt does not log it again.
    match evidence.take().and_then(|evidence| evidence.judge(left)) {
        Some(finding) if finding.is_warning() => warn!("{} {finding}", place.file.display()),
        Some(finding) => info!("{} {finding}", place.file.display()),
        None => {}
    }
    begin_epoch(&transaction, true)?;
    let run = Run { number: transaction.query_row("SELECT random()", [], |row| row.get(0))? };
    set_meta(&transaction, "run", run.number)?;
    set_meta(&transaction, "in_use", 1)?;
    transaction.pragma_update(None, "application_id", application_id(run))?;
    transaction.commit()?;
    Ok(run)
}

/// Creates the next epoch with a random id. Forgets the names of epochs that no room has messages of, but for the last runs'.
pub(super) fn begin_epoch(connection: &Connection, is_run: bool) -> rusqlite::Result<EpochId> {
    let epoch = connection
        .prepare_cached(
            "INSERT INTO epoch_names SELECT ifnull(max(number), 0) + 1, random(), ?1 FROM epoch_names
             RETURNING number, name",
        )?
        .query_row([is_run], epoch_id)?;
    connection
        .prepare_cached(
            "DELETE FROM epoch_names WHERE number < ?1 AND number NOT IN (SELECT number FROM epochs)
                AND number NOT IN (SELECT number FROM epoch_names WHERE is_run ORDER BY number DESC LIMIT ?2)",
        )?
        .execute((int(epoch.number), MAX_RUNS))?;
    Ok(epoch)
}

/// The epochs at the start of server runs, the oldest first.
pub(super) fn runs(connection: &Connection) -> rusqlite::Result<Vec<EpochId>> {
    let mut query = connection
        .prepare("SELECT number, name FROM epoch_names WHERE is_run ORDER BY number DESC LIMIT ?1")?;
    let mut runs = query.query_map([MAX_RUNS], epoch_id)?.collect::<rusqlite::Result<Vec<_>>>()?;
    runs.reverse();
    Ok(runs)
}

/// The epoch of new rooms.
pub(super) fn last_epoch(connection: &Connection) -> rusqlite::Result<EpochId> {
    connection.query_row("SELECT number, name FROM epoch_names ORDER BY number DESC LIMIT 1", [], epoch_id)
}

/// The epoch id of a row whose first columns are number and name.
pub(super) fn epoch_id(row: &rusqlite::Row<'_>) -> rusqlite::Result<EpochId> {
    let (number, random): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(EpochId { random: random.cast_unsigned(), number: number.unsigned_abs() })
}

/// Checks that this run still owns the journal. Two servers on one file would give out each offset twice.
pub(super) fn check_owner(connection: &Connection, place: &Place, run: Run) -> Result<(), Fault> {
    let owner: Option<i64> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'run'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if owner == Some(run.number) {
        return Ok(());
    }
    Err(Fault::passing(
        &place.file,
        "another server has taken this journal over, so this one keeps nothing more",
    ))
}

/// Marks the file as cleanly closed by this run, and moves the log into the database.
pub(super) fn end_run(connection: &mut Connection, place: &Place, run: Run) -> Result<(), Fault> {
    let transaction = Transaction::immediate(connection)?;
    check_owner(&transaction, place, run)?;
    set_meta(&transaction, "in_use", 0)?;
    transaction.commit()?;
    // If a reader blocks the checkpoint, a later one does the work.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let stamp = Stamp { run: run.number, is_closed: true };
    stamp.write(&place.stamp).map_err(|error| Fault::passing(&place.stamp, error))
}

/// Removes the owner from a copy, so that the server of the original does not take it for its own file.
pub(super) fn disown(copy: &Connection) -> rusqlite::Result<()> {
    copy.execute_batch(
        "DELETE FROM meta WHERE key = 'run'; UPDATE meta SET value = 0 WHERE key = 'in_use';",
    )?;
    copy.pragma_update(None, "application_id", 0)
}

/// The application id of a run in the file's header; never 0, the value of a file without an owner.
fn application_id(run: Run) -> i32 {
    (run.number.cast_unsigned() >> 32) as i32 | 1
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .execute("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", (key, value))
        .map(|_| ())
}
