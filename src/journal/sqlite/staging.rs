//! The table `staged`: a batch of records of many rooms is one row of it, until the records are moved to their own
//! table.
//!
//! Records are sorted by room in their own table, so a batch changes a page for each of its rooms, and each changed
//! page is written to the log. As one row, the batch costs the pages that its bytes fill. Later, a room's records of
//! many batches are moved together, joined to few records.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection};

use super::{
    columns::int,
    fault::is_damage,
    rows::{INSERT_RECORD, StoredRecord, store},
};
use crate::{
    domain::RoomName,
    journal::{Record, Retention},
};

/// Bytes of a record's header: room, first offset, count, time, and the lengths of keys and entries; little-endian.
const HEADER: usize = 8 + 8 + 4 + 8 + 4 + 4;

/// Maximum bytes of a record that is joined from several: about a page.
const MAX_JOINED: usize = 4096;

/// Maximum time between the first and the last message of a joined record, in milliseconds.
const MAX_SPAN: i64 = 60_000;

/// The records of one batch, packed.
#[derive(Debug, Default)]
pub(super) struct StagedBatch {
    packed: Vec<u8>,
    /// Each with the end of its entries in `packed`.
    records: Vec<(RoomName, Record, usize)>,
}

impl StagedBatch {
    /// Adds a record of the room with this name and id; `keys` are packed.
    pub(super) fn push(&mut self, name: &RoomName, room: i64, record: &Record, keys: &[u8]) {
        let packed = &mut self.packed;
        packed.reserve(HEADER + keys.len() + record.entries.len());
        packed.extend_from_slice(&room.to_le_bytes());
        packed.extend_from_slice(&record.first.to_le_bytes());
        packed.extend_from_slice(&record.count.to_le_bytes());
        packed.extend_from_slice(&int(record.at).to_le_bytes());
        for part in [keys, &record.entries[..]] {
            // A record is far smaller: a broadcast ends at some megabytes.
            packed.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        packed.extend_from_slice(keys);
        packed.extend_from_slice(&record.entries);
        // Its keys are read from the file only.
        let Record { first, count, at, .. } = *record;
        let record = Record { first, count, at, keys: Vec::new(), entries: record.entries.clone() };
        self.records.push((name.clone(), record, packed.len()));
    }

    /// Bytes of the records with their keys.
    pub(super) fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// The records, without their keys. They share the memory of the batch.
    pub(super) fn into_records(self) -> Vec<(RoomName, Record)> {
        let packed = Bytes::from(self.packed.into_boxed_slice());
        let records = self.records.into_iter();
        let of_batch = |(room, mut record, end): (RoomName, Record, usize)| {
            record.entries = packed.slice(end - record.entries.len()..end);
            (room, record)
        };
        records.map(of_batch).collect()
    }

    /// Stores the batch as one row.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        connection
            .prepare_cached("INSERT INTO staged (records, sum) VALUES (?1, ?2)")?
            .execute((&self.packed[..], crc32fast::hash(&self.packed)))
            .map(|_| ())
    }
}

/// What a move has found.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The rooms of the moved records.
    pub rooms: BTreeSet<i64>,
    /// Descriptions of damage: such rows stay where they are, and such records are left out.
    pub damage: Vec<String>,
    /// The first row behind all that is damaged.
    pub next_row: i64,
    /// Whether the table cannot be read to its end. Nothing more must be put there.
    pub is_cut: bool,
}

/// Moves the records of all rows from `first_row` on to their own table. Small records of a room are joined, but not so
/// many that the bounds of `retention`, which delete whole records, become much less exact.
pub(super) fn move_all(
    connection: &Connection,
    first_row: i64,
    retention: Retention,
) -> rusqlite::Result<Moved> {
    let mut moved = Moved { next_row: first_row, ..Moved::default() };
    let batches = read_batches(connection, &mut moved)?;
    let mut records: Vec<_> = batches.iter().flat_map(|packed| unpack(packed).unwrap_or_default()).collect();
    records.sort_by_key(|(room, record)| (*room, record.first));
    let mut statement = connection.prepare_cached(INSERT_RECORD)?;
    let (mut keys, mut entries) = (Vec::new(), Vec::new());
    let runs = Runs { records: &records, most_messages: retention.messages / 16 };
    for run in runs {
        let [(room, first), .., (_, last)] = run else {
            if let [(room, record)] = run {
                store_moved(&mut statement, *room, record, &mut moved)?;
            }
            continue;
        };
        keys.clear();
        entries.clear();
        for (_, record) in run {
            keys.extend_from_slice(record.keys);
            entries.extend_from_slice(record.entries);
        }
        let count = run.iter().map(|(_, record)| record.count).sum();
        let joined = StoredRecord { first: first.first, count, at: last.at, keys: &keys, entries: &entries };
        store_moved(&mut statement, *room, &joined, &mut moved)?;
    }
    Ok(moved)
}

/// Reads the batches and deletes their rows, in order. A row that cannot be read, or was changed, stays.
fn read_batches(connection: &Connection, moved: &mut Moved) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut read = connection.prepare_cached("SELECT records, sum FROM staged WHERE id = ?1")?;
    let mut delete = connection.prepare_cached("DELETE FROM staged WHERE id = ?1")?;
    let mut batches = Vec::new();
    for id in row_ids(connection, moved)? {
        let packed = read.query_row([id], |row| {
            let packed = row.get_ref(0)?.as_blob()?.to_vec();
            let is_whole = row.get_ref(1)?.as_i64()? == i64::from(crc32fast::hash(&packed));
            Ok(Some(packed).filter(|packed| is_whole && unpack(packed).is_some()))
        });
        match packed {
            Ok(Some(packed)) => {
                batches.push(packed);
                delete.execute([id])?;
                continue;
            }
            Ok(None) => moved.damage.push(format!("the batch of records {id} has been changed")),
            Err(error) if is_damage(&error) => {
                moved.damage.push(format!("the batch of records {id} cannot be read: {error}"));
            }
            Err(error) => return Err(error),
        }
        moved.next_row = id + 1;
    }
    Ok(batches)
}

/// The ids of the rows, in order, as far as the table can be read.
fn row_ids(connection: &Connection, moved: &mut Moved) -> rusqlite::Result<Vec<i64>> {
    let mut query = connection.prepare_cached("SELECT id FROM staged WHERE id >= ?1 ORDER BY id")?;
    let mut ids = Vec::new();
    for id in query.query_map([moved.next_row], |row| row.get(0))? {
        match id {
            Ok(id) => ids.push(id),
            Err(error) if is_damage(&error) => {
                moved.damage.push(format!("batches of records cannot be read: {error}"));
                moved.is_cut = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ids)
}

fn store_moved(
    statement: &mut CachedStatement<'_>,
    room: i64,
    record: &StoredRecord<'_>,
    moved: &mut Moved,
) -> rusqlite::Result<()> {
    if !store(statement, room, record)? {
        moved.damage.push(format!("room {room} has two records at offset {}", record.first));
    }
    moved.rooms.insert(room);
    Ok(())
}

/// Divides sorted records into runs that are joined.
struct Runs<'a, 'b> {
    records: &'a [(i64, StoredRecord<'b>)],
    most_messages: u64,
}

impl<'a, 'b> Iterator for Runs<'a, 'b> {
    type Item = &'a [(i64, StoredRecord<'b>)];

    fn next(&mut self) -> Option<Self::Item> {
        let (room, first) = self.records.first()?;
        let (mut len, mut messages, mut bytes) = (1, u64::from(first.count), first.entries.len());
        for (its_room, record) in &self.records[1..] {
            messages += u64::from(record.count);
            bytes += record.entries.len();
            let follows =
                its_room == room && record.first + u64::from(record.count) == first.first + messages;
            let is_small = messages <= self.most_messages && bytes <= MAX_JOINED;
            if !follows || !is_small || record.at.saturating_sub(first.at) > MAX_SPAN {
                break;
            }
            len += 1;
        }
        let (run, rest) = self.records.split_at(len);
        self.records = rest;
        Some(run)
    }
}

/// The records of a batch, each with its room; `None` if the bytes are not a batch.
fn unpack(mut packed: &[u8]) -> Option<Vec<(i64, StoredRecord<'_>)>> {
    let mut records = Vec::new();
    while !packed.is_empty() {
        let room = i64::from_le_bytes(take(&mut packed)?);
        let first = u64::from_le_bytes(take(&mut packed)?);
        let count = u32::from_le_bytes(take(&mut packed)?);
        let at = i64::from_le_bytes(take(&mut packed)?);
        let lens = [take(&mut packed)?, take(&mut packed)?].map(u32::from_le_bytes);
        let [keys, entries] = lens.map(|len| packed.split_off(..usize::try_from(len).ok()?));
        records.push((room, StoredRecord { first, count, at, keys: keys?, entries: entries? }));
    }
    Some(records)
}

/// Takes the first bytes.
fn take<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = packed.split_first_chunk()?;
    *packed = rest;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(first: u64, entries: &'static str) -> Record {
        Record { first, count: 2, at: 7, keys: Vec::new(), entries: Bytes::from_static(entries.as_bytes()) }
    }

    #[test]
    fn a_batch_has_the_records_that_were_put_into_it() {
        let (mut batch, room) = (StagedBatch::default(), RoomName::default());
        batch.push(&room, 3, &record(9, "some"), b"key");
        batch.push(&room, 1, &record(1, ""), b"");
        let expected = [
            (3, StoredRecord { first: 9, count: 2, at: 7, keys: b"key", entries: b"some" }),
            (1, StoredRecord { first: 1, count: 2, at: 7, keys: b"", entries: b"" }),
        ];
        assert_eq!(unpack(&batch.packed).as_deref(), Some(&expected[..]));
        assert_eq!(batch.into_records(), [(room.clone(), record(9, "some")), (room, record(1, ""))]);
    }

    #[test]
    fn small_records_that_follow_each_other_in_a_room_are_joined() {
        let stored = |first, at, entries| StoredRecord { first, count: 2, at, keys: b"", entries };
        let large = [0; MAX_JOINED];
        let records = [
            (1, stored(1, 0, b"a")),
            (1, stored(3, 0, b"b")),
            (1, stored(5, 0, b"c")),
            (1, stored(9, 0, b"behind a gap")),
            (2, stored(11, 0, b"another room")),
            (2, stored(13, 0, b"b")),
            (2, stored(15, MAX_SPAN + 1, b"later")),
            (2, stored(17, MAX_SPAN + 1, &large)),
            (3, stored(1, 0, b"a")),
        ];
        let lens =
            |most_messages| Runs { records: &records, most_messages }.map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lens(6), [3, 1, 2, 1, 1, 1]);
        assert_eq!(lens(5), [2, 1, 1, 2, 1, 1, 1]);
        assert_eq!(lens(0), [1; 9]);
    }

    #[test]
    fn bytes_that_end_in_the_middle_of_a_record_are_no_batch() {
        let mut batch = StagedBatch::default();
        batch.push(&RoomName::default(), 3, &record(9, "some"), b"key");
        for end in 1..batch.packed.len() {
            assert_eq!(unpack(&batch.packed[..end]), None, "{end} bytes");
        }
        assert_eq!(unpack(&[]), Some(Vec::new()));
    }
}
