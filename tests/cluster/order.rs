//! One order for all, at all nodes.

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    node::Node,
    runs::runs,
    storm::Storm,
};

#[test]
fn clients_of_one_node_hear_one_order_also_those_that_drop_and_come_back() {
    runs("one node", |run| {
        let node = Node::alone(&[]);
        let storm =
            Storm::begin(&[node.address()], 8, &Manner { moves: 20, ..Manner::default() }, &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(100);
        }
        let verdict = storm.end(&[node.address()]);
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.moves > 0 && verdict.drops == 0, "{verdict}");
    });
}

/// Clients change their nodes, and say there again what was acked at another one.
#[test]
fn clients_of_two_nodes_hear_one_order_and_each_ack_names_the_place_of_its_message() {
    runs("two nodes", |run| {
        let cluster = Cluster::start(2, &EVERYSEC);
        let manner = Manner { moves: 50, ..Manner::default() };
        let storm = Storm::in_rooms(2, &cluster.addresses(), 4, &manner, &mut run.rng);
        while !run.is_over() {
            storm.wait_for_acks(100);
        }
        let verdict = storm.end(&cluster.addresses());
        run.print(&verdict);
        verdict.assert_whole();
        assert!(verdict.moves > 0 && verdict.drops + verdict.refusals == 0, "{verdict}");
    });
}
