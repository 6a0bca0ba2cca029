//! The thread that reads the whole file once, at the start, so that damage is known before a client needs what is damaged.

use std::ops::ControlFlow;

use rusqlite::{Connection, ErrorCode};

use super::{
    Place,
    condition::Condition,
    schema::{self, Fault, checksum, offset_of},
};
use crate::journal::JournalError;

/// Rows that are read in one transaction: a long one would keep the log from being brought back into the file.
const STEP: i64 = 256;

/// What SQLite tells of a file at most.
const MAX_TOLD: usize = 20;

/// Reads everything, unless the journal is closed before.
pub(super) fn run(place: &Place, condition: &Condition) {
    let connection = match schema::open_to_read(place) {
        Ok(connection) => connection,
        Err(fault) => return note(fault, place, condition),
    };
    condition.set_interrupt(Some(connection.get_interrupt_handle()));
    let outcome = check_structure(&connection, place, condition)
        .and_then(|()| check_rounds(&connection, place, condition));
    condition.set_interrupt(None);
    if let Err(error) = outcome {
        note(Fault::Sql(error), place, condition);
    }
}

/// Whatever is no damage is met again by those who need the file.
fn note(fault: Fault, place: &Place, condition: &Condition) {
    if let JournalError::Damaged(what) = fault.later(place) {
        condition.damaged(&what);
    }
}

/// Whether the pages of the file are those of a database.
fn check_structure(connection: &Connection, place: &Place, condition: &Condition) -> rusqlite::Result<()> {
    if condition.is_closing() {
        return Ok(());
    }
    let mut check = connection.prepare(&format!("PRAGMA quick_check({MAX_TOLD})"))?;
    let told = check.query_map([], |row| row.get::<_, String>(0))?;
    for line in told {
        match line {
            Ok(line) if line == "ok" => {}
            // Some lines have several.
            Ok(line) => condition.damaged(&format!("{}: {}", place.file.display(), line.replace('\n', "; "))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The last round that was looked at.
#[derive(Clone, Copy)]
struct Seen {
    id: i64,
    next_offset: u64,
}

/// Whether each round is what was written, and none is missing between two of a room.
fn check_rounds(connection: &Connection, place: &Place, condition: &Condition) -> rusqlite::Result<()> {
    let mut seen: Option<Seen> = None;
    let mut query = connection.prepare(
        "SELECT id, count, at, ifnull(keys, x''), entries, sum FROM rounds WHERE id >= ?1 ORDER BY id LIMIT ?2",
    )?;
    while !condition.is_closing() {
        // Beginning with the one before: if that has been let go meanwhile, others may have been, too.
        let from = seen.map_or(i64::MIN, |seen| seen.id);
        let mut rows = query.query([from, STEP])?;
        let mut before = None;
        while let Some(row) = rows.next()? {
            if let ControlFlow::Break(what) = check_round(row, &mut before)? {
                condition.damaged(&format!("{}: {what}", place.file.display()));
            }
        }
        match before {
            Some(last) if seen.is_none_or(|seen| seen.id != last.id) => seen = Some(last),
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn check_round(row: &rusqlite::Row<'_>, before: &mut Option<Seen>) -> rusqlite::Result<ControlFlow<String>> {
    let (id, count, at): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (keys, entries) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
    let sum: Option<u32> = row.get(5)?;
    let (room, first) = (schema::room_of(id), offset_of(id));
    let now = Seen { id, next_offset: first + u64::from(count) };
    let before = before.replace(now).filter(|before| schema::room_of(before.id) == room);
    if let Some(before) = before.filter(|before| before.next_offset != first) {
        let what = format!("room {room} goes on with {first} where {} is due", before.next_offset);
        return Ok(ControlFlow::Break(what));
    }
    if sum.is_some_and(|sum| sum != checksum(id, count, at, keys, entries)) {
        return Ok(ControlFlow::Break(format!("what was said in room {room} at {first} has been changed")));
    }
    Ok(ControlFlow::Continue(()))
}
