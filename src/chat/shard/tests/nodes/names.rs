//! Names are one user's over all nodes, and all nodes know who is there.

use super::*;

#[test]
fn users_of_all_nodes_are_told_of_each_other() {
    let mut nodes = Nodes::new();
    let ann = nodes.user(0, 1, "ann", None);
    assert_eq!(nodes.told(0, ann), ["1: logged in", "tail of 0", "userList"]);
    let ben = nodes.user(1, 2, "ben", None);
    assert_eq!(nodes.told(0, ann), ["+ben of 2"]);
    assert_eq!(nodes.told(1, ben), ["2: logged in", "tail of 0", "userList"], "not of itself");
    for (node, member) in [(0, ann), (1, ben)] {
        assert_eq!(nodes.users_at(node, member), ["ann", "ben"]);
    }
    nodes.leave(1, ben, false);
    nodes.run();
    assert_eq!(
        (nodes.told(0, ann), nodes.users_at(0, ann)),
        (vec!["-ben of 1".into()], vec!["ann".to_owned()])
    );
}

#[test]
fn a_name_of_a_user_at_another_node_is_taken_for_all_but_that_user() {
    let mut nodes = Nodes::new();
    nodes.user(0, 1, "ann", Some(1));
    let other = nodes.user(1, 2, "Ann", Some(2));
    assert_eq!(nodes.told(1, other), ["2: NameTaken"]);
    let tab = nodes.user(1, 3, "ann", Some(1));
    assert_eq!(nodes.told(1, tab)[0], "3: logged in");
    assert_eq!(nodes.users_at(1, tab), ["ann"]);
}

#[test]
fn two_tabs_at_two_nodes_are_one_user_who_leaves_with_the_last_one() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let tab = nodes.user(1, 3, "ann", Some(1));
    assert_eq!((nodes.told(0, ann), nodes.told(1, ben)), (vec![], vec![]), "nothing has changed for others");
    nodes.leave(0, ann, true);
    nodes.run();
    assert_eq!((nodes.told(1, ben), nodes.users_at(1, ben)), (vec![], vec!["ann".into(), "ben".to_owned()]));
    nodes.leave(1, tab, false);
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["-ann of 1"]);
}

#[test]
fn two_tabs_at_one_node_leave_redis_alone_until_the_last_one_leaves() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let tab = nodes.user(0, 3, "ann", Some(1));
    nodes.leave(0, ann, false);
    assert!(nodes.nodes[0].orders.is_empty());
    nodes.leave(0, tab, false);
    assert!(matches!(nodes.nodes[0].orders.front(), Some(Order::Leave(..))));
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["-ann of 1"]);
}

#[test]
fn the_name_of_a_user_that_drops_is_held_at_all_nodes_until_its_time_is_over() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.leave(0, ann, true);
    nodes.run();
    let held =
        |nodes: &Nodes| nodes.redis.rooms[&room()].people.values().any(|person| person.nodes.is_empty());
    assert!(held(&nodes));
    let accepted = nodes.nodes[1].intake.accept(1);
    let to = Nickname::parse("ann").expect("a legal name");
    let private = |ticket, accepted| SendPrivate {
        member: ben,
        ticket,
        to: to.clone(),
        kind: Kind::Message,
        body: "hi".into(),
        id: None,
        accepted,
    };
    nodes.nodes[1].ask(private(20, accepted));
    nodes.nodes[1].pass(redis::HOLD);
    let accepted = nodes.nodes[1].intake.accept(1);
    nodes.nodes[1].ask(private(21, accepted));
    assert_eq!(nodes.told(1, ben), ["-ann of 1", "20: not delivered", "21: NoSuchUser"]);
}

#[test]
fn a_user_that_takes_another_name_gives_the_first_one_up_in_one_step() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let login = nodes.login_of(0, ann, 9, "cleo", None);
    nodes.nodes[0].ask(login);
    assert!(matches!(
        nodes.nodes[0].orders.make_contiguous(),
        [Order::Enter(_, _, claim)] if claim.leaves == Some(Nickname::parse("ann").expect("legal").key())
    ));
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["-ann of 1", "+cleo of 2"]);
    assert_eq!(nodes.told(0, ann), ["9: logged in"], "not of itself");
    nodes.post(0, ann, 10, "x");
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 cleo: text 10"]);
}

#[test]
fn tabs_that_take_other_names_at_one_time_leave_none_behind() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let tab = nodes.user(0, 3, "ann", Some(1));
    nodes.forget_told();
    for (member, name) in [(ann, "cleo"), (tab, "dora")] {
        let login = nodes.login_of(0, member, 9, name, None);
        nodes.nodes[0].ask(Login { token: Some(token(1)), ..login });
    }
    nodes.run();
    assert_eq!(nodes.users_at(1, ben), ["ben", "cleo", "dora"]);
}

#[test]
fn a_look_that_another_node_changes_is_told_here_and_worn_in_messages() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    let tab = nodes.register(1, 3);
    let login = nodes.login_of(1, tab, 3, "ann", Some(1));
    let nickname = Nickname::parse("Ann").expect("a legal name");
    let avatar = Avatar::known("whale").expect("an avatar");
    nodes.nodes[1].ask(Login { profile: Some(Profile { nickname, avatar, uid: None }), ..login });
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["-ann of 1", "+Ann of 2"]);
    assert_eq!(nodes.told(0, ann), ["-ann of 1", "+Ann of 2"], "another session has caused it");
    nodes.post(0, ann, 10, "x");
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 Ann: text 10"]);
}

#[test]
fn a_session_that_ends_during_its_login_leaves_no_name_behind() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let other = nodes.register(1, 3);
    let login = nodes.login_of(1, other, 3, "cleo", None);
    nodes.nodes[1].ask(login);
    nodes.leave(1, other, true);
    nodes.run();
    assert_eq!(nodes.users_at(0, ann), ["ann", "ben"]);
    assert_eq!(nodes.redis.rooms[&room()].people.len(), 2);
}

#[test]
fn a_logout_ends_the_reservation_of_the_name() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.nodes[0].ask(Logout { member: ann, ticket: 9 });
    assert!(matches!(
        nodes.nodes[0].orders.front(),
        Some(Order::Leave(_, leave)) if leave.releases && !leave.holds_name
    ));
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["-ann of 1"]);
    assert!(!nodes.redis.rooms[&room()].open_at.contains(&0));
}

#[test]
fn sessions_whose_name_was_lost_to_another_node_are_sent_away() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let guest = nodes.guest(0, 3);
    let key = Nickname::parse("ann").expect("a legal name").key();
    nodes.nodes[0].feed(Input::Heard(Heard::NameLost(room(), key)));
    assert_eq!((nodes.told(0, ann), nodes.told(0, guest)), (vec!["Restart".to_owned()], vec![]));
}

#[test]
fn changes_that_were_missed_are_told_when_the_users_are_told_anew() {
    let mut nodes = Nodes::new();
    let (ann, _) = nodes.ann_and_ben();
    let ann_alone: Vec<_> = nodes.redis.rooms[&room()].people.values().take(1).cloned().collect();
    nodes.nodes[0].feed(Input::Heard(Heard::People(room(), ann_alone, Listed::All)));
    assert_eq!(
        (nodes.told(0, ann), nodes.users_at(0, ann)),
        (vec!["-ben of 1".into()], vec!["ann".to_owned()])
    );
}

#[test]
fn logins_are_refused_while_redis_is_away_also_those_that_wait_for_the_room() {
    let mut nodes = Nodes::new();
    nodes.nodes[0].is_cut = true;
    let early = nodes.register(0, 1);
    let login = nodes.login_of(0, early, 1, "ann", None);
    nodes.nodes[0].ask(login);
    nodes.down(0);
    let late = nodes.register(0, 2);
    let login = nodes.login_of(0, late, 2, "ben", None);
    nodes.nodes[0].ask(login);
    assert_eq!(nodes.told(0, early), ["1: JournalUnavailable"]);
    assert_eq!(nodes.told(0, late), ["2: JournalUnavailable"]);
    nodes.up(0);
    nodes.run();
    assert!(nodes.redis.rooms[&room()].open_at.is_empty(), "no session has entered it");
    let login = nodes.login_of(0, late, 3, "ben", None);
    nodes.nodes[0].ask(login);
    nodes.run();
    assert_eq!(nodes.told(0, late), ["3: logged in"]);
}

#[test]
fn a_claim_that_redis_does_not_answer_is_refused_and_the_session_stays_where_it_is() {
    let mut nodes = Nodes::new();
    let (ann, ben) = nodes.ann_and_ben();
    nodes.nodes[0].is_cut = true;
    let login = nodes.login_of(0, ann, 9, "cleo", None);
    nodes.nodes[0].ask(login);
    let Some(Order::Enter(name, ask, _)) = nodes.nodes[0].orders.pop_front() else { panic!("a claim") };
    nodes.down(0);
    let away = crate::nodes::contract::NotEntered::Away(Away("gone".to_owned()));
    nodes.nodes[0].feed(Input::Heard(Heard::Entered(name, ask, Err(away))));
    assert_eq!(nodes.told(0, ann), ["9: JournalUnavailable"]);
    nodes.up(0);
    nodes.post(0, ann, 10, "x");
    nodes.run();
    assert_eq!(nodes.told(1, ben), ["1 ann: text 10"]);
}
