//! The records of a room have no gap and no repetition, whatever its row says.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;

use super::{damaged, database, folder, reopen, run_with, try_to_append, until_released};
use crate::journal::{
    Append, Journal as _, Keyed, Record, Retention,
    sqlite::SqliteJournal,
    tests::{ALL, RETENTION, append, offsets, open, read, record, room, say, wait},
};

#[test]
fn a_record_is_the_next_one_or_the_one_that_is_there_or_an_error() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "a", 3);
    let epochs = open(&journal, "a").epochs;
    let other = Record { at: 5, ..record(1, &["1", "2", "3"]) };
    for wrong in
        [record(1, &["x", "y", "z"]), record(2, &["x"]), other, record(5, &["5"]), record(3, &["3", "4"])]
    {
        damaged(try_to_append(&journal, &epochs, wrong));
    }
    say(&journal, "a", 1);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3, 4]);
}

#[test]
fn a_batch_that_is_given_again_may_have_been_let_go_meanwhile() {
    let folder = folder();
    let retention = Retention { messages: 2, ..RETENTION };
    let journal = SqliteJournal::open(folder.path(), retention, &Arc::default()).expect("opens");
    let epoch = open(&journal, "a").epochs[0];
    let keyed = Keyed { key: [7; 16], offset: 2, at: 9 };
    let records = [
        record(1, &["1"]),
        Record { keys: vec![keyed], ..record(2, &["2"]) },
        record(3, &["3"]),
        record(4, &["4"]),
    ];
    for _ in 0..3 {
        let batch = records.iter().map(|record| Append {
            room: room("a"),
            epoch,
            record: record.clone(),
            pictures: Vec::new(),
        });
        wait(journal.append(batch.collect())).expect("durable");
    }
    append(&journal, "a", epoch, record(5, &["5"]));
    assert_eq!(open(&journal, "a").head, 5);
    assert_eq!(journal.damage(), None);
}

/// Sends three messages, each a record of its own.
fn three_records(journal: &SqliteJournal) {
    for _ in 0..3 {
        say(journal, "a", 1);
    }
}

/// The rows of rooms, next to what their records add up to: head, messages, bytes.
pub(super) fn rows_and_sums(folder: &Path) -> Vec<([i64; 3], [i64; 3])> {
    let file = Connection::open(database(folder)).expect("the file");
    let mut query = file
        .prepare(
            "SELECT head, messages, bytes, max((rounds.id & ((1 << 40) - 1)) + count - 1), sum(count),
                sum(ifnull(length(keys), 0) + length(entries))
             FROM rooms JOIN rounds ON rounds.id >> 40 = rooms.id GROUP BY rooms.id ORDER BY name",
        )
        .expect("a query");
    let rows = query.query_map([], |row| {
        let three = |from| Ok::<_, rusqlite::Error>([row.get(from)?, row.get(from + 1)?, row.get(from + 2)?]);
        Ok((three(0)?, three(3)?))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("numbers")
}

#[test]
fn the_row_of_a_room_is_some_records_behind_and_a_restart_finds_where_the_room_stands() {
    let folder = folder();
    let journal = reopen(folder.path());
    for _ in 0..70 {
        say(&journal, "a", 1);
    }
    say(&journal, "b", 3);
    // It ends without closing its journal.
    drop(journal);
    until_released(folder.path());
    let [(a, whole), (b, _)] = rows_and_sums(folder.path())[..] else { panic!("two rooms") };
    assert!((1..70).contains(&a[0]) && whole[0] == 70, "{a:?} of {whole:?}");
    assert_eq!(b, [0, 0, 0], "a room's first records are not counted in its row yet");

    let journal = reopen(folder.path());
    assert_eq!([open(&journal, "a").head, open(&journal, "b").head], [70, 3]);
    assert_eq!(wait(journal.sweep()).expect("swept"), []);
    assert_eq!(offsets(&read(&journal, "b", ALL)), [1, 2, 3], "a room whose row says 0 is not empty");
    say(&journal, "b", 1);
    wait(journal.sweep()).expect("swept");
    assert!(rows_and_sums(folder.path()).iter().all(|(row, sum)| row == sum), "a sweep saves the rows");
    say(&journal, "b", 1);
    wait(journal.close()).expect("closes");
    assert!(rows_and_sums(folder.path()).iter().all(|(row, sum)| row == sum), "a clean end saves the rows");
    assert_eq!(journal.damage(), None);
}

#[test]
fn a_row_behind_its_records_gives_no_offset_out_again() {
    let folder = folder();
    run_with(folder.path(), three_records);
    let file = Connection::open(database(folder.path())).expect("the file");
    file.execute("UPDATE rooms SET head = 1", []).expect("written");
    drop(file);
    let journal = reopen(folder.path());
    assert_eq!(open(&journal, "a").head, 3);
    say(&journal, "a", 1);
    assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3, 4]);
}

#[test]
fn records_that_do_not_follow_the_row_of_their_room_are_damage() {
    for (how, change) in [
        (
            "one is missing",
            "DELETE FROM rounds WHERE id = (SELECT min(id) + 1 FROM rounds); UPDATE rooms SET head = 1",
        ),
        (
            "one begins before the head and ends behind it",
            "UPDATE rooms SET head = 2; UPDATE rounds SET count = 2 WHERE id = (SELECT min(id) + 1 FROM rounds); DELETE FROM rounds WHERE id = (SELECT max(id) FROM rounds)",
        ),
    ] {
        let folder = folder();
        run_with(folder.path(), three_records);
        let file = Connection::open(database(folder.path())).expect("the file");
        file.execute_batch(change).expect("written");
        drop(file);
        let journal = reopen(folder.path());
        damaged(wait(journal.open(room("a"))));
        assert!(journal.damage().is_some(), "{how}");
        say(&journal, "b", 1);
        wait(journal.sweep()).expect("the other rooms are swept");
        let knows = || wait(journal.rooms()).expect("rooms").iter().any(|(name, _)| *name == room("a"));
        assert!(knows(), "{how}");
        wait(journal.forget(room("a"))).expect("a damaged room can be forgotten");
        assert!(!knows(), "{how}");
    }
}
