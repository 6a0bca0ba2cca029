//! A chat that panics goes on with the link as it is.

use super::*;

#[test]
fn messages_that_wait_for_redis_are_said_and_acked_though_the_chat_panics() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    nodes.post(0, ann, 11, "y");
    nodes.nodes[0].panic(&Input::Wake);
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 ann: text 10", "2 ann: text 11"]);
    let expected = ["1 ann: text 10", "10: posted at 1", "2 ann: text 11", "11: posted at 2"];
    assert_eq!(nodes.told(0, ann).len(), expected.len());
    nodes.post(0, ann, 12, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["12: posted at 1"], "the log is as it was");
    assert!(nodes.nodes[0].jobs.is_empty());
}

#[test]
fn members_of_a_room_in_which_something_was_heard_are_sent_away_and_it_is_opened_anew() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    nodes.run_redis(0);
    let said = nodes.nodes[0].next_heard();
    nodes.nodes[0].panic(&Input::Heard(said));
    assert_eq!(nodes.told(0, ann), ["Restart"]);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["10: posted at 1"]);
    assert_eq!(nodes.told(1, ben), ["1 ann: text 10", "-ann of 1"]);
    let back = nodes.user(0, 3, "ann", Some(1));
    assert_eq!(nodes.told(0, back)[0], "3: logged in");
    nodes.post(1, ben, 20, "y");
    nodes.run();
    assert_eq!(nodes.told(0, back).pop(), Some("2 ben: text 20".to_owned()));
}

#[test]
fn members_of_other_rooms_stay_where_they_are() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let other = RoomName::parse("b").expect("a legal name");
    let member = MemberId::of(3);
    let register =
        Register { member, room: Some(other.clone()), worker: WorkerId(0), seat: seat(PLAIN), address: None };
    nodes.nodes[0].ask(register);
    nodes.run();
    nodes.nodes[0].panic(&Input::Heard(Heard::People(other, Vec::new(), Listed::All)));
    nodes.run();
    assert_eq!((nodes.told(0, ann), nodes.told(0, member)), (vec![], vec!["Restart".to_owned()]));
    assert_eq!(nodes.nodes[0].shard.figures().rooms, 1);
}

#[test]
fn an_answer_over_which_the_chat_panics_is_given_nevertheless() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    nodes.post(0, ann, 10, "x");
    nodes.nodes[0].feed(Input::TurnEnded);
    nodes.run_redis(0);
    let said = nodes.nodes[0].next_heard();
    nodes.nodes[0].feed(Input::Heard(said));
    nodes.forget_told();
    let accepted = nodes.nodes[0].next_heard();
    nodes.nodes[0].panic(&Input::Heard(accepted));
    assert_eq!(nodes.told(0, ann), ["10: posted at 1"]);
    assert_eq!(nodes.nodes[0].shard.figures().unkept, 0);
}

#[test]
fn a_login_that_waits_for_its_name_goes_on_and_one_whose_answer_is_lost_is_sent_away() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let cleo = nodes.register(0, 3);
    let login = nodes.login_of(0, cleo, 3, "cleo", None);
    nodes.nodes[0].ask(login);
    nodes.nodes[0].panic(&Input::Wake);
    nodes.run();
    assert_eq!(nodes.told(0, cleo), ["3: logged in"]);
    let dora = nodes.register(0, 4);
    let login = nodes.login_of(0, dora, 4, "dora", None);
    nodes.nodes[0].ask(login);
    nodes.run_redis(0);
    let person = nodes.nodes[0].next_heard();
    nodes.nodes[0].feed(Input::Heard(person));
    let entered = nodes.nodes[0].next_heard();
    nodes.nodes[0].panic(&Input::Heard(entered));
    nodes.run();
    assert_eq!(nodes.told(0, dora), ["Restart"]);
    assert_eq!(nodes.users_at(0, ann), ["ann", "ben", "cleo"]);
}

#[test]
fn a_room_that_is_being_opened_is_opened_though_the_chat_panics() {
    let mut nodes = Nodes::new();
    let ann = nodes.register(0, 1);
    let login = nodes.login_of(0, ann, 1, "ann", None);
    nodes.nodes[0].ask(login);
    nodes.nodes[0].panic(&Input::Wake);
    nodes.run();
    assert_eq!(nodes.told(0, ann), ["1: logged in"]);
}

#[test]
fn a_call_to_forget_a_room_is_answered_once_though_the_chat_panics_over_it() {
    let mut nodes = Nodes::new();
    nodes.ann_and_ben();
    let call = || Input::Call(CallId(7), Call::Forget(room()));
    nodes.nodes[0].feed(call());
    nodes.nodes[0].panic(&call());
    nodes.run();
    assert_eq!(nodes.nodes[0].answered, [(CallId(7), Ok(false))]);
}
