//! Names over several nodes.

use std::time::Duration;

use echoroom::testing::nodes::*;

use crate::{
    books::{attach, claim, enter, node, owner, room},
    pair::Pair,
};

#[test]
fn of_two_owners_at_three_nodes_one_wins_each_of_a_thousand_names() {
    let room = room("lobby");
    let mut pair = Pair::new(Bounds::default(), std::slice::from_ref(&room), &[]);
    for number in 0..3 {
        pair.call(&attach(&room, node(number)));
    }
    let mut winners = Vec::new();
    for number in 0..1000_u32 {
        let name = format!("user {number}");
        let claims =
            [0, 1].map(|bearer| claim(&name, Some(2 * number + bearer), 1_000_000 + 2 * number + bearer));
        let [first, second] = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        let at = |place: u32| node((number + place) as usize % 3);
        let said = pair.call(&enter(&room, at(0), claims[first].clone()));
        let Answer::Entered(Entered::Yes { owner: winner, .. }) = said.0 else {
            panic!("the first one has it: {said:?}");
        };
        assert_eq!(winner, owner(2 * number + first as u32).hash);
        for place in 1..3 {
            let lost = pair.call(&enter(&room, at(place), claims[second].clone()));
            assert!(matches!(lost.0, Answer::Entered(Entered::Taken)) && lost.1.is_empty(), "{lost:?}");
        }
        // The owner's other nodes are the winner's.
        let again = pair.call(&enter(&room, at(1), claims[first].clone()));
        assert!(
            matches!(again.0, Answer::Entered(Entered::Yes { owner, .. }) if owner == winner),
            "{again:?}"
        );
        winners.push((name, winner));
    }
    let open = Command::Open { room, wants_keys: true, version: 0 };
    let Answer::Position(position) = pair.call(&open).0 else { panic!("no position") };
    let mut people: Vec<_> = position
        .people
        .expect("people")
        .into_iter()
        .map(|person| {
            assert_eq!(person.nodes.len(), 2);
            (person.name.to_string(), person.owner.hash)
        })
        .collect();
    people.sort_by(|one, other| one.0.cmp(&other.0));
    winners.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(people, winners);
}

#[test]
fn a_claim_that_is_made_again_because_its_answer_was_lost_gets_its_name() {
    let room = room("lobby");
    let mut pair = Pair::new(Bounds::default(), std::slice::from_ref(&room), &[]);
    pair.call(&attach(&room, node(0)));
    let guest = enter(&room, node(0), claim("Ann", None, 5));
    let (first, published) = pair.call(&guest);
    assert_eq!(published.len(), 1);
    let (again, published) = pair.call(&guest);
    let owners = [first, again].map(|answer| match answer {
        Answer::Entered(Entered::Yes { owner, .. }) => owner,
        other => panic!("{other:?}"),
    });
    assert_eq!(owners[0], owners[1]);
    assert_eq!(published.len(), 1, "its node waits for that, though nothing has changed");
}

#[test]
fn all_users_of_a_node_that_is_gone_are_taken_out_room_by_room() {
    let rooms = crate::schedule::rooms();
    let mut pair = Pair::new(Bounds::default(), &rooms, &[]);
    for number in 0..2 {
        pair.call(&attach(&rooms[0], node(number)));
    }
    for number in 0..250_u32 {
        let room = &rooms[usize::from(number % 10 == 0)];
        pair.call(&enter(room, node(0), claim(&format!("user {number}"), Some(number), 1000 + number)));
    }
    pair.call(&enter(&rooms[0], node(1), claim("user 1", Some(1), 9999)));
    let bury = Command::Bury { partition: Partition::of(&rooms[0]), gone: node(0) };
    let mut gone = 0;
    for step in 1.. {
        let (Answer::Buried { is_more }, published) = pair.call(&bury) else { panic!("not buried") };
        assert!(published.len() <= 100);
        gone += published.len();
        if !is_more {
            assert_eq!((gone, step), (250, 4), "three times in one room, and once in the other");
            break;
        }
    }
    let (Answer::Position(position), _) =
        pair.call(&Command::Open { room: rooms[0].clone(), wants_keys: true, version: 0 })
    else {
        panic!("no position")
    };
    let present = position.people.into_iter().flatten().filter(|person| !person.nodes.is_empty());
    assert_eq!(
        present.map(|person| (person.name.to_string(), person.nodes)).collect::<Vec<_>>(),
        [("user 1".to_owned(), vec![node(1)])]
    );
    pair.call(&attach(&rooms[0], node(0)));
    let late = pair.call(&enter(&rooms[0], node(0), claim("user 2", Some(2), 9999)));
    assert!(matches!(late.0, Answer::Entered(Entered::Fenced)), "a uid does not come back: {late:?}");
}

#[test]
fn nothing_is_left_of_users_that_are_gone_but_the_version() {
    let room = room("lobby");
    let bounds = Bounds { name_hold: Duration::from_millis(1), ..Bounds::default() };
    let mut pair = Pair::new(bounds, std::slice::from_ref(&room), &[]);
    pair.call(&attach(&room, node(0)));
    let leave = |pair: &mut Pair, name: &str, releases: bool| {
        let key = Nickname::parse(name).expect("a legal name").key();
        let leave = Leave { key, holds_name: !releases, releases };
        pair.call(&Command::Leave { room: room.clone(), node: node(0), leave });
    };
    for number in 0..50 {
        let name = format!("User {number}");
        let reserves = number % 2 == 0;
        pair.call(&enter(&room, node(0), Claim { reserves, ..claim(&name, Some(number), 1000 + number) }));
        leave(&mut pair, &name, reserves);
    }
    pair.call(&enter(&room, node(0), claim("Ann", Some(60), 61)));
    leave(&mut pair, "Ann", true);
    let mut size = |command: &str, key: &str| -> usize {
        let key = channel_of(&room).replace("c:", &format!("{key}:"));
        redis::cmd(command).arg(key).query(&mut pair.calls).expect("a number")
    };
    let sizes = [size("HLEN", "u"), size("HLEN", "x"), size("ZCARD", "h"), size("ZCARD", "r")];
    assert_eq!(sizes, [0, 1, 0, 0]);
}

#[test]
fn a_spare_owner_with_the_name_that_its_bearer_has_reserved_takes_over_the_reservation() {
    let room = room("lobby");
    let bounds = Bounds { max_held_names: 1, ..Bounds::default() };
    let mut pair = Pair::new(bounds, std::slice::from_ref(&room), &[]);
    pair.call(&attach(&room, node(0)));
    let reserving = |name, bearer, spare| Claim { reserves: true, ..claim(name, bearer, spare) };
    let leave = |pair: &mut Pair| {
        let leave = Leave { key: claim("Ann", None, 0).name.key(), holds_name: false, releases: false };
        pair.call(&Command::Leave { room: room.clone(), node: node(0), leave });
    };
    pair.call(&enter(&room, node(0), reserving("Ann", Some(1), 11)));
    leave(&mut pair);
    pair.call(&enter(&room, node(0), claim("Ben", Some(1), 12)));
    pair.call(&enter(&room, node(0), reserving("Ann", Some(1), 13)));
    leave(&mut pair);
    let bearer = pair.call(&enter(&room, node(0), claim("Ann", Some(1), 14)));
    assert!(matches!(bearer.0, Answer::Entered(Entered::Taken)), "{bearer:?}");
    let spare = pair.call(&enter(&room, node(0), claim("Ann", Some(13), 15)));
    assert!(matches!(spare.0, Answer::Entered(Entered::Yes { .. })), "{spare:?}");
}
