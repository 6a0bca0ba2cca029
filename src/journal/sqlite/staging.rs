//! The table `staged`: a batch of records of many rooms is one row of it, until the records are moved to their own
//! table.
//!
//! Records are sorted by room in their own table, so a batch changes a page for each of its rooms, and each changed
//! page is written to the log. As one row, the batch costs the pages that its bytes fill. Later, a room's records of
//! many batches are moved together, joined to few records.

use std::path::Path;

use bytes::Bytes;
use rusqlite::Connection;

use super::{
    columns::int,
    fault::{Fault, is_damage},
    rows::StoredRecord,
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

/// The batches that were taken from the table.
#[derive(Debug)]
pub(super) struct Taken {
    /// Each packed.
    pub batches: Vec<Vec<u8>>,
    /// The damage that was found. A row that cannot be read, or was changed, stays where it is.
    pub damage: Vec<Fault>,
    /// The first row behind all that is damaged.
    pub next_row: i64,
    /// Whether the table cannot be read to its end. Nothing more must be put there.
    pub is_cut: bool,
}

/// Takes all batches from `first_row` on from the table.
pub(super) fn take_all(connection: &Connection, database: &Path, first_row: i64) -> rusqlite::Result<Taken> {
    let mut taken = Taken { batches: Vec::new(), damage: Vec::new(), next_row: first_row, is_cut: false };
    let mut read = connection.prepare_cached("SELECT records, sum FROM staged WHERE id = ?1")?;
    let mut delete = connection.prepare_cached("DELETE FROM staged WHERE id = ?1")?;
    for id in row_ids(connection, &mut taken)? {
        let packed = read.query_row([id], |row| {
            let packed = row.get_ref(0)?.as_blob()?.to_vec();
            let is_whole = row.get_ref(1)?.as_i64()? == i64::from(crc32fast::hash(&packed));
            Ok(Some(packed).filter(|packed| is_whole && unpack(packed).is_some()))
        });
        match packed {
            Ok(Some(packed)) => {
                taken.batches.push(packed);
                delete.execute([id])?;
                continue;
            }
            Ok(None) => {
                let what = format!("the batch of records {id} has been changed");
                taken.damage.push(Fault::damaged(database, what));
            }
            Err(error) if is_damage(&error) => taken.damage.push(Fault::Sql(error)),
            Err(error) => return Err(error),
        }
        taken.next_row = id + 1;
    }
    Ok(taken)
}

/// The ids of the rows, in order, as far as the table can be read.
fn row_ids(connection: &Connection, taken: &mut Taken) -> rusqlite::Result<Vec<i64>> {
    let mut query = connection.prepare_cached("SELECT id FROM staged WHERE id >= ?1 ORDER BY id")?;
    let mut ids = Vec::new();
    for id in query.query_map([taken.next_row], |row| row.get(0))? {
        match id {
            Ok(id) => ids.push(id),
            Err(error) if is_damage(&error) => {
                taken.damage.push(Fault::Sql(error));
                taken.is_cut = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ids)
}

/// The records of batches, each with the id of its room, sorted by room and offset.
pub(super) fn sorted(batches: &[Vec<u8>]) -> Vec<(i64, StoredRecord<'_>)> {
    let mut records: Vec<_> = batches.iter().flat_map(|packed| unpack(packed).unwrap_or_default()).collect();
    records.sort_by_key(|(room, record)| (*room, record.first));
    records
}

/// Divides sorted records into runs, each of which becomes one record. Small records that follow each other in a room are
/// joined, but not so many that the bounds of [`Retention`], which delete whole records, become much less exact.
pub(super) struct Runs<'a, 'b> {
    records: &'a [(i64, StoredRecord<'b>)],
    most_messages: u64,
}

impl<'a, 'b> Runs<'a, 'b> {
    /// The runs of these records.
    pub(super) fn of(records: &'a [(i64, StoredRecord<'b>)], retention: Retention) -> Self {
        Self { records, most_messages: retention.messages / 16 }
    }
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
