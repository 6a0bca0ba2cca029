//! The key of a running server, for commands on its machine: a file in the data folder, readable only by its
//! owner.
//!
//! The server locks the key file as long as it runs. A copy of the file is not locked, and the lock ends with
//! the server: so a locked key file belongs to the server that uses this folder now.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::routes::admin;

/// File name in the data folder.
const FILE: &str = "echoroom.key";

/// Maximum bytes of a key file.
const MAX_BYTES: u64 = 1024;

/// The address of a running server, and the secret of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The server's address, as reachable from its own machine.
    pub address: SocketAddr,
    /// The secret that a command sends in `Authorization: Bearer`.
    pub secret: String,
}

impl Key {
    /// Writes a new key for the server at `address` over an older one; returns it with its file, which is
    /// locked while open.
    ///
    /// # Errors
    /// The file cannot be written or locked, or the system has no random numbers.
    pub(super) fn write(folder: &Path, address: SocketAddr) -> io::Result<(Self, File)> {
        let key = Self { address, secret: random()? };
        let fresh = folder.join(format!("{FILE}.new"));
        // A new file: a process that has the old one open cannot read the new key.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.try_lock()?;
        file.write_all(format!("{}\n{}\n", key.address, key.secret).as_bytes())?;
        fs::rename(&fresh, path(folder))?;
        Ok((key, file))
    }

    /// The key of the server that uses the folder now; `None` without one, or if the key is not readable.
    pub(super) fn of_running(folder: &Path) -> Option<Self> {
        let file = File::open(path(folder)).ok()?;
        // A shared lock, so that two commands do not mistake each other for the server.
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Self::read(&file).ok(),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    fn read(file: &File) -> io::Result<Self> {
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        let mut lines = text.lines();
        let address = lines.next().and_then(|line| line.parse().ok());
        address
            .zip(lines.next())
            .map(|(address, secret)| Self { address, secret: secret.to_owned() })
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the key file is damaged"))
    }

    /// Whether `answer` is the proof for `number` by a server with this key.
    pub(super) fn is_proof(&self, number: &str, answer: &str) -> bool {
        answer == admin::proof(&self.secret, number)
    }
}

/// A random number of 128 bits, as 32 hexadecimal digits.
///
/// # Errors
/// The system has no random numbers.
pub(super) fn random() -> io::Result<String> {
    let draw = || Ok((getrandom::u64()?, getrandom::u64()?));
    draw()
        .map(|(high, low)| format!("{high:016x}{low:016x}"))
        .map_err(|error: getrandom::Error| io::Error::other(error))
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn address() -> SocketAddr {
        "127.0.0.1:3000".parse().expect("an address")
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Key::of_running(folder.path()).is_none());
        let (first, _first_file) = Key::write(folder.path(), address()).expect("written");
        let (second, _second_file) = Key::write(folder.path(), address()).expect("written again");
        assert_ne!(first.secret, second.secret);
        assert_eq!(Key::of_running(folder.path()), Some(second));
        let mode = fs::metadata(path(folder.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_was_copied_or_left_behind_is_none() {
        let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
        let (_, file) = Key::write(folder.path(), address()).expect("written");
        fs::copy(path(folder.path()), path(other.path())).expect("copied");
        assert_eq!(Key::of_running(other.path()), None);
        drop(file);
        assert_eq!(Key::of_running(folder.path()), None);
    }
}
