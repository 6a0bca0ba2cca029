//! What is too old goes from Redis by itself: the nodes sweep.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC, name},
    redis::Reply,
    visitor::Visitor,
};

/// Nodes sweep every 30 seconds, and no setting changes that.
const SWEPT_BY: Duration = Duration::from_secs(60);

/// The keys of all partitions whose name ends so.
fn keys(cluster: &Cluster, end: &str) -> Vec<String> {
    match cluster.redis.ask(&["KEYS", &format!("er:*:{end}")]) {
        Reply::List(keys) => keys
            .into_iter()
            .map(|key| if let Reply::Text(key) = key { key } else { panic!("{key:?}") })
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The number of rooms with messages, over all partitions.
fn rooms(cluster: &Cluster) -> i64 {
    let count = |key: &String| match cluster.redis.ask(&["ZCARD", key]) {
        Reply::Number(count) => count,
        other => panic!("{other:?}"),
    };
    keys(cluster, "rooms").iter().map(count).sum()
}

/// The number of rooms that a node has open.
fn open_rooms(cluster: &Cluster) -> usize {
    match cluster.redis.ask(&["PUBSUB", "SHARDCHANNELS", "er:*:c:*"]) {
        Reply::List(channels) => channels.len(),
        other => panic!("{other:?}"),
    }
}

/// As if nothing had been said in a room for a long time.
fn make_old(cluster: &Cluster, room: &str) {
    for key in keys(cluster, "rooms") {
        cluster.redis.ask(&["ZADD", &key, "XX", "1", room]);
    }
}

/// Takes as long as the nodes take to sweep.
#[test]
fn rooms_that_are_too_old_go_from_redis_and_from_all_nodes_and_one_node_sweeps_each_partition() {
    let cluster = Cluster::start(2, &EVERYSEC);
    let nodes = cluster.addresses();
    for number in 0..6 {
        let mut ann = Visitor::login(nodes[number % 2], "ann", &format!("room {number}"));
        ann.say("one");
        // Its name is not held, which would keep the room open for longer.
        ann.ask("logout", &json!({}));
    }
    // A session is in one of those that are too old.
    let mut ben = Visitor::login(nodes[1], "ben", "room 0");
    assert_eq!((rooms(&cluster), ben.history().len()), (6, 1));
    // A room stays open for a while when all have left it.
    let deadline = Instant::now() + SWEPT_BY;
    while open_rooms(&cluster) > 1 {
        assert!(Instant::now() < deadline, "{} rooms are open", open_rooms(&cluster));
        thread::sleep(Duration::from_millis(100));
    }
    for number in 0..4 {
        make_old(&cluster, &format!("room {number}"));
    }
    let deadline = Instant::now() + SWEPT_BY;
    while rooms(&cluster) > 2 {
        assert!(Instant::now() < deadline, "{} rooms, {:?}", rooms(&cluster), keys(&cluster, "*"));
        thread::sleep(Duration::from_millis(100));
    }
    for number in 0..4 {
        assert_eq!(keys(&cluster, &format!("s:room {number}")), Vec::<String>::new());
    }
    // The node that sweeps a partition keeps the others from it for a time.
    let sweepers = keys(&cluster, "sweep");
    assert!(!sweepers.is_empty());
    for key in sweepers {
        let Reply::Text(node) = cluster.redis.ask(&["GET", &key]) else { panic!("{key} has no node") };
        assert!([0, 1].iter().any(|number| node.starts_with(&name(*number))), "{node}");
    }
    // The open room is empty at both nodes, and its offsets go on.
    let deadline = Instant::now() + SWEPT_BY;
    while !ben.history().is_empty() {
        assert!(Instant::now() < deadline, "ben's node still has it");
        thread::sleep(Duration::from_millis(20));
    }
    let mut cleo = Visitor::login(nodes[0], "cleo", "room 0");
    assert_eq!((cleo.history(), cleo.say("two")), (vec![], 2));
    ben.hear("receiveMessage", |message| message["offset"] == 2);
    // A room that no session was in begins anew, and one that is not too old is as it was.
    let mut dora = Visitor::login(nodes[0], "dora", "room 1");
    assert_eq!((dora.history(), dora.say("new")), (vec![], 1));
    for (node, room) in [(nodes[0], "room 4"), (nodes[1], "room 5")] {
        assert_eq!(Visitor::login(node, "zoe", room).history().len(), 1);
    }
    assert_eq!(dora.ask("history", &json!({"limit": 9}))["more"], false);
    assert_eq!(rooms(&cluster), 4);
}
