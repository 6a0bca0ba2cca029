//! Journals of no server: one that is read as a whole, and a new one that is written, for commands that move rooms.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, Row};

use super::{
    KEEP_ALL, OpenError, avatars,
    columns::{checksum, int, offset_of, record_id},
    disk::sync_folder,
    epochs,
    fault::Fault,
    files::Files,
    open::Open,
    rows::{KEY_LEN, find_or_make, room_id, unpack_key},
    run,
    writer::Writer,
    writer_alone,
};
use crate::{
    domain::{Picture, PictureId, RoomName},
    journal::{Append, Epoch, JournalError, Record, ReservedName, RoomState, now_millis},
};

/// The folder inside of the data folder in which a new journal is written.
const NEW: &str = "echoroom.new";

/// Errors of a journal of no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfflineError {
    /// There is nothing to read.
    #[error("there is no journal at {}", .0.display())]
    Missing(PathBuf),
    /// There is something that would be overwritten.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A server uses the folder.
    #[error("a server uses {}: stop it first", .0.display())]
    InUse(PathBuf),
    /// The file cannot be used.
    #[error("{0}")]
    Journal(JournalError),
    /// The system refuses something.
    #[error("{}: {source}", .path.display())]
    File {
        /// What it is refused for.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// A journal that this process has for itself.
#[derive(Debug)]
pub(crate) struct Offline {
    writer: Writer,
    files: Arc<Files>,
}

impl Offline {
    /// Opens the journal in `folder`, as a run of a server does.
    ///
    /// # Errors
    /// There is none, a server uses it, or it cannot be used.
    pub(crate) fn open(folder: &Path) -> Result<Self, OfflineError> {
        let files = Arc::new(Files::new(folder));
        if !files.database.is_file() {
            return Err(OfflineError::Missing(files.database.clone()));
        }
        Self::of(files)
    }

    fn of(files: Arc<Files>) -> Result<Self, OfflineError> {
        let mut offline = Self { writer: writer_alone(Arc::clone(&files)), files };
        offline.with(|_| Ok(()))?;
        Ok(offline)
    }

    fn with<T>(&mut self, job: impl FnOnce(&mut Open) -> Result<T, Fault>) -> Result<T, OfflineError> {
        self.writer.connect().and_then(job).map_err(|fault| error_of(fault, &self.files))
    }

    /// All rooms that have messages or reserved names.
    pub(crate) fn rooms(&mut self) -> Result<BTreeSet<RoomName>, OfflineError> {
        self.with(|open| {
            let mut query = open
                .connection
                .prepare("SELECT name FROM rooms UNION SELECT room FROM names WHERE until > ?1")?;
            let names = query.query_map([int(now_millis())], |row| row.get::<_, String>(0))?;
            let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(names.iter().filter_map(|name| RoomName::stored(name)).collect())
        })
    }

    /// The state of a room.
    pub(crate) fn state(&mut self, room: &RoomName) -> Result<RoomState, OfflineError> {
        self.with(|open| open.state(room, KEEP_ALL))
    }

    /// The oldest records of a room after an offset, with their keys, until they have this many bytes.
    pub(crate) fn records(
        &mut self,
        room: &RoomName,
        after: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, OfflineError> {
        self.with(|open| {
            let Some(id) = room_id(&open.connection, room)? else { return Ok(Vec::new()) };
            let mut query = open.connection.prepare_cached(
                "SELECT id, count, at, keys, entries, sum FROM rounds WHERE id >= ?1 AND id < ?2 ORDER BY id",
            )?;
            let mut rows = query.query([record_id(id, after + 1), record_id(id + 1, 0)])?;
            let (mut records, mut bytes) = (Vec::<Record>::new(), 0);
            while bytes < max_bytes
                && let Some(row) = rows.next()?
            {
                let damaged = |what| {
                    let what = format!("room {:?}: a record {what}", room.as_str());
                    Fault::damaged(&open.files.database, what)
                };
                let record = record(row)?.ok_or_else(|| damaged("has been changed"))?;
                let before = records.last().map_or(after, Record::last);
                if before > 0 && record.first != before + 1 {
                    return Err(damaged("is missing"));
                }
                bytes += record.entries.len();
                records.push(record);
            }
            Ok(records)
        })
    }

    /// The ids of all avatar pictures with the times at which they were last used, in milliseconds since 1970, those first
    /// that were used longest ago.
    pub(crate) fn pictures(&mut self) -> Result<Vec<(PictureId, u64)>, OfflineError> {
        self.with(|open| avatars::all(&open.connection))
    }

    /// A picture. `None` if there is none of this id, or it is damaged.
    pub(crate) fn picture(&mut self, id: PictureId) -> Result<Option<Picture>, OfflineError> {
        self.with(|open| match avatars::read(&open.connection, id) {
            Err(fault) if fault.is_damage() => Ok(None),
            read => read,
        })
    }

    /// Ends the run.
    pub(crate) fn close(mut self) -> Result<(), OfflineError> {
        self.with(|open| open.close(KEEP_ALL))
    }
}

/// The record of a row; `None` if its checksum does not match.
fn record(row: &Row<'_>) -> rusqlite::Result<Option<Record>> {
    let (id, count, at): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let keys = row.get_ref(3)?.as_blob_or_null()?.unwrap_or_default();
    let entries: Vec<u8> = row.get(4)?;
    let sum: Option<u32> = row.get(5)?;
    if sum.is_some_and(|sum| sum != checksum(id, count, at, keys, &entries)) {
        return Ok(None);
    }
    let keys = keys.chunks_exact(KEY_LEN).filter_map(unpack_key).collect();
    Ok(Some(Record { first: offset_of(id), count, at: at.unsigned_abs(), keys, entries: entries.into() }))
}

fn error_of(fault: Fault, files: &Files) -> OfflineError {
    match fault {
        Fault::Fatal(OpenError::Locked(folder)) => OfflineError::InUse(folder),
        fault => OfflineError::Journal(fault.into_error(&files.database)),
    }
}

/// A new journal. It is in its folder once it is finished; until then no server finds it there.
#[derive(Debug)]
pub(crate) struct NewJournal {
    journal: Offline,
    /// The folder that it will be in, locked.
    target: Files,
    /// The folder that it is written in.
    folder: PathBuf,
}

impl NewJournal {
    /// Begins a journal for `folder`, which is created if need be.
    ///
    /// # Errors
    /// The folder has a journal, a server uses it, or it cannot be written.
    pub(crate) fn create(folder: &Path) -> Result<Self, OfflineError> {
        let target = Files::new(folder);
        target.lock().map_err(|fault| error_of(fault, &target))?;
        for taken in [&target.database, &target.stamp, &target.wal()] {
            if fs::symlink_metadata(taken).is_ok() {
                return Err(OfflineError::Exists(taken.clone()));
            }
        }
        let folder = target.folder.join(NEW);
        // What is there was left by a process that has not finished.
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OfflineError::File { path: folder, source });
            }
            _ => {}
        }
        Ok(Self { journal: Offline::of(Arc::new(Files::new(&folder)))?, target, folder })
    }

    /// Adds a room, which has no messages yet. The next one has the offset behind `head`.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn add_room(
        &mut self,
        room: &RoomName,
        head: u64,
        epochs: &[Epoch],
    ) -> Result<(), OfflineError> {
        self.journal.with(|open| {
            let files = Arc::clone(&open.files);
            let transaction = open.begin()?;
            let row = find_or_make(&transaction, &files.database, room, head)?;
            for epoch in epochs {
                epochs::add_foreign(&transaction, row.id, *epoch)?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// Adds the next records of a room that was added; `epoch` is its last one.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn append(
        &mut self,
        room: &RoomName,
        epoch: Epoch,
        records: Vec<Record>,
    ) -> Result<(), OfflineError> {
        let append = |record| Append { room: room.clone(), epoch, record, pictures: Vec::new() };
        let batch: Vec<_> = records.into_iter().map(append).collect();
        self.journal.with(|open| open.append(&batch, KEEP_ALL))
    }

    /// Reserves names of a room.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn reserve(&mut self, room: &RoomName, names: &[ReservedName]) -> Result<(), OfflineError> {
        self.journal.with(|open| open.reserve(room, names, KEEP_ALL))
    }

    /// Adds an avatar picture that was last used at this time, in milliseconds since 1970.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn add_picture(&mut self, picture: &Picture, used: u64) -> Result<(), OfflineError> {
        self.journal.with(|open| {
            let transaction = open.begin()?;
            avatars::add(&transaction, picture, used)?;
            Ok(transaction.commit()?)
        })
    }

    /// Makes the journal durable, and puts it into its folder.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn finish(self) -> Result<(), OfflineError> {
        let Self { journal, target, folder } = self;
        let written = Arc::clone(&journal.files);
        journal.close()?;
        let disown = |copy: Connection| {
            run::disown(&copy)?;
            epochs::end_foreign(&copy)
        };
        let disowned = Connection::open(&written.database).and_then(disown);
        disowned.map_err(|error| error_of(error.into(), &written))?;
        let move_in = || {
            fs::File::open(&written.database)?.sync_all()?;
            fs::rename(&written.database, &target.database)?;
            sync_folder(&target.folder)
        };
        move_in().map_err(|source| OfflineError::File { path: target.database.clone(), source })?;
        // The journal is where it belongs; what stays here is removed by the next one.
        let _ = fs::remove_dir_all(folder);
        Ok(())
    }

    /// Removes what was written.
    pub(crate) fn discard(self) {
        let Self { journal, target: _target, folder } = self;
        drop(journal);
        // If it stays, the next one removes it.
        let _ = fs::remove_dir_all(folder);
    }
}
