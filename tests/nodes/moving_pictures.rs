//! Avatar pictures that are brought from the journal of a server into Redis, and back.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use echoroom::testing::{Records as _, nodes::*, now_millis};

use crate::{
    moving::{export_from, folder, import_into, run, say_with, wait},
    redis_server::Redis,
};

/// Pictures of these bytes.
fn pictures(all: &[&'static [u8]]) -> Vec<Arc<Picture>> {
    let picture = |bytes: &&'static [u8]| Picture::stored("image/png", Bytes::from_static(bytes));
    all.iter().map(|bytes| Arc::new(picture(bytes).expect("a type"))).collect()
}

fn in_redis(redis: &Redis, kept: &Picture) -> Option<Picture> {
    let reply = picture(&kept.id()).query(&mut redis.connect()).expect("an answer");
    picture_of(&kept.id(), reply).expect("sound")
}

/// The picture with this id in a journal, and when it was used last.
fn in_journal(folder: &Path, kept: &Picture) -> (Vec<u8>, u64) {
    let file = rusqlite::Connection::open(folder.join("echoroom.db")).expect("opens");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    file.query_row("SELECT bytes, used FROM avatars WHERE id = ?1", [&kept.id().as_bytes()[..]], row)
        .expect("it is there")
}

/// Sets when a picture was used last.
fn set_used(folder: &Path, kept: &Picture, used: u64) {
    let file = rusqlite::Connection::open(folder.join("echoroom.db")).expect("opens");
    let id = kept.id();
    let parts = (used as i64, &id.as_bytes()[..]);
    assert_eq!(file.execute("UPDATE avatars SET used = ?1 WHERE id = ?2", parts), Ok(1));
}

#[test]
fn avatar_pictures_are_moved_with_the_times_at_which_they_were_used_last() {
    let (folder, other, redis) = (folder(), folder(), Redis::start(&[]));
    let all = pictures(&[b"one", b"\n\0two", b"three", b"too old"]);
    run(folder.path(), |journal| say_with(journal, "lobby", &["a"], "one", all.clone()));
    let now = now_millis();
    for (kept, hours) in all.iter().zip([1, 2, 3, 25]) {
        set_used(folder.path(), kept, now - hours * 3_600_000);
    }
    let tally = import_into(&redis, folder.path()).expect("imported");
    assert_eq!((tally.rooms, tally.pictures, tally.damaged), (1, 3, 0));
    for kept in &all[..3] {
        assert_eq!(in_redis(&redis, kept).expect("it is there").bytes(), kept.bytes());
    }
    assert!(in_redis(&redis, &all[3]).is_none(), "its time is over");
    // Those that are there stay, and count once.
    let bytes = |redis: &Redis, kept: &Picture| -> u64 {
        let key = format!("er:{{e{}}}:a", Partition::of_picture(&kept.id()).number());
        redis::cmd("HGET").arg(key).arg("#").query(&mut redis.connect()).expect("a number")
    };
    let before: Vec<_> = all[..3].iter().map(|kept| bytes(&redis, kept)).collect();
    import_into(&redis, folder.path()).expect("imported again");
    assert_eq!(all[..3].iter().map(|kept| bytes(&redis, kept)).collect::<Vec<_>>(), before);
    // Its time goes on: an hour was left of two of a day's.
    let key = format!("er:{{e{}}}:a:{}", Partition::of_picture(&all[2].id()).number(), all[2].id());
    let left: u64 = redis::cmd("PTTL").arg(key).query(&mut redis.connect()).expect("a time");
    assert!((20 * 3_600_000..=21 * 3_600_000).contains(&left), "{left} ms");

    let exported = export_from(&redis, other.path()).expect("exported");
    assert_eq!((exported.pictures, exported.damaged), (3, 0));
    for kept in &all[..3] {
        assert_eq!(in_journal(other.path(), kept), in_journal(folder.path(), kept));
    }
    run(other.path(), |journal| {
        let found = wait(journal.picture(all[1].id())).expect("an answer").expect("it is there");
        assert_eq!((found.media_type(), found.bytes()), ("image/png", all[1].bytes()));
    });
}

#[test]
fn avatar_pictures_that_are_damaged_are_left_out_and_counted() {
    let (folder, other, redis) = (folder(), folder(), Redis::start(&[]));
    let all = pictures(&[b"one", b"two", b"three"]);
    run(folder.path(), |journal| say_with(journal, "lobby", &["a"], "one", all.clone()));
    let file = rusqlite::Connection::open(folder.path().join("echoroom.db")).expect("opens");
    let changed =
        file.execute("UPDATE avatars SET bytes = x'00' WHERE id = ?1", [&all[0].id().as_bytes()[..]]);
    assert_eq!(changed, Ok(1));
    drop(file);
    let tally = import_into(&redis, folder.path()).expect("imported");
    assert_eq!((tally.pictures, tally.damaged), (2, 1));
    let key = format!("er:{{e{}}}:a:{}", Partition::of_picture(&all[1].id()).number(), all[1].id());
    redis::cmd("SET").arg(key).arg("image/png\nother").exec(&mut redis.connect()).expect("changed");
    let tally = export_from(&redis, other.path()).expect("exported");
    assert_eq!((tally.messages, tally.pictures, tally.damaged), (1, 1, 1));
}
