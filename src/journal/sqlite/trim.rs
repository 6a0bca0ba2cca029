//! Deletes the oldest records of a room.

use rusqlite::Connection;

use super::{
    columns::{offset_of, record_id},
    rows::{RoomRow, save},
};
use crate::journal::Retention;

/// Maximum number of records deleted in one step.
pub(super) const TRIM_STEP: i64 = 256;

/// A record that may be deleted.
pub(super) struct OldRecord {
    id: i64,
    pub count: u64,
    pub at: u64,
    pub bytes: u64,
}

/// Whether a room is over its bounds. It may have an eighth more messages, so that not every batch has to trim.
pub(super) fn is_over(room: &RoomRow, retention: Retention) -> bool {
    room.messages > retention.messages + retention.messages / 8 || room.bytes > retention.bytes
}

/// Trims a room that is over its bounds, and saves its row then.
pub(super) fn trim_if_over(
    connection: &Connection,
    room: &mut RoomRow,
    retention: Retention,
) -> rusqlite::Result<()> {
    if !is_over(room, retention) {
        return Ok(());
    }
    trim(connection, room, |row, room| {
        room.messages - row.count >= retention.messages || room.bytes > retention.bytes
    })?;
    save(connection, room)
}

/// Deletes records of a room, the oldest first, while `is_surplus` returns true; keeps the newest one.
pub(super) fn trim(
    connection: &Connection,
    room: &mut RoomRow,
    mut is_surplus: impl FnMut(&OldRecord, &RoomRow) -> bool,
) -> rusqlite::Result<()> {
    let newest = room.head;
    trim_all(connection, room, |row, room| offset_of(row.id) + row.count <= newest && is_surplus(row, room))
}

/// Like [`trim`], but may delete the newest record too.
pub(super) fn trim_all(
    connection: &Connection,
    room: &mut RoomRow,
    mut is_surplus: impl FnMut(&OldRecord, &RoomRow) -> bool,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT id, count, at, ifnull(length(keys), 0) + length(entries) FROM rounds
         WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    loop {
        let rows = query
            .query_map((record_id(room.id, 0), record_id(room.id + 1, 0), TRIM_STEP), |row| {
                let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
                Ok(OldRecord { id: row.get(0)?, count: number(1)?, at: number(2)?, bytes: number(3)? })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut last = None;
        for row in &rows {
            if !is_surplus(row, room) {
                break;
            }
            room.messages = room.messages.saturating_sub(row.count);
            room.bytes = room.bytes.saturating_sub(row.bytes);
            last = Some(row.id);
        }
        let Some(last) = last else {
            return Ok(());
        };
        connection
            .prepare_cached("DELETE FROM rounds WHERE id >= ?1 AND id <= ?2")?
            .execute([record_id(room.id, 0), last])?;
        if rows.last().is_some_and(|row| row.id != last) {
            return Ok(());
        }
    }
}
