//! A copy of the file goes on in an epoch that no client of the original knows.

use std::{fs, path::Path, sync::Arc};

use super::{copy_all, database, folder, reopen, run, until_released};
use crate::journal::{
    sqlite::{SqliteJournal, back_up},
    tests::{ALL, RETENTION, offsets, read, say},
};

/// Restores a copy of a stopped server's journal.
type Restore = fn(&Path, &Path);

const RESTORES: [(&str, Restore); 4] = [
    ("the database alone", |copy, data| {
        fs::copy(database(copy), database(data)).expect("copied");
    }),
    ("the database alone, as a new file", |copy, data| {
        fs::copy(database(copy), data.join("new")).expect("copied");
        fs::rename(data.join("new"), database(data)).expect("renamed");
    }),
    ("all files over those that are there", copy_all),
    ("all files into an empty folder", |copy, data| {
        for file in fs::read_dir(data).expect("a folder") {
            fs::remove_file(file.expect("a file").path()).expect("removed");
        }
        copy_all(copy, data);
    }),
];

#[test]
fn a_copy_that_is_put_back_goes_on_in_an_epoch_that_no_client_knows() {
    for (way, restore) in RESTORES {
        let (data, copy) = (folder(), folder());
        let told = run(data.path(), 3);
        copy_all(data.path(), copy.path());
        let lost = run(data.path(), 4);
        restore(copy.path(), data.path());
        let once = run(data.path(), 9);
        assert_eq!(once[..told.len()], told[..], "{way}: what was before the copy goes on");
        assert_eq!(once.last().map(|epoch| epoch.starts), Some(4), "{way}");
        assert!(!once.contains(lost.last().expect("an epoch")), "{way}: {once:?}");
        restore(copy.path(), data.path());
        let twice = run(data.path(), 9);
        assert!(!twice.contains(once.last().expect("an epoch")), "{way}: a copy put back twice");
    }
}

#[test]
fn a_backup_goes_on_in_an_epoch_that_its_original_never_has() {
    let (data, copy) = (folder(), folder());
    let journal = reopen(data.path());
    say(&journal, "a", 3);
    back_up(data.path(), &database(copy.path())).expect("copied");
    say(&journal, "a", 4);
    drop(journal);
    until_released(data.path());
    let of_the_original = run(data.path(), 1);
    let of_the_copy = run(copy.path(), 9);
    assert_eq!(of_the_copy[0], of_the_original[0]);
    assert!(of_the_copy[1..].iter().all(|epoch| !of_the_original.contains(epoch)));
}

#[test]
fn a_copy_is_whole_and_made_while_the_journal_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = SqliteJournal::open(folder.path(), RETENTION, &Arc::default()).expect("opens");
    say(&journal, "a", 3);
    let copy = tempfile::tempdir().expect("a folder");
    let target = copy.path().join("echoroom.db");
    back_up(folder.path(), &target).expect("copied");
    say(&journal, "a", 1);
    let restored = SqliteJournal::open(copy.path(), RETENTION, &Arc::default()).expect("opens");
    assert_eq!(offsets(&read(&restored, "a", ALL)), [1, 2, 3]);
    assert!(back_up(folder.path(), &target).expect_err("taken").contains("exists already"));
    assert!(back_up(&copy.path().join("none"), &target).expect_err("no journal").contains("no journal"));
}
