//! The folder and files of a journal, and checks that they are still the files that were opened.

use std::{
    fs::{self, File, Metadata, TryLockError},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

use super::{OpenError, schema::Fault};
use crate::journal::JournalError;

/// File name of the database.
const FILE: &str = "echoroom.db";

/// Suffix of SQLite's write-ahead log, after the name of the database.
const WAL_SUFFIX: &str = "-wal";

/// File name of the lock.
const LOCK: &str = "echoroom.lock";

/// File name of the stamp, see [`super::stamp`].
const STAMP: &str = "echoroom.stamp";

/// Byte position of the application id in the header of a SQLite file.
const APPLICATION_ID_AT: u64 = 68;

/// Byte positions of the page size and of the number of pages at the last checkpoint.
const PAGE_SIZE_AT: u64 = 16;
const PAGES_AT: u64 = 28;

/// The magic number of a write-ahead log; its last bit is the byte order of the checksums.
const WAL_MAGIC: u32 = 0x377F_0682;

/// Bytes of the header of a write-ahead log.
const WAL_HEADER: u64 = 32;

/// Interval between full checks of both files. Around each commit only the log is checked: before it the open file,
/// after it the name too, which costs about a hundredth of a small commit.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The paths of a journal, and its open files while this process uses them.
#[derive(Debug)]
pub(super) struct Place {
    pub folder: PathBuf,
    pub file: PathBuf,
    pub stamp: PathBuf,
    /// The files as first opened. Dropped before the locks.
    held: OnceLock<Held>,
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

/// The files that this process opened. Closing any descriptor of a file ends all locks of SQLite on it in
/// this process (POSIX locks), so these are opened once and closed after SQLite's own.
#[derive(Debug)]
struct Held {
    database: File,
    database_id: FileId,
    wal: File,
    wal_path: PathBuf,
    wal_id: FileId,
    /// The application id that this run wrote into the database's header.
    application_id: i32,
    /// The application id before this run, in the file until a checkpoint copies the header from the log.
    former_id: i32,
    /// The last full check without a fault.
    looked_at: Mutex<Option<Instant>>,
    /// Bytes of the database at the last full check, and of the log after the last write.
    database_len: AtomicU64,
    wal_len: AtomicU64,
    /// The path of a file found truncated. It stays in this state: bytes added later are not the lost ones.
    cut: OnceLock<String>,
}

/// Identity of a file, unique while the file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Sizes of the files in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Lens {
    database: u64,
    wal: u64,
}

/// The state of a file before SQLite opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Missing,
    /// Too short to contain data.
    Empty,
    Something,
}

/// The files are not those that this process opened, or were changed from outside.
#[derive(Debug)]
pub(super) struct Gone {
    pub error: JournalError,
    /// Whether only the log is gone, so that its content can be saved.
    pub is_log: bool,
}

impl Place {
    pub(super) fn new(folder: &Path) -> Self {
        let path = |name| folder.join(name);
        Self {
            folder: folder.to_owned(),
            file: path(FILE),
            stamp: path(STAMP),
            held: OnceLock::new(),
            locks: OnceLock::new(),
        }
    }

    /// Creates the folder and takes the locks, which last as long as this place.
    pub(super) fn lock(&self) -> Result<(), Fault> {
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
        // Never set twice: only one thread opens the journal.
        let _ = self.locks.set(Locks { _folders: folders, _file: file });
        Ok(())
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
    pub(super) fn was_open(&self) -> bool {
        self.held.get().is_some()
    }

    /// The state of the database file.
    pub(super) fn find_database(&self) -> io::Result<Found> {
        find(&self.file, 0)
    }

    /// The state of the write-ahead log.
    pub(super) fn find_wal(&self) -> io::Result<Found> {
        find(&self.wal(), WAL_HEADER)
    }

    /// Path of the write-ahead log: beside the link's target if the database is a symbolic link.
    pub(super) fn wal(&self) -> PathBuf {
        let mut path = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone()).into_os_string();
        path.push(WAL_SUFFIX);
        path.into()
    }

    /// Opens the files for later checks. SQLite must have opened them, and this run must have written its
    /// application id: from here on no other process may replace or change them.
    pub(super) fn hold(&self, application_id: i32) -> io::Result<()> {
        if self.was_open() {
            return Ok(());
        }
        let wal_path = self.wal();
        let (database, wal) = (open_to_look(&self.file)?, open_to_look(&wal_path)?);
        let seen = look_at(&self.file)?;
        let held = Held {
            database_id: seen.id,
            wal_id: look_at(&wal_path)?.id,
            wal_path,
            former_id: read_number(&database, APPLICATION_ID_AT)?.cast_signed(),
            application_id,
            looked_at: Mutex::new(None),
            database_len: AtomicU64::new(seen.len),
            wal_len: AtomicU64::new(0),
            cut: OnceLock::new(),
            database,
            wal,
        };
        // Never set twice: only one thread opens the journal.
        let _ = self.held.set(held);
        Ok(())
    }

    /// Checks that the files are still those that this process opened. Writes to replaced or unlinked files
    /// would be lost.
    pub(super) fn check(&self) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let lens = self.find(held)?;
        self.look_into(held, lens)
    }

    /// Checks both files in full, their lengths included. For the writer thread while it does not write.
    pub(super) fn check_lengths(&self) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        self.look_at_all(held)?;
        self.check_cut(held)
    }

    /// Checks the identity and length of the log, and every [`LOOK_AGAIN_AFTER`] both files in full. For the
    /// writer thread before a write.
    pub(super) fn check_before_writing(&self, now: Instant) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let last = *held.looked_at();
        if last.is_none_or(|last| now.saturating_duration_since(last) >= LOOK_AGAIN_AFTER) {
            self.look_at_all(held)?;
            *held.looked_at() = Some(now);
        } else {
            let wal = self.check_log(held)?;
            held.note_if_wal_is_cut(wal);
        }
        self.check_cut(held)
    }

    /// Checks after a write that the log is still the one that was opened, and stores its new length.
    pub(super) fn check_what_was_written(&self) -> Result<(), Gone> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let found = self.check_file(held, &held.wal_path, held.wal_id, true);
        // Without a length nothing is compared.
        held.wal_len.store(found.as_ref().copied().unwrap_or(0), Ordering::Relaxed);
        found.map(drop)
    }

    /// Checks the identity, headers and lengths of both files.
    fn look_at_all(&self, held: &Held) -> Result<(), Gone> {
        let lens = self.find(held)?;
        self.look_into(held, lens)?;
        let fault = |error| JournalError::Unavailable(format!("{}: {error}", self.file.display()));
        if held.is_database_cut(lens.database).map_err(|error| Gone::of(fault(error)))? {
            held.cut.get_or_init(|| self.file.display().to_string());
        } else {
            held.database_len.store(lens.database, Ordering::Relaxed);
        }
        held.note_if_wal_is_cut(lens.wal);
        Ok(())
    }

    fn check_cut(&self, held: &Held) -> Result<(), Gone> {
        let Some(file) = held.cut.get() else {
            return Ok(());
        };
        *held.looked_at() = None;
        let what = "was cut while the server runs: nothing is kept until the server is started again";
        Err(Gone::of(JournalError::Damaged(format!("{file} {what}"))))
    }

    /// The lengths of the files, if they are still those that were opened.
    fn find(&self, held: &Held) -> Result<Lens, Gone> {
        Ok(Lens {
            database: self.check_file(held, &self.file, held.database_id, false)?,
            wal: self.check_file(held, &held.wal_path, held.wal_id, true)?,
        })
    }

    /// Checks that the headers of the files are those that this process wrote.
    fn look_into(&self, held: &Held, lens: Lens) -> Result<(), Gone> {
        let overwritten = |file: &Path, by_whom: &str| {
            *held.looked_at() = None;
            Err(gone(file, by_whom, false))
        };
        let id = read_number(&held.database, APPLICATION_ID_AT).map(u32::cast_signed);
        if !id.is_ok_and(|id| [held.application_id, held.former_id].contains(&id)) {
            return overwritten(&self.file, "was overwritten, or taken over by another server,");
        }
        if lens.wal > WAL_HEADER && !read_number(&held.wal, 0).is_ok_and(|magic| magic & !1 == WAL_MAGIC) {
            return overwritten(&held.wal_path, "was overwritten");
        }
        Ok(())
    }

    /// The length of the log, to which some name leads.
    fn check_log(&self, held: &Held) -> Result<u64, Gone> {
        match look_into_open(&held.wal) {
            Ok(Some(len)) => Ok(len),
            _ => self.check_file(held, &held.wal_path, held.wal_id, true),
        }
    }

    /// The length of the file that was opened under this path.
    fn check_file(&self, held: &Held, path: &Path, id: FileId, is_log: bool) -> Result<u64, Gone> {
        let seen = match look_at(path) {
            Ok(seen) if seen.id == id => return Ok(seen.len),
            seen => seen,
        };
        *held.looked_at() = None;
        Err(match seen {
            Ok(_) => gone(path, "was replaced", is_log),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                gone(path, "was removed", is_log)
            }
            Err(error) => Gone::of(JournalError::Unavailable(format!("{}: {error}", path.display()))),
        })
    }
}

impl Held {
    fn looked_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_if_wal_is_cut(&self, len: u64) {
        if len < self.wal_len.load(Ordering::Relaxed) {
            self.cut.get_or_init(|| self.wal_path.display().to_string());
        }
    }

    /// Whether the database is shorter than before and shorter than its header says. Each alone is normal:
    /// `VACUUM` shrinks a file, and a full disk may have prevented its growth.
    fn is_database_cut(&self, len: u64) -> io::Result<bool> {
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

impl Gone {
    /// An error other than a replaced or removed log.
    fn of(error: JournalError) -> Self {
        Self { error, is_log: false }
    }
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The file at a path.
struct Seen {
    id: FileId,
    len: u64,
}

/// Reads the metadata of a file without its times. Since 6.13, Linux gives a file whose times were read a new
/// time at its next write, and each flush would have to write that too: two writes per message.
fn look_at(path: &Path) -> io::Result<Seen> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
        let wanted = StatxFlags::INO | StatxFlags::SIZE;
        match statx(CWD, path, AtFlags::empty(), wanted) {
            Ok(found) => {
                let device = makedev(found.stx_dev_major, found.stx_dev_minor);
                return Ok(Seen { id: FileId { device, inode: found.stx_ino }, len: found.stx_size });
            }
            // Kernels and sandboxes without this system call.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = fs::metadata(path)?;
    Ok(Seen { id: FileId::of(&found), len: found.len() })
}

/// The length of an open file, without its times; nothing if no name leads to it any more.
fn look_into_open(file: &File) -> io::Result<Option<u64>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        let wanted = StatxFlags::NLINK | StatxFlags::SIZE;
        match statx(file, "", AtFlags::EMPTY_PATH, wanted) {
            Ok(found) => return Ok((found.stx_nlink > 0).then_some(found.stx_size)),
            // Kernels and sandboxes that do not know the call.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = file.metadata()?;
    Ok((found.nlink() > 0).then_some(found.len()))
}

/// Bytes of a file; 0 if there is none.
pub(super) fn len_of(path: &Path) -> u64 {
    look_at(path).map_or(0, |seen| seen.len)
}

/// Flushes a folder: created, renamed and deleted names become durable.
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

/// Opens a file for checks around each commit, without updating its access time: the next flush would have to
/// write that time too.
fn open_to_look(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        let flags = OFlags::NOATIME.bits().cast_signed();
        // `O_NOATIME` is allowed only to the owner of the file.
        if let Ok(file) = File::options().read(true).custom_flags(flags).open(path) {
            return Ok(file);
        }
    }
    File::open(path)
}

fn read_number(file: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_be_bytes(bytes))
}
