use super::*;
use crate::{
    domain::{Avatar, Nickname, Token},
    nodes::contract::Owner,
};

const HOLD: Duration = Duration::from_secs(30);

fn name(text: &str) -> Nickname {
    Nickname::parse(text).expect("a legal name")
}

fn token() -> Token {
    format!("{:032x}", 7).parse().expect("a token")
}

fn node(number: u8) -> NodeUid {
    NodeUid::new(format!("nod{number}").parse().expect("a name"), [number; 12])
}

fn person(text: &str, nodes: &[u8], held_for: u64) -> Person {
    let owner = Owner { hash: token().owner_hash(), uid: token().public_id() };
    Person {
        name: name(text),
        avatar: Avatar::default(),
        owner,
        nodes: nodes.iter().map(|number| node(*number)).collect(),
        held_for: Duration::from_secs(held_for),
    }
}

fn user(text: &str) -> User {
    let profile = Profile { nickname: name(text), avatar: Avatar::default(), uid: Some(token().public_id()) };
    User { profile, token: token(), sender: [0; 8], sessions: Vec::new() }
}

fn names(people: &People) -> Vec<&str> {
    people.profiles_after(None).map(|profile| profile.nickname.as_str()).collect()
}

fn leave(text: &str, holds_name: bool, releases: bool) -> Option<Leave> {
    Some(Leave { key: name(text).key(), holds_name, releases })
}

#[test]
fn a_user_comes_with_its_first_node_and_goes_with_its_last() {
    let (mut people, now) = (People::default(), Instant::now());
    let change = people.apply(person("ann", &[1], 0), now, HOLD);
    assert_eq!((change.left.is_none(), change.arrived.is_some()), (true, true));
    assert!(people.apply(person("ann", &[1, 2], 0), now, HOLD).is_none());
    let change = people.apply(person("Ann", &[2], 0), now, HOLD);
    assert!(change.left.is_some() && change.arrived.is_some(), "it is spelled differently");
    let change = people.apply(person("ann", &[], 9), now, HOLD);
    assert_eq!((change.left.map(|left| left.nickname), people.count()), (Some(name("Ann")), 0));
    assert!(people.is_held(&name("ann").key()) && !people.is_idle());
    assert_eq!(people.expire(now + Duration::from_secs(8)), Some(now + Duration::from_secs(9)));
    assert_eq!(people.expire(now + Duration::from_secs(9)), None);
    assert!(people.is_idle());
}

#[test]
fn users_that_are_told_anew_change_what_differs() {
    let (mut people, now) = (People::default(), Instant::now());
    let first = vec![person("ann", &[1], 0), person("ben", &[1], 0), person("cleo", &[1], 0)];
    assert_eq!(people.replace(first, Listed::All, now, HOLD).len(), 3);
    let again = vec![person("ann", &[1], 0), person("ben", &[], 9), person("dora", &[2], 0)];
    let changes = people.replace(again, Listed::All, now, HOLD);
    let left: Vec<_> = changes.iter().filter_map(|change| change.left.as_ref()).collect();
    assert_eq!(left.iter().map(|left| left.nickname.as_str()).collect::<Vec<_>>(), ["ben", "cleo"]);
    assert_eq!((names(&people), changes.len()), (vec!["ann", "dora"], 3));
    assert!(people.is_held(&name("ben").key()));
}

#[test]
fn users_that_a_list_may_lack_stay_until_all_are_listed() {
    let (mut people, now) = (People::default(), Instant::now());
    let first = vec![person("ann", &[1], 0), person("ben", &[1], 0), person("cleo", &[1], 0)];
    people.replace(first, Listed::All, now, HOLD);
    let some = vec![person("ben", &[], 9), person("cleo", &[2], 0), person("dora", &[2], 0)];
    let changes = people.replace(some, Listed::Some, now, HOLD);
    assert!(changes.iter().all(|change| change.left.is_none()), "none is seen leaving");
    assert_eq!(names(&people), ["ann", "ben", "cleo", "dora"]);
    let all = vec![person("ann", &[1], 0), person("dora", &[2], 0)];
    let changes = people.replace(all, Listed::All, now, HOLD);
    assert_eq!((changes.len(), names(&people)), (2, vec!["ann", "dora"]));
}

#[test]
fn of_the_uids_of_a_node_the_newest_one_is_told_what_is_for_a_user() {
    let mut people = People::default();
    let former = NodeUid::new(node(2).name(), [9; 12]);
    let ann = Person { nodes: vec![former, node(1), node(2)], ..person("ann", &[], 0) };
    people.apply(ann, Instant::now(), HOLD);
    assert_eq!(people.nodes_of(&name("ann").key(), node(3).name()), [node(1), node(2)]);
}

#[test]
fn a_name_is_given_up_with_the_last_session_and_the_last_claim() {
    let mut people = People::default();
    let [one, two] = [1, 2].map(|number: u64| MemberId::of(number));
    people.add(one, user("ann"));
    people.add(two, user("ann"));
    assert_eq!(people.take_out(one, true), None);
    people.release(two);
    people.claims(&name("ann").key());
    assert_eq!(people.take_out(two, false), None, "it is claimed");
    people.apply(person("ann", &[1], 0), Instant::now(), HOLD);
    assert_eq!(people.claimed(&name("ann").key(), false, node(1).name()), leave("ann", false, true));
    assert_eq!(people.take_out(two, true), None, "idempotent");
}

#[test]
fn a_claim_that_fails_gives_nothing_up_that_this_node_does_not_have() {
    let mut people = People::default();
    people.apply(person("ann", &[2], 0), Instant::now(), HOLD);
    people.claims(&name("ann").key());
    assert_eq!(people.claimed(&name("ann").key(), false, node(1).name()), None);
    assert!(people.is_idle());
}

#[test]
fn a_session_gives_its_name_up_unless_another_one_has_or_claims_it() {
    let mut people = People::default();
    let [one, two] = [1, 2].map(|number: u64| MemberId::of(number));
    let (ann, ben) = (name("ann").key(), name("ben").key());
    people.add(one, user("ann"));
    assert_eq!(people.given_up_by(one, &ann), None, "it stays");
    assert_eq!(people.given_up_by(one, &ben), Some(ann.clone()));
    people.claims(&ann);
    assert_eq!(people.given_up_by(one, &ben), None);
    assert!(people.recount(|_| 0).is_empty());
    people.add(two, user("ann"));
    assert_eq!(people.given_up_by(one, &ben), None);
}

#[test]
fn a_look_that_is_told_is_worn_by_the_sessions_of_this_node() {
    let (mut people, now) = (People::default(), Instant::now());
    people.apply(person("ann", &[1], 0), now, HOLD);
    people.add(MemberId::of(1), user("ann"));
    people.apply(person("ANN", &[1, 2], 0), now, HOLD);
    let own = people.user_of(MemberId::of(1)).expect("here");
    assert_eq!(own.profile.nickname.as_str(), "ANN");
    assert_eq!(people.nodes_of(&name("ann").key(), node(1).name()), [node(2)]);
}

#[test]
fn a_name_that_redis_holds_for_days_keeps_no_room_open_for_longer_than_others() {
    let (mut people, now) = (People::default(), Instant::now());
    drop(people.replace(vec![person("ann", &[], 99_999)], Listed::All, now, HOLD));
    assert_eq!(people.expire(now), Some(now + HOLD));
}
