//! What is said is heard by all nodes in one order.

use super::*;
use crate::nodes::KEEP_FOR;

#[test]
fn both_nodes_hear_one_order_and_senders_are_told_their_places_in_it() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.post(1, ben, 20, "y");
    nodes.post(0, ann, 11, "z");
    nodes.run();
    let lines = ["1 ann: text 10", "2 ann: text 11", "3 ben: text 20"];
    let mut at_ann = nodes.told(0, ann);
    at_ann.retain(|told| !told.contains("posted"));
    let mut at_ben = nodes.told(1, ben);
    assert_eq!(at_ben.pop(), Some("20: posted at 3".to_owned()));
    assert_eq!((at_ann, at_ben), (lines.map(str::to_owned).to_vec(), lines.map(str::to_owned).to_vec()));
    assert_eq!(nodes.redis.rooms[&room()].records.len(), 2, "one round of each node");
    assert_eq!([0, 1].map(|node: usize| nodes.nodes[node].budget.used()), [0, 0], "no share is left");
}

#[test]
fn nothing_is_relayed_before_it_is_heard_and_no_ack_is_given_before_it_is_in_redis() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    assert_eq!((nodes.told(0, ann), nodes.nodes[0].shard.figures().unkept), (vec![], 1));
    assert_ne!(nodes.nodes[0].budget.accepted(), 0, "it counts in the intake");
    nodes.run_redis(0);
    let said = nodes.nodes[0].next_heard();
    nodes.nodes[0].feed(Input::Heard(said));
    assert_eq!(nodes.told(0, ann), ["1 ann: text 10"]);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["10: posted at 1"]);
    assert_eq!((nodes.nodes[0].shard.figures().unkept, nodes.nodes[0].budget.accepted()), (0, 0));
}

#[test]
fn a_message_that_is_sent_again_is_said_once_wherever_its_first_copy_is() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    for ticket in [10, 11, 12] {
        nodes.post(0, ann, ticket, "x");
    }
    nodes.run();
    let acks = ["10: posted at 1", "11: posted at 1", "12: posted at 1"];
    assert_eq!(nodes.told(0, ann)[1..], acks, "while it waits");
    nodes.post(0, ann, 13, "x");
    assert_eq!(nodes.told(0, ann), ["13: posted at 1"], "at once");
    // Her other tab has not heard of it when it sends the message again.
    let tab = nodes.user(1, 3, "ann", Some(1));
    nodes.forget_told();
    nodes.post(0, ann, 14, "y");
    nodes.post(1, tab, 30, "y");
    nodes.nodes[1].feed(Input::TurnEnded);
    nodes.run();
    assert_eq!(nodes.told(1, tab), ["2 ann: text 14", "30: posted at 2"]);
}

#[test]
fn a_plain_guest_does_not_get_its_own_line_and_all_others_do() {
    let mut nodes = Nodes::new();
    let (one, two, far) = (nodes.guest(0, 1), nodes.guest(0, 2), nodes.guest(1, 3));
    nodes.publish(0, one, Payload::Text("hello".into()));
    nodes.publish(0, one, Payload::Binary(Bytes::from_static(b"\x01")));
    nodes.run();
    assert_eq!(nodes.told(0, one), Vec::<String>::new());
    assert_eq!(nodes.told(0, two), ["hello", "[1]"]);
    assert_eq!(nodes.told(1, far), ["hello", "[1]"]);
    assert_eq!(nodes.nodes[0].budget.accepted(), 0);
}

#[test]
fn a_text_of_a_room_without_history_is_told_to_all_nodes_and_not_kept() {
    let mut nodes = Nodes::new();
    let no_origin = RoomName::of_pages_without_origin();
    let members = [1, 2].map(|number: u64| MemberId::of(number));
    for (node, member) in members.into_iter().enumerate() {
        let room = Some(no_origin.clone());
        let register = Register { member, room, worker: WorkerId(0), seat: seat(PLAIN), address: None };
        nodes.nodes[node].ask(register);
    }
    nodes.run();
    nodes.publish(0, members[0], Payload::Text("hello".into()));
    nodes.run();
    assert_eq!((nodes.told(0, members[0]), nodes.told(1, members[1])), (vec![], vec!["hello".to_owned()]));
    assert!(nodes.redis.rooms[&no_origin].records.is_empty());
}

#[test]
fn others_see_at_all_nodes_who_writes() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let tab = nodes.user(0, 3, "ann", Some(1));
    nodes.forget_told();
    let _accepted = nodes.nodes[0].intake.accept(1);
    nodes.nodes[0].ask(ShowTyping { member: ann, typing: true, _accepted });
    nodes.run();
    assert_eq!(nodes.told(0, ann), Vec::<String>::new());
    assert_eq!(
        (nodes.told(0, tab), nodes.told(1, ben)),
        (vec!["ann types: true".into()], vec!["ann types: true".into()])
    );
}

#[test]
fn what_was_said_comes_before_what_its_sender_does_next() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.leave(0, ann, false);
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 ann: text 10", "-ann of 1"]);
}

#[test]
fn a_room_stays_open_until_its_messages_are_in_redis_and_safe_there_and_is_closed_then() {
    let mut nodes = Nodes::new();
    let guest = nodes.guest(0, 1);
    nodes.publish(0, guest, Payload::Text("last".into()));
    nodes.leave(0, guest, false);
    nodes.nodes[0].feed(Input::TurnEnded);
    assert!(nodes.nodes[0].orders.iter().all(|order| !matches!(order, Order::Close(_))));
    let pass = |nodes: &mut Nodes, time: Duration| {
        nodes.run();
        nodes.nodes[0].pass(time);
        nodes.run();
        nodes.redis.rooms[&room()].open_at.contains(&0)
    };
    assert!(pass(&mut nodes, KEEP_FOR - Duration::from_millis(1)), "Redis may lose it");
    // The time does not run while Redis is away.
    nodes.down(0);
    nodes.nodes[0].pass(KEEP_FOR);
    nodes.nodes[0].pass(KEEP_FOR);
    nodes.up(0);
    assert!(pass(&mut nodes, Duration::from_secs(1)));
    assert!(!pass(&mut nodes, KEEP_FOR));
    assert_eq!(nodes.nodes[0].shard.figures().kept_rooms, 0);
}

#[test]
fn a_member_that_waits_for_all_messages_is_answered_when_those_are_in_redis() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].ask(UntilKept { member: ann, ticket: 11 });
    nodes.nodes[1].ask(UntilKept { member: ben, ticket: 20 });
    assert_eq!((nodes.told(0, ann), nodes.told(1, ben)), (vec![], vec!["20: posted at 0".to_owned()]));
    nodes.run();
    assert_eq!(nodes.told(0, ann)[1..], ["10: posted at 1", "11: posted at 1"]);
}

#[test]
fn while_redis_is_away_nothing_new_is_accepted_and_what_was_accepted_stays() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.nodes[0].is_cut = true;
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    nodes.down(0);
    let Some(Order::Say(_, says)) = nodes.nodes[0].orders.back() else { panic!("a round is ordered") };
    let delayed = Heard::Delayed(room(), says.iter().map(|say| say.id).collect());
    nodes.nodes[0].feed(Input::Heard(delayed));
    assert_eq!(nodes.nodes[0].shard.fault(), Some(&JournalError::Unavailable("gone".to_owned())));
    nodes.post(0, ann, 11, "x");
    nodes.post(0, ann, 12, "y");
    nodes.nodes[0].ask(UntilKept { member: ann, ticket: 13 });
    let expected = ["10: NotKeptYet", "11: NotKeptYet", "12: JournalUnavailable", "13: posted at 0"];
    assert_eq!(nodes.told(0, ann), expected);
    nodes.up(0);
    assert_eq!(nodes.nodes[0].shard.fault(), None);
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 ann: text 10"]);
    nodes.post(0, ann, 14, "x");
    assert_eq!(nodes.told(0, ann), ["1 ann: text 10", "14: posted at 1"]);
}

#[test]
fn a_guest_is_not_answered_while_redis_is_away_and_its_text_counts_as_not_kept() {
    let mut nodes = Nodes::new();
    let (guest, other) = (nodes.guest(0, 1), nodes.guest(0, 2));
    nodes.down(0);
    nodes.publish(0, guest, Payload::Text("hello".into()));
    nodes.publish(0, guest, Payload::Binary(Bytes::from_static(b"\x01")));
    nodes.up(0);
    nodes.run();
    assert_eq!(nodes.told(0, other), Vec::<String>::new());
    assert_eq!(nodes.nodes[0].shard.take_counts().not_kept, 1);
    assert_eq!(nodes.nodes[0].budget.accepted(), 0);
}

#[test]
fn members_that_have_heard_what_the_room_lost_are_sent_away_and_what_waits_stays() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.run();
    nodes.forget_told();
    nodes.nodes[0].is_cut = true;
    nodes.post(0, ann, 11, "y");
    nodes.nodes[0].feed(Input::TurnEnded);
    // A Redis that lacks the first message takes over.
    nodes.redis.epoch = 2;
    nodes.redis.rooms.get_mut(&room()).expect("open").records.clear();
    let opened = nodes.redis.rooms[&room()].opened(true);
    nodes.nodes[0].feed(Input::Heard(Heard::Opened(room(), opened)));
    assert_eq!(nodes.told(0, ann), ["Restart"]);
    nodes.nodes[0].is_cut = false;
    nodes.nodes[1].feed(Input::Heard(Heard::Opened(room(), nodes.redis.rooms[&room()].opened(true))));
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["Restart"]);
    assert_eq!(nodes.told(0, ann), ["11: posted at 1"], "it is said in the room as it is now");
    // She comes back and says where she was.
    let member = nodes.register(0, 5);
    let epoch = crate::journal::EpochId { random: 1001, number: 1 };
    let position = Some(Position { epoch, offset: 1 });
    let login = Login { position, ..nodes.login_of(0, member, 5, "ann", Some(1)) };
    nodes.nodes[0].ask(login);
    nodes.run();
    assert_eq!(nodes.told(0, member), ["5: logged in, Lost(0)"]);
}

#[test]
fn a_record_that_cannot_be_read_is_left_out_and_offsets_go_on() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.run();
    nodes.forget_told();
    let epoch = nodes.redis.rooms[&room()].epochs[0];
    let said = crate::nodes::contract::SaidRecord { record: redis::damaged(2), epoch, own: Vec::new() };
    nodes.redis.rooms.get_mut(&room()).expect("open").records.push(said.record.clone());
    for node in &mut nodes.nodes {
        node.feed(Input::Heard(Heard::Said(room(), Box::new(said.clone()))));
    }
    nodes.post(1, ben, 20, "y");
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["3 ben: text 20", "20: posted at 3"]);
    assert_eq!(nodes.told(0, ann), ["3 ben: text 20"]);
}

#[test]
fn a_room_is_forgotten_for_all_nodes_and_the_caller_learns_whether_there_was_anything() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.run();
    nodes.nodes[1].feed(Input::Call(CallId(7), Call::Forget(room())));
    nodes.run();
    assert_eq!(nodes.nodes[1].answered, [(CallId(7), Ok(true))]);
    nodes.forget_told();
    nodes.post(0, ann, 11, "x");
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["2 ann: text 11"], "its id is forgotten");
}

#[test]
fn the_journal_is_only_ever_asked_to_close_and_that_once_nothing_waits() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::Call(CallId(1), Call::UntilIdle));
    nodes.nodes[0].feed(Input::Call(CallId(2), Call::Close));
    assert!(nodes.nodes[0].jobs.is_empty() && nodes.nodes[0].answered.is_empty());
    nodes.run();
    assert_eq!(nodes.nodes[0].answered, [(CallId(1), Ok(true))]);
    assert!(matches!(nodes.nodes[0].jobs[..], [Job::Close]));
    assert!(nodes.nodes[1].jobs.is_empty());
}

#[test]
fn a_redis_that_is_away_does_not_hold_the_end_of_the_server_up() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    nodes.nodes[0].is_cut = true;
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::Call(CallId(2), Call::Close));
    assert!(nodes.nodes[0].jobs.is_empty());
    nodes.down(0);
    assert!(matches!(nodes.nodes[0].jobs[..], [Job::Close]));
}

#[test]
fn members_are_told_an_epoch_when_it_begins() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    assert!(nodes.nodes[0].epochs.is_empty(), "it has come with the login");
    for ticket in 10..13 {
        nodes.post(0, ann, ticket, &format!("id {ticket}"));
        nodes.run();
    }
    let (at_ann, at_ben) = (&nodes.nodes[0].epochs[&ann], &nodes.nodes[1].epochs[&ben]);
    assert_eq!((at_ann.len(), at_ben.len()), (1, 1), "it has begun once");
    assert_eq!(at_ann, at_ben);
}
