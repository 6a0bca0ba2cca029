//! What is checked of a Redis before a server starts.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use echoroom::testing::nodes::{Options, StartError};

use crate::{link::options, ports::free_port, redis_server::Redis};

/// What the Redis at an address promises a node.
fn check(options: &Options) -> Result<String, StartError> {
    echoroom::testing::nodes::check(options, "n001".parse().expect("a name")).map(|terms| terms.words)
}

/// The sentence with which a start is refused.
fn refusal(url: &str) -> String {
    let sentence = check(&options(url, "heard")).expect_err("it is refused").to_string();
    assert!(sentence.starts_with("--redis (ECHOROOM_REDIS): "), "{sentence}");
    assert!(!sentence.contains('\n') && !sentence.contains("Geheim7"), "{sentence}");
    sentence
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let redis = Redis::start(&["--requirepass", "right"]);
    let url = redis.url();
    for (login, words) in [
        ("?pass=Geheim7", "does not let this server in: WRONGPASS"),
        ("?user=ann&pass=Geheim7", "does not let this server in: WRONGPASS"),
        ("", "does not let this server in: NOAUTH, as the address has no password"),
        ("?pass=right&db=99", "refuses what is needed"),
    ] {
        let sentence = refusal(&format!("{url}{login}"));
        assert!(sentence.contains(words) && sentence.contains("redis.sock"), "{sentence}");
    }
    assert!(check(&options(&format!("{url}?pass=right&db=3"), "heard")).is_ok());
}

/// The rights of a user of Redis, as docs/nodes.md gives them.
fn documented_rights() -> &'static str {
    let begin = "ACL SETUSER echoroom on >password ";
    let line = include_str!("../../docs/nodes.md").lines().find_map(|line| line.trim().strip_prefix(begin));
    line.expect("docs/nodes.md has the line")
}

#[test]
fn a_user_of_redis_without_a_right_is_told_which_one() {
    let (redis, rights) = (Redis::start(&[]), documented_rights());
    let url = format!("{}?user=echoroom&pass=Geheim7", redis.url());
    let set = |rights: &str| {
        let set = redis.ask(&format!("ACL SETUSER echoroom reset on >Geheim7 {rights}"));
        assert_eq!(set, "+OK");
    };
    for (missing, words) in [
        ("resetchannels", "one of the channels"),
        ("resetkeys", "one of the keys"),
        ("-fcall", "'fcall'"),
        ("-function", "'function|list'"),
        ("-info", "'info'"),
    ] {
        set(&format!("{rights} {missing}"));
        let sentence = refusal(&url);
        assert!(
            sentence.contains("refuses what is needed: NOPERM") && sentence.contains(words),
            "{sentence}"
        );
    }
    set(rights);
    let words = check(&options(&url, "heard")).expect("it has all rights that are needed");
    assert_eq!(
        words,
        "appendonly no: messages since its last snapshot are lost if it and all nodes die at once; no replica"
    );
}

#[test]
fn a_redis_that_may_evict_rooms_is_refused_unless_that_is_set() {
    let redis = Redis::start(&["--maxmemory-policy", "allkeys-lru"]);
    let sentence = refusal(&redis.url());
    assert!(sentence.contains("allkeys-lru") && sentence.contains("--redis-eviction"), "{sentence}");
    let mut options = options(&redis.url(), "heard");
    options.may_evict = true;
    let words = check(&options).expect("it is taken");
    assert!(words.starts_with("appendonly no: "), "{words}");
}

#[test]
fn a_redis_cluster_is_taken_and_refused_while_some_slots_have_no_server() {
    let cluster = Redis::as_cluster();
    let checked =
        echoroom::testing::nodes::check(&options(&cluster.url(), "heard"), "n001".parse().expect("a name"));
    assert!(checked.expect("it is taken").cluster.is_some());
    // Of the slots of all parts of the rooms the last one goes.
    cluster.ask("CLUSTER DELSLOTSRANGE 15000 16383");
    assert!(refusal(&cluster.url()).contains("has no server for some slots"));
}

/// Takes some seconds, which a Redis is given to come up.
#[test]
fn a_redis_that_is_not_there_is_told_with_its_address() {
    let url = format!("redis://ann:Geheim7@127.0.0.1:{}/2", free_port());
    let sentence = refusal(&url);
    assert!(sentence.contains(&url.replace("ann:Geheim7@", "")), "{sentence}");
    assert!(sentence.contains("cannot be reached") && sentence.contains("refused"), "{sentence}");
}

#[test]
fn a_start_waits_for_a_redis_that_starts_too() {
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    redis.kill();
    let url = redis.url();
    let checking = thread::spawn(move || check(&options(&url, "heard")));
    redis.start_again();
    let words = checking.join().expect("no panic").expect("it is there in time");
    assert_eq!(words, "appendfsync always: acked messages are on its disk; no replica");
}

#[test]
fn an_old_version_is_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // Ends with the process.
    thread::spawn(move || listener.incoming().flatten().for_each(answer_as_an_old_one));
    let sentence = refusal(&format!("redis://:Geheim7@127.0.0.1:{port}"));
    assert!(sentence.contains("has version 6.2.14, but 7.0 or newer is needed"), "{sentence}");
}

/// Answers the questions of a client as they come, on a thread of its own.
fn answer_as_an_old_one(mut stream: TcpStream) {
    let info = "redis_version:6.2.14\r\nrole:master\r\n";
    let answers = [
        ("HELLO", "%1\r\n+proto\r\n:3\r\n".to_owned()),
        ("INFO", format!("${}\r\n{info}\r\n", info.len())),
        ("CONFIG", "-ERR unknown command\r\n".to_owned()),
    ];
    thread::spawn(move || {
        let (mut buffer, mut asked) = ([0; 4096], String::new());
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            asked.push_str(&String::from_utf8_lossy(&buffer[..len]));
            for (question, answer) in &answers {
                if let Some(at) = asked.find(question) {
                    asked.replace_range(..at + question.len(), "");
                    // A client that has heard enough is gone.
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        }
    });
}
