//! Redis is killed, stopped, and loses what it had, while clients of two nodes talk.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    chatter::Manner,
    cluster::{ALWAYS, Cluster, EVERYSEC},
    judge::Verdict,
    node::{Node, SHORT_LEASE},
    program::PATIENCE,
    redis::{Redis, Reply},
    runs::runs,
    storm::{Storm, history},
    visitor::Visitor,
    wire::Wire,
};

/// What is done to Redis happens at least so often in each run.
const TIMES: usize = 3;

/// Does something to Redis again and again while clients of two nodes talk.
fn harm(name: &'static str, lines: &[&str], mut harm: impl FnMut(&mut Cluster)) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    runs(name, |run| {
        let mut cluster = Cluster::start(2, lines);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        let mut times = 0;
        while times < TIMES || !run.is_over() {
            storm.wait_for_acks(30 + run.rng.below(250) as u64);
            harm(&mut cluster);
            storm.wait_until_all_hear();
            times += 1;
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_sound();
        assert_eq!(verdict.drops, 0, "sessions stay: {verdict}");
        verdicts.push(verdict);
    });
    verdicts
}

#[test]
fn nothing_is_lost_when_redis_that_flushes_always_is_killed() {
    let verdicts = harm("Redis is killed, always", &ALWAYS, Cluster::restart_redis);
    verdicts.iter().for_each(Verdict::assert_whole);
}

/// Redis may have lost what it had answered: the nodes give it back.
#[test]
fn nothing_is_lost_when_redis_that_flushes_every_second_is_killed() {
    let verdicts = harm("Redis is killed, everysec", &EVERYSEC, Cluster::restart_redis);
    verdicts.iter().for_each(Verdict::assert_whole);
}

/// Longer than the time after which a link that is silent counts as dead, once in the run.
#[test]
fn nothing_is_lost_when_redis_stands_still_shortly_or_until_its_links_are_given_up() {
    let mut stops = [100, 1500, 7000].into_iter().cycle();
    let verdicts = harm("Redis stands still", &EVERYSEC, |cluster| {
        cluster.redis.stop();
        thread::sleep(Duration::from_millis(stops.next().expect("a cycle")));
        cluster.redis.go_on();
    });
    verdicts.iter().for_each(Verdict::assert_whole);
}

/// What nodes have not in memory is gone then, and they say so of older pages of history; nothing is declared lost.
#[test]
fn offsets_go_on_and_clients_notice_nothing_when_redis_is_emptied() {
    let verdicts = harm("Redis is emptied", &EVERYSEC, |cluster| {
        cluster.redis.ask(&["FLUSHALL"]);
    });
    for verdict in verdicts {
        assert_eq!((verdict.resets, verdict.declared), (0, 0), "{verdict}");
    }
}

/// Node 2 dies with what Redis loses. Its user leaves after the lease, when the other nodes count on no more users to come
/// back.
fn only_users_of_a_dead_node_leave(lines: &[&str], lose: impl Fn(&mut Cluster)) {
    let mut cluster = Cluster::with(3, lines, &SHORT_LEASE);
    let nodes = cluster.three();
    let mut witness = Visitor::login(nodes[0], "witness", "tea");
    let users =
        [(0, "ann"), (1, "ben"), (2, "cleo")].map(|(at, name)| Visitor::login(nodes[at], name, "tea"));
    ["ann", "ben", "cleo"].into_iter().for_each(|name| witness.wait_for_user(name));
    cluster.nodes[2].kill();
    lose(&mut cluster);
    witness.hear("delUser", |user| user["username"] == "cleo");
    assert_eq!(witness.passed_by("delUser"), 0, "none else is seen leaving");
    assert_eq!(witness.users(), ["ann", "ben", "witness"]);
    drop(users);
}

#[test]
fn none_is_seen_leaving_when_redis_is_emptied() {
    only_users_of_a_dead_node_leave(&EVERYSEC, |cluster| _ = cluster.redis.ask(&["FLUSHALL"]));
}

#[test]
fn none_is_seen_leaving_when_redis_is_killed_and_comes_back_empty() {
    only_users_of_a_dead_node_leave(&[], Cluster::restart_redis);
}

#[test]
fn none_is_seen_leaving_when_redis_is_killed_and_comes_back_as_it_was() {
    only_users_of_a_dead_node_leave(&ALWAYS, Cluster::restart_redis);
}

#[test]
fn while_redis_is_away_messages_and_logins_are_refused_and_plain_sessions_are_answered() {
    let mut cluster = Cluster::start(2, &EVERYSEC);
    let nodes = cluster.addresses();
    let mut ann = Visitor::login(nodes[0], "ann", "tea");
    let mut plain = Wire::open(nodes[0], "/ws?room=tea", PATIENCE).expect("connected");
    cluster.redis.kill();
    cluster.nodes.iter().for_each(Node::wait_until_unwell);
    for number in 0..3 {
        let data = json!({"msg": "away", "id": format!("away {number}")});
        assert_eq!(ann.answer("sendMessage", &data)["error"]["code"], "journal_unavailable");
        let login =
            Visitor::try_login(nodes[1], &json!({"username": format!("ben {number}"), "room": "tea"}));
        assert_eq!(login.err().map(|error| error["code"].clone()), Some(json!("journal_unavailable")));
        plain.send_text("hello").expect("the session stays");
        assert_eq!(text(&mut plain), "HELLO!!!");
    }
    cluster.redis.start_again();
    cluster.wait_until_well();
    ann.say("back");
    // What was refused, or answered and not relayed, is not said later.
    assert_eq!(history(nodes[1], "tea", 0).last().map(|last| last.1.clone()), Some("back".to_owned()));
    assert!(!history(nodes[1], "tea", 0).iter().any(|(_, text)| text == "away" || text == "hello"));
}

/// The next text that comes.
fn text(wire: &mut Wire) -> String {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(text) = wire.read_text().expect("the session stays") {
            return text;
        }
    }
    panic!("no answer");
}

#[test]
fn the_harness_of_redis_keeps_over_a_kill_what_was_flushed_and_stops_and_goes_on() {
    let mut redis = Redis::start(&ALWAYS);
    redis.ask(&["SET", "tea", "green"]);
    redis.kill();
    redis.start_again();
    assert_eq!(redis.ask(&["GET", "tea"]), Reply::Text("green".to_owned()));
    redis.stop();
    redis.go_on();
    redis.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
    assert!(redis.has_info("memory", "maxmemory:1024"));
    assert!(matches!(redis.try_ask(&["SET", "tea", "x"]), Ok(Reply::Error(_))));
}

/// The only session of a room is gone when Redis dies with all its data.
#[test]
fn what_was_said_in_a_room_that_all_have_left_is_given_back_by_its_node() {
    let mut cluster = Cluster::start(1, &[]);
    let node = cluster.addresses()[0];
    let mut ann = Visitor::login(node, "ann", "tea");
    assert_eq!((1..=3).map(|number| ann.say(&format!("{number}"))).last(), Some(3));
    ann.ask("logout", &json!({}));
    drop(ann);
    cluster.restart_redis();
    cluster.wait_until_well();
    let mut ben = Visitor::login(node, "ben", "tea");
    let offsets: Vec<_> = ben.history().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!((offsets, ben.say("on")), (vec![1, 2, 3], 4));
}
