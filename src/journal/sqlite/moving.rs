//! Moves staged records to their own table.

use std::{collections::HashMap, path::Path};

use rusqlite::{CachedStatement, Error};

use super::{
    fault::Fault,
    open::Open,
    rows::{INSERT_RECORD, RoomRow, StoredRecord, room_by_id, save, store},
    staging::{self, Runs},
    transaction::Transaction,
    trim::trim_if_over,
};
use crate::{domain::RoomName, journal::Retention};

/// The records of one room, in the order of their offsets, each with the id of the room.
type OfRoom<'a> = [(i64, StoredRecord<'a>)];

impl Open {
    /// Moves the records that this run has staged to their own table, and trims and saves their rooms.
    pub(super) fn move_staged(&mut self, retention: Retention) -> Result<(), Fault> {
        if self.staged.is_empty() { Ok(()) } else { self.move_all_staged(retention) }
    }

    /// Like [`move_staged`](Self::move_staged), also what an earlier run, or an earlier connection of this one, has
    /// left.
    pub(super) fn move_all_staged(&mut self, retention: Retention) -> Result<(), Fault> {
        let mut known = self.staged_rooms();
        let database = &self.files.database;
        let transaction = self.run.transaction(&mut self.connection, &self.files)?;
        let mut taken = staging::take_all(&transaction, database, self.first_staged)?;
        let records = staging::sorted(&taken.batches);
        for of_room in records.chunk_by(|(room, _), (next, _)| room == next) {
            let mut known = of_room.first().and_then(|(room, _)| known.get_mut(room)).map(|(_, row)| row);
            let room = RoomMove {
                transaction: &transaction,
                database,
                known: known.as_deref().copied(),
                records: of_room,
                retention,
            };
            match room.carry_out() {
                Ok(Some(row)) => known.iter_mut().for_each(|known| **known = row),
                Ok(None) => {}
                // The other rooms go on.
                Err(fault) if fault.is_damage() => taken.damage.push(fault),
                Err(fault) => return Err(fault),
            }
        }
        transaction.commit()?;
        self.rooms.extend(known.into_values());
        self.staged.moved();
        self.first_staged = taken.next_row;
        self.is_staging_off |= taken.is_cut;
        taken.damage.into_iter().try_for_each(|fault| self.pass_over(fault, ()))
    }

    /// The cached rows of the rooms that have staged records, by their ids.
    fn staged_rooms(&self) -> HashMap<i64, (RoomName, RoomRow)> {
        let rooms = self.staged.rooms().into_iter();
        rooms.filter_map(|name| self.rooms.get(&name).map(|row| (row.id, (name, *row)))).collect()
    }
}

/// The move of the records of one room.
struct RoomMove<'a> {
    transaction: &'a Transaction<'a>,
    database: &'a Path,
    /// The row of the room, which counts the records, if it is known.
    known: Option<RoomRow>,
    records: &'a OfRoom<'a>,
    retention: Retention,
}

impl RoomMove<'_> {
    /// Moves the records, or, if the room is damaged, none of them. Returns the row of the room as it is saved.
    fn carry_out(&self) -> Result<Option<RoomRow>, Fault> {
        let execute = |sql| self.transaction.prepare_cached(sql)?.execute([]).map(|_| ());
        execute("SAVEPOINT room")?;
        let moved = self.attempt();
        match &moved {
            Ok(_) => {}
            Err(fault) if fault.is_damage() => execute("ROLLBACK TO room")?,
            // The transaction may have ended, with its savepoints.
            Err(_) => return moved,
        }
        execute("RELEASE room")?;
        moved
    }

    fn attempt(&self) -> Result<Option<RoomRow>, Fault> {
        let row = match self.known {
            Some(row) => Some(row),
            None => row_with(self.transaction, self.database, self.records)?,
        };
        self.insert_all()?;
        let Some(mut row) = row else {
            return Ok(None);
        };
        trim_if_over(self.transaction, &mut row, self.retention)?;
        // Each time: a row that is behind must not end in the middle of a joined record.
        save(self.transaction, &mut row)?;
        Ok(Some(row))
    }

    /// Inserts the records, joined to few.
    fn insert_all(&self) -> Result<(), Fault> {
        let (mut keys, mut entries) = (Vec::new(), Vec::new());
        let mut statement = self.transaction.prepare_cached(INSERT_RECORD)?;
        for run in Runs::of(self.records, self.retention) {
            let [(room, first), .., (_, last)] = run else {
                for (room, record) in run {
                    insert(&mut statement, self.database, *room, record)?;
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
            let joined =
                StoredRecord { first: first.first, count, at: last.at, keys: &keys, entries: &entries };
            insert(&mut statement, self.database, *room, &joined)?;
        }
        Ok(())
    }
}

fn insert(
    statement: &mut CachedStatement<'_>,
    database: &Path,
    room: i64,
    record: &StoredRecord<'_>,
) -> Result<(), Fault> {
    if store(statement, room, record)? {
        return Ok(());
    }
    Err(Fault::damaged(database, format!("room {room} has two records at offset {}", record.first)))
}

/// The row of a room with these records, which it may count already. `None` if it is damaged.
fn row_with(
    transaction: &Transaction<'_>,
    database: &Path,
    records: &OfRoom<'_>,
) -> Result<Option<RoomRow>, Fault> {
    let Some((room, _)) = records.first() else {
        return Ok(None);
    };
    let mut row = match room_by_id(transaction, database, *room) {
        Ok(row) => row,
        Err(Fault::Sql(Error::QueryReturnedNoRows)) => return Ok(None),
        Err(fault) if fault.is_damage() => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let saved_head = row.head;
    for (_, record) in records.iter().filter(|(_, record)| record.first > saved_head) {
        // What is missing was in a batch that has been changed, which is known. The room goes on behind it.
        row.head = record.first - 1;
        row.add(record.count, (record.keys.len() + record.entries.len()) as u64);
    }
    Ok(Some(row))
}
