//! A batch of many rooms is stored as one row at first, which a reader of its rooms cannot tell.

use crate::journal::Records as _;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rusqlite::Connection;

use super::{
    copy_all,
    damage::{overwrite, until_found},
    damaged, database, folder,
    records::rows_and_sums,
    reopen, reopen_with, until_released,
};
use crate::journal::{
    Append, Journal, JournalError, Keyed, Range, Record, Retention,
    sqlite::{MANY_ROOMS, SqliteJournal, back_up},
    tests::{ALL, RETENTION, offsets, open, read, record, room, say, wait},
};

/// One room more than makes a batch staged.
const ROOMS: usize = MANY_ROOMS + 1;

fn names() -> Vec<String> {
    (0..ROOMS).map(|number| format!("r{number}")).collect()
}

/// A batch with one record of each room, whose texts are its offsets.
fn batch(journal: &dyn Journal, first: u64, count: u64) -> Vec<Append> {
    let bodies: Vec<String> = (first..first + count).map(|offset| offset.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let epoch = open(journal, "unknown").epochs[0];
    let keys = vec![Keyed { key: [first as u8; 16], offset: first, at: 9 }];
    let of_room = |name: &String| Append {
        room: room(name),
        epoch,
        record: Record { keys: keys.clone(), ..record(first, &bodies) },
        pictures: Vec::new(),
    };
    names().iter().map(of_room).collect()
}

fn append(journal: &dyn Journal, batch: &[Append]) {
    wait(journal.append(batch.to_vec())).expect("durable");
}

/// Appends batches of these first offsets, of two messages a room each.
fn append_from(journal: &dyn Journal, firsts: impl IntoIterator<Item = u64>) {
    firsts.into_iter().for_each(|first| append(journal, &batch(journal, first, 2)));
}

/// Appends a message to each room, none of which is staged.
fn say_in_all(journal: &dyn Journal, first: u64) {
    batch(journal, first, 1).chunks(1).for_each(|one| append(journal, one));
}

/// The rows of staged batches, and of records.
fn rows(folder: &Path) -> [i64; 2] {
    let file = Connection::open(database(folder)).expect("the file");
    ["staged", "rounds"].map(|table| {
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get(0)).expect("a count")
    })
}

/// Reads every room whole, each of which must end with this offset.
fn all_end_at(journal: &dyn Journal, last: u64) {
    for name in names() {
        assert_eq!(offsets(&read(journal, &name, ALL)), (1..=last).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_batch_of_many_rooms_is_one_row_and_one_of_few_rooms_is_not_staged() {
    let folder = folder();
    let journal = reopen(folder.path());
    append_from(&journal, [1]);
    assert_eq!(rows(folder.path()), [1, 0]);
    say(&journal, "other", 1);
    assert_eq!(rows(folder.path()), [1, 1]);
    // Its records must not overtake those that are staged.
    let next = batch(&journal, 3, 2);
    append(&journal, &next[..1]);
    assert_eq!(rows(folder.path()), [2, 1]);
    assert_eq!(offsets(&read(&journal, "r0", ALL)), [1, 2, 3, 4]);
    wait(journal.close()).expect("closes");
    assert_eq!(rows(folder.path()), [0, ROOMS as i64 + 1], "records that follow each other are joined");
}

#[test]
fn a_large_batch_of_many_rooms_is_not_staged() {
    let folder = folder();
    let journal = reopen(folder.path());
    let mut large = batch(&journal, 1, 1);
    let body = "x".repeat(5000);
    large.iter_mut().for_each(|append| append.record = record(1, &[&body]));
    append(&journal, &large);
    assert_eq!(rows(folder.path()), [0, ROOMS as i64]);
}

#[test]
fn pages_are_read_across_records_and_what_is_staged_behind_them() {
    let folder = folder();
    let journal = reopen(folder.path());
    names().iter().for_each(|name| say(&journal, name, 3));
    append_from(&journal, [4, 6, 8]);
    assert_eq!(rows(folder.path()), [3, ROOMS as i64]);
    all_end_at(&journal, 9);
    for after in 0..=10 {
        let page = read(&journal, "r3", Range::After { after, max_bytes: usize::MAX });
        assert_eq!(offsets(&page), (after + 1..=9).collect::<Vec<_>>(), "after {after}");
    }
    for before in 1..=12 {
        let page = read(&journal, "r3", Range::Before { before, limit: 5, max_bytes: usize::MAX });
        let end = before.min(10);
        assert_eq!(
            offsets(&page),
            (end.saturating_sub(5).max(1)..end).collect::<Vec<_>>(),
            "before {before}"
        );
    }
    assert!(read(&journal, "unknown", ALL).entries.is_empty());
}

#[test]
fn a_start_after_a_kill_finds_what_was_staged() {
    let folder = folder();
    let journal = reopen(folder.path());
    names().iter().take(3).for_each(|name| say(&journal, name, 1));
    let mut first = batch(&journal, 1, 1);
    append(&journal, &first.split_off(3));
    append_from(&journal, [2, 4, 6]);
    assert!(rows(folder.path())[0] > 0);
    // It ends without closing its journal.
    drop(journal);
    until_released(folder.path());
    let journal = reopen(folder.path());
    assert_eq!(rows(folder.path())[0], 0);
    all_end_at(&journal, 7);
    let state = open(&journal, "r5");
    assert_eq!((state.head, state.keys.len()), (7, 4));
    append_from(&journal, [8]);
    all_end_at(&journal, 9);
    assert_eq!(journal.damage(), None);
}

#[test]
fn a_room_that_is_opened_again_has_what_is_staged() {
    let folder = folder();
    let journal = reopen(folder.path());
    append_from(&journal, [1, 3]);
    let state = open(&journal, "r1");
    assert_eq!((state.head, state.keys.len()), (4, 2));
    assert_eq!(wait(journal.rooms()).expect("rooms").len(), ROOMS);
    append_from(&journal, [5]);
    assert_eq!(wait(journal.sweep()), Ok(Vec::new()));
    assert_eq!(rows(folder.path())[0], 0);
    all_end_at(&journal, 6);
}

#[test]
fn a_batch_that_is_given_again_is_there_once_whatever_has_become_of_it() {
    let folder = folder();
    let journal = reopen(folder.path());
    let batches = [batch(&journal, 1, 2), batch(&journal, 3, 1), batch(&journal, 4, 2)];
    batches.iter().for_each(|batch| append(&journal, batch));
    // Staged, then joined to others, then after a restart.
    append(&journal, &batches[2]);
    batches.iter().for_each(|batch| append(&journal, batch));
    all_end_at(&journal, 5);
    drop(journal);
    let journal = reopen(folder.path());
    append(&journal, &batches[1]);
    all_end_at(&journal, 5);
    assert_eq!(journal.damage(), None);
    let other_keys = Record { keys: Vec::new(), ..batches[1][0].record.clone() };
    for other in [record(3, &["another text"]), record(4, &["4"]), other_keys] {
        let wrong = vec![Append {
            room: room("r0"),
            epoch: batches[0][0].epoch,
            record: other,
            pictures: Vec::new(),
        }];
        damaged(wait(journal.append(wrong)));
    }
    damaged(wait(journal.append(batch(&journal, 7, 1))));
    all_end_at(&journal, 5);
}

#[test]
fn a_forgotten_room_is_forgotten_with_what_is_staged_of_it() {
    let folder = folder();
    let journal = reopen(folder.path());
    append_from(&journal, [1, 3]);
    wait(journal.forget(room("r2"))).expect("forgotten");
    assert!(read(&journal, "r2", ALL).entries.is_empty());
    assert_eq!(open(&journal, "r2").head, 0);
    assert_eq!(offsets(&read(&journal, "r1", ALL)), [1, 2, 3, 4]);
    say(&journal, "r2", 1);
    assert_eq!(offsets(&read(&journal, "r2", ALL)), [1]);
}

#[test]
fn rooms_keep_to_their_bounds_while_they_are_staged() {
    let folder = folder();
    let retention = Retention { messages: 16, ..RETENTION };
    let journal = SqliteJournal::open(folder.path(), retention, &Arc::default()).expect("opens");
    let epoch = open(&journal, "unknown").epochs[0];
    for first in 1..=60 {
        append(&journal, &batch(&journal, first, 1));
        let page = read(&journal, "r0", ALL);
        let from = page.entries[0].offset;
        assert_eq!(offsets(&page), (from..=first).collect::<Vec<_>>());
        assert!(page.entries.len() <= 18 && (first < 16 || page.entries.len() >= 16), "{first}: {page:?}");
    }
    assert_eq!(open(&journal, "r0").epochs, [epoch]);
}

#[test]
fn a_full_room_goes_on_after_its_row_was_saved_between_two_staged_records() {
    type Leave = fn(SqliteJournal, &Path) -> SqliteJournal;
    let retention = Retention { messages: 64, ..RETENTION };
    let ways: [(&str, Leave); 2] = [
        ("a sweep", |journal, _| {
            wait(journal.sweep()).expect("swept");
            journal
        }),
        ("a kill", |journal, folder| {
            drop(journal);
            reopen_with(folder, Retention { messages: 64, ..RETENTION })
        }),
    ];
    for (way, leave) in ways {
        for more in [1, 5, 17, 40] {
            let folder = folder();
            let journal = reopen_with(folder.path(), retention);
            (1..=72).for_each(|first| say_in_all(&journal, first));
            wait(journal.sweep()).expect("all is moved");
            // The first of them trims the rooms and saves their rows, the others follow.
            (73..=73 + more).for_each(|first| append(&journal, &batch(&journal, first, 1)));
            let journal = leave(journal, folder.path());
            let last = 74 + more;
            append(&journal, &batch(&journal, last, 1));
            for name in names() {
                let page = read(&journal, &name, ALL);
                let from = page.entries[0].offset;
                assert_eq!(offsets(&page), (from..=last).collect::<Vec<_>>(), "{way}, {more} more");
                assert_eq!(open(&journal, &name).head, last);
            }
            assert_eq!(journal.damage(), None, "{way}, {more} more");
            wait(journal.close()).expect("closes");
            let sums = rows_and_sums(folder.path());
            assert!(sums.iter().all(|(row, sum)| row == sum), "{way}, {more} more: {sums:?}");
        }
    }
}

#[test]
fn damage_where_the_records_of_one_room_go_keeps_no_other_room_from_going_on() {
    let folder = folder();
    let journal = reopen(folder.path());
    append_from(&journal, [1]);
    wait(journal.sweep()).expect("all is moved");
    append_from(&journal, [3]);
    drop(journal);
    until_released(folder.path());
    // A record that is in the way of a staged one.
    let file = Connection::open(database(folder.path())).expect("the file");
    let room: i64 =
        file.query_row("SELECT id FROM rooms WHERE name = 'r3'", [], |row| row.get(0)).expect("the room");
    let insert = "INSERT INTO rounds SELECT (?1 << 40) | 3, count, at, keys, entries, 0 FROM rounds LIMIT 1";
    assert_eq!(file.execute(insert, [room]), Ok(1));
    drop(file);
    let journal = reopen(folder.path());
    assert!(journal.damage().is_some());
    for name in names().iter().filter(|name| *name != "r3") {
        assert_eq!(offsets(&read(&journal, name, ALL)), [1, 2, 3, 4]);
        say(&journal, name, 1);
    }
}

#[test]
fn a_backup_has_what_is_staged() {
    let [folder, copy] = [folder(), folder()];
    let journal = reopen(folder.path());
    append_from(&journal, [1, 3]);
    back_up(folder.path(), &database(copy.path())).expect("copied");
    all_end_at(&reopen(copy.path()), 4);
}

#[test]
fn a_staged_batch_that_was_changed_is_damage_at_each_start_and_the_others_are_kept() {
    for change in ["records = substr(records, 2)", "records = CAST(records AS TEXT)", "sum = sum + 1"] {
        let folder = folder();
        let journal = reopen(folder.path());
        append_from(&journal, [1, 3]);
        drop(journal);
        until_released(folder.path());
        let file = Connection::open(database(folder.path())).expect("the file");
        let change = format!("UPDATE staged SET {change} WHERE id = (SELECT max(id) FROM staged)");
        assert_eq!(file.execute(&change, []), Ok(1));
        drop(file);
        for last in [2, 4] {
            let journal = reopen(folder.path());
            assert_eq!(journal.damage().map(|damage| damage.found), Some(1));
            // The offsets that were lost are given out again, in a new epoch.
            all_end_at(&journal, last);
            append_from(&journal, [last + 1]);
            assert_eq!(rows(folder.path())[0], 2);
            all_end_at(&journal, last + 2);
            wait(journal.close()).expect("closes");
            assert_eq!(rows(folder.path())[0], 1, "the batch that was changed stays");
            drop(journal);
            until_released(folder.path());
        }
    }
}

#[test]
fn rooms_go_on_behind_a_staged_batch_that_was_changed() {
    let folder = folder();
    let journal = reopen(folder.path());
    append_from(&journal, [1]);
    wait(journal.sweep()).expect("all is moved");
    append_from(&journal, [3, 5]);
    drop(journal);
    until_released(folder.path());
    let file = Connection::open(database(folder.path())).expect("the file");
    let change = "UPDATE staged SET sum = sum + 1 WHERE id = (SELECT min(id) FROM staged)";
    assert_eq!(file.execute(change, []), Ok(1));
    drop(file);
    let journal = reopen(folder.path());
    for name in names() {
        assert_eq!(open(&journal, &name).head, 6);
        say(&journal, &name, 1);
        let page = read(&journal, &name, ALL);
        assert_eq!(offsets(&page), [1, 2]);
        assert!(matches!(page.damage, Some(JournalError::Damaged(_))), "{page:?}");
        let behind = read(&journal, &name, Range::After { after: 4, max_bytes: usize::MAX });
        assert_eq!(offsets(&behind), [5, 6, 7]);
    }
}

#[test]
fn who_reads_while_records_are_moved_misses_none() {
    let folder = folder();
    let journal = reopen(folder.path());
    let durable = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for first in 1..=300 {
                append(&journal, &batch(&journal, first, 1));
                durable.store(first, Ordering::SeqCst);
                if first % 7 == 0 {
                    // Moves what is staged.
                    wait(journal.rooms()).expect("rooms");
                }
            }
        });
        let mut last = 0;
        while last < 300 {
            let known = durable.load(Ordering::SeqCst);
            let page = read(&journal, "r4", ALL);
            last = page.entries.last().map_or(0, |entry| entry.offset);
            assert!(last >= known, "{last} of {known}");
            assert_eq!(offsets(&page), (1..=last).collect::<Vec<_>>());
        }
    });
    assert_eq!(journal.damage(), None);
}

#[test]
fn garbage_in_any_page_of_a_file_with_staged_batches_is_damage_and_never_a_silent_loss() {
    let whole = folder();
    let journal = reopen(whole.path());
    names().iter().take(2).for_each(|name| say(&journal, name, 1));
    append(&journal, &batch(&journal, 1, 1)[2..]);
    (2..40).for_each(|first| append(&journal, &batch(&journal, first, 1)));
    drop(journal);
    until_released(whole.path());
    let file = Connection::open(database(whole.path())).expect("the file");
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("the log is in the file");
    drop(file);
    let pages = fs::metadata(database(whole.path())).expect("the database").len() / 4096;
    let mut cut = 0;
    for page in 1..pages {
        let copy = folder();
        copy_all(whole.path(), copy.path());
        overwrite(copy.path(), page * 4096, &[0x5A; 4096]);
        let journal = reopen(copy.path());
        let mut is_damaged = false;
        for name in names() {
            let outcome = wait(journal.open(room(&name))).and_then(|_| wait(journal.read(room(&name), ALL)));
            match outcome {
                Ok(page) => {
                    let last = page.entries.len() as u64;
                    assert_eq!(offsets(&page), (1..=last).collect::<Vec<_>>());
                    is_damaged |= last < 39;
                }
                Err(error) => {
                    assert!(matches!(error, JournalError::Damaged(_)), "{error}");
                    is_damaged = true;
                }
            }
        }
        if is_damaged {
            until_found(&journal);
            cut += 1;
        }
    }
    assert!(cut > pages / 2, "{cut} of {pages}");
}
