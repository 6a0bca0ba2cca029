//! Rooms, epochs and records as rows of their tables.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

use super::{
    Place,
    schema::{Fault, checksum, int, round_id},
};
use crate::{
    domain::RoomName,
    journal::{Epoch, EpochId, Keyed, Record},
};

/// The statement that [`insert`] takes prepared.
pub(super) const INSERT_ROUND: &str = "INSERT OR IGNORE INTO rounds VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Bytes of a packed key: hash, offset, time.
pub(super) const KEY_LEN: usize = 16 + 8 + 8;

/// Maximum number of epochs kept per room; a client of an older one gets the latest page.
const MAX_EPOCHS: usize = 16;

/// A row of the table of rooms.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomRow {
    pub id: i64,
    pub head: u64,
    pub messages: u64,
    pub bytes: u64,
    /// The number of its last epoch.
    pub epoch: u64,
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
    })
}

pub(super) fn room_by_name(connection: &Connection, name: &RoomName) -> rusqlite::Result<Option<RoomRow>> {
    connection
        .prepare_cached(&format!("{ROOM_COLUMNS} WHERE name = ?1"))?
        .query_row([name.as_str()], room_row)
        .optional()
}

pub(super) fn room_by_id(connection: &Connection, id: i64) -> rusqlite::Result<RoomRow> {
    connection.prepare_cached(&format!("{ROOM_COLUMNS} WHERE id = ?1"))?.query_row([id], room_row)
}

pub(super) fn find_or_make(connection: &Connection, name: &RoomName, head: u64) -> rusqlite::Result<RoomRow> {
    if let Some(room) = room_by_name(connection, name)? {
        return Ok(room);
    }
    connection
        .prepare_cached("INSERT INTO rooms (name, head, messages, bytes) VALUES (?1, ?2, 0, 0)")?
        .execute((name.as_str(), int(head)))?;
    Ok(RoomRow { id: connection.last_insert_rowid(), head, messages: 0, bytes: 0, epoch: 0 })
}

/// A room's epochs, including server runs without a message in it: clients of those runs have seen the
/// earlier messages. Runs before the room's first kept epoch are left out, because their last offset is
/// unknown.
pub(super) fn with_silent_runs(said_in: Vec<Epoch>, runs: &[EpochId], head: u64) -> Vec<Epoch> {
    let oldest = said_in.first().map_or(u64::MAX, |epoch| epoch.id.number);
    let is_silent =
        |run: &&EpochId| run.number > oldest && said_in.iter().all(|epoch| epoch.id.number != run.number);
    let mut epochs: Vec<_> = runs
        .iter()
        .filter(is_silent)
        .map(|run| {
            let next = said_in.iter().find(|epoch| epoch.id.number > run.number);
            Epoch { id: *run, starts: next.map_or(head + 1, |next| next.starts) }
        })
        .collect();
    epochs.extend(said_in);
    if let (true, Some(run)) = (epochs.is_empty(), runs.last()) {
        epochs.push(Epoch { id: *run, starts: head + 1 });
    }
    epochs.sort_by_key(|epoch| epoch.id.number);
    epochs.drain(..epochs.len().saturating_sub(MAX_EPOCHS));
    epochs
}

/// Errors of [`insert`].
pub(super) enum Clash {
    /// The record is neither the next one of its room nor already stored.
    Other(String),
    Sql(rusqlite::Error),
}

impl Clash {
    pub(super) fn into_fault(self, place: &Place) -> Fault {
        match self {
            Self::Other(what) => Fault::damaged(&place.file, what),
            Self::Sql(error) => Fault::Sql(error),
        }
    }
}

impl From<rusqlite::Error> for Clash {
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
) -> Result<u64, Clash> {
    if record.last() <= room.head {
        return check_given_again(connection, room, record).map(|()| 0);
    }
    if record.first != room.head + 1 {
        let what = format!("room {} ends at {}, and {} would be next", room.id, room.head, record.first);
        return Err(Clash::Other(what));
    }
    let keys = pack_keys(&record.keys);
    let (id, at) = (round_id(room.id, record.first), int(record.at));
    let added = statement.execute((
        id,
        record.count,
        at,
        (!keys.is_empty()).then_some(&keys[..]),
        &record.entries[..],
        checksum(id, record.count, at, &keys, &record.entries),
    ))?;
    if added == 0 {
        let what = format!("room {} ends at {}, and {} is there", room.id, room.head, record.first);
        return Err(Clash::Other(what));
    }
    let bytes = (keys.len() + record.entries.len()) as u64;
    room.head = record.last();
    room.messages += u64::from(record.count);
    room.bytes += bytes;
    Ok(bytes)
}

/// Checks that a repeated record equals the stored one, unless that one has been trimmed.
fn check_given_again(connection: &Connection, room: &RoomRow, record: &Record) -> Result<(), Clash> {
    let keys = pack_keys(&record.keys);
    let id = round_id(room.id, record.first);
    let is_equal = connection
        .prepare_cached(
            "SELECT id = ?2 AND count = ?3 AND at = ?4 AND ifnull(keys, x'') = ?5 AND entries = ?6
             FROM rounds WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(
            (round_id(room.id, 0), id, record.count, int(record.at), &keys[..], &record.entries[..]),
            |row| row.get::<_, bool>(0),
        )
        .optional()?;
    if is_equal == Some(false) {
        let what = format!("room {} has something else where {} was said", room.id, record.first);
        return Err(Clash::Other(what));
    }
    Ok(())
}

pub(super) fn add_epoch(connection: &Connection, room: &mut RoomRow, epoch: Epoch) -> rusqlite::Result<()> {
    room.epoch = epoch.id.number;
    // The name may have been forgotten while no room had the epoch.
    connection
        .prepare_cached("INSERT OR IGNORE INTO epoch_names VALUES (?1, ?2, 0)")?
        .execute((int(epoch.id.number), epoch.id.random.cast_signed()))?;
    connection.prepare_cached("INSERT OR IGNORE INTO epochs VALUES (?1, ?2, ?3)")?.execute((
        room.id,
        int(epoch.id.number),
        int(epoch.starts),
    ))?;
    connection
        .prepare_cached(
            "DELETE FROM epochs WHERE room = ?1 AND number <=
                (SELECT number FROM epochs WHERE room = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute((room.id, MAX_EPOCHS as i64))
        .map(|_| ())
}

pub(super) fn save(connection: &Connection, room: &RoomRow) -> rusqlite::Result<()> {
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
