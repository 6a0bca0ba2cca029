//! The open files of a journal, and checks that they are still those that were opened.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::disk::{FileId, len_if_named, open_to_check, read_number, stat};
use crate::journal::JournalError;

/// Byte position of the application id in the header of a SQLite file.
const APPLICATION_ID_AT: u64 = 68;

/// Byte positions of the page size and of the number of pages at the last checkpoint.
const PAGE_SIZE_AT: u64 = 16;
const PAGES_AT: u64 = 28;

/// The magic number of a write-ahead log; its last bit is the byte order of the checksums.
const WAL_MAGIC: u32 = 0x377F_0682;

/// Bytes of the header of a write-ahead log.
pub(super) const WAL_HEADER: u64 = 32;

/// Interval between full checks of both files. Around each commit only the log is checked: before it the open file,
/// after it the name too, which costs about a hundredth of a small commit.
const FULL_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The files that this process opened. Closing any descriptor of a file ends all locks of SQLite on it in
/// this process (POSIX locks), so these are opened once and closed after SQLite's own.
#[derive(Debug)]
pub(super) struct OpenFiles {
    database: OpenFile,
    wal: OpenFile,
    /// The application id that this run wrote into the database's header.
    application_id: i32,
    /// The application id before this run, in the file until a checkpoint copies the header from the log.
    former_id: i32,
    /// The last full check without a fault.
    checked_at: Mutex<Option<Instant>>,
    /// Bytes of the database at the last full check, and of the log after the last write.
    database_len: AtomicU64,
    wal_len: AtomicU64,
    /// The path of a file found truncated. It stays in this state: bytes added later are not the lost ones.
    truncated: OnceLock<String>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    id: FileId,
}

/// Lengths of the files in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    database: u64,
    wal: u64,
}

/// The files are not those that this process opened, or were changed from outside.
#[derive(Debug)]
pub(super) struct FilesChanged {
    pub error: JournalError,
    /// Whether only the log was replaced or removed, so that its content can be saved.
    pub is_log: bool,
}

impl OpenFiles {
    /// Opens the files. This run must have written its application id into the database.
    pub(super) fn open(database: &Path, wal: &Path, application_id: i32) -> io::Result<Self> {
        let (database, database_len) = OpenFile::open(database)?;
        let (wal, _) = OpenFile::open(wal)?;
        Ok(Self {
            application_id,
            former_id: read_number(&database.file, APPLICATION_ID_AT)?.cast_signed(),
            checked_at: Mutex::new(None),
            database_len: AtomicU64::new(database_len),
            wal_len: AtomicU64::new(0),
            truncated: OnceLock::new(),
            database,
            wal,
        })
    }

    /// Checks that the files are still those that this process opened. Writes to replaced or unlinked files
    /// would be lost.
    pub(super) fn check(&self) -> Result<(), FilesChanged> {
        let lengths = self.lengths()?;
        self.check_headers(lengths)
    }

    /// Checks both files in full, their lengths included. For the writer thread while it does not write.
    pub(super) fn check_lengths(&self) -> Result<(), FilesChanged> {
        self.check_in_full()?;
        self.check_not_truncated()
    }

    /// Checks the identity and length of the log, and every [`FULL_CHECK_INTERVAL`] both files in full. For the
    /// writer thread before a write.
    pub(super) fn check_before_writing(&self, now: Instant) -> Result<(), FilesChanged> {
        let last = *self.checked_at();
        if last.is_none_or(|last| now.saturating_duration_since(last) >= FULL_CHECK_INTERVAL) {
            self.check_in_full()?;
            *self.checked_at() = Some(now);
        } else {
            let wal = self.check_log()?;
            self.note_if_wal_is_truncated(wal);
        }
        self.check_not_truncated()
    }

    /// Checks after a write that the log is still the one that was opened, and stores its new length.
    pub(super) fn check_after_writing(&self) -> Result<(), FilesChanged> {
        let len = self.check_name(&self.wal, true);
        // Without a length nothing is compared.
        self.wal_len.store(len.as_ref().copied().unwrap_or(0), Ordering::Relaxed);
        len.map(drop)
    }

    /// Checks the identity, headers and lengths of both files.
    fn check_in_full(&self) -> Result<(), FilesChanged> {
        let lengths = self.lengths()?;
        self.check_headers(lengths)?;
        let path = self.database.path.display();
        let fault = |error| JournalError::Unavailable(format!("{path}: {error}"));
        if self.is_database_truncated(lengths.database).map_err(|error| FilesChanged::of(fault(error)))? {
            self.truncated.get_or_init(|| path.to_string());
        } else {
            self.database_len.store(lengths.database, Ordering::Relaxed);
        }
        self.note_if_wal_is_truncated(lengths.wal);
        Ok(())
    }

    fn check_not_truncated(&self) -> Result<(), FilesChanged> {
        let Some(file) = self.truncated.get() else {
            return Ok(());
        };
        *self.checked_at() = None;
        let what =
            "was truncated while the server runs: no message is stored until the server is started again";
        Err(FilesChanged::of(JournalError::Damaged(format!("{file} {what}"))))
    }

    /// The lengths of the files, if they are still those that were opened.
    fn lengths(&self) -> Result<Lengths, FilesChanged> {
        Ok(Lengths {
            database: self.check_name(&self.database, false)?,
            wal: self.check_name(&self.wal, true)?,
        })
    }

    /// Checks that the headers of the files are those that this process wrote.
    fn check_headers(&self, lengths: Lengths) -> Result<(), FilesChanged> {
        let overwritten = |file: &OpenFile, how: &str| {
            *self.checked_at() = None;
            Err(FilesChanged::from_outside(&file.path, how, false))
        };
        let id = read_number(&self.database.file, APPLICATION_ID_AT).map(u32::cast_signed);
        if !id.is_ok_and(|id| [self.application_id, self.former_id].contains(&id)) {
            return overwritten(&self.database, "was overwritten, or taken over by another server,");
        }
        if lengths.wal > WAL_HEADER
            && !read_number(&self.wal.file, 0).is_ok_and(|magic| magic & !1 == WAL_MAGIC)
        {
            return overwritten(&self.wal, "was overwritten");
        }
        Ok(())
    }

    /// The length of the log, if some name leads to it.
    fn check_log(&self) -> Result<u64, FilesChanged> {
        match len_if_named(&self.wal.file) {
            Ok(Some(len)) => Ok(len),
            _ => self.check_name(&self.wal, true),
        }
    }

    /// The length of a file, if its path still leads to it.
    fn check_name(&self, file: &OpenFile, is_log: bool) -> Result<u64, FilesChanged> {
        let path = &file.path;
        let found = match stat(path) {
            Ok(found) if found.id == file.id => return Ok(found.len),
            found => found,
        };
        *self.checked_at() = None;
        Err(match found {
            Ok(_) => FilesChanged::from_outside(path, "was replaced", is_log),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                FilesChanged::from_outside(path, "was removed", is_log)
            }
            Err(error) => FilesChanged::of(JournalError::Unavailable(format!("{}: {error}", path.display()))),
        })
    }

    fn checked_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.checked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_if_wal_is_truncated(&self, len: u64) {
        if len < self.wal_len.load(Ordering::Relaxed) {
            self.truncated.get_or_init(|| self.wal.path.display().to_string());
        }
    }

    /// Whether the database is shorter than before and shorter than its header says. Each alone is normal:
    /// `VACUUM` shrinks a file, and a full disk may have prevented its growth.
    fn is_database_truncated(&self, len: u64) -> io::Result<bool> {
        if len >= self.database_len.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let database = &self.database.file;
        let page_size = match read_number(database, PAGE_SIZE_AT)? >> 16 {
            // The field has 16 bits.
            1 => 65_536,
            size => u64::from(size),
        };
        Ok(len < page_size * u64::from(read_number(database, PAGES_AT)?))
    }
}

impl OpenFile {
    /// Opens a file, and returns its length too.
    fn open(path: &Path) -> io::Result<(Self, u64)> {
        let file = open_to_check(path)?;
        let found = stat(path)?;
        Ok((Self { path: path.to_owned(), file, id: found.id }, found.len))
    }
}

impl FilesChanged {
    /// An error other than a replaced or removed log.
    fn of(error: JournalError) -> Self {
        Self { error, is_log: false }
    }

    fn from_outside(path: &Path, how: &str, is_log: bool) -> Self {
        let sentence = format!(
            "{} {how} while the server runs: no message is stored until it is put back or the server is started again",
            path.display()
        );
        Self { error: JournalError::Unavailable(sentence), is_log }
    }
}
