//! Files as the file system has them: their identity, length, headers.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Identity of a file, unique while the file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The content of a file before SQLite opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Missing,
    /// Too short to contain data.
    Empty,
    Data,
}

impl Content {
    /// The content of the file at a path; it is data if it is longer than `header` bytes.
    pub(super) fn at(path: &Path, header: u64) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() > header => Ok(Self::Data),
            Ok(_) => Ok(Self::Empty),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) => Err(error),
        }
    }
}

/// Identity and length of the file at a path.
pub(super) struct Stat {
    pub id: FileId,
    pub len: u64,
}

/// Reads the metadata of a file without its times. Since 6.13, Linux gives a file whose times were read a new
/// time at its next write, and each flush would have to write that too: two writes per message.
pub(super) fn stat(path: &Path) -> io::Result<Stat> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
        let wanted = StatxFlags::INO | StatxFlags::SIZE;
        match statx(CWD, path, AtFlags::empty(), wanted) {
            Ok(found) => {
                let device = makedev(found.stx_dev_major, found.stx_dev_minor);
                return Ok(Stat { id: FileId { device, inode: found.stx_ino }, len: found.stx_size });
            }
            // Kernels and sandboxes without this system call.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = fs::metadata(path)?;
    Ok(Stat { id: FileId::of(&found), len: found.len() })
}

/// The length of an open file, read without its times; `None` if no name leads to the file any more.
pub(super) fn len_if_named(file: &File) -> io::Result<Option<u64>> {
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
    stat(path).map_or(0, |found| found.len)
}

/// Flushes a folder: created, renamed and deleted names become durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Opens a file for checks around each commit, without updating its access time: the next flush would have to
/// write that time too.
pub(super) fn open_to_check(path: &Path) -> io::Result<File> {
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

/// Reads a big-endian number at a byte position.
pub(super) fn read_number(file: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_be_bytes(bytes))
}
