//! Private messages between clients of two nodes.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::Node,
    program::PATIENCE,
    visitor::Visitor,
};

#[test]
fn a_private_message_reaches_all_sessions_of_both_at_one_node_and_no_other() {
    a_private_message_reaches_both([Node::alone(&[]).address(); 3]);
}

#[test]
fn a_private_message_reaches_all_sessions_of_both_at_three_nodes_and_no_other() {
    a_private_message_reaches_both(Cluster::start(3, &EVERYSEC).three());
}

fn a_private_message_reaches_both([one, two, three]: [SocketAddr; 3]) {
    let mut ann = Visitor::login(one, "ann", "tea");
    let mut ben = Visitor::login(two, "ben", "tea");
    let mut both = [Visitor::login_with(three, &ann.data()), Visitor::login_with(one, &ben.data())];
    let mut zoe = Visitor::login(two, "zoe", "tea");
    // The first one's node has heard of the reader.
    ann.wait_for_user("ben");
    for number in 0..3 {
        let text = format!("psst {number}");
        let sent = ann.ask("sendPrivate", &json!({"to": "ben", "msg": text, "id": text}));
        assert_eq!(sent["delivered"], true, "{sent}");
        for visitor in both.iter_mut().chain([&mut ben, &mut ann]) {
            let heard = visitor.hear("receivePrivate", |_| true);
            assert_eq!((&heard["msg"], &heard["username"]), (&json!(text), &json!("ann")));
        }
        // Said again with its id, it is answered as before and delivered once.
        let again = ann.ask("sendPrivate", &json!({"to": "ben", "msg": text, "id": text}));
        assert_eq!(again, sent);
    }
    // What follows is heard behind them.
    ann.say("for all");
    zoe.hear("receiveMessage", |message| message["msg"] == "for all");
    assert_eq!(zoe.passed_by("receivePrivate"), 0);
    ben.hear("receiveMessage", |message| message["msg"] == "for all");
    assert_eq!(ben.passed_by("receivePrivate"), 0, "each was delivered once");
}

#[test]
fn a_private_message_for_a_reader_whose_node_died_is_not_delivered() {
    let mut cluster = Cluster::start(2, &EVERYSEC);
    let nodes = cluster.addresses();
    let mut ann = Visitor::login(nodes[0], "ann", "tea");
    let mut ben = Visitor::login(nodes[1], "ben", "tea");
    ann.wait_for_user("ben");
    let send = |ann: &mut Visitor, number: usize| {
        let text = format!("psst {number}");
        ann.ask("sendPrivate", &json!({"to": "ben", "msg": text, "id": text}))["delivered"].clone()
    };
    assert_eq!(send(&mut ann, 0), true);
    ben.hear("receivePrivate", |_| true);
    cluster.nodes[1].kill();
    // Redis sees the end of the node's connections at once, or almost.
    let deadline = Instant::now() + PATIENCE;
    for number in 1.. {
        if send(&mut ann, number) == false {
            break;
        }
        assert!(Instant::now() < deadline, "delivered to a node that is dead");
        thread::sleep(Duration::from_millis(5));
    }
    // It comes back elsewhere, and is reached there.
    let mut ben = Visitor::login_with(nodes[0], &ben.data());
    assert_eq!(send(&mut ann, 0), true, "said again with its id");
    assert_eq!(send(&mut ann, 1_000_000), true);
    ben.hear("receivePrivate", |message| message["msg"] == "psst 1000000");
}

#[test]
fn a_private_message_that_is_sent_again_through_another_node_is_handed_over_once() {
    let mut cluster = Cluster::start(3, &EVERYSEC);
    let nodes = cluster.addresses();
    let mut ben = Visitor::login(nodes[1], "ben", "tea");
    let mut ann = Visitor::login(nodes[0], "ann", "tea");
    let data = ann.data();
    ann.wait_for_user("ben");
    for number in 0..3 {
        let text = format!("psst {number}");
        let message = json!({"to": "ben", "msg": text, "id": text});
        // Its answer is lost: the node dies when the reader has the message.
        ann.send("sendPrivate", &message);
        let heard = ben.hear("receivePrivate", |heard| heard["msg"] == text);
        cluster.nodes[0].kill();
        for node in [nodes[1], nodes[2]] {
            let mut again = Visitor::login_with(node, &data);
            again.wait_for_user("ben");
            let answer = again.ask("sendPrivate", &message);
            assert_eq!((&answer["delivered"], &answer["at"]), (&json!(true), &heard["at"]));
        }
        cluster.nodes[0].start_again();
        cluster.nodes[0].wait_until_well();
        ann = Visitor::login_with(nodes[0], &data);
        ann.wait_for_user("ben");
    }
    ann.say("for all");
    ben.hear("receiveMessage", |message| message["msg"] == "for all");
    assert_eq!(ben.passed_by("receivePrivate"), 0, "each was delivered once");
}
