//! Nodes on a Redis Cluster of three masters, each of which has a part of the rooms.

use std::process::Output;

use serde_json::{Value, json};

use crate::{
    chatter::Manner,
    node::{Node, SHORT_LEASE},
    program::command,
    redis::{Redis, Reply},
    redis_cluster::{ROOMS, RedisCluster, SLOTS_OF_ROOMS, addresses, nodes, wait, wait_for_partitions},
    runs::{Run, runs},
    storm::{Storm, history},
    visitor::Visitor,
};

/// Whether a server has a room.
fn has(server: &Redis, room: &str) -> bool {
    matches!(server.ask(&["KEYS", &format!("er:*:m:{room}")]), Reply::List(keys) if !keys.is_empty())
}

#[test]
fn users_of_two_nodes_meet_in_rooms_of_all_masters_and_both_nodes_list_them() {
    let cluster = RedisCluster::start();
    let nodes = cluster.nodes(2, &[]);
    let [one, two] = addresses(&nodes)[..] else { panic!("two nodes") };
    let mut users = Vec::new();
    for (number, room) in ROOMS.into_iter().enumerate() {
        let (mut ann, mut ben) = (Visitor::login(one, "ann", room), Visitor::login(two, "ben", room));
        ann.wait_for_user("ben");
        assert_eq!([ann.say("from one"), ben.say("from two")], [1, 2], "{room}");
        ann.hear("receiveMessage", |message| message["msg"] == "from two");
        ben.hear("receiveMessage", |message| message["msg"] == "from one");
        let other = Visitor::try_login(two, &json!({"username": "Ann", "room": room}));
        assert!(other.is_err_and(|error| error["code"] == "name_taken"), "{room}");
        assert_eq!(ben.users(), ["ann", "ben"], "{room}");
        assert_eq!(history(two, room, 2), [(1, "from one".into()), (2, "from two".into())]);
        let masters: Vec<_> = cluster.masters.iter().map(|master| has(master, room)).collect();
        assert_eq!(masters, [0, 1, 2].map(|master| master == number), "{room}");
        users.extend([ann, ben]);
    }
    for node in &nodes {
        wait("all rooms are listed with the users of both nodes", || {
            let list = node.rooms()["rooms"].clone();
            let all = list.as_array().cloned().unwrap_or_default();
            ROOMS.iter().all(|room| all.contains(&json!({"room": room, "sessions": 2, "members": 2})))
        });
        let redis = node.health()["redis"].clone();
        assert!(redis["words"].as_str().is_some_and(|words| words.contains("of 3 masters")), "{redis}");
    }
}

/// The error of a message that is not taken.
fn refusal(visitor: &mut Visitor, text: &str) -> Value {
    visitor.answer("sendMessage", &json!({"msg": text, "id": text}))["error"]["code"].clone()
}

#[test]
fn a_master_that_is_killed_takes_only_its_rooms_away_and_they_come_back_with_it() {
    let mut cluster = RedisCluster::start();
    let nodes = cluster.nodes(2, &[]);
    let [one, two] = addresses(&nodes)[..] else { panic!("two nodes") };
    let pair = |room| (Visitor::login(one, "ann", room), Visitor::login(two, "ben", room));
    let mut pairs = ROOMS.map(pair);
    pairs.iter_mut().for_each(|(ann, _)| assert_eq!(ann.say("before"), 1));
    cluster.masters[1].kill();
    nodes
        .iter()
        .for_each(|node| wait("parts are missing", || node.metric("echoroom_redis_partitions") < 64.0));
    for (number, (ann, ben)) in pairs.iter_mut().enumerate() {
        if number == 1 {
            assert_eq!(refusal(ann, "meanwhile"), "journal_unavailable");
            assert_eq!(refusal(ben, "meanwhile too"), "journal_unavailable");
        } else {
            assert_eq!([ann.say("meanwhile"), ben.say("meanwhile too")], [2, 3]);
            ann.hear("receiveMessage", |message| message["msg"] == "meanwhile too");
        }
    }
    for node in &nodes {
        assert!(node.is_well(), "it serves the other rooms: {:?}", node.health());
        let words = node.health()["redis"]["words"].to_string();
        assert!(words.contains("of 64 parts of the rooms can be reached"), "{words}");
    }
    cluster.masters[1].start_again();
    nodes.iter().for_each(|node| wait_for_partitions(node, 64));
    let (ann, ben) = &mut pairs[1];
    wait("messages are taken again", || refusal(ann, "after") == Value::Null);
    ben.hear("receiveMessage", |message| message["msg"] == "after");
    assert_eq!(ben.say("after that"), 3);
    let expected = [(1, "before".into()), (2, "after".into()), (3, "after that".into())];
    assert_eq!(history(one, ROOMS[1], 3), expected, "what was refused was not said");
}

/// Has clients of all nodes talk in rooms of all masters while something is done to those: sessions stay, and hear all.
fn nothing_is_lost(run: &mut Run, nodes: &[Node], harm: impl FnOnce(&Storm)) {
    let storm = Storm::in_rooms(3, &addresses(nodes), 2, &Manner::default(), &mut run.rng);
    storm.wait_for_acks(100 + run.rng.below(200) as u64);
    harm(&storm);
    storm.wait_until_all_hear();
    storm.wait_for_acks(100);
    nodes.iter().for_each(|node| wait_for_partitions(node, 64));
    let verdict = storm.end(&addresses(nodes));
    run.print(&verdict);
    verdict.assert_whole();
    assert_eq!(verdict.drops, 0, "sessions stay: {verdict}");
}

/// By default all masters refuse everything meanwhile.
#[test]
fn nothing_is_lost_when_a_replica_takes_the_place_of_a_master_that_is_killed() {
    runs("failover in a Redis Cluster", |run| {
        let mut cluster = RedisCluster::with(&["cluster-require-full-coverage yes"]);
        let _replica = cluster.add_replica(1);
        let nodes = cluster.nodes(2, &[]);
        nothing_is_lost(run, &nodes, |_| {
            cluster.masters[1].kill();
        });
    });
}

/// For a moment it believes that it is the master, and nodes are still connected to it.
#[test]
fn nothing_is_lost_when_a_master_goes_on_after_a_replica_has_taken_its_place() {
    runs("a master of a Redis Cluster stands still", |run| {
        let cluster = RedisCluster::start();
        let replica = cluster.add_replica(1);
        let nodes = cluster.nodes(2, &[]);
        nothing_is_lost(run, &nodes, |_| {
            cluster.masters[1].stop();
            replica.wait_for_info("replication", "role:master");
            cluster.masters[1].go_on();
        });
    });
}

/// As it is done before a master is upgraded. The nodes know the address of the replica only.
#[test]
fn nothing_is_lost_when_a_master_changes_places_with_its_replica() {
    runs("a master of a Redis Cluster becomes a replica", |run| {
        let cluster = RedisCluster::start();
        let replica = cluster.add_replica(2);
        let nodes = nodes(replica.address(), 2, &[]);
        nothing_is_lost(run, &nodes, |_| {
            replica.ask(&["CLUSTER", "FAILOVER"]);
            replica.wait_for_info("replication", "role:master");
        });
    });
}

#[test]
fn nothing_is_lost_when_slots_move_to_another_master_key_by_key() {
    runs("slots of a Redis Cluster move", |run| {
        let cluster = RedisCluster::start();
        let nodes = cluster.nodes(2, &[]);
        nothing_is_lost(run, &nodes, |storm| {
            for (slot, from, to) in
                [(SLOTS_OF_ROOMS[2], 2, 0), (SLOTS_OF_ROOMS[1], 1, 0), (SLOTS_OF_ROOMS[2], 0, 1)]
            {
                cluster.begin_to_move(slot, from, to);
                while cluster.move_keys(slot, from, to, 1) > 0 {
                    storm.wait_for_acks(5);
                }
                cluster.end_move(slot, from, to);
                storm.wait_until_all_hear();
            }
        });
    });
}

/// As long as two leases: nothing shorter shows that users of a node that is gone leave the rooms of all masters.
#[test]
fn users_of_a_node_that_stands_still_or_dies_leave_all_rooms_and_come_back_with_it() {
    let cluster = RedisCluster::start();
    let mut nodes = cluster.nodes(2, &SHORT_LEASE);
    let [one, two] = addresses(&nodes)[..] else { panic!("two nodes") };
    let mut pairs = ROOMS.map(|room| (Visitor::login(one, "ann", room), Visitor::login(two, "ben", room)));
    nodes[1].stop();
    for (ann, _) in &mut pairs {
        wait("ben has left", || ann.users() == ["ann"]);
    }
    nodes[1].go_on();
    for (ann, ben) in &mut pairs {
        wait("messages are taken again", || refusal(ben, "back") == Value::Null);
        ann.hear("receiveMessage", |message| message["msg"] == "back");
        assert_eq!(ann.users(), ["ann", "ben"]);
    }
    nodes[1].kill();
    for (ann, _) in &mut pairs {
        wait("ben has left", || ann.users() == ["ann"]);
    }
    let alone = ROOMS.map(|room| json!({"room": room, "sessions": 1, "members": 1}));
    wait("its sessions are not counted", || {
        let list = nodes[0].rooms()["rooms"].clone();
        alone.iter().all(|room| list.as_array().is_some_and(|list| list.contains(room)))
    });
}

#[test]
fn a_node_is_found_by_its_name_and_starts_while_one_master_is_away() {
    let mut cluster = RedisCluster::start();
    let nodes = cluster.nodes(1, &[]);
    cluster.masters[2].kill();
    wait("parts are missing", || nodes[0].metric("echoroom_redis_partitions") < 64.0);
    let redis = format!("redis://{}", cluster.masters[1].address());
    let mut namesake = command(&["--port", "0", "--redis", &redis, "--node", "n000"]);
    let data = tempfile::tempdir().expect("a folder");
    let output = namesake.arg("--data-dir").arg(data.path()).output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("is node n000 and runs"), "{error}");
    let late = Node::on_redis("late", cluster.masters[0].address(), &[]);
    wait("it has a part of the rooms", || {
        late.get("/health").is_some() && late.metric("echoroom_redis_partitions") > 0.0
    });
    assert_eq!(Visitor::login(late.address(), "ann", ROOMS[0]).say("hello"), 1);
    cluster.masters[2].start_again();
    wait_for_partitions(&late, 64);
    assert_eq!(Visitor::login(late.address(), "ann", ROOMS[2]).say("hello"), 1);
}

/// Runs a command of the program on a cluster and a data folder, which must succeed; its summary.
fn run(name: &str, cluster: &RedisCluster, data: &std::path::Path) -> String {
    let mut command = command(&[]);
    let redis = format!("redis://{}", cluster.masters[2].address());
    let output: Output =
        command.args([name, "--redis", &redis, "--data-dir"]).arg(data).output().expect("the program runs");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn rooms_of_a_journal_are_moved_to_their_masters_and_back() {
    let mut server = Node::alone(&[]);
    for room in ROOMS {
        assert_eq!(Visitor::login(server.address(), "ann", room).say("old"), 1);
    }
    assert_eq!(server.terminate(), Some(0));
    let cluster = RedisCluster::start();
    let summary = run("import-journal", &cluster, server.copy().path());
    assert!(summary.contains("3 rooms, 3 messages"), "{summary}");
    let mut nodes = cluster.nodes(1, &[]);
    for (room, master) in ROOMS.iter().zip(&cluster.masters) {
        assert!(has(master, room), "{room}");
        assert_eq!(Visitor::login(nodes[0].address(), "ben", room).say("new"), 2, "{room}");
    }
    assert_eq!(nodes[0].terminate(), Some(0));
    let exported = tempfile::tempdir().expect("a folder");
    let summary = run("export-journal", &cluster, exported.path());
    assert!(summary.contains("3 rooms, 6 messages"), "{summary}");
    server.put_back(exported);
    server.start_again();
    for room in ROOMS {
        assert_eq!(history(server.address(), room, 2), [(1, "old".into()), (2, "new".into())], "{room}");
    }
}
