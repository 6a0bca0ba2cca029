//! What those who run nodes see: starts that are refused, the log, commands.

use std::{
    net::SocketAddr,
    process::Output,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::Node,
    program::{PATIENCE, Program, command},
    redis::{Redis, Reply},
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

/// A Redis that cannot write to its disk, as it may not write below `/proc`; it goes on when it is given its folder back.
struct FullDisk<'a> {
    redis: &'a Redis,
    folder: String,
}

impl<'a> FullDisk<'a> {
    /// What the Redis must be started with.
    const LINES: [&'static str; 2] = ["enable-protected-configs yes", "save 3600 1000000"];

    fn of(redis: &'a Redis) -> Self {
        let Reply::List(setting) = redis.ask(&["CONFIG", "GET", "dir"]) else { panic!("no setting") };
        let [_, Reply::Text(folder)] = &setting[..] else { panic!("{setting:?}") };
        let folder = folder.clone();
        Self { redis, folder }.write_to("/proc", "err")
    }

    fn ends(self) {
        let folder = self.folder.clone();
        self.write_to(&folder, "ok");
    }

    fn write_to(self, folder: &str, outcome: &str) -> Self {
        self.redis.ask(&["CONFIG", "SET", "dir", folder]);
        self.redis.ask(&["BGSAVE"]);
        self.redis.wait_for_info("persistence", &format!("rdb_last_bgsave_status:{outcome}"));
        self
    }
}

/// Waits until a Redis has counted this many of a command; `kind` is `calls` or `rejected_calls`.
fn wait_for_commands(redis: &Redis, command: &str, kind: &str, count: u32) {
    let counted = || {
        let Reply::Text(text) = redis.ask(&["INFO", "commandstats"]) else { panic!("no text") };
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let counts = line.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        counts
            .filter(|(name, _)| *name == kind)
            .find_map(|(_, count)| count.parse::<u32>().ok())
            .unwrap_or_default()
    };
    let deadline = Instant::now() + PATIENCE;
    while counted() < count {
        assert!(Instant::now() < deadline, "{} of {count} {kind} of {command}", counted());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Takes some seconds, as a node asks again about every second, and waits for replicas that long.
#[test]
fn replicas_that_are_missing_are_logged_once_and_when_they_have_come() {
    let cluster = Cluster::with(1, &EVERYSEC, &["--redis-acks", "replicas:1"]);
    let node = &cluster.nodes[0];
    let mut ann = Visitor::login(node.address(), "ann", "tea");
    ann.send("sendMessage", &json!({"msg": "no replica has this", "id": "alone"}));
    node.wait_for_log("takes no messages now: 0 of 1 replicas have it in time");
    // The round, and questions whether that has passed.
    wait_for_commands(&cluster.redis, "wait", "calls", 4);
    assert!(!node.is_well());
    let _replica = Redis::replica(cluster.redis.address(), &[]);
    node.wait_for_log("takes messages again");
    let again = json!({"msg": "no replica has this", "id": "alone"});
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        let answer = ann.answer("sendMessage", &again);
        // The round is appended, but the replica may have it a moment later.
        if answer["error"]["code"] != "not_kept_yet" {
            break answer;
        }
        assert!(Instant::now() < deadline, "{answer}");
    };
    assert_eq!(answer["data"]["offset"], 1, "it is said once: {answer}");
    assert_eq!(node.metric("echoroom_journal_messages_total"), 1.0);
    let count = |text: &str| node.log().iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("takes no messages now"), count("takes messages again")), (1, 1), "{:#?}", node.log());
}

/// Takes some seconds, as nodes ping every two.
#[test]
fn a_redis_whose_disk_is_full_keeps_its_connections_and_is_logged_once() {
    let cluster = Cluster::start(1, &FullDisk::LINES);
    let node = &cluster.nodes[0];
    let mut ann = Visitor::login(node.address(), "ann", "tea");
    let disk = FullDisk::of(&cluster.redis);
    ann.send("sendMessage", &json!({"msg": "it is full", "id": "full"}));
    node.wait_for_log("takes no messages now: MISCONF");
    node.wait_until_unwell();
    // Two of each connection.
    wait_for_commands(&cluster.redis, "ping", "rejected_calls", 4);
    disk.ends();
    node.wait_for_log("takes messages again");
    node.wait_until_well();
    let count = |text: &str| node.log().iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("MISCONF"), count("connected to Redis")), (1, 1), "{:#?}", node.log());
    assert!(ann.say("it has room") > 0);
    assert_eq!(node.metric("echoroom_redis_losses_total"), 0.0);
}

#[test]
fn a_node_makes_the_folder_in_which_commands_find_it() {
    let redis = Redis::start(&EVERYSEC);
    let parent = tempfile::tempdir().expect("a folder");
    let data = parent.path().join("data").join("n000");
    let url = format!("redis://{}", redis.address());
    let mut starting = command(&["--redis", &url, "--node", "n000"]);
    starting.arg("--data-dir").arg(&data);
    let node = Program::spawn(starting);
    Visitor::login(node.address, "ann", "tea").say("to be forgotten");
    let mut forget = command(&["--redis", &url, "forget", "tea"]);
    let output = forget.arg("--data-dir").arg(&data).output().expect("it runs");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn commands_that_need_a_journal_say_that_the_messages_are_in_redis() {
    let redis = Redis::start(&EVERYSEC);
    let said = failure(&run(redis.address(), &["forget", "tea"]));
    assert!(said.contains("a node that runs forgets the messages of a room, but none runs with"), "{said}");
    let said = failure(&run(redis.address(), &["backup", "copy.db"]));
    assert!(said.contains("the messages are in Redis"), "{said}");
}
