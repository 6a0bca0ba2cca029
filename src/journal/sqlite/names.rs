//! The table of reserved nicknames.

use rusqlite::{Connection, OptionalExtension as _};

use super::{columns::int, fault::Fault, open::Open};
use crate::{
    domain::RoomName,
    journal::{ReservedName, Retention, now_millis},
    logging,
};

/// The setting of the bound, as the log names it.
const MAX_NAMES: &str = "--max-reserved-names (ECHOROOM_MAX_RESERVED_NAMES)";

impl Open {
    /// Reserves or frees names of a room in one transaction.
    pub(super) fn reserve(
        &mut self,
        room: &RoomName,
        names: &[ReservedName],
        retention: Retention,
    ) -> Result<(), Fault> {
        let transaction = self.begin()?;
        let mut left = retention.names.saturating_sub(count(&transaction)?);
        let mut surplus = 0;
        for name in names {
            if name.until == 0 {
                left += remove(&transaction, room, &name.key)?;
            } else if left > 0 || is_known(&transaction, room, &name.key)? {
                left = left.saturating_sub(insert(&transaction, room, name)?);
            } else {
                surplus += 1;
            }
        }
        transaction.commit()?;
        if surplus > 0 {
            logging::refused(MAX_NAMES, format_args!("{surplus} more names are not reserved"));
        }
        Ok(())
    }

    /// The unexpired reserved names of a room.
    pub(super) fn names(&self, room: &RoomName) -> Result<Vec<ReservedName>, Fault> {
        let mut query = self
            .connection
            .prepare_cached("SELECT key, name, owner, until FROM names WHERE room = ?1 AND until > ?2")?;
        let names = query.query_map((room.as_str(), int(now_millis())), |row| {
            Ok(ReservedName {
                key: row.get(0)?,
                name: row.get(1)?,
                owner: row.get(2)?,
                until: row.get::<_, i64>(3)?.unsigned_abs(),
            })
        })?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}

/// Deletes expired names; returns their number.
pub(super) fn sweep(connection: &Connection, now: u64) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM names WHERE until <= ?1", [int(now)])
}

fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let count: i64 =
        connection.prepare_cached("SELECT count(*) FROM names")?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn is_known(connection: &Connection, room: &RoomName, key: &str) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM names WHERE room = ?1 AND key = ?2")?
        .query_row((room.as_str(), key), |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Inserts or updates a name; returns the number of names added, 0 or 1.
fn insert(connection: &Connection, room: &RoomName, name: &ReservedName) -> rusqlite::Result<u64> {
    let before = is_known(connection, room, &name.key)?;
    connection
        .prepare_cached(
            "INSERT INTO names (room, key, name, owner, until) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET name = ?3, owner = ?4, until = ?5",
        )?
        .execute((room.as_str(), &name.key, &name.name, name.owner, int(name.until)))?;
    Ok(u64::from(!before))
}

/// Deletes a name; returns the number of names deleted, 0 or 1.
fn remove(connection: &Connection, room: &RoomName, key: &str) -> rusqlite::Result<u64> {
    let removed = connection
        .prepare_cached("DELETE FROM names WHERE room = ?1 AND key = ?2")?
        .execute((room.as_str(), key))?;
    Ok(removed as u64)
}
