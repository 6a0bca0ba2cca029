//! What those who run nodes see: starts that are refused, the log, commands.

use std::{net::SocketAddr, process::Output};

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::Node,
    program::command,
    redis::Redis,
    visitor::Visitor,
};

/// Runs the program with these words for the Redis at an address until it ends.
fn run(redis: SocketAddr, words: &[&str]) -> Output {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = command(&["--redis", &format!("redis://{redis}")]);
    command.arg("--data-dir").arg(data.path()).args(words).output().expect("it runs")
}

/// What a run that has failed with 1 says.
fn failure(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// Takes some seconds, which a start gives a node of its name to end.
#[test]
fn a_name_is_that_of_one_node_until_it_has_died() {
    let redis = Redis::start(&EVERYSEC);
    let mut first = Node::on_redis("n000", redis.address(), &[]);
    first.wait_until_well();
    let said = failure(&run(redis.address(), &["--node", "n000"]));
    assert!(said.contains("--node (ECHOROOM_NODE): another server on the Redis at "), "{said}");
    assert!(said.contains("is node n000 and runs"), "{said}");
    first.kill();
    first.start_again();
    first.wait_until_well();
    assert_eq!(first.terminate(), Some(0));
    first.start_again();
    first.wait_until_well();
}

#[test]
fn a_redis_that_is_full_is_logged_once_and_when_it_takes_messages_again() {
    let cluster = Cluster::start(1, &EVERYSEC);
    let node = &cluster.nodes[0];
    let mut ann = Visitor::login(node.address(), "ann", "tea");
    cluster.redis.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
    ann.send("sendMessage", &json!({"msg": "it is full", "id": "full"}));
    node.wait_for_log("takes no messages now: OOM");
    node.wait_until_unwell();
    cluster.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    node.wait_for_log("takes messages again");
    node.wait_until_well();
    let count = |text: &str| node.log().iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("takes no messages now"), count("takes messages again")), (1, 1), "{:#?}", node.log());
}

#[test]
fn commands_that_need_a_journal_say_that_the_messages_are_in_redis() {
    let redis = Redis::start(&EVERYSEC);
    let said = failure(&run(redis.address(), &["forget", "tea"]));
    assert!(said.contains("a node that runs forgets the messages of a room, but none runs with"), "{said}");
    let said = failure(&run(redis.address(), &["backup", "copy.db"]));
    assert!(said.contains("the messages are in Redis"), "{said}");
}
