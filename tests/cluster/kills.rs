//! Nodes that are killed or stopped in the middle of a storm.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    node::{LEASE, Node, SHORT_LEASE},
    program::PATIENCE,
    runs::{Run, runs},
    storm::{Storm, history},
    visitor::Visitor,
    wire::Wire,
};

/// Lets them talk for a while that depends on chance.
fn talk(storm: &Storm, run: &mut Run) {
    storm.wait_for_acks(30 + run.rng.below(250) as u64);
}

/// A room of one node hears what is said before that is on the disk: who has heard more is told so after the kill.
#[test]
fn clients_of_a_node_that_is_killed_and_comes_back_lose_nothing_that_was_acked() {
    runs("one node is killed", |run| {
        let mut node = Node::alone(&[]);
        let storm = Storm::in_rooms(2, &[node.address()], 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            talk(&storm, run);
            node.kill();
            node.start_again();
            storm.wait_until_all_are_in();
        }
        let verdict = storm.end(&[node.address()]);
        run.print(&verdict);
        verdict.assert_sound();
        assert!(verdict.drops >= 8 && verdict.declared == 0, "{verdict}");
    });
}

/// What a Redis does that loses what it had, by a node with a journal.
#[test]
fn what_a_copy_of_the_data_lacks_that_is_put_back_is_declared_lost() {
    runs("a copy is put back", |run| {
        let mut node = Node::alone(&[]);
        let storm = Storm::begin(&[node.address()], 8, &Manner::default(), &mut run.rng);
        talk(&storm, run);
        assert_eq!(node.terminate(), Some(0));
        let copy = node.copy();
        node.start_again();
        storm.wait_until_all_are_in();
        talk(&storm, run);
        node.kill();
        node.put_back(copy);
        node.start_again();
        storm.wait_until_all_are_in();
        talk(&storm, run);
        let verdict = storm.end(&[node.address()]);
        run.print(&verdict);
        verdict.assert_sound();
        assert!(verdict.declared >= 30 && verdict.resets > 0, "{verdict}");
    });
}

#[test]
fn clients_of_a_killed_node_go_on_at_another_one_and_lose_nothing() {
    runs("a node is killed", |run| {
        let mut cluster = Cluster::start(2, &EVERYSEC);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            talk(&storm, run);
            let victim = run.rng.below(2);
            cluster.nodes[victim].kill();
            storm.wait_until_all_hear();
            talk(&storm, run);
            cluster.nodes[victim].start_again();
            cluster.wait_until_well();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.drops > 0, "{verdict}");
    });
}

#[test]
fn a_node_whose_link_to_redis_panics_ends_and_its_clients_go_on_at_another_one_and_lose_nothing() {
    runs("the link of a node panics", |run| {
        let mut cluster = Cluster::start(2, &EVERYSEC);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            talk(&storm, run);
            let victim = &mut cluster.nodes[run.rng.below(2)];
            victim.poison("redis");
            victim.wait_for_log("redis has panicked: redis was poisoned");
            assert_eq!(victim.ended(), Some(70));
            storm.wait_until_all_hear();
            victim.start_again();
            cluster.wait_until_well();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.drops > 0, "{verdict}");
    });
}

#[test]
fn clients_of_a_node_that_is_told_to_stop_go_on_at_another_one_and_lose_nothing() {
    runs("a node is told to stop", |run| {
        let mut cluster = Cluster::start(2, &EVERYSEC);
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &Manner::default(), &mut run.rng);
        while !run.is_over() {
            talk(&storm, run);
            let leaver = run.rng.below(2);
            assert_eq!(cluster.nodes[leaver].terminate(), Some(0));
            storm.wait_until_all_hear();
            cluster.nodes[leaver].start_again();
            cluster.wait_until_well();
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
    });
}

/// Logs another user in under a name as soon as it is free.
fn take_name(node: &Node, name: &str) -> Visitor {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Visitor::try_login(node.address(), &json!({"username": name, "room": "tea"})) {
            Ok(visitor) => return visitor,
            Err(error) => assert_eq!(error["code"], "name_taken", "{error}"),
        }
        assert!(Instant::now() < deadline, "{name} is not free");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The texts that come to a plain session, up to one.
fn texts_up_to(plain: &mut Wire, last: &str) -> Vec<String> {
    let (mut texts, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while texts.last().is_none_or(|text| text != last) {
        texts.extend(plain.read_text().expect("the plain session stays"));
        assert!(Instant::now() < deadline, "{last} is not heard behind {:?}", texts.last());
    }
    texts
}

/// As long as the lease of a node and more: nothing shorter shows what a node does when it was fenced.
#[test]
fn a_node_that_stood_still_beyond_its_lease_gives_up_names_that_were_taken_and_tells_what_was_missed() {
    runs("a node stands still", |run| {
        let cluster = Cluster::with(2, &EVERYSEC, &[&SHORT_LEASE[..], &["--name-hold", "1s"]].concat());
        let [still, other] = &cluster.nodes[..] else { panic!("two nodes") };
        let mut plain = Wire::open(still.address(), "/ws?room=tea", PATIENCE).expect("connected");
        let mut ann = Visitor::login(still.address(), "ann", "tea");
        let mut bea = Visitor::login(still.address(), "bea", "tea");
        let manner = Manner { pause: Duration::from_millis(50), in_flight: 1, ..Manner::default() };
        let storm = Storm::begin(&[other.address()], 3, &manner, &mut run.rng);
        storm.wait_for_acks(10);
        still.stop();
        let stopped = Instant::now();
        let mut heir = take_name(other, "ann");
        assert_ne!(heir.welcome["uid"], ann.welcome["uid"]);
        thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(stopped.elapsed()));
        ann.send("sendMessage", &json!({"msg": "under a lost name", "id": "lost"}));
        still.go_on();
        assert_eq!(ann.closed(), Some(1012), "its name is another user's");
        still.wait_until_well();
        bea.say("bea is still there");
        heir.say("the last word");
        let heard = texts_up_to(&mut plain, "the last word");
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        let kept: Vec<_> = history(other.address(), "tea", 0).into_iter().map(|(_, text)| text).collect();
        assert!(!kept.iter().any(|text| text == "under a lost name"));
        let first = kept.iter().position(|text| *text == heard[0]).expect("it was said");
        assert_eq!(heard, kept[first..first + heard.len()], "all that was missed, in its order");
    });
}
