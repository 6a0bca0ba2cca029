//! Deletes records by age, by the bounds of a room and by the bound of all rooms.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use log::info;
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    names,
    rows::{RoomRow, room_by_id, save},
    schema::{self, Fault, OFFSET_BITS, int, meta, offset_of, round_id, set_meta},
    transaction::Transaction,
    writer::Open,
};
use crate::{
    domain::RoomName,
    journal::{
        Retention,
        age::{Clock, Old, millis},
        now_millis,
    },
};

/// Maximum number of records deleted in one step.
const TRIM_STEP: i64 = 256;

/// Keys of the clock's state in the table `meta`.
const CLOCK_KEYS: [&str; 3] = ["clock_seen", "clock_doubted_since", "clock_doubted_newest"];

impl Open {
    /// If the file uses over `total_bytes`, deletes the oldest records until it uses a sixteenth less.
    pub(super) fn shed(&mut self, total_bytes: u64) -> Result<(), Fault> {
        if self.used_bytes()? <= total_bytes {
            return Ok(());
        }
        self.save_rows()?;
        let target = total_bytes - total_bytes / 16;
        let mut oldest = BinaryHeap::new();
        for room in self.all_rooms()? {
            let at = self.oldest_round(&room).or_else(|fault| self.pass_over(fault, None))?;
            oldest.extend(at.map(|at| Reverse((at, room.id))));
        }
        let mut let_go = 0;
        let place = Arc::clone(&self.place);
        while let Some(Reverse((_, id))) = oldest.pop() {
            let excess = self.used_bytes()?.saturating_sub(target);
            if excess == 0 {
                break;
            }
            let transaction = self.begin()?;
            let mut room = room_by_id(&transaction, &place, id)?;
            let (mut rounds, mut bytes, before) = (0, 0, room.messages);
            trim_all(&transaction, &mut room, |row, _| {
                let goes = rounds < TRIM_STEP && bytes < excess;
                rounds += 1;
                bytes += row.bytes;
                goes
            })?;
            save(&transaction, &mut room)?;
            transaction.commit()?;
            let_go += before.saturating_sub(room.messages);
            oldest.extend(self.oldest_round(&room)?.map(|at| Reverse((at, room.id))));
        }
        self.rooms.clear();
        info!("{let_go} messages, the oldest of all rooms, were over --max-data-size and are gone");
        Ok(())
    }

    /// Deletes expired records if the clock is trusted; returns the rooms that this removed.
    pub(super) fn sweep(&mut self, retention: Retention) -> Result<Vec<RoomName>, Fault> {
        self.rooms.clear();
        self.shed(retention.total_bytes)?;
        let (now, rooms) = (now_millis(), self.all_rooms()?);
        let cutoff = now.saturating_sub(millis(retention.age));
        let newest = self.newest(&rooms, now)?;
        let is_first = !std::mem::replace(&mut self.has_swept, true);
        let (place, condition) = (Arc::clone(&self.place), Arc::clone(&self.condition));
        let transaction = self.begin()?;
        if !believes(&transaction, now, newest, is_first)? {
            let old = too_old(&transaction, &rooms, cutoff)?;
            transaction.commit()?;
            if old.messages > 0 && !std::mem::replace(&mut self.has_doubted, true) {
                old.log_kept(now, newest);
            }
            return Ok(Vec::new());
        }
        let mut old = Old::default();
        for mut room in rooms {
            let before = room.messages;
            if let Err(error) = trim_all(&transaction, &mut room, |row, _| row.at < cutoff) {
                condition.pass_over(error.into(), &place)?;
            }
            if room.messages != before || room.is_behind() {
                save(&transaction, &mut room)?;
            }
            if room.messages != before {
                old.messages += before - room.messages;
                old.rooms += 1;
            }
        }
        names::sweep(&transaction, now)?;
        let gone = forget_empty(&transaction)?;
        old.emptied = gone.len();
        // The offsets of removed rooms restart at 1, so they need a new epoch.
        let anew = if gone.is_empty() { None } else { Some(schema::begin_epoch(&transaction, false)?) };
        transaction.commit()?;
        self.epoch = anew.unwrap_or(self.epoch);
        self.has_doubted = false;
        old.log_gone(now, newest);
        Ok(gone.into_iter().filter_map(|name| RoomName::parse(&name).ok()).collect())
    }

    /// The time of the newest last message of a room, without those later than `now`.
    fn newest(&self, rooms: &[RoomRow], now: u64) -> Result<Option<u64>, Fault> {
        let mut newest = None;
        for room in rooms.iter().filter(|room| room.messages > 0) {
            let said_last = self.said_last(room.id).or_else(|fault| self.pass_over(fault, 0))?;
            newest = newest.max(Some(said_last).filter(|at| *at <= now));
        }
        Ok(newest)
    }

    /// All rooms but those of which something is damaged.
    fn all_rooms(&self) -> Result<Vec<RoomRow>, Fault> {
        let mut query = self.connection.prepare("SELECT id FROM rooms")?;
        let ids = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut rooms = Vec::with_capacity(ids.len());
        for id in ids {
            let room = room_by_id(&self.connection, &self.place, id).map(Some);
            rooms.extend(room.or_else(|fault| self.pass_over(fault, None))?);
        }
        Ok(rooms)
    }

    /// The time of the oldest record of a room.
    fn oldest_round(&self, room: &RoomRow) -> Result<Option<i64>, Fault> {
        let at = self
            .connection
            .prepare_cached("SELECT at FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?
            .query_row([round_id(room.id, 0), round_id(room.id + 1, 0)], |row| row.get(0))
            .optional()?;
        Ok(at)
    }

    /// Bytes of the file without its free pages.
    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let value = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = value("page_count")? - value("freelist_count")?;
        Ok(pages.unsigned_abs() * value("page_size")?.unsigned_abs())
    }
}

/// Whether the clock is trusted; stores the state of the check in the file.
fn believes(
    transaction: &Transaction<'_>,
    now: u64,
    newest: Option<u64>,
    is_first: bool,
) -> rusqlite::Result<bool> {
    let [last_seen, doubted_since, doubted_newest] = CLOCK_KEYS.map(|key| meta(transaction, key));
    let known = |value: rusqlite::Result<Option<i64>>| value.map(|value| value.unwrap_or(0).unsigned_abs());
    let mut clock = Clock {
        last_seen: known(last_seen)?,
        doubted_since: known(doubted_since)?,
        doubted_newest: known(doubted_newest)?,
    };
    let is_believed = clock.look(now, newest, is_first);
    for (key, value) in
        CLOCK_KEYS.into_iter().zip([clock.last_seen, clock.doubted_since, clock.doubted_newest])
    {
        set_meta(transaction, key, int(value))?;
    }
    Ok(is_believed)
}

/// Counts the messages older than `cutoff`.
fn too_old(transaction: &Transaction<'_>, rooms: &[RoomRow], cutoff: u64) -> rusqlite::Result<Old> {
    let mut query = transaction
        .prepare("SELECT ifnull(sum(count), 0) FROM rounds WHERE id >= ?1 AND id < ?2 AND at < ?3")?;
    let mut old = Old::default();
    for room in rooms {
        let messages: i64 = query
            .query_row((round_id(room.id, 0), round_id(room.id + 1, 0), int(cutoff)), |row| row.get(0))?;
        old.messages += messages.unsigned_abs();
        old.rooms += usize::from(messages > 0);
    }
    Ok(old)
}

/// Deletes the rooms without messages, and returns their names.
fn forget_empty(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    // The row of a room that is damaged may say 0 while there are records.
    let is_empty = format!(
        "messages = 0 AND NOT EXISTS
            (SELECT 1 FROM rounds WHERE rounds.id >= rooms.id << {OFFSET_BITS} AND rounds.id < rooms.id + 1 << {OFFSET_BITS})"
    );
    transaction
        .execute(&format!("DELETE FROM epochs WHERE room IN (SELECT id FROM rooms WHERE {is_empty})"), [])?;
    let mut query = transaction.prepare(&format!("DELETE FROM rooms WHERE {is_empty} RETURNING name"))?;
    query.query_map([], |row| row.get(0))?.collect()
}

/// A record that may be deleted.
pub(super) struct OldRound {
    id: i64,
    pub count: u64,
    at: u64,
    bytes: u64,
}

/// Deletes records of a room, the oldest first, while `is_too_much` returns true; keeps the newest one.
pub(super) fn trim(
    connection: &Connection,
    room: &mut RoomRow,
    mut is_too_much: impl FnMut(&OldRound, &RoomRow) -> bool,
) -> rusqlite::Result<()> {
    let newest = room.head;
    trim_all(connection, room, |row, room| offset_of(row.id) + row.count <= newest && is_too_much(row, room))
}

/// Like [`trim`], but may delete the newest record too.
fn trim_all(
    connection: &Connection,
    room: &mut RoomRow,
    mut is_too_much: impl FnMut(&OldRound, &RoomRow) -> bool,
) -> rusqlite::Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT id, count, at, ifnull(length(keys), 0) + length(entries) FROM rounds
         WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    loop {
        let rows = query
            .query_map((round_id(room.id, 0), round_id(room.id + 1, 0), TRIM_STEP), |row| {
                let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
                Ok(OldRound { id: row.get(0)?, count: number(1)?, at: number(2)?, bytes: number(3)? })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut last = None;
        for row in &rows {
            if !is_too_much(row, room) {
                break;
            }
            room.messages = room.messages.saturating_sub(row.count);
            room.bytes = room.bytes.saturating_sub(row.bytes);
            last = Some(row.id);
        }
        let Some(last) = last else {
            return Ok(());
        };
        connection
            .prepare_cached("DELETE FROM rounds WHERE id >= ?1 AND id <= ?2")?
            .execute([round_id(room.id, 0), last])?;
        if rows.last().is_some_and(|row| row.id != last) {
            return Ok(());
        }
    }
}
