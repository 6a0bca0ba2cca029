//! One server alone uses the file.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use rusqlite::Connection;

use super::{database, folder, reopen, try_to_append, try_to_say, unavailable, until_released};
use crate::journal::{
    Journal as _,
    sqlite::{OpenError, SqliteJournal},
    tests::{ALL, RETENTION, offsets, open, read, record, say, wait},
};

#[test]
fn a_second_server_is_kept_out_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = SqliteJournal::open(folder.path(), RETENTION, &Arc::default()).expect("opens");
    let refused =
        SqliteJournal::open(folder.path(), RETENTION, &Arc::default()).expect_err("locked").to_string();
    assert_eq!(refused, format!("another server uses the journal in {}", folder.path().display()));
}

#[test]
fn a_lock_that_was_deleted_still_keeps_a_second_server_out() {
    let folder = folder();
    let _first = reopen(folder.path());
    fs::remove_file(folder.path().join("echoroom.lock")).expect("removed");
    let second = SqliteJournal::open(folder.path(), RETENTION, &Arc::default());
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
}

#[test]
fn a_link_to_the_file_of_a_running_server_is_locked_as_the_file_is() {
    let (data, other) = (folder(), folder());
    let first = reopen(data.path());
    say(&first, "a", 2);
    symlink(database(data.path()), database(other.path())).expect("a link");
    let second = SqliteJournal::open(other.path(), RETENTION, &Arc::default());
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    drop(first);
    until_released(data.path());
    let journal = reopen(other.path());
    say(&journal, "a", 1);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3]);
}

/// Takes the journal over as a server without locks would, for instance on a file system without them.
fn take_over(folder: &Path) {
    let file = Connection::open(database(folder)).expect("the file");
    file.execute("UPDATE meta SET value = value + 1 WHERE key = 'run'", []).expect("written");
}

#[test]
fn a_server_keeps_nothing_more_once_another_one_has_taken_its_journal_over() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "a", 2);
    let epochs = open(&journal, "a").epochs;
    take_over(folder.path());
    let refused = unavailable(try_to_append(&journal, &epochs, record(3, &["3"])));
    assert!(refused.contains("another server"), "{refused}");
    for outcome in
        [wait(journal.check()), try_to_say(&journal), wait(journal.sweep()).map(drop), wait(journal.close())]
    {
        unavailable(outcome);
    }
    drop(journal);
    assert_eq!(offsets(&read(&reopen(folder.path()), "a", ALL)), [1, 2]);
}
