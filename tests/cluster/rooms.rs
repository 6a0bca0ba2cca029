//! The list of the rooms of all nodes.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::{Node, SHORT_LEASE},
    program::PATIENCE,
    visitor::Visitor,
};

/// Waits until a node lists these rooms, each with its sessions and users.
fn wait_for_rooms(node: &Node, rooms: &[(&str, u64, u64)]) {
    let expected: Vec<_> = rooms
        .iter()
        .map(|(room, sessions, members)| json!({"room": room, "sessions": sessions, "members": members}))
        .collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = node.rooms();
        if list["rooms"] == Value::from(expected.clone()) {
            return assert_eq!(list["more"], 0);
        }
        assert!(Instant::now() < deadline, "{list}, not {rooms:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn each_node_lists_the_sessions_of_all_and_a_killed_node_has_none_after_its_lease() {
    let mut cluster = Cluster::with(2, &EVERYSEC, &SHORT_LEASE);
    let nodes = cluster.addresses();
    let ann = Visitor::login(nodes[0], "ann", "tea");
    let _tab = Visitor::login_with(nodes[1], &ann.data());
    let _ben = Visitor::login(nodes[1], "ben", "tea");
    let mut cleo = Visitor::login(nodes[1], "cleo", "milk");
    let offset = (0..3).map(|number| cleo.say(&format!("{number}"))).last();
    // Not listed, and not found by its name.
    let _lesson = Visitor::login(nodes[1], "zoe", "lesson-1");
    for node in &cluster.nodes {
        wait_for_rooms(node, &[("tea", 3, 2), ("milk", 1, 1)]);
    }
    let asked = cluster.nodes[0].get("/rooms?room=milk&room=lesson-1").expect("an answer").1;
    let asked: Value = serde_json::from_str(&asked).expect("a list");
    assert_eq!(asked["asked"].as_array().map(Vec::len), Some(1), "{asked}");
    assert_eq!((&asked["asked"][0]["sessions"], &asked["asked"][0]["offset"]), (&json!(1), &json!(offset)));
    assert!(asked["asked"][0]["epoch"].is_string(), "{asked}");
    cluster.nodes[1].kill();
    wait_for_rooms(&cluster.nodes[0], &[("tea", 1, 1)]);
}

#[test]
fn without_redis_a_node_lists_its_own_rooms_and_those_of_all_when_it_is_back() {
    let mut cluster = Cluster::start(2, &EVERYSEC);
    let nodes = cluster.addresses();
    let _ann = Visitor::login(nodes[0], "ann", "tea");
    let _ben = Visitor::login(nodes[1], "ben", "milk");
    wait_for_rooms(&cluster.nodes[0], &[("milk", 1, 1), ("tea", 1, 1)]);
    cluster.redis.kill();
    wait_for_rooms(&cluster.nodes[0], &[("tea", 1, 1)]);
    cluster.redis.start_again();
    wait_for_rooms(&cluster.nodes[0], &[("milk", 1, 1), ("tea", 1, 1)]);
}

#[test]
fn a_room_that_another_node_has_is_not_one_of_the_new_rooms_of_an_address() {
    let cluster = Cluster::with(2, &EVERYSEC, &["--max-new-rooms-per-minute", "2"]);
    let [one, two] = [0, 1].map(|node| cluster.nodes[node].address());
    let mut users: Vec<_> = ["a", "b"].map(|room| Visitor::login(one, "ann", room)).into();
    let refused = |node, room: &str| {
        let data = json!({"username": "zoe", "room": room});
        Visitor::try_login(node, &data).err().expect("refused")["code"].clone()
    };
    assert_eq!(refused(one, "c"), "too_many_rooms");
    // The other node has neither room in memory.
    for room in ["a", "b", "c", "d"] {
        users.push(Visitor::login(two, "ben", room));
    }
    assert_eq!(refused(two, "e"), "too_many_rooms");
    for room in ["c", "d"] {
        users.push(Visitor::login(one, "cleo", room));
    }
    assert_eq!(refused(one, "e"), "too_many_rooms");
}
