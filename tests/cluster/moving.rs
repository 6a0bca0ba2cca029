//! A server with a journal becomes two nodes on one Redis, and one server again: clients notice a restart.

use std::{net::SocketAddr, path::Path, process::Output};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::Node,
    pictures::PIXEL,
    program::command,
    redis::Redis,
    visitor::Visitor,
};

/// Runs a command of the program on a Redis and a data folder.
fn run(name: &str, redis: SocketAddr, data: &Path) -> Output {
    let mut command = command(&[]);
    command.args([name, "--redis", &format!("redis://{redis}"), "--data-dir"]).arg(data);
    command.output().expect("the program runs")
}

/// Runs a command that must succeed; its summary.
fn run_well(name: &str, redis: SocketAddr, data: &Path) -> String {
    let output = run(name, redis, data);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The sentence with which a command refuses.
fn refusal(name: &str, redis: SocketAddr, data: &Path) -> String {
    let output = run(name, redis, data);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// A client that has gone, and comes back.
#[derive(Clone)]
struct Away {
    data: Value,
    offset: u64,
}

impl Away {
    /// Has a client that was told of the message at `offset` go.
    fn goes(mut visitor: Visitor, offset: u64) -> Self {
        visitor.hear("receiveMessage", |message| message["offset"] == offset);
        let mut data = visitor.data();
        (data["epoch"], data["offset"]) = (visitor.welcome["epoch"].clone(), json!(offset));
        Self { data, offset }
    }

    /// Checks that it gets what it has missed at this node, once and in order, and goes again.
    fn misses_nothing(&mut self, node: SocketAddr, head: u64) {
        let mut visitor = Visitor::login_with(node, &self.data);
        assert_eq!(visitor.welcome["recovered"], true, "{}", visitor.welcome);
        assert_eq!(visitor.welcome["token"], self.data["token"]);
        for offset in self.offset + 1..=head {
            let message = visitor.hear("receiveMessage", |_| true);
            assert_eq!((&message["offset"], &message["msg"]), (&json!(offset), &json!(text(offset))));
        }
        (self.data["epoch"], self.data["offset"]) = (visitor.welcome["epoch"].clone(), json!(head));
        self.offset = head;
    }
}

fn text(offset: u64) -> String {
    format!("message {offset}")
}

/// Says the next messages up to an offset.
fn say_to(visitor: &mut Visitor, from: u64, to: u64) {
    for offset in from..=to {
        assert_eq!(visitor.say(&text(offset)), offset);
    }
}

/// Checks that the name is its owner's, and that the last message is known by its id.
fn knows(node: SocketAddr, ann: &Value, head: u64) {
    let other = Visitor::try_login(node, &json!({"username": "ANN", "room": "tea"}));
    assert!(other.is_err_and(|error| error["code"] == "name_taken"));
    let mut ann = Visitor::login_with(node, ann);
    assert_eq!(ann.say(&text(head)), head, "it is not said twice");
    let history: Vec<_> = (1..=head).map(|offset| (offset, text(offset))).collect();
    assert_eq!(ann.history(), history);
}

#[test]
fn clients_of_a_server_come_back_to_nodes_and_those_of_nodes_to_a_server_and_miss_nothing() {
    let mut server = Node::alone(&[]);
    let ann = Visitor::login(server.address(), "ann", "tea");
    // A login with the token reserves the name.
    let mut ann = Visitor::login_with(server.address(), &ann.data());
    let mut away = Vec::new();
    for (name, offset) in [("bob", 3), ("cat", 7)] {
        let visitor = Visitor::login(server.address(), name, "tea");
        let from = away.last().map_or(1, |one: &Away| one.offset + 1);
        say_to(&mut ann, from, offset);
        away.push(Away::goes(visitor, offset));
    }
    say_to(&mut ann, 8, 10);
    let ann_data = ann.data();
    let redis = Redis::start(&EVERYSEC);
    drop(ann);
    assert_eq!(server.terminate(), Some(0));
    let data = server.copy();
    let summary = run_well("import-journal", redis.address(), data.path());
    assert!(summary.contains("1 rooms, 10 messages"), "{summary}");

    let mut cluster = Cluster::on(redis, 2, &[]);
    let nodes = cluster.addresses();
    assert!(
        refusal("import-journal", cluster.redis.address(), data.path())
            .contains(" is alive: stop all nodes first")
    );
    for (one, node) in away.clone().iter_mut().zip(&nodes) {
        one.misses_nothing(*node, 10);
        // And again, with what the node has told it.
        one.misses_nothing(*node, 10);
    }
    for node in &nodes {
        knows(*node, &ann_data, 10);
    }
    let mut ann = Visitor::login_with(nodes[0], &ann_data);
    say_to(&mut ann, 11, 12);
    drop(ann);
    // Each at the other node, with what it knows of the server: the room has a new epoch.
    for (one, node) in away.iter_mut().zip(nodes.iter().rev()) {
        one.misses_nothing(*node, 12);
    }
    let mut ann = Visitor::login_with(nodes[1], &ann_data);
    say_to(&mut ann, 13, 13);
    drop(ann);

    for node in &mut cluster.nodes {
        assert_eq!(node.terminate(), Some(0));
    }
    let exported = tempfile::tempdir().expect("a folder");
    let summary = run_well("export-journal", cluster.redis.address(), exported.path());
    assert!(summary.contains("1 rooms, 13 messages"), "{summary}");
    let again = refusal("export-journal", cluster.redis.address(), exported.path());
    assert!(again.contains("echoroom.db exists already"), "{again}");
    server.put_back(exported);
    server.start_again();
    for one in &mut away {
        one.misses_nothing(server.address(), 13);
    }
    knows(server.address(), &ann_data, 13);
}

#[test]
fn a_message_is_shown_with_the_picture_of_its_user_wherever_it_was_moved() {
    let mut server = Node::alone(&[]);
    let login = json!({"username": "ann", "room": "tea", "avatar": PIXEL});
    let mut ann = Visitor::login_with(server.address(), &login);
    let address = ann.welcome["avatar"].as_str().expect("an address").to_owned();
    ann.say("hello");
    assert_eq!(server.terminate(), Some(0));
    let data = server.copy();
    let redis = Redis::start(&EVERYSEC);
    let summary = run_well("import-journal", redis.address(), data.path());
    assert!(summary.contains("1 avatar pictures"), "{summary}");
    let mut cluster = Cluster::on(redis, 2, &[]);
    for node in &mut cluster.nodes {
        assert_eq!(node.status(&address), Some(200));
        assert_eq!(node.terminate(), Some(0));
    }
    let exported = tempfile::tempdir().expect("a folder");
    let summary = run_well("export-journal", cluster.redis.address(), exported.path());
    assert!(summary.contains("1 avatar pictures"), "{summary}");
    server.put_back(exported);
    server.start_again();
    server.wait_until_well();
    assert_eq!(server.status(&address), Some(200));
}

#[test]
fn a_command_that_moves_rooms_needs_an_address_and_a_folder_that_no_server_uses() {
    let redis = Redis::start(&[]);
    let server = Node::alone(&[]);
    server.wait_until_well();
    for name in ["import-journal", "export-journal"] {
        let sentence = refusal(name, redis.address(), server.data());
        assert!(sentence.contains(": stop it first") && sentence.lines().count() == 1, "{sentence}");
        let mut without = command(&[]);
        let output = without.arg(name).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--redis (ECHOROOM_REDIS) is not set"));
    }
    assert!(server.is_well());
}
