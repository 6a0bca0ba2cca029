//! Which rooms count as new over nodes.

use std::net::IpAddr;

use super::*;
use crate::{
    config::PerAddress,
    journal::{Epoch, EpochId},
};

fn bounded(most: usize) -> Nodes {
    Nodes::with(ChatLimits { max_new_rooms: PerAddress::for_all(most), ..LIMITS })
}

fn named(name: &str) -> RoomName {
    RoomName::parse(name).expect("a legal name")
}

fn come(nodes: &mut Nodes, node: usize, number: u64, room: Option<&str>) -> MemberId {
    let (member, address) = (MemberId::of(number), Some(IpAddr::from([192, 0, 2, 1])));
    let seat = Seat { encoding: Encoding { dialect: CHAT, deflated: false }, ..seat(PLAIN) };
    let room = room.map(named);
    nodes.nodes[node].ask(Register { member, room, worker: WorkerId(0), seat, address });
    member
}

/// What a client from the one address is told that logs in to a room.
fn log_in(nodes: &mut Nodes, node: usize, number: u64, room: &str) -> Vec<String> {
    let member = come(nodes, node, number, None);
    let login = nodes.login_of(node, member, number, &format!("user{number}"), None);
    nodes.nodes[node].ask(Login { room: named(room), ..login });
    nodes.run();
    nodes.told(node, member)
}

#[test]
fn a_room_that_another_node_has_is_not_new() {
    let mut nodes = bounded(1);
    assert_eq!(log_in(&mut nodes, 0, 1, "one"), ["1: logged in"]);
    for (number, room) in [(2, "one"), (3, "two"), (4, "one")] {
        assert_eq!(log_in(&mut nodes, 1, number, room), [format!("{number}: logged in")]);
    }
    assert_eq!(log_in(&mut nodes, 1, 5, "three"), ["5: TooManyNewRooms"]);
    assert_eq!(log_in(&mut nodes, 1, 6, "one"), ["6: logged in"]);
    assert!(nodes.redis.rooms[&named("three")].open_at.is_empty(), "it was not made");
}

#[test]
fn a_room_that_only_has_history_is_not_new() {
    let mut nodes = bounded(1);
    let ann = nodes.user(0, 1, "ann", None);
    nodes.post(0, ann, 9, "x");
    nodes.run();
    nodes.leave(0, ann, false);
    nodes.run();
    for number in 2..5 {
        assert_eq!(log_in(&mut nodes, 1, number, "a"), [format!("{number}: logged in")]);
    }
    assert_eq!(log_in(&mut nodes, 1, 5, "new"), ["5: logged in"]);
    assert_eq!(log_in(&mut nodes, 1, 6, "newer"), ["6: TooManyNewRooms"]);
}

#[test]
fn a_guest_that_must_not_make_its_room_is_sent_away_and_what_it_said_is_not_said() {
    let mut nodes = bounded(1);
    let guest = come(&mut nodes, 0, 1, Some("one"));
    nodes.run();
    assert_eq!(nodes.told(0, guest), Vec::<String>::new());
    let second = come(&mut nodes, 0, 2, Some("two"));
    nodes.publish(0, second, Payload::Text("hi".into()));
    nodes.run();
    assert_eq!(nodes.told(0, second), ["TooManyRooms"]);
    assert!(nodes.redis.rooms[&named("two")].records.is_empty());
    let third = come(&mut nodes, 0, 3, Some("one"));
    nodes.run();
    assert_eq!(nodes.told(0, third), Vec::<String>::new());
}

#[test]
fn a_name_that_no_new_room_may_have_is_refused_unless_the_room_is_there() {
    let mut nodes = bounded(0);
    let invisible = "tea\u{200b}";
    let told = log_in(&mut nodes, 0, 1, invisible);
    assert!(told[0].starts_with("1: NoNewRoom"), "{told:?}");
    let begun = Epoch { id: EpochId { random: 7, number: 1 }, starts: 1 };
    nodes.redis.rooms.entry(named(invisible)).or_default().epochs.push(begun);
    assert_eq!(log_in(&mut nodes, 0, 2, invisible), ["2: logged in"]);
}
