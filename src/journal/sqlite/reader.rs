//! The thread that reads pages.

use bytes::Bytes;
use log::error;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};
use tokio::sync::mpsc;

use super::{
    Place, Read,
    schema::{self, Fault, offset_of, round_id},
};
use crate::{
    domain::RoomName,
    journal::{Entry, JournalError, Page, Range, Record, entry},
    parts::Parts,
};

/// Answers until the journal is dropped. A connection that fails is opened again for the next job.
pub(super) fn run(place: &Place, mut jobs: mpsc::Receiver<Read>, parts: &Parts) {
    let mut open: Option<Connection> = None;
    while let Some(Read { room, range, answer }) = jobs.blocking_recv() {
        parts.panic_if_poisoned(super::READER);
        if answer.is_closed() {
            continue;
        }
        let outcome = read_with(&mut open, place, &room, range);
        if let Err(error) = &outcome {
            error!("a page of the journal cannot be read: {error}");
            open = None;
        }
        // Who asked may have left.
        let _ = answer.send(outcome);
    }
}

fn read_with(
    open: &mut Option<Connection>,
    place: &Place,
    room: &RoomName,
    range: Range,
) -> Result<Page, JournalError> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(schema::open_to_read(place)?),
    };
    let fault = |error| JournalError::from(Fault::of(&place.file, error));
    let id: Option<i64> = connection
        .prepare_cached("SELECT id FROM rooms WHERE name = ?1")
        .and_then(|mut query| query.query_row([room.as_str()], |row| row.get(0)).optional())
        .map_err(fault)?;
    let Some(id) = id else {
        return Ok(Page::default());
    };
    match range {
        Range::After { after, max_bytes } => {
            // From the round that holds the next offset, or else from the first one behind it.
            let mut query = connection
                .prepare_cached(
                    "SELECT id, count, entries FROM rounds
                     WHERE id >= ifnull((SELECT max(id) FROM rounds WHERE id BETWEEN ?1 AND ?2), ?2) AND id < ?3
                     ORDER BY id",
                )
                .map_err(fault)?;
            let bounds = [round_id(id, 0), round_id(id, after.saturating_add(1)), round_id(id + 1, 0)];
            Page::after(records(&mut query, bounds).map_err(fault)?, after, max_bytes)
        }
        Range::Before { before, limit, max_bytes } => {
            let mut query = connection
                .prepare_cached(
                    "SELECT id, count, entries FROM rounds WHERE id >= ?1 AND id < ?2 AND id < ?3 ORDER BY id DESC",
                )
                .map_err(fault)?;
            let bounds = [round_id(id, 0), round_id(id, before), round_id(id + 1, 0)];
            Page::before(records(&mut query, bounds).map_err(fault)?, before, limit, max_bytes)
        }
    }
}

/// The entries of each round that a query finds, read as they are asked for.
fn records<'a>(
    query: &'a mut CachedStatement<'_>,
    bounds: [i64; 3],
) -> rusqlite::Result<impl Iterator<Item = Result<Vec<Entry>, JournalError>> + 'a> {
    let rows = query.query_map(bounds, record)?;
    Ok(rows.map(|record| {
        let record = record.map_err(|error| JournalError::Damaged(error.to_string()))?;
        entry::unpack(&record)
    }))
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let entries: Vec<u8> = row.get(2)?;
    Ok(Record {
        first: offset_of(row.get(0)?),
        count: row.get(1)?,
        at: 0,
        keys: Vec::new(),
        entries: Bytes::from(entries),
    })
}
