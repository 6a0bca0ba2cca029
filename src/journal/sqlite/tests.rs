//! Promises of the file: it is the one that was left, owned by one server, and undamaged.

use std::{
    fs,
    os::unix::fs::{FileExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Place, SqliteJournal, back_up, checker, condition::Condition, schema::MIGRATIONS};
use crate::{
    domain::Picture,
    journal::{
        Append, Epoch, Journal, JournalError, Keyed, Page, Record, Retention,
        tests::{ALL, RETENTION, append, offsets, open, read, record, reopen, room, say, wait},
    },
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn database(folder: &Path) -> PathBuf {
    folder.join("echoroom.db")
}

/// Runs a server on the folder that sends `messages` messages to the room and stops cleanly.
fn run(folder: &Path, messages: u64) -> Vec<Epoch> {
    run_with(folder, |journal| {
        if messages > 0 {
            say(journal, "a", messages);
        }
        open(journal, "a").epochs
    })
}

/// Runs a server that does `job` and stops cleanly.
fn run_with<T>(folder: &Path, job: impl FnOnce(&SqliteJournal) -> T) -> T {
    let journal = reopen(folder);
    let done = job(&journal);
    wait(journal.close()).expect("closes");
    drop(journal);
    until_released(folder);
    done
}

/// Waits until the threads of a dropped journal have released its files.
fn until_released(folder: &Path) {
    let folder = fs::File::open(folder).expect("a folder");
    folder.lock().expect("a lock");
}

fn copy_all(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

fn unavailable<T>(outcome: Result<T, JournalError>) -> String {
    match outcome {
        Err(JournalError::Unavailable(sentence)) => sentence,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it went well"),
    }
}

fn damaged<T>(outcome: Result<T, JournalError>) -> String {
    match outcome {
        Err(JournalError::Damaged(sentence)) => sentence,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it went well"),
    }
}

/// All messages of a room, if none is damaged.
fn whole(journal: &SqliteJournal, name: &str) -> Result<Page, JournalError> {
    wait(journal.read(room(name), ALL)).and_then(Page::whole)
}

/// Tries to append one more message to the room.
fn try_to_say(journal: &SqliteJournal) -> Result<(), JournalError> {
    let state = wait(journal.open(room("a")))?;
    try_to_append(journal, &state.epochs, record(state.head + 1, &["more"]))
}

fn try_to_append(journal: &SqliteJournal, epochs: &[Epoch], record: Record) -> Result<(), JournalError> {
    let epoch = *epochs.last().expect("an epoch");
    wait(journal.append(vec![Append { room: room("a"), epoch, record, pictures: Vec::new() }]))
}

// ----- avatars -----

fn picture(number: u8, len: usize) -> Arc<Picture> {
    Arc::new(Picture::stored("image/png", Bytes::from(vec![number; len])).expect("a type"))
}

fn say_under(journal: &SqliteJournal, picture: &Arc<Picture>) {
    let state = open(journal, "a");
    let (epoch, record) = (*state.epochs.last().expect("an epoch"), record(state.head + 1, &["x"]));
    let append = Append { room: room("a"), epoch, record, pictures: vec![Arc::clone(picture)] };
    wait(journal.append(vec![append])).expect("durable");
}

fn find(journal: &SqliteJournal, picture: &Picture) -> Option<Picture> {
    wait(journal.picture(picture.id())).expect("readable")
}

#[test]
fn a_picture_that_was_spoken_under_is_there_after_a_restart() {
    let (folder, [said, silent]) = (folder(), [1, 2].map(|number| picture(number, 100)));
    run_with(folder.path(), |journal| say_under(journal, &said));
    run_with(folder.path(), |journal| {
        let found = find(journal, &said).expect("there");
        assert_eq!((found.id(), found.media_type(), found.bytes()), (said.id(), "image/png", said.bytes()));
        assert!(find(journal, &silent).is_none());
        // A second time, and no picture is stored twice.
        say_under(journal, &said);
    });
    let file = Connection::open(database(folder.path())).expect("a database");
    let count: i64 = file.query_row("SELECT count(*) FROM avatars", [], |row| row.get(0)).expect("a count");
    assert_eq!(count, 1);
}

#[test]
fn pictures_that_were_spoken_under_longest_ago_make_room() {
    let folder = folder();
    let retention = Retention { avatar_bytes: 10_000, ..RETENTION };
    let pictures: Vec<_> = (0..20).map(|number| picture(number, 872)).collect();
    let journal = SqliteJournal::open(folder.path(), retention, &Arc::default()).expect("opens");
    for picture in &pictures {
        say_under(&journal, picture);
        // The first picture is used each time. Uses are counted in milliseconds, so wait for two.
        std::thread::sleep(Duration::from_millis(2));
        say_under(&journal, &pictures[0]);
    }
    let there: Vec<_> = (0..20).filter(|number| find(&journal, &pictures[*number]).is_some()).collect();
    assert!((8..=10).contains(&there.len()), "{there:?}");
    assert!(there.contains(&0) && there.contains(&19) && !there.contains(&1), "{there:?}");
}

#[test]
fn a_picture_that_has_been_changed_is_damage() {
    let (folder, said) = (folder(), picture(1, 100));
    run_with(folder.path(), |journal| say_under(journal, &said));
    let file = Connection::open(database(folder.path())).expect("a database");
    file.execute("UPDATE avatars SET bytes = x'00'", []).expect("changed");
    drop(file);
    run_with(folder.path(), |journal| {
        assert!(damaged(wait(journal.picture(said.id()))).contains("avatar"));
    });
}

// ----- epochs -----

#[test]
fn each_run_is_an_epoch_and_clients_of_the_runs_before_are_known() {
    let folder = folder();
    let first = run(folder.path(), 3);
    assert_eq!(first.len(), 1);
    // A run without a message in the room has clients too.
    let silent = run(folder.path(), 0);
    let third = run(folder.path(), 2);
    assert_eq!(third.iter().map(|epoch| epoch.starts).collect::<Vec<_>>(), [1, 4, 4]);
    assert_eq!((third[0], third[1]), (first[0], silent[1]));
    let journal = reopen(folder.path());
    let fourth = open(&journal, "a").epochs;
    assert_eq!(&fourth[..3], &third[..]);
    assert_eq!(fourth[3].starts, 6);
    drop(journal);
    // A killed run has its epoch too.
    assert_eq!(open(&reopen(folder.path()), "a").epochs[..4], fourth[..]);
}

#[test]
fn an_epoch_before_the_first_that_a_room_remembers_is_not_known() {
    let folder = folder();
    let first = run(folder.path(), 3)[0];
    for _ in 0..30 {
        run(folder.path(), 1);
    }
    let epochs = open(&reopen(folder.path()), "a").epochs;
    assert!(epochs.len() <= 16 && !epochs.contains(&first), "{epochs:?}");
    assert!(epochs.is_sorted_by_key(|epoch| (epoch.id.number, epoch.starts)), "{epochs:?}");
}

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
fn epochs_that_no_room_has_messages_of_are_forgotten_and_known_again_when_one_has() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "kept", 1);
    let silent = open(&journal, "silent").epochs[0];
    for _ in 0..40 {
        say(&journal, "a", 1);
        wait(journal.forget(room("a"))).expect("forgotten");
    }
    let count = || -> i64 {
        let file = Connection::open(database(folder.path())).expect("the file");
        file.query_row("SELECT count(*) FROM epoch_names", [], |row| row.get(0)).expect("a count")
    };
    assert!(count() < 10, "{} epochs", count());
    // A room that has been in memory all the time goes on in its epoch.
    append(&journal, "silent", silent, record(1, &["1"]));
    drop(journal);
    let journal = reopen(folder.path());
    assert!(open(&journal, "silent").epochs.contains(&silent));
}

#[test]
fn a_copy_that_is_put_back_goes_on_in_an_epoch_that_nobody_was_told_of() {
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
fn a_backup_goes_on_in_an_epoch_of_its_own_whatever_becomes_of_what_it_was_made_of() {
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
fn rooms_that_are_forgotten_together_are_forgotten_before_they_are_used_again() {
    let folder = folder();
    let journal = reopen(folder.path());
    let names: Vec<_> = (0..300).map(|number| format!("r{number}")).collect();
    names.iter().for_each(|name| say(&journal, name, 1));
    let told = open(&journal, "r0").epochs;
    let all = names.iter().map(|name| async {
        journal.forget(room(name)).await.expect("forgotten");
        journal.open(room(name)).await.expect("opens")
    });
    let states = wait(futures_util::future::join_all(all));
    assert!(states.iter().all(|state| state.head == 0 && state.epochs != told));
    assert_eq!(wait(journal.rooms()), Ok(Vec::new()));
    say(&journal, "r7", 2);
    assert_eq!(offsets(&read(&journal, "r7", ALL)), [1, 2]);
}

// ----- one server alone -----

#[test]
fn a_lock_that_was_deleted_still_keeps_a_second_server_out() {
    let folder = folder();
    let _first = reopen(folder.path());
    fs::remove_file(folder.path().join("echoroom.lock")).expect("removed");
    let second = SqliteJournal::open(folder.path(), RETENTION, &Arc::default());
    assert!(matches!(second, Err(super::OpenError::Locked(_))), "{second:?}");
}

#[test]
fn a_link_to_the_file_of_a_running_server_is_locked_as_the_file_is() {
    let (data, other) = (folder(), folder());
    let first = reopen(data.path());
    say(&first, "a", 2);
    symlink(database(data.path()), database(other.path())).expect("a link");
    let second = SqliteJournal::open(other.path(), RETENTION, &Arc::default());
    assert!(matches!(second, Err(super::OpenError::Locked(_))), "{second:?}");
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

#[test]
fn a_record_is_the_next_one_or_the_one_that_is_there_or_an_error() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "a", 3);
    let epochs = open(&journal, "a").epochs;
    let other = Record { at: 5, ..record(1, &["1", "2", "3"]) };
    for wrong in
        [record(1, &["x", "y", "z"]), record(2, &["2"]), other, record(5, &["5"]), record(3, &["3", "4"])]
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
fn rows_and_sums(folder: &Path) -> Vec<([i64; 3], [i64; 3])> {
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
        assert!(wait(journal.rooms()).expect("rooms").iter().any(|(name, _)| *name == room("a")), "{how}");
    }
}

// ----- the files under a server -----

/// Ways to remove the files of a running server, and to restore them if possible.
type Taking = (&'static str, fn(&Path), Option<fn(&Path)>);

const TAKINGS: [Taking; 6] = [
    (
        "the folder is moved",
        |data| fs::rename(data, data.with_extension("away")).expect("moved"),
        Some(|data| {
            fs::rename(data.with_extension("away"), data).expect("moved");
        }),
    ),
    ("the folder is removed", |data| fs::remove_dir_all(data).expect("removed"), None),
    ("the database is removed", |data| fs::remove_file(database(data)).expect("removed"), None),
    (
        "the database is replaced",
        |data| {
            fs::copy(database(data), data.join("copy")).expect("copied");
            fs::rename(database(data), data.join("away")).expect("moved");
            fs::rename(data.join("copy"), database(data)).expect("moved");
        },
        Some(|data| fs::rename(data.join("away"), database(data)).expect("moved")),
    ),
    (
        "the database is overwritten",
        |data| {
            let other = folder();
            run(other.path(), 5);
            fs::copy(database(other.path()), database(data)).expect("copied");
        },
        None,
    ),
    ("the database is cut", |data| fs::write(database(data), "").expect("written"), None),
];

#[test]
fn nothing_is_kept_in_files_that_are_no_longer_where_they_were_opened() {
    for (way, take, put_back) in TAKINGS {
        let place = folder();
        let data = place.path().join("data");
        let journal = reopen(&data);
        say(&journal, "a", 3);
        let epochs = open(&journal, "a").epochs;
        take(&data);
        let check = unavailable(wait(journal.check()));
        assert!(check.contains("while the server runs"), "{way}: {check}");
        unavailable(try_to_append(&journal, &epochs, record(4, &["4"])));
        unavailable(wait(journal.read(room("a"), ALL)));
        unavailable(wait(journal.sweep()));
        let Some(put_back) = put_back else {
            unavailable(wait(journal.close()));
            continue;
        };
        put_back(&data);
        wait(journal.check()).expect(way);
        try_to_append(&journal, &epochs, record(4, &["4"])).expect(way);
        assert_eq!(offsets(&read(&journal, "a", ALL)), [1, 2, 3, 4], "{way}");
    }
}

#[test]
fn nothing_is_acked_in_files_that_were_cut_while_the_server_runs() {
    let log = |data: &Path| database(data).with_extension("db-wal");
    for (way, file) in [("database", database as fn(&Path) -> PathBuf), ("log", log)] {
        let data = folder();
        run(data.path(), 50);
        let journal = reopen(data.path());
        say(&journal, "a", 3);
        let epochs = open(&journal, "a").epochs;
        let file = file(data.path());
        let cut = fs::File::options().write(true).open(&file).expect("there");
        let len = cut.metadata().expect("there").len();
        assert!(len > 4096, "{way}");
        cut.set_len(4096).expect("cut");
        // Repeatedly, also when the file has its former length again.
        for round in 0..3 {
            for refused in [
                // The first check finds the damage; without it, the first commit after 20 ms would.
                damaged(wait(journal.check())),
                damaged(try_to_append(&journal, &epochs, record(4, &["4"]))),
                damaged(try_to_say(&journal)),
            ] {
                assert!(refused.contains("was cut while the server runs"), "{way} {round}: {refused}");
            }
            assert!(journal.damage().is_some(), "{way}");
            cut.set_len(len).expect("made longer");
        }
    }
}

#[test]
fn what_was_acked_is_saved_from_a_log_that_is_removed() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "a", 3);
    let epochs = open(&journal, "a").epochs;
    fs::remove_file(folder.path().join("echoroom.db-wal")).expect("removed");
    let refused = unavailable(try_to_append(&journal, &epochs, record(4, &["4"])));
    assert!(refused.contains("echoroom.db-wal was removed"), "{refused}");
    drop(journal);
    assert_eq!(offsets(&read(&reopen(folder.path()), "a", ALL)), [1, 2, 3]);
}

#[test]
fn nothing_is_acked_behind_a_log_that_was_emptied() {
    let folder = folder();
    let journal = reopen(folder.path());
    say(&journal, "a", 3);
    let epochs = open(&journal, "a").epochs;
    fs::write(folder.path().join("echoroom.db-wal"), "").expect("emptied");
    assert!(try_to_append(&journal, &epochs, record(4, &["4"])).is_err());
}

// ----- damage -----

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

fn overwrite(folder: &Path, at: u64, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(database(folder)).expect("the database");
    file.write_all_at(bytes, at).expect("written");
}

fn until_found(journal: &SqliteJournal) -> u64 {
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
fn garbage_in_the_middle_of_the_file_is_found_before_anybody_asks_for_what_was_there() {
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
        checker::run(&Place::new(folder.path()), &condition);
        assert_eq!(condition.damage().map(|damage| damage.found), Some(1), "{records} records");
    }
}

#[test]
fn a_round_that_is_missing_between_two_is_damage_and_no_silent_gap() {
    let folder = folder();
    run_with(folder.path(), |journal| (0..5).for_each(|_| say(journal, "a", 2)));
    let file = Connection::open(database(folder.path())).expect("the file");
    file.execute("DELETE FROM rounds WHERE id = ?1", [1_i64 << 40 | 5]).expect("written");
    drop(file);
    let journal = reopen(folder.path());
    damaged(whole(&journal, "a"));
    until_found(&journal);
}
