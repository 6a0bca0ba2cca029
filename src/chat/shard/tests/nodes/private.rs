//! Private messages over nodes.

use super::*;

pub(super) fn private(
    nodes: &mut Nodes,
    node: usize,
    member: MemberId,
    ticket: u64,
    to: &str,
    id: Option<&str>,
) {
    let to = Nickname::parse(to).expect("a legal name");
    let (body, id) = ("hi".into(), id.map(Into::into));
    let accepted = nodes.nodes[node].intake.accept(1);
    nodes.nodes[node].ask(SendPrivate { member, ticket, to, kind: Kind::Message, body, id, accepted });
}

#[test]
fn a_private_message_reaches_all_sessions_of_both_users_and_the_sender_is_told() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let (anns_tab, bens_tab) = (nodes.user(1, 3, "ann", Some(1)), nodes.user(0, 4, "ben", Some(2)));
    let other = nodes.user(1, 5, "cleo", None);
    nodes.forget_told();
    private(&mut nodes, 0, ann, 10, "ben", None);
    nodes.run();
    let line = "ann to ben: hi".to_owned();
    for (node, member) in [(0, bens_tab), (1, ben), (1, anns_tab)] {
        assert_eq!(nodes.told(node, member), [&*line], "{member}");
    }
    assert_eq!(nodes.told(0, ann), [&*line, "10: delivered"]);
    assert_eq!(nodes.told(1, other), Vec::<String>::new());
    assert_eq!([0, 1].map(|node: usize| nodes.nodes[node].budget.accepted()), [0, 0]);
}

#[test]
fn a_private_message_that_no_node_hands_over_in_time_is_not_delivered() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    private(&mut nodes, 0, ann, 10, "ben", Some("x"));
    private(&mut nodes, 0, ann, 11, "ben", Some("x"));
    let whisper = nodes.nodes[0].orders.pop_front();
    assert!(matches!(whisper, Some(Order::Whisper(..))) && nodes.nodes[0].orders.is_empty(), "one message");
    nodes.nodes[0].pass(Duration::from_millis(1999));
    assert_eq!(nodes.told(0, ann), ["ann to ben: hi"], "her other tabs may show it");
    nodes.nodes[0].pass(Duration::from_millis(1));
    assert_eq!(nodes.told(0, ann), ["10: not delivered", "11: not delivered"]);
    private(&mut nodes, 0, ann, 12, "ben", Some("x"));
    nodes.run();
    assert_eq!((nodes.told(0, ann).pop(), nodes.told(1, ben).len()), (Some("12: delivered".into()), 1));
    private(&mut nodes, 0, ann, 13, "ben", Some("x"));
    assert_eq!(nodes.told(0, ann), ["13: delivered"], "it is known by its id");
}

#[test]
fn a_private_message_that_is_sent_again_through_another_node_is_handed_over_once() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    private(&mut nodes, 0, ann, 10, "ben", Some("x"));
    // Its sender's node dies behind the message, and before its answer.
    nodes.run_redis(0);
    nodes.leave(0, ann, true);
    nodes.run();
    let near = nodes.user(1, 3, "ann", Some(1));
    assert_eq!(nodes.told(1, ben), ["ann to ben: hi", "-ann of 1", "+ann of 2"]);
    nodes.forget_told();
    // Now through the reader's node.
    private(&mut nodes, 1, near, 11, "ben", Some("x"));
    nodes.run();
    assert_eq!((nodes.told(1, near), nodes.told(1, ben)), (vec!["11: delivered".to_owned()], vec![]));
    // And through another one, which hears from the reader's that it was delivered.
    let far = nodes.user(0, 4, "ann", Some(1));
    nodes.forget_told();
    private(&mut nodes, 0, far, 12, "ben", Some("x"));
    nodes.run();
    assert!(nodes.told(0, far).contains(&"12: delivered".to_owned()));
    assert_eq!(nodes.told(1, ben), Vec::<String>::new());
    // Of another user, or to another one, it is another message.
    private(&mut nodes, 1, ben, 13, "ann", Some("x"));
    nodes.run();
    assert!(nodes.told(0, far).contains(&"ben to ann: hi".to_owned()));
}

#[test]
fn a_private_message_that_is_sent_again_is_shown_once_to_the_sessions_of_its_sender() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let tab = nodes.user(1, 3, "ann", Some(1));
    let _cleo = nodes.user(0, 4, "cleo", None);
    nodes.forget_told();
    for ticket in 10..13 {
        private(&mut nodes, 0, ann, ticket, "cleo", Some("x"));
        nodes.nodes[0].feed(Input::TurnEnded);
        // The other node is told again, as by a node that has not sent it before.
        let again = nodes.nodes[0].orders.clone();
        nodes.nodes[0].orders.extend(again);
        nodes.run();
    }
    assert_eq!(nodes.told(1, tab), ["ann to cleo: hi"]);
}

#[test]
fn a_private_message_that_two_nodes_send_at_once_is_handed_over_once_and_both_are_answered() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let near = nodes.user(1, 3, "ann", Some(1));
    nodes.forget_told();
    private(&mut nodes, 1, near, 11, "ben", Some("x"));
    private(&mut nodes, 0, ann, 10, "ben", Some("x"));
    nodes.run_redis(0);
    while let Some(heard) = nodes.nodes[1].heard.pop_front() {
        nodes.nodes[1].feed(Input::Heard(heard));
    }
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["ann to ben: hi"]);
    assert_eq!(nodes.told(1, near).pop(), Some("11: delivered".to_owned()));
    assert_eq!(nodes.told(0, ann).pop(), Some("10: delivered".to_owned()));
}

#[test]
fn a_reader_that_is_in_no_room_or_has_not_caught_up_is_handed_nothing() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let cleo = nodes.register(1, 3);
    let login = nodes.login_of(1, cleo, 3, "cleo", None);
    nodes.nodes[1].ask(login);
    nodes.run();
    nodes.forget_told();
    private(&mut nodes, 0, ann, 10, "cleo", None);
    private(&mut nodes, 0, ann, 11, "dora", None);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["ann to cleo: hi", "11: NoSuchUser", "10: not delivered"]);
}

#[test]
fn while_redis_is_away_private_messages_reach_the_users_of_this_node_only() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let near = nodes.user(0, 3, "cleo", None);
    nodes.forget_told();
    nodes.down(0);
    private(&mut nodes, 0, ann, 10, "ben", None);
    private(&mut nodes, 0, ann, 11, "cleo", None);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["10: JournalUnavailable", "ann to cleo: hi", "11: delivered"]);
    assert_eq!(nodes.told(0, near), ["ann to cleo: hi"]);
}

#[test]
fn bytes_of_another_node_that_cannot_be_read_are_ignored() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let other = nodes.redis.nodes[1];
    for packed in [&b""[..], b"\x01", b"\x09123456781234567812345678", &[0xff; 99]] {
        let packed = Bytes::from_static(packed);
        nodes.nodes[0].feed(Input::Heard(Heard::Whispered(room(), other, packed.clone())));
        nodes.nodes[0].feed(Input::Heard(Heard::Shown(room(), other, packed)));
    }
    nodes.run();
    assert_eq!((nodes.told(0, ann), nodes.told(1, ben)), (vec![], vec![]));
}
