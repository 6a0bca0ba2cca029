//! The key to a running server, for commands on its own machine: a file in the data folder, which only its owner reads.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The file's name in the data folder.
const FILE: &str = "echoroom.key";

/// Where a running server is, and what it knows its owner by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where to reach it from its own machine.
    pub address: SocketAddr,
    /// What a command says in `Authorization: Bearer`.
    pub secret: String,
}

impl Key {
    /// A new key to the server at `address`, in place of an older one.
    ///
    /// # Errors
    /// The file cannot be written, or the system has no random numbers.
    pub(super) fn write(folder: &Path, address: SocketAddr) -> io::Result<Self> {
        let random = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?)));
        let (high, low) = random.map_err(io::Error::other)?;
        let key = Self { address, secret: format!("{high:016x}{low:016x}") };
        let path = path(folder);
        let fresh = folder.join(format!("{FILE}.new"));
        // Another file than the last one: a process that has the last one open does not read the new key.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        io::Write::write_all(&mut file, format!("{}\n{}\n", key.address, key.secret).as_bytes())?;
        fs::rename(&fresh, path)?;
        Ok(key)
    }

    /// The key to the server that used the folder last.
    ///
    /// # Errors
    /// There is none, or the file is not one.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path(folder))?;
        let mut lines = text.lines();
        let address = lines.next().and_then(|line| line.parse().ok());
        address
            .zip(lines.next())
            .map(|(address, secret)| Self { address, secret: secret.to_owned() })
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the key file is damaged"))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Key::read(folder.path()).is_err());
        let address = "127.0.0.1:3000".parse().expect("an address");
        let first = Key::write(folder.path(), address).expect("written");
        let second = Key::write(folder.path(), address).expect("written again");
        assert_ne!(first.secret, second.secret);
        assert_eq!(Key::read(folder.path()).expect("read"), second);
        let mode = fs::metadata(path(folder.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
