//! Avatar pictures in Redis.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use echoroom::testing::{Records as _, nodes::*};
use redis::Connection;

use crate::{
    link::Linked,
    redis_server::{PATIENCE, Redis},
};

fn png(bytes: impl Into<Bytes>) -> Arc<Picture> {
    Arc::new(Picture::stored("image/png", bytes.into()).expect("a type"))
}

fn keep(redis: &mut Connection, picture: &Arc<Picture>, bounds: &Bounds) {
    let command = Command::KeepPicture { picture: Arc::clone(picture) };
    let reply = call(&command, bounds).query(redis).expect("an answer");
    assert!(matches!(answer(&command, reply), Ok(Answer::Done)));
}

fn find(redis: &mut Connection, id: &PictureId) -> Option<Picture> {
    picture_of(id, picture(id).query(redis).expect("an answer")).expect("sound")
}

/// Pictures of 1000 bytes of one partition.
fn neighbours(count: usize) -> Vec<Arc<Picture>> {
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for number in 0_u32.. {
        let picture = png(number.to_le_bytes().repeat(250));
        let part = parts.entry(Partition::of_picture(&picture.id())).or_default();
        part.push(picture);
        if part.len() == count {
            return std::mem::take(part);
        }
    }
    unreachable!("numbers do not end before");
}

#[test]
fn a_picture_is_read_as_it_was_kept() {
    for server in [Redis::with_functions(), Redis::as_cluster()] {
        let mut redis = server.connect();
        let all: Vec<u8> = (0..=255).collect();
        for (media_type, bytes) in
            [("image/png", all), ("image/gif", b"\n\n".to_vec()), ("image/webp", vec![0])]
        {
            let kept = Arc::new(Picture::stored(media_type, bytes.clone().into()).expect("a type"));
            assert!(find(&mut redis, &kept.id()).is_none());
            for _ in 0..3 {
                keep(&mut redis, &kept, &Bounds::default());
                let found = find(&mut redis, &kept.id()).expect("it is there");
                assert_eq!((found.media_type(), &found.bytes()[..]), (media_type, &bytes[..]));
            }
        }
    }
}

#[test]
fn pictures_that_were_kept_longest_ago_make_room() {
    let server = Redis::with_functions();
    let mut redis = server.connect();
    let bounds = Bounds { avatar_bytes: 3500 * u64::from(Partition::COUNT), ..Bounds::default() };
    let pictures = neighbours(6);
    for picture in &pictures[..3] {
        keep(&mut redis, picture, &bounds);
        // Redis counts milliseconds.
        std::thread::sleep(Duration::from_millis(2));
    }
    keep(&mut redis, &pictures[0], &bounds);
    for picture in &pictures[3..5] {
        std::thread::sleep(Duration::from_millis(2));
        keep(&mut redis, picture, &bounds);
    }
    let there: Vec<_> = pictures.iter().map(|picture| find(&mut redis, &picture.id()).is_some()).collect();
    assert_eq!(there, [true, false, false, true, true, false]);
    // One that is larger than the share is the only one.
    keep(&mut redis, &pictures[5], &Bounds { avatar_bytes: 1, ..bounds });
    let there: Vec<_> = pictures.iter().map(|picture| find(&mut redis, &picture.id()).is_some()).collect();
    assert_eq!(there, [false, false, false, false, false, true]);
}

#[test]
fn nothing_is_left_of_a_picture_that_nobody_wears_for_the_age_of_history() {
    let server = Redis::with_functions();
    let mut redis = server.connect();
    let bounds = Bounds { history_age: Duration::from_millis(50), ..Bounds::default() };
    for picture in neighbours(3) {
        keep(&mut redis, &picture, &bounds);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).expect("an answer");
        if keys.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{keys:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_picture_that_was_changed_is_damaged_and_an_unknown_one_is_not_there() {
    let server = Redis::with_functions();
    let mut redis = server.connect();
    let kept = png("bytes");
    keep(&mut redis, &kept, &Bounds::default());
    let key: String =
        redis::cmd("KEYS").arg(format!("*:a:{}", kept.id())).query::<Vec<String>>(&mut redis).expect("keys")
            [0]
        .clone();
    for other in ["image/png\nbyteS", "image/gif\nbytes", "image/png", "", "\n", "text/html\nbytes"] {
        redis::cmd("SET").arg(&key).arg(other).exec(&mut redis).expect("set");
        let reply = picture(&kept.id()).query(&mut redis).expect("an answer");
        assert!(picture_of(&kept.id(), reply).is_err(), "{other:?}");
    }
}

#[test]
fn a_link_reads_pictures_while_redis_can_be_reached() {
    let mut server = Redis::start(&[]);
    let linked = Linked::to(&server.url(), "heard");
    linked.up();
    let kept = png("bytes");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let find = |id| runtime.block_on(linked.link.picture(id));
    assert!(find(kept.id()).is_ok_and(|found| found.is_none()));
    linked.link.order(Order::KeepPicture(Arc::clone(&kept)));
    linked.wait_for("an answer", |input| {
        matches!(input, link::Input::Answered(_, Ok(Answer::Done))).then_some(())
    });
    let found = find(kept.id()).expect("an answer").expect("it is there");
    assert_eq!(found.bytes(), kept.bytes());
    server.kill();
    linked.down();
    assert!(find(kept.id()).is_err());
}
