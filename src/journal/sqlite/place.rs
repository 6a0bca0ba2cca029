//! Where the journal is: its folder, its files, and whether they are still the files that were opened.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{OpenError, schema::Fault};
use crate::journal::JournalError;

/// The database's name in its folder.
const FILE: &str = "echoroom.db";

/// What the name of SQLite's write-ahead log has behind that of the database.
const WAL_SUFFIX: &str = "-wal";

/// The lock beside it.
const LOCK: &str = "echoroom.lock";

/// What is known of the database from outside, see [`super::stamp`].
const STAMP: &str = "echoroom.stamp";

/// Where a SQLite file keeps its application id.
const APPLICATION_ID_AT: u64 = 68;

/// Where it keeps the size of its pages and, since it was copied from the log last, their number.
const PAGE_SIZE_AT: u64 = 16;
const PAGES_AT: u64 = 28;

/// How a write-ahead log begins; the last bit tells the byte order of its checksums.
const WAL_MAGIC: u32 = 0x377F_0682;

/// Bytes at the start of a write-ahead log that are no message's.
const WAL_HEADER: u64 = 32;

/// The paths of a journal, and its files while this process uses them.
#[derive(Debug)]
pub(super) struct Place {
    pub folder: PathBuf,
    pub file: PathBuf,
    pub stamp: PathBuf,
    /// The files as they were opened first. Dropped before the locks.
    held: OnceLock<Held>,
    locks: OnceLock<Locks>,
}

/// Keep other servers out for as long as they are open. A lock on a folder holds when the lock's own file is deleted;
/// versions before this one know only that.
#[derive(Debug)]
struct Locks {
    /// The folder, and the one that the database is in if a link leads there; none where the file system does not lock
    /// folders.
    _folders: Vec<File>,
    _file: File,
}

/// The files that this process opened. To close a descriptor of a file ends all locks that SQLite has on it in this
/// process, so this is made once, and closed after SQLite's own.
#[derive(Debug)]
struct Held {
    database: File,
    database_id: FileId,
    wal: File,
    wal_path: PathBuf,
    wal_id: FileId,
    /// What this run wrote into the database's header.
    application_id: i32,
    /// What was there before, until SQLite copies the header from its log.
    former_id: i32,
    /// Bytes of the files when this process had written last.
    database_len: AtomicU64,
    wal_len: AtomicU64,
    /// What was found to be cut off: what is put behind it later is not what was there.
    cut: OnceLock<String>,
}

/// What tells one file from another while either exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// What is there of a file before SQLite opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Missing,
    /// Too short to hold anything.
    Empty,
    Something,
}

/// The files are not those that this process opened.
#[derive(Debug)]
pub(super) struct Gone {
    pub error: JournalError,
    /// Whether only the log is, so that what it held can be saved.
    pub is_log: bool,
}

impl Place {
    pub fn new(folder: &Path) -> Self {
        let path = |name| folder.join(name);
        Self {
            folder: folder.to_owned(),
            file: path(FILE),
            stamp: path(STAMP),
            held: OnceLock::new(),
            locks: OnceLock::new(),
        }
    }

    /// Makes the folder and takes the locks, which last as long as this place.
    pub fn lock(&self) -> Result<(), Fault> {
        if self.locks.get().is_some() {
            return Ok(());
        }
        let no_folder = || {
            let reason = "it is no folder".to_owned();
            Fault::Fatal(OpenError::NoJournal { path: self.folder.clone(), reason })
        };
        let unusable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory => no_folder(),
            _ => Fault::passing(&self.folder, error),
        };
        if fs::metadata(&self.folder).is_ok_and(|found| !found.is_dir()) {
            return Err(no_folder());
        }
        if !self.folder.is_dir() {
            fs::create_dir_all(&self.folder).map_err(unusable)?;
            self.folder.parent().map_or(Ok(()), sync_folder).map_err(unusable)?;
        }
        let mut folders = vec![self.folder.clone()];
        folders
            .extend(fs::canonicalize(&self.file).ok().as_deref().and_then(Path::parent).map(Path::to_owned));
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
        // Set once: one thread opens the journal.
        let _ = self.locks.set(Locks { _folders: folders, _file: file });
        Ok(())
    }

    /// Nothing where the file system does not lock such a file.
    fn try_lock(&self, file: File) -> Result<Option<File>, Fault> {
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Fault::Fatal(OpenError::Locked(self.folder.clone()))),
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// Whether this process has had the journal open.
    pub fn was_open(&self) -> bool {
        self.held.get().is_some()
    }

    /// What is there of the database.
    pub fn find_database(&self) -> io::Result<Found> {
        find(&self.file, 0)
    }

    /// What is there of its log.
    pub fn find_wal(&self) -> io::Result<Found> {
        find(&self.wal(), WAL_HEADER)
    }

    /// The write-ahead log: beside the database itself if a link leads there.
    pub fn wal(&self) -> PathBuf {
        let mut path = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone()).into_os_string();
        path.push(WAL_SUFFIX);
        path.into()
    }

    /// SQLite has opened the files, and this run wrote its number into the header: from here on they must stay what and
    /// where they are.
    pub fn hold(&self, application_id: i32) -> io::Result<()> {
        if self.was_open() {
            return Ok(());
        }
        let wal_path = self.wal();
        let (database, wal) = (File::open(&self.file)?, File::open(&wal_path)?);
        let held = Held {
            database_id: FileId::of(&database.metadata()?),
            wal_path,
            wal_id: FileId::of(&wal.metadata()?),
            former_id: read_number(&database, APPLICATION_ID_AT)?.cast_signed(),
            application_id,
            database_len: AtomicU64::new(database.metadata()?.len()),
            wal_len: AtomicU64::new(0),
            cut: OnceLock::new(),
            database,
            wal,
        };
        // Set once: one thread opens the journal.
        let _ = self.held.set(held);
        Ok(())
    }

    /// Whether the files are still those that this process opened. What is written to others, or to files that no name
    /// leads to, is not kept.
    pub fn check(&self) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        self.check_file(&self.file, held.database_id, false)?;
        let id = read_number(&held.database, APPLICATION_ID_AT).map(u32::cast_signed);
        if !id.is_ok_and(|id| [held.application_id, held.former_id].contains(&id)) {
            return Err(gone(&self.file, "was overwritten, or taken over by another server,", false));
        }
        self.check_file(&held.wal_path, held.wal_id, true)
    }

    /// Whether the log, which has something in it now, begins as one does.
    pub fn check_wal_header(&self) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        match read_number(&held.wal, 0) {
            Ok(magic) if magic & !1 == WAL_MAGIC => Ok(()),
            _ => Err(gone(&held.wal_path, "was overwritten", false)),
        }
    }

    /// Whether the files are as long as this process left them. To be called by the thread that writes, when it does not.
    pub fn check_lengths(&self) -> Result<(), JournalError> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let fault = |error| JournalError::Unavailable(format!("{}: {error}", self.file.display()));
        if held.cut.get().is_none() {
            if held.is_database_cut().map_err(fault)? {
                let _ = held.cut.set(self.file.display().to_string());
            } else if held.wal.metadata().map_err(fault)?.len() < held.wal_len.load(Ordering::Relaxed) {
                let _ = held.cut.set(held.wal_path.display().to_string());
            }
        }
        let cut = |file| {
            JournalError::Damaged(format!(
                "{file} was cut while the server runs: nothing is kept until the server is started again"
            ))
        };
        held.cut.get().map_or(Ok(()), |file| Err(cut(file)))
    }

    /// Remembers how long the files are. To be called by the thread that writes, when it has.
    pub fn note_lengths(&self) {
        let Some(held) = self.held.get() else {
            return;
        };
        for (file, len) in [(&held.database, &held.database_len), (&held.wal, &held.wal_len)] {
            // Without a length nothing is compared.
            len.store(file.metadata().map_or(0, |metadata| metadata.len()), Ordering::Relaxed);
        }
    }

    fn check_file(&self, path: &Path, id: FileId, is_log: bool) -> Result<(), Gone> {
        match fs::metadata(path) {
            Ok(found) if FileId::of(&found) == id => Ok(()),
            Ok(_) => Err(gone(path, "was replaced", is_log)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(gone(path, "was removed", is_log))
            }
            Err(error) => {
                let error = JournalError::Unavailable(format!("{}: {error}", path.display()));
                Err(Gone { error, is_log: false })
            }
        }
    }
}

impl Held {
    /// Whether it is shorter than it was, and than its header says. Either may be in order alone: the owner may have had it
    /// made smaller, and a disk that is full may have kept SQLite from making it larger.
    fn is_database_cut(&self) -> io::Result<bool> {
        let len = self.database.metadata()?.len();
        if len >= self.database_len.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let page_size = match read_number(&self.database, PAGE_SIZE_AT)? >> 16 {
            // The field has 16 bits.
            1 => 65_536,
            size => u64::from(size),
        };
        Ok(len < page_size * u64::from(read_number(&self.database, PAGES_AT)?))
    }
}

fn gone(path: &Path, what: &str, is_log: bool) -> Gone {
    let sentence = format!(
        "{} {what} while the server runs: nothing is kept until it is put back or the server is started again",
        path.display()
    );
    Gone { error: JournalError::Unavailable(sentence), is_log }
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Makes what happened to the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

fn find(path: &Path, header: u64) -> io::Result<Found> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > header => Ok(Found::Something),
        Ok(_) => Ok(Found::Empty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
        Err(error) => Err(error),
    }
}

fn read_number(file: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_be_bytes(bytes))
}
