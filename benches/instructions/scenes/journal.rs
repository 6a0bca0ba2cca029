//! Appends batches of records to the journals, which have reached their retention.

use std::{error::Error, path::Path, time::Duration};

use actix::System;
use echoroom::testing::{
    Append, Epoch, Journal, Kept, Keyed, MemoryJournal, Record, Retention, RoomName, SqliteJournal,
};

use super::{Repetition, encode};

/// Lines of a batch.
pub const LINES: usize = ROOMS * BROADCASTS * LINES_OF_BROADCAST;

const ROOMS: usize = 16;

/// Records of each room in a batch.
const BROADCASTS: usize = 4;

const LINES_OF_BROADCAST: usize = 4;

/// Few enough messages that half of the repetitions exceed them.
const RETENTION: Retention = Retention {
    messages: 128,
    bytes: 1 << 20,
    age: Duration::from_secs(24 * 3600),
    total_bytes: 1 << 30,
    names: 1000,
    avatar_bytes: 1 << 20,
};

pub fn memory(most: usize) -> Result<Repetition, Box<dyn Error>> {
    append(MemoryJournal::new(RETENTION)?, most)
}

/// Writes its file to the current folder of the process.
pub fn sqlite(most: usize) -> Result<Repetition, Box<dyn Error>> {
    append(SqliteJournal::open(Path::new("."), RETENTION, &Default::default())?, most)
}

/// Batches are built before the count starts, so at most `most` repetitions are possible.
fn append(journal: impl Journal + 'static, most: usize) -> Result<Repetition, Box<dyn Error>> {
    let system = System::new();
    let rooms = (1..=ROOMS).map(|room| RoomName::parse(&format!("room {room}")));
    let rooms = rooms.collect::<Result<Vec<_>, _>>()?;
    let state = system.block_on(journal.open(RoomName::default()))?;
    let epoch = *state.epochs.last().ok_or("a room has an epoch")?;
    let batches = (0..most).map(|number| batch(&rooms, epoch, number)).collect::<Option<Vec<_>>>();
    let mut batches = batches.ok_or("a broadcast has a record")?.into_iter();
    Ok(Box::new(move || {
        let batch = batches.next().ok_or("there are not so many batches")?;
        Ok(system.block_on(journal.append(batch))?)
    }))
}

/// The records of all rooms after `number` batches.
fn batch(rooms: &[RoomName], epoch: Epoch, number: usize) -> Option<Vec<Append>> {
    let append = |broadcast, room: &RoomName| {
        Some(Append { room: room.clone(), epoch, record: record(broadcast)?, pictures: Vec::new() })
    };
    let broadcasts = number * BROADCASTS..(number + 1) * BROADCASTS;
    broadcasts.flat_map(|broadcast| rooms.iter().map(move |room| append(broadcast, room))).collect()
}

/// The record of a broadcast; all its messages have ids.
fn record(broadcast: usize) -> Option<Record> {
    let mut kept = Kept::default();
    let offsets = (1 + (broadcast * LINES_OF_BROADCAST) as u64..).take(LINES_OF_BROADCAST);
    for offset in offsets.clone() {
        kept.push(&encode::said(offset));
    }
    let (mut record, ..) = kept.into_record()?;
    record.keys = offsets.map(|offset| Keyed { key: [offset as u8; 16], offset, at: encode::AT }).collect();
    Some(record)
}
