//! A Redis that closes the connection of a node that reads too slowly, and one that is full.

use std::time::Duration;

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    cut::Way,
    node::Node,
    runs::runs,
    storm::Storm,
};

#[test]
fn clients_miss_nothing_when_redis_closes_the_feed_of_a_node_for_its_buffer() {
    runs("the feed is closed", |run| {
        // Clients that are given megabytes at once need not keep up.
        let cluster = Cluster::with(2, &EVERYSEC, &["--max-queue-bytes", "32m"]);
        cluster.redis.ask(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 64k 0 0"]);
        let manner = Manner { padding: 6000, pause: Duration::from_millis(2), ..Manner::default() };
        let storm = Storm::begin(&cluster.addresses(), 4, &manner, &mut run.rng);
        storm.wait_for_acks(50);
        cluster.cuts[1].freeze_only(Way::Answers);
        // What the system holds for the connection comes on top of the buffer of Redis.
        cluster.redis.wait_for_log("output buffer limits");
        cluster.cuts[1].go_on();
        storm.wait_until_all_hear();
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert_eq!(verdict.drops, 0, "sessions stay: {verdict}");
    });
}

#[test]
fn messages_are_refused_while_redis_is_full_and_nothing_is_lost() {
    runs("Redis is full", |run| {
        let cluster = Cluster::start(2, &[&EVERYSEC[..], &["maxmemory-policy noeviction"]].concat());
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(100);
            // Less than it has.
            cluster.redis.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
            cluster.nodes.iter().for_each(Node::wait_until_unwell);
            cluster.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
            cluster.wait_until_well();
            storm.wait_until_all_hear();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.refusals > 0 && verdict.drops == 0, "{verdict}");
    });
}
