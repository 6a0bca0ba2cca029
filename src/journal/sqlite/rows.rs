//! Rooms and records as rows of their tables.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

use super::{
    columns::{checksum, int, offset_of, record_id},
    fault::Fault,
};
use crate::{
    domain::RoomName,
    journal::{Keyed, Record},
};

/// The statement that [`insert`] takes prepared.
pub(super) const INSERT_RECORD: &str = "INSERT OR IGNORE INTO rounds VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Bytes of a packed key: hash, offset, time.
pub(super) const KEY_LEN: usize = 16 + 8 + 8;

/// A room's row is saved with each record of this number. A record costs one write less without it, and a row that
/// is not cached costs reading the records behind it.
const SAVE_EACH: u32 = 64;

/// A room, as given by its row and the records behind that row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomRow {
    pub id: i64,
    pub head: u64,
    pub messages: u64,
    pub bytes: u64,
    /// The number of its last epoch.
    pub epoch: u64,
    /// How many records the row in the table is behind.
    behind: u32,
}

const ROOM_COLUMNS: &str = "SELECT id, head, messages, bytes, (SELECT ifnull(max(number), 0) FROM epochs WHERE room = id) FROM rooms";

fn room_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RoomRow> {
    let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
    Ok(RoomRow {
        id: row.get(0)?,
        head: number(1)?,
        messages: number(2)?,
        bytes: number(3)?,
        epoch: number(4)?,
        behind: 0,
    })
}

/// The id of the room of this name, if the file has it; of a damaged room, too.
pub(super) fn room_id(connection: &Connection, name: &RoomName) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM rooms WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()
}

/// The room of this name, if the file has it.
pub(super) fn room_by_name(
    connection: &Connection,
    database: &Path,
    name: &RoomName,
) -> Result<Option<RoomRow>, Fault> {
    let row = connection
        .prepare_cached(&format!("{ROOM_COLUMNS} WHERE name = ?1"))?
        .query_row([name.as_str()], room_row)
        .optional()?;
    row.map(|room| with_later_records(connection, database, room)).transpose()
}

pub(super) fn room_by_id(connection: &Connection, database: &Path, id: i64) -> Result<RoomRow, Fault> {
    let row =
        connection.prepare_cached(&format!("{ROOM_COLUMNS} WHERE id = ?1"))?.query_row([id], room_row)?;
    with_later_records(connection, database, row)
}

/// Adds the records that were stored since the row was saved.
fn with_later_records(connection: &Connection, database: &Path, mut room: RoomRow) -> Result<RoomRow, Fault> {
    let mut query = connection.prepare_cached(
        "SELECT id, count, ifnull(length(keys), 0) + length(entries) FROM rounds WHERE id > ?1 AND id < ?2 ORDER BY id",
    )?;
    let mut rows = query.query([record_id(room.id, room.head), record_id(room.id + 1, 0)])?;
    while let Some(row) = rows.next()? {
        let first = offset_of(row.get(0)?);
        if first != room.head + 1 {
            let what = format!("room {} continues at offset {first} instead of {}", room.id, room.head + 1);
            return Err(Fault::damaged(database, what));
        }
        room.add(row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs());
    }
    Ok(room)
}

impl RoomRow {
    /// Adds one record.
    fn add(&mut self, count: u32, bytes: u64) {
        self.head += u64::from(count);
        self.messages += u64::from(count);
        self.bytes += bytes;
        self.behind += 1;
    }

    /// Whether the row in the table is not up to date.
    pub(super) fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// Whether the row has to be saved, so that opening the room reads no more than a few records behind it.
    pub(super) fn is_due(&self) -> bool {
        self.behind >= SAVE_EACH
    }
}

pub(super) fn find_or_make(
    connection: &Connection,
    database: &Path,
    name: &RoomName,
    head: u64,
) -> Result<RoomRow, Fault> {
    if let Some(room) = room_by_name(connection, database, name)? {
        return Ok(room);
    }
    connection
        .prepare_cached("INSERT INTO rooms (name, head, messages, bytes) VALUES (?1, ?2, 0, 0)")?
        .execute((name.as_str(), int(head)))?;
    Ok(RoomRow { id: connection.last_insert_rowid(), head, messages: 0, bytes: 0, epoch: 0, behind: 0 })
}

/// Errors of [`insert`].
pub(super) enum InsertError {
    /// The record is neither the next one of its room nor already stored.
    Conflict(String),
    Sql(rusqlite::Error),
}

impl InsertError {
    pub(super) fn into_fault(self, database: &Path) -> Fault {
        match self {
            Self::Conflict(what) => Fault::damaged(database, what),
            Self::Sql(error) => Fault::Sql(error),
        }
    }
}

impl From<rusqlite::Error> for InsertError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Stores a record unless it is already stored; returns the number of bytes added.
pub(super) fn insert(
    connection: &Connection,
    statement: &mut CachedStatement<'_>,
    room: &mut RoomRow,
    record: &Record,
) -> Result<u64, InsertError> {
    if record.last() <= room.head {
        return check_repeated(connection, room, record).map(|()| 0);
    }
    if record.first != room.head + 1 {
        let what =
            format!("room {} ends at {}, but the next record begins at {}", room.id, room.head, record.first);
        return Err(InsertError::Conflict(what));
    }
    let keys = pack_keys(&record.keys);
    let (id, at) = (record_id(room.id, record.first), int(record.at));
    let added = statement.execute((
        id,
        record.count,
        at,
        (!keys.is_empty()).then_some(&keys[..]),
        &record.entries[..],
        checksum(id, record.count, at, &keys, &record.entries),
    ))?;
    if added == 0 {
        let what =
            format!("room {} ends at {}, but a record at {} is stored", room.id, room.head, record.first);
        return Err(InsertError::Conflict(what));
    }
    let bytes = (keys.len() + record.entries.len()) as u64;
    room.add(record.count, bytes);
    Ok(bytes)
}

/// Checks that a repeated record equals the stored one, unless that one has been trimmed.
fn check_repeated(connection: &Connection, room: &RoomRow, record: &Record) -> Result<(), InsertError> {
    let keys = pack_keys(&record.keys);
    let id = record_id(room.id, record.first);
    let is_equal = connection
        .prepare_cached(
            "SELECT id = ?2 AND count = ?3 AND at = ?4 AND ifnull(keys, x'') = ?5 AND entries = ?6
             FROM rounds WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(
            (record_id(room.id, 0), id, record.count, int(record.at), &keys[..], &record.entries[..]),
            |row| row.get::<_, bool>(0),
        )
        .optional()?;
    if is_equal == Some(false) {
        let what = format!("room {} has another record where {} was stored", room.id, record.first);
        return Err(InsertError::Conflict(what));
    }
    Ok(())
}

/// Writes the row of a room.
pub(super) fn save(connection: &Connection, room: &mut RoomRow) -> rusqlite::Result<()> {
    room.behind = 0;
    connection
        .prepare_cached("UPDATE rooms SET head = ?2, messages = ?3, bytes = ?4 WHERE id = ?1")?
        .execute((room.id, int(room.head), int(room.messages), int(room.bytes)))
        .map(|_| ())
}

fn pack_keys(keys: &[Keyed]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(keys.len() * KEY_LEN);
    for Keyed { key, offset, at } in keys {
        packed.extend_from_slice(key);
        packed.extend_from_slice(&offset.to_le_bytes());
        packed.extend_from_slice(&at.to_le_bytes());
    }
    packed
}

pub(super) fn unpack_key(packed: &[u8]) -> Option<Keyed> {
    let (key, rest) = packed.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (at, _) = rest.split_first_chunk()?;
    Some(Keyed { key: *key, offset: u64::from_le_bytes(*offset), at: u64::from_le_bytes(*at) })
}
