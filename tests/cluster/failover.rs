//! A replica takes the place of a Redis that is gone, or that only seems to be.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    cut::Cut,
    judge::Verdict,
    program::PATIENCE,
    redis::{Redis, Reply},
    runs::{Run, runs},
    storm::Storm,
};

/// Two nodes on a Redis that has a replica.
struct Pair {
    cluster: Cluster,
    /// Between the replica and its master.
    link: Cut,
    replica: Redis,
}

/// A master and its replica, which the master counts on, with the link between them.
fn with_replica(lines: &[&str]) -> (Redis, Cut, Redis) {
    let master = Redis::start(lines);
    let link = Cut::to(master.address());
    let replica = Redis::replica(link.address(), lines);
    if lines.iter().any(|line| line.starts_with("min-replicas-to-write")) {
        master.wait_for_info("replication", "min_slaves_good_slaves:1");
    }
    (master, link, replica)
}

/// The replica becomes a master that wants no replica.
fn promote(replica: &Redis) {
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    replica.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
}

impl Pair {
    fn start(lines: &[&str], flags: &[&str]) -> Self {
        let (master, link, replica) = with_replica(&[&EVERYSEC[..], lines].concat());
        Self { cluster: Cluster::on(master, 2, flags), link, replica }
    }

    /// A node finds the former replica instead of the former master.
    fn point(&self, node: usize) {
        self.cluster.cuts[node].re_target(self.replica.address());
        self.cluster.cuts[node].go_on();
    }

    fn end(&self, storm: Storm) -> Verdict {
        self.cluster.wait_until_well();
        storm.end(&self.cluster.addresses())
    }
}

#[test]
fn nodes_give_a_replica_that_takes_over_what_it_lacks() {
    runs("failover", |run| {
        let mut pair = Pair::start(&[], &[]);
        let storm = Storm::in_rooms(2, &pair.cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        storm.wait_for_acks(100);
        pair.link.freeze();
        storm.wait_for_acks(100 + run.rng.below(300) as u64);
        pair.cluster.redis.kill();
        promote(&pair.replica);
        (0..2).for_each(|node| pair.point(node));
        storm.wait_until_all_hear();
        storm.wait_for_acks(100);
        let verdict = pair.end(storm);
        run.print(&verdict);
        verdict.assert_whole();
    });
}

/// Node 0 alone has heard the last messages, and comes when node 1 has gone on without them. `heard` is what is waited for
/// before the master is killed.
fn late(name: &'static str, flags: &[&str], heard: impl Fn(&Storm, &mut Run)) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    runs(name, |run| {
        let mut pair = Pair::start(&[], flags);
        let storm = Storm::in_rooms(2, &pair.cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        storm.wait_for_acks(100);
        pair.cluster.cuts[1].freeze();
        pair.link.freeze();
        heard(&storm, run);
        pair.cluster.cuts[0].refuse();
        pair.cluster.redis.kill();
        promote(&pair.replica);
        let _next = Redis::replica(pair.replica.address(), &EVERYSEC);
        pair.point(1);
        storm.wait_for_acks_by(1, 100);
        pair.point(0);
        storm.wait_until_all_hear();
        let verdict = pair.end(storm);
        run.print(&verdict);
        verdict.assert_sound();
        assert!(verdict.resets <= 4, "only clients of the late node: {verdict}");
        verdicts.push(verdict);
    });
    verdicts
}

#[test]
fn what_only_a_node_that_comes_late_has_heard_is_declared_lost() {
    let verdicts = late("failover, the node that knows most is late", &[], |storm, run| {
        storm.wait_for_acks_by(0, 100 + run.rng.below(200) as u64);
    });
    assert!(verdicts.iter().all(|verdict| verdict.declared > 0 && verdict.resets > 0), "{verdicts:?}");
}

#[test]
fn what_was_acked_when_a_replica_had_it_is_not_lost_with_the_master() {
    let flags = ["--redis-acks", "replicas:1"];
    // What is appended meanwhile is never acked. How much that is depends on how many rounds wait for the replica.
    let heard = |_: &Storm, _: &mut Run| thread::sleep(Duration::from_millis(300));
    let verdicts = late("failover, acks when a replica has it", &flags, heard);
    assert!(verdicts.iter().all(|verdict| verdict.declared == 0), "{verdicts:?}");
}

/// Node 0 goes on with the former master while node 1 has the new one. `both` is what is waited for meanwhile.
fn split(name: &'static str, lines: &[&str], both: impl Fn(&Pair, &Storm)) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    runs(name, |run| {
        let pair = Pair::start(lines, &[]);
        let storm = Storm::in_rooms(2, &pair.cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        storm.wait_for_acks(100);
        pair.link.refuse();
        promote(&pair.replica);
        pair.point(1);
        both(&pair, &storm);
        pair.point(0);
        storm.wait_until_all_hear();
        let verdict = pair.end(storm);
        run.print(&verdict);
        verdict.assert_sound();
        verdicts.push(verdict);
    });
    verdicts
}

#[test]
fn what_the_side_of_the_former_master_has_acked_is_declared_lost() {
    let verdicts = split("split brain", &[], |_, storm| {
        storm.wait_for_acks_by(0, 100);
        storm.wait_for_acks_by(1, 100);
    });
    for verdict in verdicts {
        assert!(verdict.declared > 0 && verdict.resets > 0, "{verdict}");
    }
}

#[test]
fn a_master_that_wants_a_replica_soon_acks_nothing_on_its_own_side() {
    let lines = ["min-replicas-to-write 1", "min-replicas-max-lag 1"];
    split("split brain, min-replicas-to-write", &lines, |pair, storm| {
        pair.cluster.nodes[0].wait_until_unwell();
        // What was acked before is counted by then.
        storm.wait_for_acks_by(1, 20);
        let before = storm.acked_by(0);
        storm.wait_for_acks_by(1, 100);
        assert_eq!(storm.acked_by(0), before, "no client of that node is told that a message is kept");
    });
}

/// The value of a key once it is this one.
fn wait_for(redis: &Redis, key: &str, value: &str) {
    let deadline = Instant::now() + PATIENCE;
    while redis.ask(&["GET", key]) != Reply::Text(value.to_owned()) {
        assert!(Instant::now() < deadline, "{key} is {:?}", redis.ask(&["GET", key]));
    }
}

#[test]
fn the_harness_of_redis_has_a_replica_that_lags_behind_a_frozen_link_and_takes_over() {
    let (mut master, link, replica) = with_replica(&["min-replicas-to-write 1", "min-replicas-max-lag 1"]);
    master.ask(&["SET", "tea", "green"]);
    wait_for(&replica, "tea", "green");
    link.freeze();
    master.ask(&["SET", "tea", "black"]);
    master.wait_for_info("replication", "min_slaves_good_slaves:0");
    assert!(matches!(master.try_ask(&["SET", "tea", "white"]), Ok(Reply::Error(_))), "it wants its replica");
    master.kill();
    promote(&replica);
    assert_eq!(replica.ask(&["GET", "tea"]), Reply::Text("green".to_owned()));
    replica.ask(&["SET", "tea", "white"]);
}
