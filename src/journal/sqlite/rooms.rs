//! Jobs on whole rooms: list them, read the state of one, forget some.

use super::{
    columns::record_id,
    epochs,
    fault::Fault,
    open::Open,
    rows::{KEY_LEN, RoomRow, last_offset, room_id, unpack_key},
};
use crate::{
    domain::RoomName,
    journal::{Epoch, Keyed, Retention, RoomState, now_millis},
};

impl Open {
    /// All rooms, each with the time of its last message.
    pub(super) fn rooms(&mut self, retention: Retention) -> Result<Vec<(RoomName, u64)>, Fault> {
        self.check_owner()?;
        self.move_staged(retention)?;
        let mut query = self.connection.prepare("SELECT id, name FROM rooms")?;
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
        let mut rooms = Vec::with_capacity(rows.len());
        for (id, name) in rows {
            // Give a damaged room the current time, so that it is not the first to be forgotten.
            let last_message_at =
                self.last_message_at(id).or_else(|fault| self.pass_over(fault, now_millis()))?;
            rooms.extend(RoomName::stored(&name).map(|name| (name, last_message_at)));
        }
        Ok(rooms)
    }

    /// The state of a room. An unknown room has no messages and the epoch of new rooms.
    pub(super) fn state(&mut self, name: &RoomName, retention: Retention) -> Result<RoomState, Fault> {
        self.check_owner()?;
        if self.staged.has(name) {
            self.move_staged(retention)?;
        }
        let Some(room) = self.room(name)? else {
            let unknown = Epoch { id: self.epoch, starts: 1 };
            let names = self.names(name)?;
            return Ok(RoomState { epochs: vec![unknown], head: 0, keys: Vec::new(), names });
        };
        self.check_head(name, &room)?;
        Ok(RoomState {
            epochs: epochs::of_room(&self.connection, room.id, &self.runs, room.head)?,
            head: room.head,
            keys: self.keys(&room)?,
            names: self.names(name)?,
        })
    }

    /// Checks the head: one behind the last message would give out offsets twice. If it is before the head, messages are
    /// missing, which is damage that a room goes on behind.
    fn check_head(&self, name: &RoomName, room: &RoomRow) -> Result<(), Fault> {
        let damaged = |what| Fault::damaged(&self.files.database, what);
        let last = last_offset(&self.connection, room.id)?.unwrap_or(0);
        if last > room.head {
            let what = format!("room {name:?} has message {last}, but its head is {}", room.head);
            return Err(damaged(what));
        }
        // A room that has lost all that was too old counts none.
        if last < room.head && room.messages > 0 {
            let what = format!("room {name:?} ends with message {last} instead of {}", room.head);
            return self.pass_over(damaged(what), ());
        }
        Ok(())
    }

    /// The keys of a room's messages, in the order of their offsets.
    fn keys(&self, room: &RoomRow) -> Result<Vec<Keyed>, Fault> {
        let mut keys = Vec::new();
        let mut query = self.connection.prepare_cached(
            "SELECT keys FROM rounds WHERE id >= ?1 AND id < ?2 AND keys IS NOT NULL ORDER BY id",
        )?;
        let mut rows = query.query([record_id(room.id, 0), record_id(room.id + 1, 0)])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            keys.extend(packed.chunks_exact(KEY_LEN).filter_map(unpack_key));
        }
        Ok(keys)
    }

    /// Deletes the messages, epochs and rows of rooms.
    pub(super) fn forget(&mut self, names: &[RoomName], retention: Retention) -> Result<(), Fault> {
        if names.iter().any(|name| self.staged.has(name)) {
            self.move_staged(retention)?;
        }
        let transaction = self.begin()?;
        for name in names {
            let Some(room) = room_id(&transaction, name)? else {
                continue;
            };
            let range = [record_id(room, 0), record_id(room + 1, 0)];
            transaction.prepare_cached("DELETE FROM rounds WHERE id >= ?1 AND id < ?2")?.execute(range)?;
            transaction.prepare_cached("DELETE FROM epochs WHERE room = ?1")?.execute([room])?;
            transaction.prepare_cached("DELETE FROM rooms WHERE id = ?1")?.execute([room])?;
        }
        // The offsets of these rooms may be given out again.
        let epoch = epochs::begin(&transaction, false)?;
        transaction.commit()?;
        self.epoch = epoch;
        for name in names {
            self.rooms.remove(name);
        }
        Ok(())
    }
}
