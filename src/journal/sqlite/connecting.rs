//! Opens the database file, to write or to read.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    disk::sync_folder, fault::Fault, files::Files, run::Run, schema, stamp::FolderState,
    transaction::Transaction,
};

/// Opens the file for writing, creates or migrates its tables, and makes `run`, or else a new run, its owner.
pub(super) fn open_to_write(
    files: &Files,
    run: Option<Run>,
    folder: &mut Option<FolderState>,
) -> Result<(Connection, Run), Fault> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // If the file vanishes while the server runs, do not create an empty one silently.
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, !files.were_opened());
    let mut connection = Connection::open_with_flags(&files.database, flags)?;
    configure(&connection)?;
    write_log_again(&mut connection, files)?;
    schema::migrate(&mut connection, &files.database)?;
    let run = match run {
        Some(run) => {
            run.check_owner(&connection, files)?;
            run
        }
        None => Run::begin(&mut connection, files, folder)?,
    };
    // Checkpoint, so that the file's header contains the application id of this run.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let fault = |error: io::Error| Fault::passing(&files.folder, error);
    // SQLite ignores errors when it flushes the folder, so flush it here.
    sync_folder(&files.folder).map_err(fault)?;
    files.keep_open(run.application_id()).map_err(fault)?;
    Ok((connection, run))
}

/// Opens the file for reading. The writer must have created it.
pub(super) fn open_to_read(files: &Files) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(&files.database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Only the writer may checkpoint.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A backup in progress locks the file for moments only.
    connection.busy_timeout(Duration::from_secs(5))?;
    // After a failed flush the log must be rewritten before any checkpoint.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The log shrinks to this size after a checkpoint.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
}

/// Rewrites the bytes of the log in place and flushes them.
///
/// A failed flush may leave pages in the kernel's cache marked clean, so that a later flush succeeds without
/// writing them: readers see bytes that are not on the disk. A crashed server, or an earlier connection of
/// this one, may have left such a log. After the rewrite and flush, all readable bytes of the log are on the
/// disk. The bytes do not change, so readers notice nothing, and a power cut during the rewrite is safe.
fn write_log_again(connection: &mut Connection, files: &Files) -> Result<(), Fault> {
    const STEP: usize = 1024 * 1024;
    let wal = files.wal();
    // The transaction prevents appends by other connections.
    let transaction = Transaction::immediate(connection)?;
    let rewrite = || {
        let file = match File::options().read(true).write(true).open(&wal) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let len = file.metadata()?.len();
        let mut bytes = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
        let mut at = 0;
        while at < len {
            let read = file.read_at(&mut bytes, at)?;
            if read == 0 {
                break;
            }
            file.write_all_at(&bytes[..read], at)?;
            at += read as u64;
        }
        if len > 0 { file.sync_all() } else { Ok(()) }
    };
    rewrite().map_err(|error| Fault::passing(&wal, error))?;
    Ok(transaction.commit()?)
}
