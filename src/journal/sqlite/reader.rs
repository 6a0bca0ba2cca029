//! The thread that reads pages and pictures.

use bytes::Bytes;
use log::error;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};
use tokio::sync::mpsc;

use super::{
    Read,
    attempts::attempt,
    avatars,
    columns::{checksum, offset_of, record_id},
    condition::Condition,
    connecting::open_to_read,
    fault::Fault,
    files::Files,
    rows::last_offset,
    staged::Staged,
};
use crate::{
    domain::RoomName,
    journal::{Entry, JournalError, Page, Range, Record, entry},
    parts::{Panicked, Seconds, Supervisor},
};

/// The columns of a record that a page needs.
const COLUMNS: &str = "SELECT id, count, at, keys, entries, sum FROM rounds";

/// Runs jobs until the journal is dropped. A connection that fails, or on which a job panics, is opened again
/// for the next job.
pub(super) fn run(
    files: &Files,
    staged: &Staged,
    condition: &Condition,
    mut jobs: mpsc::Receiver<Read>,
    supervisor: &Supervisor,
) {
    let mut reader =
        Reader { open: None, is_failing: false, is_dead: false, files, staged, condition, supervisor };
    let mut seconds = Seconds::of(supervisor.parts());
    while let Some(job) = jobs.blocking_recv() {
        supervisor.wait_while_stalled();
        reader.take(job);
        if reader.is_dead {
            return;
        }
        seconds.look();
    }
}

/// The state of the reader thread.
struct Reader<'a> {
    open: Option<Connection>,
    /// Whether the last attempt failed, so that a change is logged once, not once per job.
    is_failing: bool,
    /// Whether jobs have panicked too often.
    is_dead: bool,
    files: &'a Files,
    staged: &'a Staged,
    condition: &'a Condition,
    supervisor: &'a Supervisor,
}

impl Reader<'_> {
    /// Does a job, unless its caller has dropped the future.
    fn take(&mut self, job: Read) {
        let (files, staged) = (self.files, self.staged);
        match job {
            Read::AreYouThere(answer) => drop(answer.send(())),
            Read::Page(_, _, answer) if answer.is_closed() => {}
            Read::Picture(_, answer) if answer.is_closed() => {}
            Read::Page(room, range, answer) => {
                let page = self.read(|connection| read_page(connection, files, staged, &room, range));
                if let Ok(Page { damage: Some(JournalError::Damaged(what)), .. }) = &page {
                    self.condition.damaged(what);
                }
                drop(answer.send(page));
            }
            Read::Picture(id, answer) => {
                drop(answer.send(self.read(|connection| avatars::read(connection, id))));
            }
        }
    }

    /// Reads under the supervisor; after a panic, on a new connection.
    fn read<T>(&mut self, read: impl Fn(&Connection) -> Result<T, Fault>) -> Result<T, JournalError> {
        attempt(
            self.supervisor,
            self,
            |reader| reader.try_once(&read),
            |reader, panicked| {
                reader.open = None;
                reader.is_dead = panicked == Panicked::TooOften;
            },
        )
    }

    fn try_once<T>(&mut self, read: impl Fn(&Connection) -> Result<T, Fault>) -> Result<T, JournalError> {
        let files = self.files;
        let outcome = self.connection().and_then(read).map_err(|fault| fault.into_error(&files.database));
        match &outcome {
            Ok(_) => self.is_failing = false,
            Err(JournalError::Damaged(what)) => self.condition.damaged(what),
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    error!("the journal cannot be read: {error}");
                }
                self.open = None;
            }
        }
        outcome
    }

    fn connection(&mut self) -> Result<&Connection, Fault> {
        if !self.files.were_opened() {
            return Err(Fault::passing(&self.files.database, "it has not been opened yet"));
        }
        // Never serve pages of a replaced file.
        self.files.check().map_err(|changed| Fault::Passing(changed.error))?;
        if self.open.is_none() {
            self.open = Some(open_to_read(self.files)?);
        }
        self.open.as_ref().ok_or_else(|| Fault::passing(&self.files.database, "it is not open"))
    }
}

fn read_page(
    connection: &Connection,
    files: &Files,
    staged: &Staged,
    room: &RoomName,
    range: Range,
) -> Result<Page, Fault> {
    loop {
        let (moves, copied) = (staged.moves(), staged.of(room));
        // Its first statement fixes what of the file is seen.
        let _snapshot = if copied.is_empty() { None } else { Some(connection.unchecked_transaction()?) };
        let id: Option<i64> = connection
            .prepare_cached("SELECT id FROM rooms WHERE name = ?1")?
            .query_row([room.as_str()], |row| row.get(0))
            .optional()?;
        if staged.moves() != moves {
            // The copy may be older than what is seen of the file.
            continue;
        }
        let Some(id) = id else {
            return Ok(Page::default());
        };
        let later = later_records(connection, id, copied)?;
        return read_range(connection, files, id, later, range);
    }
}

/// Those of the staged records that follow the room's records in their table. Those that were moved since they were
/// copied are left out.
fn later_records(connection: &Connection, room: i64, staged: Vec<Record>) -> Result<Vec<Record>, Fault> {
    if staged.is_empty() {
        return Ok(staged);
    }
    let last = last_offset(connection, room)?;
    Ok(staged.into_iter().filter(|record| last.is_none_or(|last| record.first > last)).collect())
}

/// Reads a range of the room's records in their table and of the `later` ones.
fn read_range(
    connection: &Connection,
    files: &Files,
    id: i64,
    later: Vec<Record>,
    range: Range,
) -> Result<Page, Fault> {
    let page = match range {
        Range::After { after, max_bytes } => {
            // Start at the record that contains the next offset, or else at the first one after it.
            let mut query = connection.prepare_cached(&format!(
                "{COLUMNS}
                 WHERE id >= ifnull((SELECT max(id) FROM rounds WHERE id BETWEEN ?1 AND ?2), ?2) AND id < ?3
                 ORDER BY id"
            ))?;
            let bounds = [record_id(id, 0), record_id(id, after.saturating_add(1)), record_id(id + 1, 0)];
            let records = records(&mut query, bounds, files)?.chain(later.into_iter().map(Ok));
            Page::after(
                unpacked(records, |before, now| before.last() + 1 == now.first, files),
                after,
                max_bytes,
            )
        }
        Range::Before { before, limit, max_bytes } => {
            let mut query = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE id >= ?1 AND id < ?2 AND id < ?3 ORDER BY id DESC"
            ))?;
            let bounds = [record_id(id, 0), record_id(id, before), record_id(id + 1, 0)];
            let later = later.into_iter().rev().filter(|record| record.first < before).map(Ok);
            let records = later.chain(records(&mut query, bounds, files)?);
            let entries = unpacked(records, |before, now| now.last() + 1 == before.first, files);
            Page::before(entries, before, limit, max_bytes)
        }
    };
    page.map_err(Fault::Passing)
}

/// The records that a query finds, read lazily.
fn records<'a>(
    query: &'a mut CachedStatement<'_>,
    bounds: [i64; 3],
    files: &'a Files,
) -> rusqlite::Result<impl Iterator<Item = Result<Record, JournalError>> + 'a> {
    let rows = query.query_map(bounds, record)?;
    Ok(rows.map(|row| match row {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(damaged(files, "a record has been changed")),
        Err(error) => Err(Fault::Sql(error).into_error(&files.database)),
    }))
}

/// Unpacks each record; a gap between two records is damage.
fn unpacked<'a>(
    records: impl Iterator<Item = Result<Record, JournalError>> + 'a,
    is_next: impl Fn(&Record, &Record) -> bool + 'a,
    files: &'a Files,
) -> impl Iterator<Item = Result<Vec<Entry>, JournalError>> + 'a {
    let mut before: Option<Record> = None;
    records.map(move |record| {
        let record = record?;
        if before.as_ref().is_some_and(|before| !is_next(before, &record)) {
            return Err(damaged(files, "a record is missing"));
        }
        let entries = entry::unpack(&record);
        before = Some(Record { entries: Bytes::new(), ..record });
        entries
    })
}

fn damaged(files: &Files, what: &str) -> JournalError {
    JournalError::Damaged(format!("{}: {what}", files.database.display()))
}

/// The record of a row; `None` if its checksum does not match.
fn record(row: &Row<'_>) -> rusqlite::Result<Option<Record>> {
    let (id, count, at): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let keys = row.get_ref(3)?.as_blob_or_null()?.unwrap_or_default();
    let entries: Vec<u8> = row.get(4)?;
    let sum: Option<u32> = row.get(5)?;
    if sum.is_some_and(|sum| sum != checksum(id, count, at, keys, &entries)) {
        return Ok(None);
    }
    let (first, at) = (offset_of(id), at.unsigned_abs());
    Ok(Some(Record { first, count, at, keys: Vec::new(), entries: Bytes::from(entries) }))
}
