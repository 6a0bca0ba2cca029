//! Avatar pictures that users sent messages under are kept, within their bound.

use crate::journal::Records as _;
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rusqlite::Connection;

use super::{damaged, database, folder, run_with};
use crate::{
    domain::Picture,
    journal::{
        Append, Journal as _, Retention,
        sqlite::SqliteJournal,
        tests::{RETENTION, open, record, room, wait},
    },
};

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
