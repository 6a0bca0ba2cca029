//! Rooms and epochs are forgotten, and begin again.

use rusqlite::Connection;

use super::{database, folder, reopen};
use crate::journal::{
    Journal as _,
    tests::{ALL, append, offsets, open, read, record, room, say, wait},
};

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
