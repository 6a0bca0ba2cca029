//! Deletes records by age, by the bounds of a room and by the bound of all rooms.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use log::info;
use rusqlite::OptionalExtension as _;

use super::{
    columns::{OFFSET_BITS, int, record_id},
    epochs,
    fault::Fault,
    meta, names,
    open::Open,
    rows::{RoomRow, room_by_id, save},
    transaction::Transaction,
    trim::{TRIM_STEP, trim_all},
};
use crate::{
    domain::RoomName,
    journal::{
        Retention,
        age::{Clock, Expired, millis},
        now_millis,
    },
};

/// Keys of the clock's state in the table `meta`.
const CLOCK_KEYS: [&str; 3] = ["clock_seen", "clock_doubted_since", "clock_doubted_newest"];

impl Open {
    /// If the file uses over `total_bytes`, deletes the oldest records until it uses a sixteenth less.
    pub(super) fn shed(&mut self, retention: Retention) -> Result<(), Fault> {
        let total_bytes = retention.total_bytes;
        if self.used_bytes()? <= total_bytes {
            return Ok(());
        }
        self.move_staged(retention)?;
        self.save_rows()?;
        self.rooms.clear();
        let target = total_bytes - total_bytes / 16;
        let mut oldest = BinaryHeap::new();
        for room in self.all_rooms()? {
            let at = self.oldest_record(&room).or_else(|fault| self.pass_over(fault, None))?;
            oldest.extend(at.map(|at| Reverse((at, room.id))));
        }
        let mut deleted = 0;
        let files = Arc::clone(&self.files);
        while let Some(Reverse((_, id))) = oldest.pop() {
            let excess = self.used_bytes()?.saturating_sub(target);
            if excess == 0 {
                break;
            }
            let transaction = self.begin()?;
            let mut room = room_by_id(&transaction, &files.database, id)?;
            let (mut records, mut bytes, before) = (0, 0, room.messages);
            trim_all(&transaction, &mut room, |row, _| {
                let is_surplus = records < TRIM_STEP && bytes < excess;
                records += 1;
                bytes += row.bytes;
                is_surplus
            })?;
            save(&transaction, &mut room)?;
            transaction.commit()?;
            deleted += before.saturating_sub(room.messages);
            oldest.extend(self.oldest_record(&room)?.map(|at| Reverse((at, room.id))));
        }
        info!(
            "the oldest {deleted} messages of all rooms were deleted, because the file was over --max-data-size"
        );
        Ok(())
    }

    /// Deletes expired records if the clock is trusted; returns the rooms that this removed.
    pub(super) fn sweep(&mut self, retention: Retention) -> Result<Vec<RoomName>, Fault> {
        self.move_staged(retention)?;
        self.rooms.clear();
        self.shed(retention)?;
        let (now, rooms) = (now_millis(), self.all_rooms()?);
        let cutoff = now.saturating_sub(millis(retention.age));
        let newest = self.newest(&rooms, now)?;
        let is_first = !std::mem::replace(&mut self.has_swept, true);
        let (files, condition) = (Arc::clone(&self.files), Arc::clone(&self.condition));
        let transaction = self.begin()?;
        if !is_clock_trusted(&transaction, now, newest, is_first)? {
            let expired = count_expired(&transaction, &rooms, cutoff)?;
            transaction.commit()?;
            if expired.messages > 0 && !std::mem::replace(&mut self.has_doubted, true) {
                expired.log_kept(now, newest);
            }
            return Ok(Vec::new());
        }
        let mut expired = Expired::default();
        for mut room in rooms {
            let before = room.messages;
            if let Err(error) = trim_all(&transaction, &mut room, |row, _| row.at < cutoff) {
                condition.pass_over(error.into(), &files.database)?;
            }
            if room.messages != before || room.is_behind() {
                save(&transaction, &mut room)?;
            }
            if room.messages != before {
                expired.messages += before - room.messages;
                expired.rooms += 1;
            }
        }
        names::sweep(&transaction, now)?;
        let removed = forget_empty(&transaction)?;
        expired.emptied = removed.len();
        // The offsets of removed rooms restart at 1, so they need a new epoch.
        let new_epoch = if removed.is_empty() { None } else { Some(epochs::begin(&transaction, false)?) };
        transaction.commit()?;
        self.epoch = new_epoch.unwrap_or(self.epoch);
        self.has_doubted = false;
        expired.log_deleted(now, newest);
        Ok(removed.into_iter().filter_map(|name| RoomName::parse(&name).ok()).collect())
    }

    /// The time of the newest last message of a room, without those later than `now`.
    fn newest(&self, rooms: &[RoomRow], now: u64) -> Result<Option<u64>, Fault> {
        let mut newest = None;
        for room in rooms.iter().filter(|room| room.messages > 0) {
            let last_message_at = self.last_message_at(room.id).or_else(|fault| self.pass_over(fault, 0))?;
            newest = newest.max(Some(last_message_at).filter(|at| *at <= now));
        }
        Ok(newest)
    }

    /// All rooms except damaged ones.
    fn all_rooms(&self) -> Result<Vec<RoomRow>, Fault> {
        let mut query = self.connection.prepare("SELECT id FROM rooms")?;
        let ids = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut rooms = Vec::with_capacity(ids.len());
        for id in ids {
            let room = room_by_id(&self.connection, &self.files.database, id).map(Some);
            rooms.extend(room.or_else(|fault| self.pass_over(fault, None))?);
        }
        Ok(rooms)
    }

    /// The time of the oldest record of a room.
    fn oldest_record(&self, room: &RoomRow) -> Result<Option<i64>, Fault> {
        let at = self
            .connection
            .prepare_cached("SELECT at FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?
            .query_row([record_id(room.id, 0), record_id(room.id + 1, 0)], |row| row.get(0))
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
fn is_clock_trusted(
    transaction: &Transaction<'_>,
    now: u64,
    newest: Option<u64>,
    is_first: bool,
) -> rusqlite::Result<bool> {
    let [last_seen, doubted_since, doubted_newest] = CLOCK_KEYS.map(|key| meta::get(transaction, key));
    let known = |value: rusqlite::Result<Option<i64>>| value.map(|value| value.unwrap_or(0).unsigned_abs());
    let mut clock = Clock {
        last_seen: known(last_seen)?,
        doubted_since: known(doubted_since)?,
        doubted_newest: known(doubted_newest)?,
    };
    let is_trusted = clock.check(now, newest, is_first);
    for (key, value) in
        CLOCK_KEYS.into_iter().zip([clock.last_seen, clock.doubted_since, clock.doubted_newest])
    {
        meta::set(transaction, key, int(value))?;
    }
    Ok(is_trusted)
}

/// Counts the messages older than `cutoff`.
fn count_expired(transaction: &Transaction<'_>, rooms: &[RoomRow], cutoff: u64) -> rusqlite::Result<Expired> {
    let mut query = transaction
        .prepare("SELECT ifnull(sum(count), 0) FROM rounds WHERE id >= ?1 AND id < ?2 AND at < ?3")?;
    let mut expired = Expired::default();
    for room in rooms {
        let messages: i64 = query
            .query_row((record_id(room.id, 0), record_id(room.id + 1, 0), int(cutoff)), |row| row.get(0))?;
        expired.messages += messages.unsigned_abs();
        expired.rooms += usize::from(messages > 0);
    }
    Ok(expired)
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
