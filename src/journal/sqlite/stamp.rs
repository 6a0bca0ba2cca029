//! The stamp file beside the database: the last server run, and whether it stopped cleanly.
//!
//! The database contains both facts too. If they differ, the database was replaced from outside; if the
//! database or its log is missing, messages were lost. The server starts in any case and tells clients
//! nothing false, because each run is a new epoch. But it logs the finding.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use super::disk::{Content, sync_folder};

/// The content of the stamp file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The random number of the last run.
    pub run: i64,
    /// Whether that run stopped cleanly.
    pub is_closed: bool,
}

/// The state of the folder before this server changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderState {
    pub stamp: Option<Stamp>,
    pub database: Content,
    pub wal: Content,
}

/// What the database says of the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DatabaseState {
    /// The number of its last run. `None` in a new database, and in one of versions without stamps.
    pub run: Option<i64>,
    /// Whether that run did not stop cleanly.
    pub in_use: bool,
}

/// Findings that are logged at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Finding {
    #[error(
        "is missing, although a server has stored messages there: they are lost, and the journal begins empty"
    )]
    NoDatabase,
    #[error(
        "is empty, although a server has stored messages there: they are lost, and the journal begins empty"
    )]
    EmptyDatabase,
    #[error(
        "has no log beside it (echoroom.db-wal), although the last server did not stop cleanly: messages that were \
             acked may be lost"
    )]
    NoWal,
    #[error("is not the file of the last server, but one that was put in its place, for example a copy")]
    OtherDatabase,
    #[error("was not closed by the last server, which was killed; all acked messages are stored")]
    Unclean,
}

impl Finding {
    /// Whether data is missing or was changed from outside.
    pub(super) fn is_warning(self) -> bool {
        self != Self::Unclean
    }
}

impl FolderState {
    /// The finding for this folder and the state of its database.
    pub(super) fn finding(self, database: DatabaseState) -> Option<Finding> {
        let Some(stamp) = self.stamp else {
            return match database {
                // The last run was of a version without stamps.
                DatabaseState { run: None, in_use } => in_use.then_some(Finding::Unclean),
                DatabaseState { run: Some(_), .. } => Some(Finding::OtherDatabase),
            };
        };
        match self.database {
            Content::Missing => return Some(Finding::NoDatabase),
            Content::Empty => return Some(Finding::EmptyDatabase),
            Content::Data => {}
        }
        if database.run != Some(stamp.run) {
            return Some(Finding::OtherDatabase);
        }
        match (stamp.is_closed, database.in_use) {
            // The stamp is written after the database has been closed.
            (_, false) => None,
            (true, true) => Some(Finding::OtherDatabase),
            (false, true) if self.wal != Content::Data => Some(Finding::NoWal),
            (false, true) => Some(Finding::Unclean),
        }
    }
}

impl Stamp {
    /// Reads the stamp; `None` if the file is missing or has another format.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (state, run) = text.trim_end().split_once(' ')?;
        let is_closed = match state {
            "closed" => true,
            "open" => false,
            _ => return None,
        };
        Some(Self { run: u64::from_str_radix(run, 16).ok()?.cast_signed(), is_closed })
    }

    /// Writes the stamp atomically: a new file, renamed.
    pub(super) fn write(self, path: &Path) -> io::Result<()> {
        let state = if self.is_closed { "closed" } else { "open" };
        let new = path.with_extension("stamp.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{state} {:016x}", self.run)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), sync_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: FolderState = FolderState {
        stamp: Some(Stamp { run: 7, is_closed: true }),
        database: Content::Data,
        wal: Content::Missing,
    };

    const CLOSED: DatabaseState = DatabaseState { run: Some(7), in_use: false };

    const IN_USE: DatabaseState = DatabaseState { run: Some(7), in_use: true };

    fn killed(wal: Content) -> FolderState {
        FolderState { stamp: Some(Stamp { run: 7, is_closed: false }), wal, ..CLEAN }
    }

    #[test]
    fn a_database_that_is_as_it_was_left_is_not_logged() {
        assert_eq!(CLEAN.finding(CLOSED), None);
        assert_eq!(killed(Content::Missing).finding(CLOSED), None, "the stamp could not be written any more");
        let new = FolderState { stamp: None, database: Content::Missing, wal: Content::Missing };
        assert_eq!(new.finding(DatabaseState { run: None, in_use: false }), None);
        let of_an_older_version = FolderState { database: Content::Data, ..new };
        assert_eq!(of_an_older_version.finding(DatabaseState { run: None, in_use: false }), None);
    }

    #[test]
    fn a_server_that_was_killed_leaves_a_log() {
        assert_eq!(killed(Content::Data).finding(IN_USE), Some(Finding::Unclean));
        for wal in [Content::Missing, Content::Empty] {
            assert_eq!(killed(wal).finding(IN_USE), Some(Finding::NoWal));
        }
    }

    #[test]
    fn a_database_that_has_lost_messages_is_told_from_a_new_one() {
        let nothing = DatabaseState { run: None, in_use: false };
        for folder in [CLEAN, killed(Content::Data), killed(Content::Missing)] {
            let finding = |database| FolderState { database, ..folder }.finding(nothing);
            assert_eq!(finding(Content::Missing), Some(Finding::NoDatabase));
            assert_eq!(finding(Content::Empty), Some(Finding::EmptyDatabase));
        }
    }

    #[test]
    fn a_copy_that_was_put_back_is_told_from_what_was_left() {
        let older = DatabaseState { run: Some(6), in_use: false };
        for folder in
            [CLEAN, killed(Content::Data), killed(Content::Missing), FolderState { stamp: None, ..CLEAN }]
        {
            assert_eq!(folder.finding(older), Some(Finding::OtherDatabase));
        }
        assert_eq!(CLEAN.finding(IN_USE), Some(Finding::OtherDatabase), "copied while it was used");
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_other_files_are_not_stamps() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("echoroom.stamp");
        assert_eq!(Stamp::read(&path).expect("no file"), None);
        for stamp in [Stamp { run: -3, is_closed: true }, Stamp { run: 9, is_closed: false }] {
            stamp.write(&path).expect("written");
            assert_eq!(Stamp::read(&path).expect("readable"), Some(stamp));
        }
        for bad in [&b""[..], b"closed", b"shut 1", b"closed x", b"\xFF"] {
            fs::write(&path, bad).expect("written");
            assert_eq!(Stamp::read(&path).expect("readable"), None, "{bad:?}");
        }
    }
}
