use bytes::Bytes;

use super::*;
use crate::{
    domain::{Avatar, Nickname, Token},
    journal::{Epoch, EpochId},
    nodes::{
        commands::{Relation, RoundKey, Stored},
        contract::{AskId, Claim, Leave, Owner, Person},
    },
};

const BOUNDS: Bounds = Bounds {
    lease: Duration::from_millis(1000),
    window: Duration::from_millis(100),
    burial: Duration::from_millis(50),
    history: 10,
    history_bytes: 1000,
    name_hold: Duration::from_millis(200),
    name_reservation: Duration::from_millis(10_000),
    max_held_names: 2,
    history_age: Duration::from_secs(3600),
    avatar_bytes: 1000,
    max_rooms: 1000,
    max_bytes: 1 << 30,
};

fn node(number: u8) -> NodeUid {
    format!("n{number:03}AAAABBBBCCCC").parse().expect("a uid")
}

fn room() -> RoomName {
    RoomName::parse("lobby").expect("a name")
}

fn partition() -> Partition {
    Partition::of(&room())
}

fn owner(number: u8) -> Owner {
    let token: Token = format!("{number:032x}").parse().expect("a token");
    Owner { hash: token.owner_hash(), uid: token.public_id() }
}

fn name(name: &str) -> Nickname {
    Nickname::parse(name).expect("a legal name")
}

/// A Redis that some nodes have joined at time 0.
fn redis(nodes: u8) -> ModelRedis {
    let mut redis = ModelRedis::new("run");
    for number in 0..nodes {
        attach(&mut redis, 0, node(number), "run", 0);
    }
    redis
}

fn attach(redis: &mut ModelRedis, now: u64, node: NodeUid, server: &str, number: u64) -> (u64, u64) {
    let command =
        Command::Attach { partition: partition(), node, run: node, server: server.to_owned(), number };
    match redis.call(now, &command, &BOUNDS).0 {
        Answer::Attached { wait, number } => (millis(wait), number),
        other => panic!("{other:?}"),
    }
}

fn alive(redis: &mut ModelRedis, now: u64, node: NodeUid) -> (bool, Option<NodeUid>) {
    match redis.call(now, &Command::Alive { partition: partition(), node }, &BOUNDS).0 {
        Answer::Alive { is_fenced, grave } => (is_fenced, grave),
        other => panic!("{other:?}"),
    }
}

fn bury(redis: &mut ModelRedis, now: u64, gone: NodeUid) -> (bool, Vec<Person>) {
    let (answer, published) = redis.call(now, &Command::Bury { partition: partition(), gone }, &BOUNDS);
    match answer {
        Answer::Buried { is_more } => (is_more, people(published)),
        other => panic!("{other:?}"),
    }
}

fn people(published: Publications) -> Vec<Person> {
    let person = |(_, published)| match published {
        Published::Person { person, .. } => *person,
        other => panic!("{other:?}"),
    };
    published.into_iter().map(person).collect()
}

/// A round of one message.
fn round(node: NodeUid, seq: u64, known: Option<(EpochId, u64)>) -> Append {
    let (entries, looked_to) = (Bytes::from_static(b"entry"), known.map_or(0, |(_, head)| head));
    Append {
        room: room(),
        node,
        run: node,
        seq,
        known,
        looked_to,
        count: 1,
        at: seq,
        entries,
        keys: Vec::new(),
        nonce: seq,
    }
}

fn append(redis: &mut ModelRedis, now: u64, round: Append) -> Appended {
    match redis.call(now, &Command::Append(Box::new(round)), &BOUNDS).0 {
        Answer::Appended(appended) => appended,
        other => panic!("{other:?}"),
    }
}

fn position(redis: &mut ModelRedis, now: u64) -> Position {
    match redis.call(now, &Command::Open { room: room(), wants_keys: true, version: 0 }, &BOUNDS).0 {
        Answer::Position(position) => *position,
        other => panic!("{other:?}"),
    }
}

/// The last message, with its epoch.
fn newest(redis: &mut ModelRedis) -> Option<(EpochId, u64)> {
    let position = position(redis, 0);
    Some((position.epochs.last()?.id, position.head))
}

fn records(redis: &mut ModelRedis) -> Vec<Stored> {
    match redis.call(0, &Command::Read { room: room(), after: 0 }, &BOUNDS).0 {
        Answer::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

fn heal(redis: &mut ModelRedis, epochs: Vec<Epoch>, records: Vec<Stored>, over_gap: bool) -> Healed {
    let heal = Heal { room: room(), node: node(1), epochs, records, over_gap };
    match redis.call(0, &Command::Heal(Box::new(heal)), &BOUNDS).0 {
        Answer::Healed(healed) => healed,
        other => panic!("{other:?}"),
    }
}

fn claim(text: &str, bearer: Option<u8>) -> Claim {
    Claim {
        name: name(text),
        avatar: Avatar::default(),
        owner: bearer.map(owner),
        spare: owner(99),
        reserves: false,
        leaves: None,
    }
}

fn enter(redis: &mut ModelRedis, now: u64, node: NodeUid, claim: Claim) -> (Entered, Vec<Person>) {
    let command = Command::Enter { room: room(), node, ask: Some(AskId(1)), claim: Box::new(claim) };
    match redis.call(now, &command, &BOUNDS) {
        (Answer::Entered(entered), published) => (entered, people(published)),
        other => panic!("{other:?}"),
    }
}

fn owner_of((entered, _): &(Entered, Vec<Person>)) -> Option<crate::domain::OwnerHash> {
    match entered {
        Entered::Yes { owner, .. } => Some(*owner),
        Entered::Taken | Entered::Fenced => None,
    }
}

fn leave(redis: &mut ModelRedis, now: u64, node: NodeUid, text: &str, holds_name: bool) -> Option<u64> {
    let leave = Leave { key: name(text).key(), holds_name, releases: false };
    match redis.call(now, &Command::Leave { room: room(), node, leave }, &BOUNDS).0 {
        Answer::Left(version) => version,
        other => panic!("{other:?}"),
    }
}

#[test]
fn offsets_count_up_over_all_nodes() {
    let mut redis = redis(2);
    let firsts = [(0, 1), (1, 1), (0, 2)].map(|(at, seq)| append(&mut redis, 0, round(node(at), seq, None)));
    assert_eq!(firsts, [1, 2, 3].map(Appended::At));
}

#[test]
fn a_round_is_appended_once() {
    let mut redis = redis(1);
    append(&mut redis, 0, round(node(0), 2, None));
    assert_eq!(append(&mut redis, 0, round(node(0), 2, None)), Appended::At(1));
    assert_eq!(append(&mut redis, 0, round(node(0), 1, None)), Appended::Old);
    assert_eq!(records(&mut redis).len(), 1);
}

#[test]
fn a_repeated_message_is_looked_for_behind_what_the_node_knows() {
    let mut redis = redis(2);
    let keys = |keys: &[u8]| {
        let keys = keys.iter().zip(0..);
        keys.map(|(key, index)| RoundKey { key: [*key; 16], index, at: 5 }).collect::<Vec<_>>()
    };
    append(&mut redis, 0, Append { keys: keys(&[1]), ..round(node(0), 1, None) });
    let known = newest(&mut redis);
    append(&mut redis, 0, Append { count: 2, keys: keys(&[2, 3]), ..round(node(0), 2, None) });
    let again = Append { count: 3, keys: keys(&[4, 3, 1]), ..round(node(1), 1, known) };
    assert_eq!(append(&mut redis, 0, again), Appended::Repeated(vec![(1, 3)]));
}

#[test]
fn nothing_is_appended_in_the_window_after_another_run_and_then_an_epoch_begins() {
    let mut redis = redis(1);
    append(&mut redis, 0, round(node(0), 1, None));
    let known = newest(&mut redis);
    assert_eq!(attach(&mut redis, 10, node(0), "run", 1), (0, 1), "a new connection to one run");
    assert_eq!(attach(&mut redis, 10, node(0), "other", 1), (100, 2));
    assert_eq!(append(&mut redis, 60, round(node(0), 2, known)), Appended::Wait(Duration::from_millis(50)));
    assert_eq!(append(&mut redis, 60, round(node(0), 1, known)), Appended::At(1), "was appended before");
    assert_eq!(append(&mut redis, 110, round(node(0), 2, known)), Appended::At(2));
    let epochs: Vec<_> =
        position(&mut redis, 110).epochs.iter().map(|epoch| (epoch.id.number, epoch.starts)).collect();
    assert_eq!(epochs, [(1, 1), (2, 2)]);
}

#[test]
fn a_node_that_knows_a_newer_epoch_opens_a_window() {
    let mut redis = redis(1);
    assert_eq!(attach(&mut redis, 0, node(1), "run", 5), (100, 6));
}

#[test]
fn what_a_node_knows_is_compared_with_the_epochs_of_the_room() {
    let mut redis = redis(1);
    append(&mut redis, 0, round(node(0), 1, None));
    append(&mut redis, 0, round(node(0), 2, None));
    let first = newest(&mut redis).map(|(epoch, _)| epoch).expect("an epoch");
    attach(&mut redis, 0, node(0), "other", 1);
    append(&mut redis, 100, round(node(0), 3, Some((first, 2))));
    let second = newest(&mut redis).map(|(epoch, _)| epoch).expect("an epoch");
    let relation = |known| match append(&mut redis.clone(), 100, round(node(0), 9, known)) {
        Appended::At(4) => Relation::Ahead,
        Appended::Not(relation) => relation,
        other => panic!("{other:?}"),
    };
    assert_eq!(relation(Some((first, 2))), Relation::Ahead, "the epoch has ended there");
    assert_eq!(relation(Some((first, 3))), Relation::Diverged);
    assert_eq!(relation(Some((second, 3))), Relation::Ahead);
    assert_eq!(relation(Some((second, 4))), Relation::Behind);
    assert_eq!(relation(Some((EpochId { random: 9, number: 9 }, 1))), Relation::Diverged);
    assert_eq!(relation(None), Relation::Ahead);
}

#[test]
fn an_empty_redis_takes_epochs_and_offsets_from_the_first_node() {
    let mut redis = redis(1);
    for seq in 1..4 {
        append(&mut redis, 0, round(node(0), seq, None));
    }
    let (tail, epochs) = (records(&mut redis), position(&mut redis, 0).epochs);
    redis.flush();
    assert_eq!(append(&mut redis, 0, round(node(0), 4, None)), Appended::Fenced);
    assert_eq!(attach(&mut redis, 0, node(1), "run", 1), (100, 2));
    assert_eq!(heal(&mut redis, epochs.clone(), tail[1..].to_vec(), false), Healed::To(3));
    assert_eq!(append(&mut redis, 100, round(node(1), 1, Some((epochs[0].id, 3)))), Appended::At(4));
    assert_eq!(heal(&mut redis, epochs, tail, false), Healed::Diverged, "the room has gone on");
}

#[test]
fn an_epoch_that_redis_has_forgotten_is_given_back_with_its_records() {
    let mut redis = redis(2);
    append(&mut redis, 0, round(node(0), 1, None));
    let mut older = redis.clone();
    attach(&mut redis, 0, node(0), "other", 1);
    let known = newest(&mut redis);
    append(&mut redis, 100, round(node(0), 2, known));
    let (tail, epochs) = (records(&mut redis), position(&mut redis, 100).epochs);
    assert_eq!(heal(&mut older, epochs.clone(), tail[1..].to_vec(), false), Healed::To(2));
    assert_eq!(position(&mut older, 100).epochs, epochs);
    let mut elsewhere = redis.clone();
    append(&mut elsewhere, 100, round(node(0), 3, None));
    assert_eq!(heal(&mut elsewhere, epochs, tail[1..].to_vec(), false), Healed::To(3), "nothing is missing");
}

#[test]
fn records_are_given_back_by_nodes_that_have_a_lease_alone() {
    let mut redis = redis(1);
    append(&mut redis, 0, round(node(0), 1, None));
    let (tail, epochs) = (records(&mut redis), position(&mut redis, 0).epochs);
    assert_eq!(heal(&mut redis, epochs, tail, false), Healed::Fenced);
}

#[test]
fn records_behind_a_gap_are_taken_only_if_nobody_has_what_was_there() {
    let mut redis = redis(2);
    append(&mut redis, 0, round(node(0), 1, None));
    let (tail, epochs) = (records(&mut redis), position(&mut redis, 0).epochs);
    let behind = vec![Stored { first: 6, seq: 2, ..tail[0].clone() }];
    assert_eq!(heal(&mut redis, epochs.clone(), behind.clone(), false), Healed::To(1));
    assert_eq!(heal(&mut redis, epochs, behind.clone(), true), Healed::To(6));
    assert_eq!(records(&mut redis), behind);
}

#[test]
fn the_oldest_records_are_trimmed_by_number_and_by_bytes() {
    let mut redis = redis(1);
    for seq in 1..15 {
        append(&mut redis, 0, round(node(0), seq, None));
    }
    assert_eq!(records(&mut redis).first().map(|record| record.first), Some(5), "ten are kept");
    append(&mut redis, 0, Append { entries: vec![0; 990].into(), ..round(node(0), 15, None) });
    assert_eq!(records(&mut redis).len(), 3, "two entries of 5 bytes beside 990");
}

#[test]
fn forgotten_messages_are_gone_and_offsets_go_on() {
    let mut redis = redis(1);
    append(&mut redis, 0, round(node(0), 1, None));
    let (answer, published) = redis.call(0, &Command::Forget { room: room() }, &BOUNDS);
    assert!(matches!(answer, Answer::Forgot(true)) && matches!(published[..], [(_, Published::Forgot(1))]));
    let (answer, published) = redis.call(0, &Command::Forget { room: room() }, &BOUNDS);
    assert!(matches!(answer, Answer::Forgot(false)) && published.is_empty());
    assert_eq!(append(&mut redis, 0, round(node(0), 2, None)), Appended::At(2));
}

#[test]
fn a_node_whose_lease_is_over_is_fenced_and_buried_by_one_node_at_a_time() {
    let mut redis = redis(3);
    enter(&mut redis, 0, node(0), claim("Ann", Some(1)));
    for number in 1..3 {
        alive(&mut redis, 900, node(number));
    }
    assert_eq!(alive(&mut redis, 1000, node(1)), (false, Some(node(0))));
    assert_eq!(alive(&mut redis, 1049, node(2)), (false, None), "another node has it");
    assert_eq!(alive(&mut redis, 1050, node(2)), (false, Some(node(0))), "and does not bury it");
    assert_eq!(append(&mut redis, 1050, round(node(0), 1, None)), Appended::Fenced);
    assert_eq!(enter(&mut redis, 1050, node(0), claim("Ben", Some(2))), (Entered::Fenced, Vec::new()));
    let (is_more, gone) = bury(&mut redis, 1060, node(0));
    assert_eq!((is_more, gone.len(), gone[0].nodes.len(), gone[0].held_for), (false, 1, 0, BOUNDS.name_hold));
    assert_eq!(bury(&mut redis, 1060, node(0)), (false, Vec::new()), "harmless");
    assert_eq!(alive(&mut redis, 1200, node(1)), (false, None));
    attach(&mut redis, 1200, node(0), "run", 0);
    assert_eq!(alive(&mut redis, 1200, node(0)), (true, None), "a uid does not come back");
}

#[test]
fn a_user_at_two_nodes_leaves_with_the_second() {
    let mut redis = redis(2);
    let (_, came) = enter(&mut redis, 0, node(0), claim("Ann", Some(1)));
    assert_eq!((came.len(), &came[0].nodes), (1, &vec![node(0)]));
    let (_, came) = enter(&mut redis, 0, node(1), claim("Ann", Some(1)));
    assert_eq!(came[0].nodes, [node(0), node(1)]);
    assert!(leave(&mut redis, 0, node(0), "Ann", false).is_some());
    assert!(leave(&mut redis, 0, node(0), "Ann", false).is_none(), "harmless");
    assert_eq!(position(&mut redis, 0).people.map(|people| people.len()), Some(1));
    leave(&mut redis, 0, node(1), "ANN", false);
    assert_eq!(position(&mut redis, 0).people, Some(Vec::new()));
}

#[test]
fn a_name_and_its_looks_are_one_owners_while_present_held_or_reserved() {
    let mut redis = redis(2);
    let reserving = Claim { reserves: true, ..claim("b0b", Some(1)) };
    assert_eq!(owner_of(&enter(&mut redis, 0, node(0), reserving)), Some(owner(1).hash));
    let taken = |redis: &mut ModelRedis, now, text, bearer| {
        owner_of(&enter(redis, now, node(1), claim(text, bearer))).is_none()
    };
    assert!(taken(&mut redis, 0, "b0b", Some(2)) && taken(&mut redis, 0, "b0b", None));
    assert!(taken(&mut redis, 0, "bOb", Some(2)), "it looks like it");
    assert!(taken(&mut redis, 0, "bOb", Some(1)), "its owner is there with the other one");
    leave(&mut redis, 0, node(0), "b0b", true);
    assert!(taken(&mut redis, 199, "bOb", Some(2)), "held");
    assert!(taken(&mut redis, 9_999, "bOb", Some(2)), "reserved");
    assert!(!taken(&mut redis, 10_000, "bOb", Some(2)));
}

#[test]
fn a_session_may_take_a_name_that_looks_like_its_former_one() {
    let mut redis = redis(2);
    enter(&mut redis, 0, node(0), claim("b0b", Some(1)));
    let other = Claim { leaves: Some(name("b0b").key()), ..claim("bOb", Some(1)) };
    enter(&mut redis, 0, node(1), claim("b0b", Some(1)));
    assert_eq!(enter(&mut redis, 0, node(0), other.clone()).0, Entered::Taken, "another node has it");
    leave(&mut redis, 0, node(1), "b0b", false);
    let entered = enter(&mut redis, 0, node(0), other);
    assert_eq!((owner_of(&entered), entered.1.len()), (Some(owner(1).hash), 2), "one left, one came");
}

#[test]
fn an_owner_has_one_name_that_is_present_or_held() {
    let mut redis = redis(1);
    enter(&mut redis, 0, node(0), claim("Ann", Some(1)));
    let second = enter(&mut redis, 0, node(0), claim("Ben", Some(1)));
    assert_eq!(owner_of(&second), Some(owner(99).hash), "a spare owner");
    leave(&mut redis, 0, node(0), "Ann", true);
    let (_, changes) = enter(&mut redis, 0, node(0), claim("Cleo", Some(1)));
    let changes: Vec<_> = changes.iter().map(|person| (person.name.as_str(), person.nodes.len())).collect();
    assert_eq!(changes, [("Ann", 0), ("Cleo", 1)], "the held name is given up");
    assert_eq!(owner_of(&enter(&mut redis, 0, node(0), claim("Ann", Some(2)))), Some(owner(2).hash));
}

#[test]
fn no_more_names_are_held_than_may_be() {
    let mut redis = redis(1);
    for (number, text) in (1..).zip(["Ann", "Ben", "Cleo"]) {
        enter(&mut redis, 0, node(0), claim(text, Some(number)));
    }
    for text in ["Ann", "Ben", "Cleo"] {
        leave(&mut redis, 0, node(0), text, true);
    }
    let held = position(&mut redis, 0).people.unwrap_or_default();
    assert_eq!(held.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(), ["Ann", "Ben"]);
    assert_eq!(position(&mut redis, 200).people, Some(Vec::new()), "the time is over");
}

#[test]
fn versions_go_up_in_any_case_where_something_may_have_been_lost() {
    let mut redis = redis(1);
    let version = |redis: &mut ModelRedis| position(redis, 0).version;
    enter(&mut redis, 0, node(0), claim("Ann", Some(1)));
    let mut replica = redis.restarted("other");
    enter(&mut redis, 0, node(0), claim("Ben", Some(2)));
    attach(&mut replica, 0, node(0), "other", 0);
    enter(&mut replica, 0, node(0), claim("Cleo", Some(3)));
    assert!(version(&mut replica) > version(&mut redis) + 1000, "a node knows that it does not know");
}

#[test]
fn a_claim_is_published_though_it_changes_nothing_if_a_session_has_asked_for_it() {
    let mut redis = redis(1);
    enter(&mut redis, 0, node(0), claim("Ann", Some(1)));
    assert_eq!(enter(&mut redis, 0, node(0), claim("Ann", Some(1))).1.len(), 1, "its node waits for that");
    let again = Box::new(claim("Ann", Some(1)));
    let again = Command::Enter { room: room(), node: node(0), ask: None, claim: again };
    assert!(redis.call(0, &again, &BOUNDS).1.is_empty(), "a name that is claimed again after a loss");
    let (_, spelled) = enter(&mut redis, 0, node(0), claim("ANN", Some(1)));
    assert_eq!(spelled.len(), 1, "the spelling has changed");
    let cat = Claim { avatar: Avatar::known("cat").expect("an avatar"), ..claim("ANN", Some(1)) };
    assert_eq!(enter(&mut redis, 0, node(0), cat).1.len(), 1, "the avatar has changed");
}
