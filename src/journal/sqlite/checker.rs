//! The thread that reads the whole file once at the start, to find damage before a client meets it.

use std::ops::ControlFlow;

use log::error;
use rusqlite::{Connection, ErrorCode};

use super::{
    columns::{checksum, offset_of, room_of},
    condition::Condition,
    connecting::open_to_read,
    fault::Fault,
    files::Files,
};
use crate::{journal::JournalError, parts::Supervisor};

/// Rows read in one transaction: a long transaction would prevent the checkpoint of the log.
const STEP: i64 = 256;

/// Maximum number of errors that `quick_check` reports.
const MAX_REPORTED: usize = 20;

/// Checks the file until its end, or until the journal is closed. A check that panics is not repeated: it would
/// come to the same place again.
pub(super) fn run(files: &Files, condition: &Condition, supervisor: &Supervisor) {
    if supervisor.attempt(|| check(files, condition)).is_err() {
        condition.set_interrupt(None);
        error!("the journal is not checked for damage any further");
    }
}

/// Checks the file, see [`run`].
pub(super) fn check(files: &Files, condition: &Condition) {
    let connection = match open_to_read(files) {
        Ok(connection) => connection,
        Err(fault) => return note(fault, files, condition),
    };
    condition.set_interrupt(Some(connection.get_interrupt_handle()));
    let outcome = check_structure(&connection, files, condition)
        .and_then(|()| check_records(&connection, files, condition));
    condition.set_interrupt(None);
    if let Err(error) = outcome {
        note(Fault::Sql(error), files, condition);
    }
}

/// Reports damage only: the threads that use the file find any other fault themselves.
fn note(fault: Fault, files: &Files, condition: &Condition) {
    if let JournalError::Damaged(what) = fault.into_error(&files.database) {
        condition.damaged(&what);
    }
}

/// Checks the structure of the database with `quick_check`.
fn check_structure(connection: &Connection, files: &Files, condition: &Condition) -> rusqlite::Result<()> {
    if condition.is_closing() {
        return Ok(());
    }
    let mut check = connection.prepare(&format!("PRAGMA quick_check({MAX_REPORTED})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        match line {
            Ok(line) if line == "ok" => {}
            // One row may contain several lines.
            Ok(line) => {
                condition.damaged(&format!("{}: {}", files.database.display(), line.replace('\n', "; ")))
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The last record that was checked.
#[derive(Clone, Copy)]
struct Checked {
    id: i64,
    next_offset: u64,
}

/// Checks the checksum of each record, and that no offsets are missing between two records of a room.
fn check_records(connection: &Connection, files: &Files, condition: &Condition) -> rusqlite::Result<()> {
    let mut checked: Option<Checked> = None;
    let mut query = connection.prepare(
        "SELECT id, count, at, ifnull(keys, x''), entries, sum FROM rounds WHERE id >= ?1 ORDER BY id LIMIT ?2",
    )?;
    while !condition.is_closing() {
        // Start at the last checked row: if it was trimmed meanwhile, rows behind it may be gone too.
        let from = checked.map_or(i64::MIN, |checked| checked.id);
        let mut rows = query.query([from, STEP])?;
        let mut before = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if let Some(checked) = checked.filter(|checked| checked.id == id) {
                // It has been checked.
                before = Some(checked);
                continue;
            }
            if let ControlFlow::Break(what) = check_record(row, &mut before)? {
                condition.damaged(&format!("{}: {what}", files.database.display()));
            }
        }
        match before {
            Some(last) if checked.is_none_or(|checked| checked.id != last.id) => checked = Some(last),
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn check_record(
    row: &rusqlite::Row<'_>,
    before: &mut Option<Checked>,
) -> rusqlite::Result<ControlFlow<String>> {
    let (id, count, at): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (keys, entries) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
    let sum: Option<u32> = row.get(5)?;
    let (room, first) = (room_of(id), offset_of(id));
    let now = Checked { id, next_offset: first + u64::from(count) };
    let before = before.replace(now).filter(|before| room_of(before.id) == room);
    if let Some(before) = before.filter(|before| before.next_offset != first) {
        let what = format!("room {room} continues at offset {first} instead of {}", before.next_offset);
        return Ok(ControlFlow::Break(what));
    }
    if sum.is_some_and(|sum| sum != checksum(id, count, at, keys, entries)) {
        return Ok(ControlFlow::Break(format!(
            "the record at offset {first} of room {room} has been changed"
        )));
    }
    Ok(ControlFlow::Continue(()))
}
