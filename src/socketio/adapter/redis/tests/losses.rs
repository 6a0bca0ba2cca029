//! Connections are lost, and made anew.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{
    script::{Scripted, publish},
    server::{PATIENCE, Redis},
};
use crate::socketio::adapter::{
    settings::RedisFormat,
    traffic::{Channel, Output},
};

#[test]
fn a_loss_is_told_once_and_the_connections_are_made_anew() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    for round in 1..=3 {
        scripted.subscribe(Channel::Plain("c".into()));
        scripted.put([Output::Read { stream: "s".into(), after: "$".into() }]);
        redis.kill();
        assert_eq!(scripted.down(), "Redis has closed the connection");
        assert!(!scripted.figures.is_up.load(Ordering::Relaxed));
        scripted.put([publish("c", "it is thrown away")]);
        redis.start_again();
        scripted.up();
        assert_eq!(scripted.figures.losses.load(Ordering::Relaxed), round);
    }
    scripted.subscribe(Channel::Plain("c".into()));
    scripted.put([publish("c", "back")]);
    assert_eq!(scripted.heard().2, "back");
}

#[test]
fn a_redis_that_is_not_there_at_the_start_is_told_once_and_used_when_it_comes() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    redis.kill();
    let scripted = Scripted::to(&redis.url());
    let why = scripted.down();
    assert!(why.starts_with("unix:/") && why.contains("cannot be reached"), "{why}");
    redis.start_again();
    scripted.up();
    assert_eq!(scripted.figures.losses.load(Ordering::Relaxed), 0);
}

/// Takes five seconds: so long a connection may be silent.
#[test]
fn a_redis_that_stands_still_is_lost() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    redis.signal("-STOP");
    let why = scripted.down();
    assert!(why.contains("5 seconds"), "{why}");
    redis.signal("-CONT");
    scripted.up();
}

#[test]
fn any_connection_that_is_lost_ends_all() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    for kind in ["pubsub", "normal"] {
        scripted.subscribe(Channel::Plain("c".into()));
        redis.ask::<()>(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind).arg("SKIPME").arg("yes"));
        assert_eq!(scripted.down(), "Redis has closed the connection");
        scripted.up();
    }
}

#[test]
fn more_unanswered_bytes_than_the_setting_allows_end_the_connections() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::with(&redis.url(), |options| options.max_unanswered_bytes = 10_000);
    scripted.up();
    scripted.put([publish("c", &"x".repeat(9_000))]);
    scripted.is_told_nothing_before_rooms();
    redis.signal("-STOP");
    scripted.put([publish("c", &"x".repeat(11_000))]);
    let why = scripted.down();
    assert!(why.contains("more than 10000 bytes of requests unanswered"), "{why}");
    redis.signal("-CONT");
    scripted.up();
}

#[test]
fn a_message_larger_than_may_wait_ends_the_connections() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::with(&redis.url(), |options| options.max_unanswered_bytes = 10_000);
    scripted.up();
    scripted.subscribe(Channel::Plain("c".into()));
    redis.ask::<()>(redis::cmd("PUBLISH").arg("c").arg("x".repeat(11_000)));
    let why = scripted.down();
    assert!(why.contains("more than 10000 bytes that are not handled yet"), "{why}");
    scripted.up();
}

#[test]
fn after_a_panic_the_core_begins_again_and_what_it_has_decided_before_is_done() {
    let Some(redis) = Redis::start(&[]) else { return };
    let hearing = Scripted::to(&redis.url());
    hearing.up();
    hearing.subscribe(Channel::Plain("c".into()));
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    for round in 1..=3 {
        scripted.panic();
        scripted.again.recv_timeout(PATIENCE).expect("it begins again");
        scripted.up();
        scripted.put([publish("c", &round.to_string())]);
        assert_eq!(hearing.heard().2, Bytes::from(round.to_string()));
    }
    assert_eq!(scripted.parts.restarts(), [("socketio-redis".to_owned(), 3)]);
    assert!(scripted.parts.dead().is_empty());
}

#[test]
fn a_core_that_panics_too_often_ends_the_part() {
    let Some(redis) = Redis::start(&[]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    let runtime = actix_web::rt::System::new();
    (0..6).for_each(|_| scripted.panic());
    runtime.block_on(scripted.handle.ended());
    assert_eq!(scripted.parts.dead(), ["socketio-redis"]);
}

#[test]
fn sharded_is_refused_on_a_redis_cluster_and_classic_goes_to_the_master_of_its_key() {
    let Some(redis) = Redis::as_cluster(["0", "16383"]) else { return };
    let sharded = Scripted::with(&redis.url(), |options| options.format = RedisFormat::Sharded);
    let why = sharded.down();
    assert!(why.contains("with which the format sharded does not go"), "{why}");
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    scripted.subscribe(Channel::Plain("c".into()));
    scripted.put([publish("c", "heard")]);
    assert_eq!(scripted.heard().2, "heard");
}

#[test]
fn a_redis_cluster_without_a_server_for_the_key_is_told() {
    // The slot of the key is 9972.
    let Some(redis) = Redis::as_cluster(["0", "9971"]) else { return };
    let why = Scripted::to(&redis.url()).down();
    assert!(why.ends_with("that has no server for the slot of the key socket.io"), "{why}");
}

#[test]
fn a_replica_is_refused() {
    let Some(redis) = Redis::start(&["--replicaof", "127.0.0.1", "1"]) else { return };
    let why = Scripted::to(&redis.url()).down();
    assert!(why.ends_with("is a replica: the address of its master is needed"), "{why}");
}

#[test]
fn a_server_that_is_not_let_in_says_why_without_the_password() {
    let Some(redis) = Redis::start(&["--requirepass", "Geheim7"]) else { return };
    for (login, words) in [("", "NOAUTH"), ("?pass=Geheim8", "WRONGPASS")] {
        let why = Scripted::to(&format!("{}{login}", redis.url())).down();
        assert!(why.contains(words) && !why.contains("Geheim"), "{why}");
    }
}

#[test]
fn a_channel_whose_slot_goes_to_another_server_is_a_loss() {
    let Some(redis) = Redis::as_cluster(["0", "16383"]) else { return };
    let scripted = Scripted::to(&redis.url());
    scripted.up();
    scripted.subscribe(Channel::Shard("socket.io".into()));
    redis.ask::<()>(redis::cmd("CLUSTER").arg("DELSLOTS").arg(9972));
    let why = scripted.down();
    assert!(why.contains("has given the slot of a channel to another server"), "{why}");
}
