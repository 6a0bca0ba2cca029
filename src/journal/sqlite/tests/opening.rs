//! A file opens if it is a journal of this version or an earlier one, or will be one later.

use crate::journal::Records as _;
use std::sync::Arc;

use rusqlite::Connection;

use super::{database, folder, reopen};
use crate::journal::{
    Journal as _, JournalError,
    sqlite::{OpenError, SqliteJournal, schema::MIGRATIONS},
    tests::{ALL, RETENTION, offsets, open, read, record, room, say, wait},
};

#[test]
fn a_file_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let journal = SqliteJournal::open(folder.path(), RETENTION, &Arc::default()).expect("opens");
        say(&journal, "a", 3);
        wait(journal.close()).expect("closes");
    }
    let journal = reopen(folder.path());
    assert_eq!(open(&journal, "a").head, 3);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3]);
}

#[test]
fn a_file_of_the_first_version_opens_with_its_epochs_and_messages() {
    let folder = folder();
    let entries = record(1, &["1", "2"]).entries;
    let file = Connection::open(database(folder.path())).expect("a file");
    file.execute_batch(MIGRATIONS[0]).expect("the first version's tables");
    file.pragma_update(None, "user_version", 1).expect("the first version");
    for (key, value) in [("journal", -5), ("epoch", 3), ("crashed", 3), ("in_use", 0)] {
        file.execute("INSERT INTO meta VALUES (?1, ?2)", (key, value)).expect("written");
    }
    file.execute("INSERT INTO rooms VALUES (1, 'a', 2, 2, ?1)", [entries.len() as i64]).expect("written");
    file.execute("INSERT INTO epochs VALUES (1, 2, 1)", []).expect("written");
    file.execute("INSERT INTO rounds VALUES (?1, 2, 7, NULL, ?2)", (1_i64 << 40 | 1, &entries[..]))
        .expect("written");
    drop(file);
    let journal = reopen(folder.path());
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2]);
    let epochs = open(&journal, "a").epochs;
    let numbers: Vec<_> = epochs.iter().map(|epoch| (epoch.id.number, epoch.starts)).collect();
    assert_eq!(numbers, [(2, 1), (3, 3), (4, 3)], "said in the second, crashed in the third");
    assert!(epochs[..2].iter().all(|epoch| epoch.id.random == (-5_i64).cast_unsigned()));
    say(&journal, "a", 2);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3, 4]);
    assert_eq!(journal.damage(), None);
}

#[test]
fn files_of_others_and_of_later_versions_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("echoroom.db");
    std::fs::write(&file, "not a database, but a text that is long enough to look at").expect("written");
    assert!(matches!(
        SqliteJournal::open(folder.path(), RETENTION, &Arc::default()),
        Err(OpenError::NoJournal { .. })
    ));
    std::fs::remove_file(&file).expect("removed");
    Connection::open(&file)
        .and_then(|connection| connection.pragma_update(None, "user_version", 99))
        .expect("a file of a later version");
    let refused = SqliteJournal::open(folder.path(), RETENTION, &Arc::default());
    assert!(matches!(refused, Err(OpenError::Newer { found: 99, .. })), "{refused:?}");
    assert!(matches!(
        SqliteJournal::open(&file, RETENTION, &Arc::default()),
        Err(OpenError::NoJournal { .. })
    ));
}

#[test]
fn a_journal_that_cannot_be_opened_now_says_so_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    // A dangling link: the folder is created once the link's target exists.
    let place = folder.path().join("disk");
    let link = folder.path().join("data");
    std::os::unix::fs::symlink(place.join("inner"), &link).expect("a link");
    let journal = SqliteJournal::open(&link.join("x"), RETENTION, &Arc::default()).expect("starts");
    assert!(matches!(wait(journal.open(room("a"))), Err(JournalError::Unavailable(_))));
    assert!(wait(journal.read(room("a"), ALL)).is_err());
    std::fs::create_dir_all(place.join("inner")).expect("the disk is there");
    say(&journal, "a", 2);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2]);
}
