//! Damage is found, and never given to clients as messages.

use crate::journal::Records as _;
use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    RETENTION, copy_all, damaged, database, folder, reopen, reopen_with, run, run_with, until_released,
};
use crate::journal::{
    Journal as _, JournalError, Page, Record, Retention, now_millis,
    sqlite::{SqliteJournal, checker, condition::Condition, files::Files},
    tests::{ALL, append, open, record, room, say, wait},
};

/// All messages of a room, if none is damaged.
fn whole(journal: &SqliteJournal, name: &str) -> Result<Page, JournalError> {
    wait(journal.read(room(name), ALL)).and_then(Page::whole)
}

/// Rooms with 40 messages of a kilobyte each.
fn fill(journal: &SqliteJournal, rooms: &[&str]) {
    let body = "x".repeat(1000);
    for name in rooms {
        let epoch = open(journal, name).epochs[0];
        for first in 1..=40 {
            append(journal, name, epoch, record(first, &[&body]));
        }
    }
}

pub(super) fn overwrite(folder: &Path, at: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(database(folder)).expect("the database");
    file.write_all_at(bytes, at).expect("written");
}

pub(super) fn until_found(journal: &SqliteJournal) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match journal.damage() {
            Some(damage) => return damage.found,
            None => assert!(Instant::now() < deadline, "no damage is found"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn garbage_in_the_middle_of_the_file_is_found_before_a_client_reads_there() {
    let folder = folder();
    run_with(folder.path(), |journal| fill(journal, &["a", "b", "c"]));
    let len = fs::metadata(database(folder.path())).expect("the database").len();
    overwrite(folder.path(), len / 2 / 4096 * 4096, &[0x5A; 8192]);
    let journal = reopen(folder.path());
    until_found(&journal);
    let outcomes = ["a", "b", "c"].map(|name| whole(&journal, name));
    assert!(outcomes.iter().any(Result::is_err) && outcomes.iter().any(Result::is_ok), "one room of three");
    outcomes.into_iter().filter(Result::is_err).for_each(|outcome| drop(damaged(outcome)));
    say(&journal, "new", 1);
}

#[test]
fn garbage_in_any_page_is_damage_and_never_another_message() {
    let whole = folder();
    run_with(whole.path(), |journal| {
        fill(journal, &["a", "b"]);
        (0..5).for_each(|_| say(journal, "c", 3));
    });
    let pages = fs::metadata(database(whole.path())).expect("the database").len() / 4096;
    let body = "x".repeat(1000);
    let mut damaged_pages = 0;
    for page in 1..pages {
        let copy = folder();
        copy_all(whole.path(), copy.path());
        overwrite(copy.path(), page * 4096, &[0x5A; 4096]);
        let journal = reopen(copy.path());
        let mut is_damaged = false;
        for name in ["a", "b", "c"] {
            let outcome = wait(journal.open(room(name))).and_then(|_| wait(journal.read(room(name), ALL)));
            match outcome {
                Ok(page) => assert!(
                    page.entries
                        .iter()
                        .all(|entry| [&*body, &*entry.offset.to_string()].contains(&&*entry.body)),
                    "{page:?}"
                ),
                Err(error) => {
                    assert!(matches!(error, JournalError::Damaged(_)), "{error}");
                    is_damaged = true;
                }
            }
        }
        if is_damaged {
            until_found(&journal);
            damaged_pages += 1;
        }
    }
    assert!(damaged_pages > pages / 2, "{damaged_pages} of {pages}");
}

#[test]
fn a_text_that_was_changed_in_the_file_is_damage_and_not_what_was_said() {
    let folder = folder();
    run_with(folder.path(), |journal| fill(journal, &["a", "b"]));
    let file = Connection::open(database(folder.path())).expect("the file");
    let change =
        "UPDATE rounds SET entries = CAST(replace(CAST(entries AS TEXT), 'xx', 'xy') AS BLOB) WHERE id = ?1";
    assert_eq!(file.execute(change, [1_i64 << 40 | 7]), Ok(1));
    drop(file);
    let journal = reopen(folder.path());
    assert_eq!(until_found(&journal), 1);
    let outcomes = ["a", "b"].map(|name| whole(&journal, name));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    outcomes.into_iter().filter(Result::is_err).for_each(|outcome| drop(damaged(outcome)));
}

#[test]
fn damage_of_the_last_record_of_a_step_is_counted_once() {
    for records in [1, 256, 257] {
        let folder = folder();
        run_with(folder.path(), |journal| {
            let epoch = open(journal, "a").epochs[0];
            (1..=records).for_each(|first| append(journal, "a", epoch, record(first, &["x"])));
        });
        let file = Connection::open(database(folder.path())).expect("the file");
        let id = 1_i64 << 40 | records.min(256).cast_signed();
        assert_eq!(file.execute("UPDATE rounds SET sum = sum + 1 WHERE id = ?1", [id]), Ok(1));
        drop(file);
        let condition = Condition::default();
        checker::check(&Files::new(folder.path()), &condition);
        assert_eq!(condition.damage().map(|damage| damage.found), Some(1), "{records} records");
    }
}

#[test]
fn a_record_that_is_missing_between_two_is_damage_and_not_a_silent_gap() {
    let folder = folder();
    run_with(folder.path(), |journal| (0..5).for_each(|_| say(journal, "a", 2)));
    let file = Connection::open(database(folder.path())).expect("the file");
    file.execute("DELETE FROM rounds WHERE id = ?1", [1_i64 << 40 | 5]).expect("written");
    drop(file);
    let journal = reopen(folder.path());
    damaged(whole(&journal, "a"));
    until_found(&journal);
}

#[test]
fn newest_records_that_are_missing_are_damage_which_the_room_goes_on_behind() {
    let folder = folder();
    run(folder.path(), 5);
    let file = Connection::open(database(folder.path())).expect("the database");
    let newest = "DELETE FROM rounds WHERE id IN (SELECT id FROM rounds ORDER BY id DESC LIMIT 2)";
    for deletion in [newest, "DELETE FROM rounds"] {
        file.execute(deletion, []).expect("deleted");
        let journal = reopen(folder.path());
        let before = journal.damage().map_or(0, |damage| damage.found);
        let state = open(&journal, "a");
        assert_eq!(state.head, 5, "no offset is given out twice");
        assert_eq!(journal.damage().map(|damage| damage.found), Some(before + 1), "{deletion}");
        wait(journal.close()).expect("closes");
        drop(journal);
        until_released(folder.path());
    }
}

#[test]
fn a_room_that_has_lost_all_that_was_too_old_is_not_damaged() {
    let folder = folder();
    run_with(folder.path(), |journal| {
        let epoch = open(journal, "a").epochs[0];
        append(journal, "a", epoch, Record { at: now_millis() - 10_000, ..record(1, &["old"]) });
        append(journal, "b", epoch, Record { at: now_millis(), ..record(1, &["new"]) });
    });
    let retention = Retention { age: Duration::from_secs(5), ..RETENTION };
    let journal = reopen_with(folder.path(), retention);
    assert_eq!(wait(journal.sweep()).expect("swept"), [room("a")]);
    assert_eq!((open(&journal, "a").head, open(&journal, "b").head, journal.damage()), (0, 1, None));
}
