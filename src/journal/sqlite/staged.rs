//! The records that are durable and not yet in their own table, for the reader thread.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::staging::StagedBatch;
use crate::{domain::RoomName, journal::Record};

/// Maximum bytes of all records: they are in memory, and the writer does nothing else while it moves them.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// From so many bytes on, the records are moved once each room has [`ENOUGH_RECORDS`] on average.
const ENOUGH_BYTES: usize = 1024 * 1024;

/// More records of a room in one move would make a move longer, and spare few pages more.
const ENOUGH_RECORDS: usize = 64;

/// The records of the table `staged`, by room. The writer thread changes them, the reader thread copies those of a
/// room.
#[derive(Debug)]
pub(super) struct Staged {
    /// A batch of at least this many rooms is staged.
    pub many_rooms: usize,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    rooms: HashMap<RoomName, Vec<Record>>,
    /// Bytes of all records.
    bytes: usize,
    /// Number of all records.
    records: usize,
    /// How often records were moved to their own table.
    moves: u64,
}

impl Staged {
    /// No records yet.
    pub(super) fn new(many_rooms: usize) -> Self {
        Self { many_rooms, records: Mutex::default() }
    }

    /// Adds the records of a batch that is durable.
    pub(super) fn add(&self, batch: StagedBatch) {
        let mut records = self.lock();
        records.bytes += batch.bytes();
        for (room, record) in batch.into_records() {
            records.bytes += size_of::<Record>();
            records.records += 1;
            records.rooms.entry(room).or_default().push(record);
        }
    }

    /// The records of a room, in the order of their offsets.
    pub(super) fn of(&self, room: &RoomName) -> Vec<Record> {
        self.lock().rooms.get(room).cloned().unwrap_or_default()
    }

    /// Whether there is a record of the room.
    pub(super) fn has(&self, room: &RoomName) -> bool {
        self.lock().rooms.contains_key(room)
    }

    /// The rooms that have records.
    pub(super) fn rooms(&self) -> Vec<RoomName> {
        self.lock().rooms.keys().cloned().collect()
    }

    /// Whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().rooms.is_empty()
    }

    /// Whether the records are to be moved before more are added.
    pub(super) fn are_many(&self) -> bool {
        let records = self.lock();
        let are_enough = records.records >= ENOUGH_RECORDS * records.rooms.len();
        records.bytes >= MAX_BYTES || (are_enough && records.bytes >= ENOUGH_BYTES)
    }

    /// Notes that all records are in their own table.
    pub(super) fn moved(&self) {
        let mut records = self.lock();
        *records = Records { moves: records.moves + 1, ..Records::default() };
    }

    /// How often records were moved. If a reader finds another number once its view of the file is fixed, its copy of
    /// the records may be older than that view.
    pub(super) fn moves(&self) -> u64 {
        self.lock().moves
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
