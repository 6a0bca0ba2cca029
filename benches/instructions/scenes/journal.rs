//! Appends batches of records to the journals, which have reached their retention.

use std::{error::Error, path::Path, time::Duration};

use actix::System;
use echoroom::{
    app::embed::Budget,
    testing::{
        Append, ChatRound, Epoch, Hearers, Journal, Keyed, MemoryJournal, Reach, Record, Retention, RoomName,
        SqliteJournal,
    },
};

use super::{Repetition, encode};

/// Lines of a batch.
pub const LINES: usize = ROOMS * ROUNDS * LINES_OF_ROUND;

const ROOMS: usize = 16;

/// Records of each room in a batch.
const ROUNDS: usize = 4;

const LINES_OF_ROUND: usize = 4;

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
    let mut batches = batches.ok_or("a round has a record")?.into_iter();
    Ok(Box::new(move || {
        let batch = batches.next().ok_or("there are not so many batches")?;
        Ok(system.block_on(journal.append(batch))?)
    }))
}

/// The records of all rooms after `number` batches.
fn batch(rooms: &[RoomName], epoch: Epoch, number: usize) -> Option<Vec<Append>> {
    let append = |round, room: &RoomName| {
        Some(Append { room: room.clone(), epoch, record: record(round)?, pictures: Vec::new() })
    };
    let rounds = number * ROUNDS..(number + 1) * ROUNDS;
    rounds.flat_map(|round| rooms.iter().map(move |room| append(round, room))).collect()
}

/// The record of a broadcast; all its messages have ids.
fn record(round: usize) -> Option<Record> {
    let mut open = ChatRound::new(&encode::audience(&[]));
    let offsets = (1 + (round * LINES_OF_ROUND) as u64..).take(LINES_OF_ROUND);
    for offset in offsets.clone() {
        open.push(&encode::said(offset), Reach::All, None);
    }
    let (mut record, ..) = open.finish(Hearers::Room, &Budget::new(1 << 20)).1.into_record()?;
    record.keys = offsets.map(|offset| Keyed { key: [offset as u8; 16], offset, at: encode::AT }).collect();
    Some(record)
}
