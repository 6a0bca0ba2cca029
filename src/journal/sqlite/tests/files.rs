//! Nothing is acknowledged in files that are not those that were opened.

use crate::journal::Records as _;
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{damaged, database, folder, reopen, run, try_to_append, try_to_say, unavailable};
use crate::journal::{
    Journal as _,
    tests::{ALL, offsets, open, read, record, room, say, wait},
};

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
    ("the database is truncated", |data| fs::write(database(data), "").expect("written"), None),
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
fn nothing_is_acked_in_files_that_were_truncated_while_the_server_runs() {
    let log = |data: &Path| database(data).with_extension("db-wal");
    for (way, file) in [("database", database as fn(&Path) -> PathBuf), ("log", log)] {
        let data = folder();
        run(data.path(), 50);
        let journal = reopen(data.path());
        say(&journal, "a", 3);
        let epochs = open(&journal, "a").epochs;
        let file = file(data.path());
        let truncated = fs::File::options().write(true).open(&file).expect("there");
        let len = truncated.metadata().expect("there").len();
        assert!(len > 4096, "{way}");
        truncated.set_len(4096).expect("truncated");
        // Repeatedly, also when the file has its former length again.
        for attempt in 0..3 {
            for refused in [
                // The first check finds the damage; without it, the first commit after 20 ms would.
                damaged(wait(journal.check())),
                damaged(try_to_append(&journal, &epochs, record(4, &["4"]))),
                damaged(try_to_say(&journal)),
            ] {
                assert!(
                    refused.contains("was truncated while the server runs"),
                    "{way} {attempt}: {refused}"
                );
            }
            assert!(journal.damage().is_some(), "{way}");
            truncated.set_len(len).expect("made longer");
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
