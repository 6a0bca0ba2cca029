//! Links between nodes and Redis that freeze, or are cut while an answer is on its way.

use std::{thread, time::Duration};

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    cut::{Cut, Way},
    node::{LEASE, Node, SHORT_LEASE},
    runs::runs,
    storm::Storm,
};

#[test]
fn clients_whose_own_links_freeze_and_are_cut_come_back_and_lose_nothing() {
    runs("links of clients", |run| {
        let node = Node::alone(&[]);
        let cuts = [Cut::to(node.address()), Cut::to(node.address())];
        let patience = Duration::from_millis(1200);
        let addresses = cuts.each_ref().map(Cut::address);
        let storm = Storm::begin(&addresses, 8, &Manner { patience, ..Manner::default() }, &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(30 + run.rng.below(200) as u64);
            let cut = &cuts[run.rng.below(2)];
            match run.rng.below(3) {
                0 => cut.cut(),
                1 => cut.refuse(),
                _ => cut.freeze(),
            }
            storm.wait_until_all_hear();
            cut.go_on();
        }
        let verdict = storm.end(&[node.address()]);
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.drops > 0, "{verdict}");
    });
}

/// Freezes the link of one of two nodes for a while, at which the other one goes on.
fn freeze(name: &'static str, length: Duration, flags: &[&str]) {
    runs(name, |run| {
        let cluster = Cluster::with(2, &EVERYSEC, flags);
        let manner = Manner { pause: Duration::from_millis(25), ..Manner::default() };
        let storm = Storm::begin(&cluster.addresses(), 6, &manner, &mut run.rng);
        storm.wait_for_acks(100);
        let frozen = run.rng.below(2);
        cluster.cuts[frozen].freeze();
        storm.wait_for_acks(20);
        thread::sleep(length);
        cluster.cuts[frozen].go_on();
        storm.wait_until_all_hear();
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert_eq!(verdict.drops, 0, "sessions stay: {verdict}");
        assert!(verdict.longest_silence >= length, "it was frozen: {verdict}");
    });
}

/// Shorter than the time after which a silent link counts as dead.
#[test]
fn clients_of_a_node_whose_link_is_frozen_shortly_hear_all_when_it_goes_on() {
    freeze("a link freezes shortly", Duration::from_secs(4), &[]);
}

/// Longer than the lease of a node, and than the time after which a silent link counts as dead.
#[test]
fn clients_of_a_node_whose_link_is_frozen_beyond_its_lease_hear_all_when_it_goes_on() {
    freeze("a link freezes beyond the lease", LEASE + Duration::from_secs(5), &SHORT_LEASE);
}

#[test]
fn nothing_is_said_twice_when_links_are_cut_and_answers_are_lost() {
    runs("answers are lost", |run| {
        let cluster = Cluster::start(2, &EVERYSEC);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(30 + run.rng.below(100) as u64);
            let cut = &cluster.cuts[run.rng.below(2)];
            cut.freeze_only(Way::Answers);
            // Meanwhile something is appended, most often; what matters is that it is of any length.
            thread::sleep(Duration::from_millis(run.rng.below(60) as u64));
            cut.cut();
            cut.go_on();
            storm.wait_until_all_hear();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert_eq!(verdict.drops, 0, "sessions stay: {verdict}");
    });
}

#[test]
fn clients_of_a_node_that_gives_its_sessions_up_go_on_at_another_one_and_lose_nothing() {
    runs("a node is isolated", |run| {
        let cluster = Cluster::with(2, &EVERYSEC, &["--isolation-timeout", "500ms"]);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(100);
            let cut = &cluster.cuts[run.rng.below(2)];
            cut.refuse();
            // Also those who were at that node.
            storm.wait_until_all_hear();
            cut.go_on();
            cluster.wait_until_well();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.drops > 0, "{verdict}");
    });
}
