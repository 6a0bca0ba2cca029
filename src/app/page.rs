//! Checks of the folders of the page and the journal at the start.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::StartError;
use crate::config::{JournalKind, Settings};

/// Checks that the page exists, that the path of Socket.IO does not hide one of its files, and that the
/// journal is not inside its folder.
pub(super) fn check(settings: &Settings) -> Result<(), StartError> {
    let folder = &settings.listen.static_dir;
    let path = folder.join("index.html");
    let opened = File::open(&path).and_then(|file| match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a file")),
    });
    if let Err(source) = opened {
        return Err(StartError::NoPage { path, source });
    }
    let path = settings.socketio.socketio_path.trim_matches('/');
    let file = folder.join(path);
    // The default path is always the server's, even if the folder has it: the script is part of the program.
    if path != Settings::default().socketio.socketio_path.trim_matches('/') && file.exists() {
        return Err(StartError::PathOfPage { path: settings.socketio.socketio_path.clone(), file });
    }
    let data = &settings.journal.data_dir;
    if settings.journal.kind == JournalKind::Sqlite && resolved(data).starts_with(resolved(folder)) {
        return Err(StartError::PublicJournal { data: data.clone(), page: folder.clone() });
    }
    Ok(())
}

/// The path with symbolic links resolved, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let known = absolute.ancestors().find_map(|known| Some((known.canonicalize().ok()?, known)));
    match known {
        Some((real, known)) => real.join(absolute.strip_prefix(known).unwrap_or(Path::new(""))),
        None => absolute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_as_far_as_it_exists() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().canonicalize().expect("it exists");
        std::os::unix::fs::symlink(&real, real.join("link")).expect("a link");
        assert_eq!(resolved(&real.join("link/new/data")), real.join("new/data"));
        assert_eq!(resolved(&real), real);
        assert!(resolved(Path::new("data")).is_absolute());
    }
}
