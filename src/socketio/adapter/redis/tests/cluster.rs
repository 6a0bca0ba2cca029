//! A Redis Cluster.

use std::time::Duration;

use bytes::Bytes;

use super::{
    script::{Scripted, publish},
    server::{Redis, wait_until},
};
use crate::{
    redis_client::slots::slot_of_key,
    socketio::adapter::traffic::{Channel, Output, Query, Reply},
};

#[test]
fn servers_with_one_key_meet_at_the_master_of_its_slot() {
    let Some([one, other]) = Redis::two_of_a_cluster() else { return };
    let scripted = [&one, &other].map(|redis| Scripted::to(&redis.url()));
    for scripted in &scripted {
        scripted.up();
        scripted.subscribe(Channel::Plain("c".into()));
    }
    // The slot of socket.io is in the second half.
    let count = |redis: &Redis| redis.ask::<(String, usize)>(redis::cmd("PUBSUB").arg("NUMSUB").arg("c")).1;
    assert_eq!([count(&one), count(&other)], [0, 2]);
    scripted[0].put([publish("c", "to all")]);
    for scripted in &scripted {
        assert_eq!(scripted.heard().2, "to all");
    }
}

#[test]
fn subscribers_at_all_servers_are_counted() {
    let Some([one, other]) = Redis::two_of_a_cluster() else { return };
    let at_other = Scripted::to(&one.url());
    // The slot of e0 is in the first half.
    let at_one = Scripted::with(&other.url(), |options| options.home_key = "e0".into());
    for scripted in [&at_one, &at_other] {
        scripted.up();
        scripted.subscribe(Channel::Plain("c".into()));
    }
    for scripted in [&at_one, &at_other] {
        for _ in 0..3 {
            let count = Query::Count { channel: "c".into(), is_sharded: false };
            assert_eq!(scripted.reply_to(count), Ok(Reply::Count(2)));
        }
    }
}

#[test]
fn a_key_is_stored_and_taken_at_the_server_that_has_its_slot() {
    let Some([one, mut other]) = Redis::two_of_a_cluster() else { return };
    let scripted = Scripted::to(&other.url());
    scripted.up();
    let take = |key: &str| scripted.reply_to(Query::Take { key: key.into() });
    for key in ["k0", "k1", "k2", "k3"] {
        let owner = if slot_of_key(key.as_bytes()) < 8192 { &one } else { &other };
        for value in [b"first", b"\x00\xff\x00\xff\x00"] {
            let (value, expires_in) = (Bytes::copy_from_slice(value), Duration::from_secs(100));
            scripted.put([Output::Store { key: key.into(), value: value.clone(), expires_in }]);
            wait_until("it is stored", || owner.ask(redis::cmd("EXISTS").arg(key)));
            assert_eq!((take(key), take(key)), (Ok(Reply::Value(Some(value))), Ok(Reply::Value(None))));
        }
    }
    // A server that is lost fails alone.
    let home = Scripted::with(&one.url(), |options| options.home_key = "e0".into());
    home.up();
    other.kill();
    let key = ["k0", "k1", "k2", "k3"].into_iter().find(|key| slot_of_key(key.as_bytes()) >= 8192);
    let lost = home.reply_to(Query::Take { key: key.expect("one of them").into() });
    lost.expect_err("its server is lost");
}
