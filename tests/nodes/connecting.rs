//! The thread that has the connections to Redis: it connects, notices what is lost, and tells why.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use echoroom::testing::nodes::{Answer, Appended, Order, link::Input};

use crate::{
    link::{Linked, node, room},
    ports::free_port,
    redis_server::{PATIENCE, Redis},
};

const CLOSED: &str = "Redis has closed the connection";

#[test]
fn what_is_published_is_heard_while_the_room_is_subscribed_to() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    let server = linked.up();
    let (run, history) = server.split_once('+').expect("two ids");
    assert_eq!((run.len(), history.len()), (40, 40), "{server}");
    linked.open();
    for text in ["one", "two", "three"] {
        linked.show_and_hear(text);
    }
    linked.link.order(Order::Close(room()));
    // The order of requests on two connections is not known.
    let deadline = Instant::now() + PATIENCE;
    while redis.ask("PUBSUB SHARDCHANNELS") != "*0" {
        assert!(Instant::now() < deadline, "the room is subscribed to");
        std::thread::sleep(Duration::from_millis(5));
    }
    linked.show("nobody hears it");
    let mut was_heard = false;
    linked.link.order(Order::Open(room()));
    linked.wait_for("a confirmation", |input| match input {
        Input::Published(_, published) => {
            was_heard |= format!("{published:?}").contains("nobody");
            None
        }
        Input::Subscribed(_) => Some(()),
        _ => None,
    });
    assert!(!was_heard);
}

#[test]
fn many_calls_at_once_are_each_answered_once() {
    const CALLS: usize = 5000;
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    linked.up();
    (0..CALLS).for_each(|_| linked.show("one of many"));
    let mut answered = BTreeSet::new();
    while answered.len() < CALLS {
        let (id, answer) = linked.wait_for("an answer", |input| match input {
            Input::Answered(id, answer) => Some((id, answer)),
            _ => None,
        });
        answer.expect("it is taken");
        assert!(answered.insert(id), "{id:?} is answered twice");
    }
}

#[test]
fn a_redis_that_was_killed_is_used_again_with_its_functions_once_it_is_back() {
    let mut redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    let mut before = linked.up();
    for _ in 0..3 {
        linked.open();
        redis.kill();
        assert_eq!(linked.down(), CLOSED);
        assert!(!linked.link.status().is_up);
        redis.start_again();
        let after = linked.up();
        assert_ne!(after, before);
        before = after;
        linked.open();
        linked.show_and_hear("again");
    }
}

#[test]
fn a_connection_that_redis_closes_is_noticed_whichever_of_the_two_it_is() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    let before = linked.up();
    for kind in ["pubsub", "normal"] {
        linked.open();
        redis.ask(&format!("CLIENT KILL TYPE {kind}"));
        assert_eq!(linked.down(), CLOSED, "{kind}");
        assert_eq!(linked.up(), before, "it is the same run");
    }
}

#[test]
fn a_link_is_woken_when_it_wants_to_be_and_hears_what_is_for_its_node() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    linked.up();
    linked.link.order(Order::Whisper(room(), node(), Bytes::new()));
    linked.wait_for("Wake", |input| matches!(input, Input::Wake).then_some(()));
    let deadline = Instant::now() + PATIENCE;
    while redis.ask("PUBSUB SHARDCHANNELS") != "*1" {
        assert!(Instant::now() < deadline, "the node's channel is not subscribed to");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes some seconds: that is how long a silence must be.
#[test]
fn a_redis_that_stands_still_is_noticed_within_seconds() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    linked.up();
    redis.signal("-STOP");
    let stopped_at = Instant::now();
    let why = linked.down();
    let took = stopped_at.elapsed();
    redis.signal("-CONT");
    assert_eq!(why, "Redis has been silent for 5 seconds");
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
    linked.up();
}

#[test]
fn a_redis_that_is_full_refuses_and_takes_again_once_it_has_room() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    linked.up();
    assert_eq!(redis.ask("CONFIG SET maxmemory 1"), "+OK");
    for _ in 0..3 {
        let refusal = linked.refusal();
        assert!(refusal.starts_with("OOM "), "{refusal}");
    }
    assert_eq!(redis.ask("CONFIG SET maxmemory 0"), "+OK");
    linked.say().expect("it is taken");
}

#[test]
fn a_redis_that_becomes_a_replica_is_left_until_it_is_a_master_again() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    let before = linked.up();
    assert_eq!(redis.ask("REPLICAOF 127.0.0.1 1"), "+OK");
    let refusal = linked.refusal();
    assert!(refusal.starts_with("READONLY "), "{refusal}");
    let why = linked.down();
    assert!(why.contains("READONLY"), "{why}");
    let deadline = Instant::now() + PATIENCE;
    while !linked.link.status().words.contains("is a replica") {
        assert!(Instant::now() < deadline, "{:?}", linked.link.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(redis.ask("REPLICAOF NO ONE"), "+OK");
    assert_ne!(linked.up(), before, "the history of its data is another one");
}

#[test]
fn functions_that_were_removed_are_loaded_again() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "heard");
    linked.up();
    assert_eq!(redis.ask("FUNCTION FLUSH"), "+OK");
    let refusal = linked.refusal();
    assert!(refusal.contains("Function not found"), "{refusal}");
    linked.down();
    linked.up();
    linked.open();
    linked.show_and_hear("again");
}

/// Takes some seconds: that is how long a replica is waited for.
#[test]
fn an_append_without_its_replica_is_refused_and_other_calls_are_not() {
    let redis = Redis::start(&[]);
    let linked = Linked::to(&redis.url(), "replicas:1");
    linked.up();
    assert!(linked.link.status().words.contains("nothing can be acked"), "{:?}", linked.link.status());
    linked.open();
    for _ in 0..2 {
        assert_eq!(linked.refusal(), "0 of 1 replicas have it in time");
        linked.show_and_hear("not kept, so not waited for");
    }
}

#[test]
fn an_append_that_a_replica_has_is_taken() {
    let port = free_port().to_string();
    let redis = Redis::start(&["--port", &port, "--repl-diskless-sync-delay", "0"]);
    let _replica = Redis::start(&["--replicaof", "127.0.0.1", &port]);
    let deadline = Instant::now() + PATIENCE;
    while redis.ask("WAIT 1 100") != ":1" {
        assert!(Instant::now() < deadline, "the replica does not come");
    }
    let linked = Linked::to(&redis.url(), "replicas:1");
    linked.up();
    assert!(linked.link.status().words.contains("1 replica, acks wait for 1"), "{:?}", linked.link.status());
    // The replica may be late on a busy machine: the same round is asked again then.
    let taken = std::iter::repeat_with(|| linked.say()).take(20).find(Result::is_ok);
    assert!(matches!(taken, Some(Ok(Answer::Appended(Appended::At(_))))), "{taken:?}");
}

#[test]
fn a_link_that_is_stopped_ends_its_thread() {
    let redis = Redis::start(&[]);
    for _ in 0..3 {
        let linked = Linked::to(&redis.url(), "heard");
        linked.up();
        linked.link.stop();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ended = async { tokio::time::timeout(PATIENCE, linked.link.ended()).await };
        runtime.block_on(ended).expect("it ends");
    }
}
