//! Stores batches of records.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    avatars::AvatarTable,
    epochs,
    fault::Fault,
    open::Open,
    rows::{INSERT_RECORD, PlaceError, RoomRow, StoredRecord, find_or_make, is_next, pack_keys, save, store},
    staging::StagedBatch,
    transaction::Transaction,
    trim::{is_over, trim_if_over},
};
use crate::{
    domain::RoomName,
    journal::{Append, Record, Retention, now_millis},
};

/// Maximum bytes of a room in a batch that is staged, on average: more fill a page of their own, and are written twice
/// if they are staged.
const MAX_BYTES_EACH: usize = 1024;

/// Maximum bytes of a batch that is staged. A larger one has so many rooms that few records of each are staged before
/// they are moved, and as many pages are written then.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// What a batch changes, while its transaction is open.
struct Changes<'a> {
    transaction: &'a Transaction<'a>,
    database: &'a Path,
    /// The rooms written to by earlier batches.
    known: &'a HashMap<RoomName, RoomRow>,
    rooms: HashMap<RoomName, RoomRow>,
    avatars: Option<AvatarTable>,
    /// Bytes that were added.
    bytes: u64,
    /// The records, if the batch is staged.
    staged: Option<StagedBatch>,
}

impl Changes<'_> {
    /// Stores a record, unless it is already stored.
    fn append(&mut self, append: &Append, retention: Retention) -> Result<(), Fault> {
        let Append { room: name, epoch, record, pictures } = append;
        if !pictures.is_empty() {
            let table = self.avatars.map_or_else(|| AvatarTable::measure(self.transaction), Ok)?;
            let kept = table.keep(self.transaction, pictures, now_millis(), retention.avatar_bytes)?;
            self.avatars = Some(kept);
        }
        let mut room = match self.rooms.get(name).or_else(|| self.known.get(name)) {
            Some(room) => *room,
            None => find_or_make(self.transaction, self.database, name, record.first - 1)?,
        };
        if room.epoch != epoch.id.number {
            room.epoch = epoch.id.number;
            epochs::add(self.transaction, room.id, *epoch)?;
        }
        let fault = |error: PlaceError| error.into_fault(self.database);
        if is_next(self.transaction, &room, record).map_err(fault)? {
            let keys = pack_keys(&record.keys);
            match &mut self.staged {
                Some(batch) => batch.push(name, room.id, record, &keys),
                None => insert(self.transaction, &room, record, &keys).map_err(fault)?,
            }
            let bytes = (keys.len() + record.entries.len()) as u64;
            room.add(record.count, bytes);
            self.bytes += bytes;
        }
        self.rooms.insert(name.clone(), room);
        Ok(())
    }

    /// Stores what is staged, and trims the rooms. Returns whether a room is over its bounds all the same: what is
    /// staged is not in the table of records, and cannot be trimmed there.
    fn end(&mut self, retention: Retention) -> rusqlite::Result<bool> {
        if let Some(batch) = &self.staged {
            batch.insert(self.transaction)?;
        }
        let mut is_one_over = false;
        for room in self.rooms.values_mut() {
            trim_if_over(self.transaction, room, retention)?;
            if self.staged.is_some() {
                is_one_over |= is_over(room, retention);
            } else if room.is_due() {
                save(self.transaction, room)?;
            }
        }
        Ok(is_one_over)
    }
}

impl Open {
    /// Makes a batch durable, and trims its rooms to the bounds of `retention`.
    pub(super) fn append(&mut self, batch: &[Append], retention: Retention) -> Result<(), Fault> {
        if self.staged.are_many() || self.repeats_staged(batch) {
            self.move_staged(retention)?;
        }
        let staged = self.is_to_be_staged(batch).then(StagedBatch::default);
        let transaction = self.run.transaction(&mut self.connection, &self.files)?;
        let mut changes = Changes {
            transaction: &transaction,
            database: &self.files.database,
            known: &self.rooms,
            rooms: HashMap::new(),
            avatars: self.avatars,
            bytes: 0,
            staged,
        };
        for append in batch {
            changes.append(append, retention)?;
        }
        let is_one_over = changes.end(retention)?;
        let Changes { rooms, avatars, bytes, staged, .. } = changes;
        transaction.commit()?;
        if let Some(batch) = staged {
            self.staged.add(batch);
        }
        self.rooms.extend(rooms);
        self.avatars = avatars;
        self.unmeasured += bytes;
        if is_one_over {
            self.move_staged(retention)?;
        }
        if self.unmeasured > retention.total_bytes / 32 {
            self.unmeasured = 0;
            self.shed(retention)?;
        }
        Ok(())
    }

    /// Whether a batch is staged: if it has little of each of many rooms, or if records of one of its rooms are staged,
    /// which must not be overtaken.
    fn is_to_be_staged(&self, batch: &[Append]) -> bool {
        let has_staged = || batch.iter().any(|append| self.staged.has(&append.room));
        (!self.is_staging_off && self.is_little_of_many(batch)) || (!self.staged.is_empty() && has_staged())
    }

    fn is_little_of_many(&self, batch: &[Append]) -> bool {
        if batch.len() < self.staged.many_rooms {
            return false;
        }
        let rooms = batch.iter().map(|append| &append.room).collect::<HashSet<_>>().len();
        let bytes = batch.iter().map(|append| append.record.entries.len()).sum::<usize>();
        rooms >= self.staged.many_rooms && bytes <= MAX_BATCH_BYTES.min(rooms * MAX_BYTES_EACH)
    }

    /// Whether a record of the batch may be staged already: it is compared with what is stored.
    fn repeats_staged(&self, batch: &[Append]) -> bool {
        let is_old = |Append { room, record, .. }: &Append| {
            self.rooms.get(room).is_some_and(|row| record.first <= row.head) && self.staged.has(room)
        };
        batch.iter().any(is_old)
    }
}

/// Inserts a record that is the next one of its room.
fn insert(
    transaction: &Transaction<'_>,
    room: &RoomRow,
    record: &Record,
    keys: &[u8],
) -> Result<(), PlaceError> {
    let mut statement = transaction.prepare_cached(INSERT_RECORD)?;
    if store(&mut statement, room.id, &StoredRecord::new(record, keys))? {
        return Ok(());
    }
    let (room, head, first) = (room.id, room.head, record.first);
    Err(PlaceError::Conflict(format!("room {room} ends at {head}, but a record at {first} is stored")))
}
