//! The files of a journal: their paths, and the locks that exclude other servers.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

use super::{
    OpenError,
    disk::{Content, FileId, sync_folder},
    fault::Fault,
    open_files::{FilesChanged, OpenFiles, WAL_HEADER},
};

/// File name of the database.
const DATABASE: &str = "echoroom.db";

/// Suffix of SQLite's write-ahead log, after the name of the database.
const WAL_SUFFIX: &str = "-wal";

/// File name of the lock.
const LOCK: &str = "echoroom.lock";

/// File name of the stamp, see [`super::stamp`].
const STAMP: &str = "echoroom.stamp";

/// The paths of a journal, and its open files while this process uses them.
#[derive(Debug)]
pub(super) struct Files {
    pub folder: PathBuf,
    pub database: PathBuf,
    pub stamp: PathBuf,
    /// The files as first opened. Dropped before the locks.
    opened: OnceLock<OpenFiles>,
    locks: OnceLock<Locks>,
}

/// Exclude other servers while they are open. The lock on the folder holds even if the lock file is deleted;
/// earlier versions know only the lock file.
#[derive(Debug)]
struct Locks {
    /// The folder, and the target folder if the database is a symbolic link; empty where the file system
    /// cannot lock folders.
    _folders: Vec<File>,
    _file: File,
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        let path = |name| folder.join(name);
        Self {
            folder: folder.to_owned(),
            database: path(DATABASE),
            stamp: path(STAMP),
            opened: OnceLock::new(),
            locks: OnceLock::new(),
        }
    }

    /// Creates the folder and takes the locks, which last as long as this value.
    pub(super) fn lock(&self) -> Result<(), Fault> {
        if self.locks.get().is_some() {
            return Ok(());
        }
        self.make_folder()?;
        let unusable = |error| self.unusable(error);
        let mut folders = vec![self.folder.clone()];
        let target = fs::canonicalize(&self.database).ok();
        folders.extend(target.as_deref().and_then(Path::parent).map(Path::to_owned));
        let mut locked: Vec<(FileId, File)> = Vec::new();
        for folder in folders {
            let folder = File::open(folder).map_err(unusable)?;
            let id = FileId::of(&folder.metadata().map_err(unusable)?);
            if locked.iter().all(|(other, _)| *other != id) {
                locked.extend(self.try_lock(folder)?.map(|folder| (id, folder)));
            }
        }
        let folders = locked.into_iter().map(|(_, folder)| folder).collect();
        let path = self.folder.join(LOCK);
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
        let file = self.try_lock(file)?.ok_or_else(|| Fault::passing(&path, "it cannot be locked"))?;
        // Never set twice: only one thread opens the journal.
        let _ = self.locks.set(Locks { _folders: folders, _file: file });
        Ok(())
    }

    fn make_folder(&self) -> Result<(), Fault> {
        if fs::metadata(&self.folder).is_ok_and(|found| !found.is_dir()) {
            return Err(self.not_a_folder());
        }
        if !self.folder.is_dir() {
            let unusable = |error| self.unusable(error);
            fs::create_dir_all(&self.folder).map_err(unusable)?;
            self.folder.parent().map_or(Ok(()), sync_folder).map_err(unusable)?;
        }
        Ok(())
    }

    fn unusable(&self, error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::NotADirectory => self.not_a_folder(),
            _ => Fault::passing(&self.folder, error),
        }
    }

    fn not_a_folder(&self) -> Fault {
        let reason = "it is not a folder".to_owned();
        Fault::Fatal(OpenError::NoJournal { path: self.folder.clone(), reason })
    }

    /// `None` if the file system does not lock such a file.
    fn try_lock(&self, file: File) -> Result<Option<File>, Fault> {
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Fault::Fatal(OpenError::Locked(self.folder.clone()))),
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// Whether this process has opened the journal before.
    pub(super) fn were_opened(&self) -> bool {
        self.opened.get().is_some()
    }

    /// The content of the database file.
    pub(super) fn find_database(&self) -> io::Result<Content> {
        Content::at(&self.database, 0)
    }

    /// The content of the write-ahead log.
    pub(super) fn find_wal(&self) -> io::Result<Content> {
        Content::at(&self.wal(), WAL_HEADER)
    }

    /// Path of the write-ahead log: beside the link's target if the database is a symbolic link.
    pub(super) fn wal(&self) -> PathBuf {
        let database = fs::canonicalize(&self.database).unwrap_or_else(|_| self.database.clone());
        let mut path = database.into_os_string();
        path.push(WAL_SUFFIX);
        path.into()
    }

    /// Opens the files for later checks. SQLite must have opened them, and this run must have written its
    /// application id: from here on no other process may replace or change them.
    pub(super) fn keep_open(&self, application_id: i32) -> io::Result<()> {
        if self.were_opened() {
            return Ok(());
        }
        // Never set twice: only one thread opens the journal.
        let _ = self.opened.set(OpenFiles::open(&self.database, &self.wal(), application_id)?);
        Ok(())
    }

    /// See [`OpenFiles::check`]. Before the files are opened, there is nothing to check.
    pub(super) fn check(&self) -> Result<(), FilesChanged> {
        self.opened.get().map_or(Ok(()), OpenFiles::check)
    }

    /// See [`OpenFiles::check_lengths`].
    pub(super) fn check_lengths(&self) -> Result<(), FilesChanged> {
        self.opened.get().map_or(Ok(()), OpenFiles::check_lengths)
    }

    /// See [`OpenFiles::check_before_writing`].
    pub(super) fn check_before_writing(&self, now: Instant) -> Result<(), FilesChanged> {
        self.opened.get().map_or(Ok(()), |opened| opened.check_before_writing(now))
    }

    /// See [`OpenFiles::check_after_writing`].
    pub(super) fn check_after_writing(&self) -> Result<(), FilesChanged> {
        self.opened.get().map_or(Ok(()), OpenFiles::check_after_writing)
    }
}
