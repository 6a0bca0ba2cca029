//! Stores batches of records.

use std::collections::HashMap;

use super::{
    avatars::AvatarTable,
    epochs,
    fault::Fault,
    open::Open,
    rows::{INSERT_RECORD, RoomRow, find_or_make, insert, save},
    transaction::Transaction,
    trim::trim,
};
use crate::{
    domain::RoomName,
    journal::{Append, Retention, now_millis},
};

impl Open {
    /// Makes a batch durable, and trims its rooms to the bounds of `retention`.
    pub(super) fn append(&mut self, batch: &[Append], retention: Retention) -> Result<(), Fault> {
        let database = &self.files.database;
        let mut touched: HashMap<RoomName, RoomRow> = HashMap::new();
        let mut written = 0;
        let transaction = self.run.transaction(&mut self.connection, &self.files)?;
        let mut statement = transaction.prepare_cached(INSERT_RECORD)?;
        let mut avatars = self.avatars;
        for Append { room: name, epoch, record, pictures } in batch {
            if !pictures.is_empty() {
                let table = avatars.map_or_else(|| AvatarTable::measure(&transaction), Ok)?;
                avatars = Some(table.keep(&transaction, pictures, now_millis(), retention.avatar_bytes)?);
            }
            let known = touched.get(name).or_else(|| self.rooms.get(name)).copied();
            let mut room = match known {
                Some(room) => room,
                None => find_or_make(&transaction, database, name, record.first - 1)?,
            };
            if room.epoch != epoch.id.number {
                room.epoch = epoch.id.number;
                epochs::add(&transaction, room.id, *epoch)?;
            }
            let bytes = insert(&transaction, &mut statement, &mut room, record)
                .map_err(|error| error.into_fault(database))?;
            written += bytes;
            touched.insert(name.clone(), room);
        }
        drop(statement);
        for room in touched.values_mut() {
            trim_or_save(&transaction, room, retention)?;
        }
        transaction.commit()?;
        self.rooms.extend(touched);
        self.avatars = avatars;
        self.unmeasured += written;
        if self.unmeasured > retention.total_bytes / 32 {
            self.unmeasured = 0;
            self.shed(retention.total_bytes)?;
        }
        Ok(())
    }
}

/// Trims a room that is over its bounds. Saves its row if it was trimmed, or if the row is due.
fn trim_or_save(
    transaction: &Transaction<'_>,
    room: &mut RoomRow,
    retention: Retention,
) -> rusqlite::Result<()> {
    // Allow an eighth more messages, so that not every batch has to trim.
    let is_full = room.messages > retention.messages + retention.messages / 8 || room.bytes > retention.bytes;
    if is_full {
        trim(transaction, room, |row, room| {
            room.messages - row.count >= retention.messages || room.bytes > retention.bytes
        })?;
    }
    if is_full || room.is_due() {
        save(transaction, room)?;
    }
    Ok(())
}
