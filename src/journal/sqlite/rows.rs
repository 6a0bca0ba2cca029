//! Rooms and records as rows of their tables.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

use super::{
    columns::{checksum, int, offset_of, record_id},
    fault::Fault,
};
use crate::{
    domain::RoomName,
    journal::{Keyed, Record, entry},
};

/// The statement that [`store`] takes prepared.
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

/// The last offset among the records of a room.
pub(super) fn last_offset(connection: &Connection, room: i64) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT id, count FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")?
        .query_row([record_id(room, 0), record_id(room + 1, 0)], |row| {
            Ok((offset_of(row.get(0)?) + u64::from(row.get::<_, u32>(1)?)).saturating_sub(1))
        })
        .optional()
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
    pub(super) fn add(&mut self, count: u32, bytes: u64) {
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

/// Errors of [`is_next`].
pub(super) enum PlaceError {
    /// The record is neither the next one of its room nor already stored.
    Conflict(String),
    Sql(rusqlite::Error),
}

impl PlaceError {
    pub(super) fn into_fault(self, database: &Path) -> Fault {
        match self {
            Self::Conflict(what) => Fault::damaged(database, what),
            Self::Sql(error) => Fault::Sql(error),
        }
    }
}

impl From<rusqlite::Error> for PlaceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Whether a record is the next one of its room. If not, it is already stored.
pub(super) fn is_next(connection: &Connection, room: &RoomRow, record: &Record) -> Result<bool, PlaceError> {
    if record.last() <= room.head {
        return check_repeated(connection, room, record).map(|()| false);
    }
    if record.first != room.head + 1 {
        let what =
            format!("room {} ends at {}, but the next record begins at {}", room.id, room.head, record.first);
        return Err(PlaceError::Conflict(what));
    }
    Ok(true)
}

/// A record as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredRecord<'a> {
    pub first: u64,
    pub count: u32,
    /// In milliseconds since 1970.
    pub at: i64,
    /// Packed, see [`pack_keys`].
    pub keys: &'a [u8],
    pub entries: &'a [u8],
}

impl<'a> StoredRecord<'a> {
    /// A record with its packed keys.
    pub(super) fn new(record: &'a Record, keys: &'a [u8]) -> Self {
        let Record { first, count, at, entries, .. } = record;
        Self { first: *first, count: *count, at: int(*at), keys, entries }
    }
}

/// Stores a record. Returns false if there is one at its offset.
pub(super) fn store(
    statement: &mut CachedStatement<'_>,
    room: i64,
    StoredRecord { first, count, at, keys, entries }: &StoredRecord<'_>,
) -> rusqlite::Result<bool> {
    let id = record_id(room, *first);
    let sum = checksum(id, *count, *at, keys, entries);
    let added = statement.execute((id, count, at, (!keys.is_empty()).then_some(keys), entries, sum))?;
    Ok(added > 0)
}

/// Checks that a repeated record equals the stored one, unless that one has been trimmed.
fn check_repeated(connection: &Connection, room: &RoomRow, record: &Record) -> Result<(), PlaceError> {
    let found = connection
        .prepare_cached(
            "SELECT id, count, at, ifnull(keys, x''), entries FROM rounds WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([record_id(room.id, 0), record_id(room.id, record.first)], |row| {
            let keys = row.get_ref(3)?.as_blob()?.chunks_exact(KEY_LEN).filter_map(unpack_key).collect();
            Ok(Record {
                first: offset_of(row.get(0)?),
                count: row.get(1)?,
                at: row.get::<_, i64>(2)?.unsigned_abs(),
                keys,
                entries: row.get::<_, Vec<u8>>(4)?.into(),
            })
        })
        .optional()?;
    if found.is_some_and(|stored| !contains(&stored, record)) {
        let what = format!("room {} has another record where {} was stored", room.id, record.first);
        return Err(PlaceError::Conflict(what));
    }
    Ok(())
}

/// Whether a stored record is this one, or was joined from it and its neighbours.
fn contains(stored: &Record, record: &Record) -> bool {
    if (stored.first, stored.count) == (record.first, record.count) {
        return stored == record;
    }
    let offsets = record.first..=record.last();
    let keys = stored.keys.iter().filter(|keyed| offsets.contains(&keyed.offset));
    let (Ok(mut entries), Ok(expected)) = (entry::unpack(stored), entry::unpack(record)) else {
        return false;
    };
    entries.retain(|entry| offsets.contains(&entry.offset));
    entries == expected && keys.eq(&record.keys)
}

/// Writes the row of a room.
pub(super) fn save(connection: &Connection, room: &mut RoomRow) -> rusqlite::Result<()> {
    room.behind = 0;
    connection
        .prepare_cached("UPDATE rooms SET head = ?2, messages = ?3, bytes = ?4 WHERE id = ?1")?
        .execute((room.id, int(room.head), int(room.messages), int(room.bytes)))
        .map(|_| ())
}

/// Hash, offset and time of each key, see [`KEY_LEN`].
pub(super) fn pack_keys(keys: &[Keyed]) -> Vec<u8> {
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
