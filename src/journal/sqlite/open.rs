//! The file while it is open for writing.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _};

use super::{
    avatars::AvatarTable,
    columns::record_id,
    condition::Condition,
    epochs,
    fault::Fault,
    files::Files,
    rows::{RoomRow, room_by_name, save},
    run::Run,
    staged::Staged,
    transaction::Transaction,
};
use crate::{
    domain::RoomName,
    journal::{EpochId, Retention},
};

/// The file while it is open for writing. The jobs on it are in files of their own.
#[derive(Debug)]
pub(super) struct Open {
    pub connection: Connection,
    pub files: Arc<Files>,
    pub condition: Arc<Condition>,
    pub run: Run,
    /// Epochs at the start of server runs, the oldest first and this run's last.
    pub runs: Vec<EpochId>,
    /// The epoch of new rooms.
    pub epoch: EpochId,
    /// Cached rows of the rooms written to so far.
    pub rooms: HashMap<RoomName, RoomRow>,
    /// What is staged, for the reader.
    pub staged: Arc<Staged>,
    /// The rows of staged batches before this one are damaged, and stay where they are.
    pub first_staged: i64,
    /// Whether the table of staged batches is damaged: nothing more is staged then.
    pub is_staging_off: bool,
    /// Bytes written since the size of the file was last checked.
    pub unmeasured: u64,
    /// The size of the avatar table, once measured.
    pub avatars: Option<AvatarTable>,
    /// Whether a sweep by age has been made.
    pub has_swept: bool,
    /// Whether the current doubt about the clock has been logged.
    pub has_doubted: bool,
}

impl Open {
    /// Opens the file, and moves what is staged in it.
    pub(super) fn new(
        connection: Connection,
        files: Arc<Files>,
        condition: Arc<Condition>,
        run: Run,
        staged: Arc<Staged>,
        retention: Retention,
    ) -> Result<Self, Fault> {
        let mut open = Self {
            runs: epochs::of_runs(&connection)?,
            epoch: epochs::last(&connection)?,
            connection,
            files,
            condition,
            run,
            rooms: HashMap::new(),
            staged,
            first_staged: 0,
            is_staging_off: false,
            unmeasured: 0,
            avatars: None,
            has_swept: false,
            has_doubted: false,
        };
        open.move_all_staged(retention)?;
        Ok(open)
    }

    pub(super) fn check_owner(&self) -> Result<(), Fault> {
        self.run.check_owner(&self.connection, &self.files)
    }

    /// Begins a transaction that this run owns: no other server can take the file over until it ends.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        self.run.transaction(&mut self.connection, &self.files)
    }

    /// Counts damage and returns `instead`.
    pub(super) fn pass_over<T>(&self, fault: Fault, instead: T) -> Result<T, Fault> {
        self.condition.pass_over(fault, &self.files.database).map(|()| instead)
    }

    pub(super) fn room(&self, name: &RoomName) -> Result<Option<RoomRow>, Fault> {
        match self.rooms.get(name) {
            Some(room) => Ok(Some(*room)),
            None => room_by_name(&self.connection, &self.files.database, name),
        }
    }

    /// The time of the last message of a room in milliseconds since 1970; 0 without one.
    pub(super) fn last_message_at(&self, room: i64) -> Result<u64, Fault> {
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT at FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")?
            .query_row([record_id(room, 0), record_id(room + 1, 0)], |row| row.get(0))
            .optional()?;
        Ok(at.unwrap_or(0).unsigned_abs())
    }

    /// Saves the rows of rooms that are behind. Nothing may be staged.
    pub(super) fn save_rows(&mut self) -> Result<(), Fault> {
        if !self.rooms.values().any(RoomRow::is_behind) {
            return Ok(());
        }
        let mut rooms = std::mem::take(&mut self.rooms);
        let transaction = self.begin()?;
        for room in rooms.values_mut().filter(|room| room.is_behind()) {
            save(&transaction, room)?;
        }
        transaction.commit()?;
        self.rooms = rooms;
        Ok(())
    }

    pub(super) fn close(&mut self, retention: Retention) -> Result<(), Fault> {
        self.move_staged(retention)?;
        self.save_rows()?;
        self.run.end(&mut self.connection, &self.files)
    }
}
