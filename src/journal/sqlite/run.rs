//! Runs of a server: which one owns the file.

use log::{info, warn};
use rusqlite::{Connection, OptionalExtension as _, config::DbConfig};

use super::{
    epochs,
    fault::Fault,
    files::Files,
    meta,
    stamp::{DatabaseState, FolderState, Stamp},
    transaction::Transaction,
};

/// One run of a server, from opening the journal to its end. The file contains this random number while this
/// run owns it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub number: i64,
}

impl Run {
    /// Begins a run of the server with a new epoch: even if the file is a copy, no client knows this epoch.
    pub(super) fn begin(
        connection: &mut Connection,
        files: &Files,
        folder: &mut Option<FolderState>,
    ) -> Result<Self, Fault> {
        let transaction = Transaction::immediate(connection)?;
        let database = DatabaseState {
            run: meta::get(&transaction, "run")?,
            in_use: meta::get(&transaction, "in_use")? == Some(1),
        };
        // Take the state, so that a repeated attempt does not log the finding again.
        match folder.take().and_then(|folder| folder.finding(database)) {
            Some(finding) if finding.is_warning() => warn!("{} {finding}", files.database.display()),
            Some(finding) => info!("{} {finding}", files.database.display()),
            None => {}
        }
        epochs::begin(&transaction, true)?;
        let run = Self { number: transaction.query_row("SELECT random()", [], |row| row.get(0))? };
        meta::set(&transaction, "run", run.number)?;
        meta::set(&transaction, "in_use", 1)?;
        transaction.pragma_update(None, "application_id", run.application_id())?;
        transaction.commit()?;
        Ok(run)
    }

    /// Begins a transaction that this run owns: no other server can take the file over until it ends.
    pub(super) fn transaction<'a>(
        self,
        connection: &'a mut Connection,
        files: &Files,
    ) -> Result<Transaction<'a>, Fault> {
        let transaction = Transaction::immediate(connection)?;
        self.check_owner(&transaction, files)?;
        Ok(transaction)
    }

    /// Checks that this run still owns the journal. Two servers on one file would give out each offset twice.
    pub(super) fn check_owner(self, connection: &Connection, files: &Files) -> Result<(), Fault> {
        let owner: Option<i64> = connection
            .prepare_cached("SELECT value FROM meta WHERE key = 'run'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        if owner == Some(self.number) {
            return Ok(());
        }
        Err(Fault::passing(
            &files.database,
            "another server has taken over this journal, so this server stores nothing more",
        ))
    }

    /// Marks the file as cleanly closed by this run, and moves the log into the database.
    pub(super) fn end(self, connection: &mut Connection, files: &Files) -> Result<(), Fault> {
        let transaction = self.transaction(connection, files)?;
        meta::set(&transaction, "in_use", 0)?;
        transaction.commit()?;
        // If a reader blocks the checkpoint, a later one does the work.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        let stamp = Stamp { run: self.number, is_closed: true };
        stamp.write(&files.stamp).map_err(|error| Fault::passing(&files.stamp, error))
    }

    /// The application id of this run in the file's header; never 0, the value of a file without an owner.
    pub(super) fn application_id(self) -> i32 {
        (self.number.cast_unsigned() >> 32) as i32 | 1
    }
}

/// Removes the owner from a copy, so that the server of the original does not take it for its own file.
pub(super) fn disown(copy: &Connection) -> rusqlite::Result<()> {
    copy.execute_batch(
        "DELETE FROM meta WHERE key = 'run'; UPDATE meta SET value = 0 WHERE key = 'in_use';",
    )?;
    copy.pragma_update(None, "application_id", 0)
}
