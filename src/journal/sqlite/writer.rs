//! The thread that writes.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    fs::File,
    sync::Arc,
};

use log::{error, info};
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::mpsc;

use super::{
    Place, Write,
    schema::{self, Counters, Fault, immediate, int, offset_of, round_id, set_meta},
};
use crate::{
    domain::RoomName,
    journal::{Append, Epoch, JournalError, Keyed, Position, Retention, now_millis},
    parts::Parts,
};

/// Bytes of a packed key: itself, its offset, its time.
const KEY_LEN: usize = 16 + 8 + 8;

/// Epochs that a room remembers; a client of an older one gets the latest page.
const MAX_EPOCHS: i64 = 16;

/// Rounds that are let go in one step.
const TRIM_STEP: i64 = 256;

/// Writes until the journal is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    place: Arc<Place>,
    retention: Retention,
    open: Option<Open>,
    /// Whether the file has been open in this process: what was relayed since is still known.
    was_open: bool,
    /// Whether the last attempt to write failed, so that a change is logged once.
    is_failing: bool,
}

/// The file while it is open.
#[derive(Debug)]
pub(super) struct Open {
    connection: Connection,
    counters: Counters,
    /// What the table says of the rooms written to so far.
    rooms: HashMap<RoomName, RoomRow>,
    /// Written since the size of all was looked at.
    unmeasured: u64,
    /// Keeps other servers out for as long as it is open.
    _lock: File,
}

/// A row of the table of rooms.
#[derive(Clone, Copy, Debug)]
struct RoomRow {
    id: i64,
    head: u64,
    messages: u64,
    bytes: u64,
    /// Its last epoch's number.
    epoch: u64,
}

impl Writer {
    pub fn new(place: Arc<Place>, retention: Retention) -> Self {
        Self { place, retention, open: None, was_open: false, is_failing: false }
    }

    pub fn run(mut self, mut jobs: mpsc::Receiver<Write>, parts: &Parts) {
        while let Some(job) = jobs.blocking_recv() {
            parts.panic_if_poisoned(super::WRITER);
            // Whoever asked may have left, which is its own affair.
            match job {
                Write::Rooms(answer) => drop(answer.send(self.attempt(Open::rooms))),
                Write::Open(room, answer) => drop(answer.send(self.attempt(|open, _| open.position(&room)))),
                Write::Append(batch, answer) => {
                    drop(answer.send(self.attempt(|open, retention| open.append(&batch, retention))));
                }
                Write::Sweep(answer) => drop(answer.send(self.attempt(Open::sweep))),
                Write::Forget(room, answer) => {
                    drop(answer.send(self.attempt(|open, _| open.forget(&room))));
                }
                Write::Close(answer) => drop(answer.send(self.attempt(|open, _| open.close()))),
            }
        }
    }

    /// Opens the file for this one job: all messages of a room are let go.
    pub fn forget_alone(mut self, room: &RoomName) -> Result<(), String> {
        let file = self.place.file.clone();
        let open = self.connect().map_err(|fault| JournalError::from(fault).to_string())?;
        let is_known = open.room(room).map(|room| room.is_some());
        if !is_known.map_err(|error| format!("{}: {error}", file.display()))? {
            return Err(format!("there is no room {:?} in {}", room.as_str(), file.display()));
        }
        open.forget(room).and_then(|()| open.close()).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Opens the file if it is not.
    pub fn connect(&mut self) -> Result<&mut Open, Fault> {
        if self.open.is_none() {
            let lock = self.place.lock()?;
            let (connection, counters) = schema::open_to_write(&self.place, !self.was_open)?;
            self.was_open = true;
            self.open =
                Some(Open { connection, counters, rooms: HashMap::new(), unmeasured: 0, _lock: lock });
        }
        self.open.as_mut().ok_or_else(|| Fault::passing(&self.place.file, "it is not open"))
    }

    /// Does something with the file. After a failure the file is opened anew for the next attempt.
    fn attempt<T>(
        &mut self,
        job: impl FnOnce(&mut Open, Retention) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let retention = self.retention;
        let file = self.place.file.clone();
        let outcome = self
            .connect()
            .and_then(|open| job(open, retention).map_err(|error| Fault::of(&file, error)))
            .map_err(JournalError::from);
        match &outcome {
            Ok(_) if self.is_failing => info!("the journal is available again"),
            Err(error) if !self.is_failing => error!("{error}"),
            _ => {}
        }
        self.is_failing = outcome.is_err();
        if self.is_failing {
            self.open = None;
        }
        outcome
    }
}

impl Open {
    fn rooms(&mut self, _: Retention) -> rusqlite::Result<Vec<(RoomName, u64)>> {
        let mut query = self.connection.prepare(
            "SELECT name, ifnull((SELECT at FROM rounds WHERE rounds.id >= rooms.id << 40
                                  AND rounds.id < (rooms.id + 1) << 40 ORDER BY rounds.id DESC LIMIT 1), 0) FROM rooms",
        )?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        rows.filter_map(|row| {
            row.map(|(name, at)| Some((RoomName::parse(&name).ok()?, at.unsigned_abs()))).transpose()
        })
        .collect()
    }

    fn forget(&mut self, name: &RoomName) -> rusqlite::Result<()> {
        let transaction = immediate(&mut self.connection)?;
        let Some(room) = room_by_name(&transaction, name)? else {
            return Ok(());
        };
        let range = [round_id(room.id, 0), round_id(room.id + 1, 0)];
        transaction.execute("DELETE FROM rounds WHERE id >= ?1 AND id < ?2", range)?;
        transaction.execute("DELETE FROM epochs WHERE room = ?1", [room.id])?;
        transaction.execute("DELETE FROM rooms WHERE id = ?1", [room.id])?;
        // Its offsets may be given out again.
        let epoch = self.counters.epoch + 1;
        set_meta(&transaction, "epoch", int(epoch))?;
        transaction.commit()?;
        self.counters.epoch = epoch;
        self.rooms.remove(name);
        Ok(())
    }

    fn position(&mut self, name: &RoomName) -> rusqlite::Result<Position> {
        let current = self.counters.epoch;
        let unknown = Epoch { id: self.counters.id(current), starts: 1 };
        let Some(room) = self.room(name)? else {
            return Ok(Position { epochs: vec![unknown], head: 0, keys: Vec::new() });
        };
        let mut epochs = self
            .connection
            .prepare_cached("SELECT number, starts FROM epochs WHERE room = ?1 ORDER BY number")?
            .query_map([room.id], |row| {
                let (number, starts): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Epoch { id: self.counters.id(number.unsigned_abs()), starts: starts.unsigned_abs() })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if room.epoch < self.counters.crashed {
            epochs.push(Epoch { id: unknown.id, starts: room.head + 1 });
        }
        let mut keys = Vec::new();
        let mut query = self.connection.prepare_cached(
            "SELECT keys FROM rounds WHERE id >= ?1 AND id < ?2 AND keys IS NOT NULL ORDER BY id",
        )?;
        let mut rows = query.query([round_id(room.id, 0), round_id(room.id + 1, 0)])?;
        while let Some(row) = rows.next()? {
            keys.extend(row.get_ref(0)?.as_blob()?.chunks_exact(KEY_LEN).filter_map(unpack_key));
        }
        Ok(Position { epochs, head: room.head, keys })
    }

    fn append(&mut self, batch: &[Append], retention: Retention) -> rusqlite::Result<()> {
        let mut touched: HashMap<RoomName, RoomRow> = HashMap::new();
        let transaction = immediate(&mut self.connection)?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO rounds VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for Append { room: name, epoch, record } in batch {
                let known = touched.get(name).or_else(|| self.rooms.get(name)).copied();
                let mut room = match known {
                    Some(room) => room,
                    None => find_or_make(&transaction, name, record.first - 1)?,
                };
                if room.epoch != epoch.id.number {
                    add_epoch(&transaction, &mut room, *epoch)?;
                }
                let keys = pack_keys(&record.keys);
                let added = insert.execute((
                    round_id(room.id, record.first),
                    record.count,
                    int(record.at),
                    (!keys.is_empty()).then_some(&keys[..]),
                    &record.entries[..],
                ))?;
                if added > 0 {
                    room.head = record.last();
                    room.messages += u64::from(record.count);
                    room.bytes += (keys.len() + record.entries.len()) as u64;
                    self.unmeasured += (keys.len() + record.entries.len()) as u64;
                }
                touched.insert(name.clone(), room);
            }
        }
        for room in touched.values_mut() {
            // A little more may stay, so that not every batch has something to let go.
            if room.messages > retention.messages + retention.messages / 8 || room.bytes > retention.bytes {
                trim(&transaction, room, |row, room| {
                    room.messages - row.count >= retention.messages || room.bytes > retention.bytes
                })?;
            }
            save(&transaction, room)?;
        }
        transaction.commit()?;
        self.rooms.extend(touched);
        if self.unmeasured > retention.total_bytes / 32 {
            self.unmeasured = 0;
            self.shed(retention.total_bytes)?;
        }
        Ok(())
    }

    /// Lets the oldest rounds of all go until the rest is small enough.
    fn shed(&mut self, total_bytes: u64) -> rusqlite::Result<()> {
        if self.used_bytes()? <= total_bytes {
            return Ok(());
        }
        let target = total_bytes - total_bytes / 16;
        let mut oldest = BinaryHeap::new();
        for room in self.all_rooms()? {
            oldest.extend(self.oldest_round(&room)?.map(|at| Reverse((at, room.id))));
        }
        while let Some(Reverse((_, id))) = oldest.pop() {
            let excess = self.used_bytes()?.saturating_sub(target);
            if excess == 0 {
                break;
            }
            let transaction = immediate(&mut self.connection)?;
            let mut room = room_by_id(&transaction, id)?;
            let (mut rounds, mut bytes) = (0, 0);
            trim_all(&transaction, &mut room, |row, _| {
                let goes = rounds < TRIM_STEP && bytes < excess;
                rounds += 1;
                bytes += row.bytes;
                goes
            })?;
            save(&transaction, &room)?;
            transaction.commit()?;
            oldest.extend(self.oldest_round(&room)?.map(|at| Reverse((at, room.id))));
        }
        self.rooms.clear();
        Ok(())
    }

    fn sweep(&mut self, retention: Retention) -> rusqlite::Result<Vec<RoomName>> {
        self.rooms.clear();
        self.shed(retention.total_bytes)?;
        let age = u64::try_from(retention.age.as_millis()).unwrap_or(u64::MAX);
        let cutoff = now_millis().saturating_sub(age);
        let rooms = self.all_rooms()?;
        let transaction = immediate(&mut self.connection)?;
        for mut room in rooms {
            let before = room.messages;
            trim_all(&transaction, &mut room, |row, _| row.at < cutoff)?;
            if room.messages != before {
                save(&transaction, &room)?;
            }
        }
        let gone: Vec<(i64, String)> = transaction
            .prepare("SELECT id, name FROM rooms WHERE messages = 0")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, _) in &gone {
            transaction.execute("DELETE FROM epochs WHERE room = ?1", [id])?;
            transaction.execute("DELETE FROM rooms WHERE id = ?1", [id])?;
        }
        let epoch = self.counters.epoch + u64::from(!gone.is_empty());
        set_meta(&transaction, "epoch", int(epoch))?;
        transaction.commit()?;
        self.counters.epoch = epoch;
        Ok(gone.into_iter().filter_map(|(_, name)| RoomName::parse(&name).ok()).collect())
    }

    fn close(&mut self) -> rusqlite::Result<()> {
        set_meta(&self.connection, "in_use", 0)?;
        // So that the file is whole by itself; a reader in the way only leaves that for later.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    fn room(&self, name: &RoomName) -> rusqlite::Result<Option<RoomRow>> {
        match self.rooms.get(name) {
            Some(room) => Ok(Some(*room)),
            None => room_by_name(&self.connection, name),
        }
    }

    fn all_rooms(&self) -> rusqlite::Result<Vec<RoomRow>> {
        let mut query = self.connection.prepare("SELECT id FROM rooms")?;
        let ids = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        ids.into_iter().map(|id| room_by_id(&self.connection, id)).collect()
    }

    /// When the oldest round of a room was said.
    fn oldest_round(&self, room: &RoomRow) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT at FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?
            .query_row([round_id(room.id, 0), round_id(room.id + 1, 0)], |row| row.get(0))
            .optional()
    }

    /// Bytes of the file that hold something.
    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let value = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = value("page_count")? - value("freelist_count")?;
        Ok(pages.unsigned_abs() * value("page_size")?.unsigned_abs())
    }
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

fn room_by_name(connection: &Connection, name: &RoomName) -> rusqlite::Result<Option<RoomRow>> {
    connection
        .prepare_cached(&format!("{ROOM_COLUMNS} WHERE name = ?1"))?
        .query_row([name.as_str()], room_row)
        .optional()
}

fn room_by_id(connection: &Connection, id: i64) -> rusqlite::Result<RoomRow> {
    connection.prepare_cached(&format!("{ROOM_COLUMNS} WHERE id = ?1"))?.query_row([id], room_row)
}

fn find_or_make(connection: &Connection, name: &RoomName, head: u64) -> rusqlite::Result<RoomRow> {
    if let Some(room) = room_by_name(connection, name)? {
        return Ok(room);
    }
    connection
        .prepare_cached("INSERT INTO rooms (name, head, messages, bytes) VALUES (?1, ?2, 0, 0)")?
        .execute((name.as_str(), int(head)))?;
    Ok(RoomRow { id: connection.last_insert_rowid(), head, messages: 0, bytes: 0, epoch: 0 })
}

fn add_epoch(connection: &Connection, room: &mut RoomRow, epoch: Epoch) -> rusqlite::Result<()> {
    room.epoch = epoch.id.number;
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
        .execute((room.id, MAX_EPOCHS))
        .map(|_| ())
}

fn save(connection: &Connection, room: &RoomRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE rooms SET head = ?2, messages = ?3, bytes = ?4 WHERE id = ?1")?
        .execute((room.id, int(room.head), int(room.messages), int(room.bytes)))
        .map(|_| ())
}

/// A round that may be let go.
struct OldRound {
    id: i64,
    count: u64,
    at: u64,
    bytes: u64,
}

/// Lets rounds of a room go, the oldest first, while `is_too_much` says so; the newest stays.
fn trim(
    connection: &Connection,
    room: &mut RoomRow,
    mut is_too_much: impl FnMut(&OldRound, &RoomRow) -> bool,
) -> rusqlite::Result<()> {
    let newest = room.head;
    trim_all(connection, room, |row, room| offset_of(row.id) + row.count <= newest && is_too_much(row, room))
}

/// The same without sparing the newest.
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

fn pack_keys(keys: &[Keyed]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(keys.len() * KEY_LEN);
    for Keyed { key, offset, at } in keys {
        packed.extend_from_slice(key);
        packed.extend_from_slice(&offset.to_le_bytes());
        packed.extend_from_slice(&at.to_le_bytes());
    }
    packed
}

fn unpack_key(packed: &[u8]) -> Option<Keyed> {
    let (key, rest) = packed.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (at, _) = rest.split_first_chunk()?;
    Some(Keyed { key: *key, offset: u64::from_le_bytes(*offset), at: u64::from_le_bytes(*at) })
}
