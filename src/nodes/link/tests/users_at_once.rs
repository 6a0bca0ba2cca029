//! Users who come at once to several nodes, and rooms in which nothing was said yet.

use std::time::Duration;

use super::{
    bounds, open_all, room,
    world::{LEASE, World},
};
use crate::{
    domain::{Avatar, Nickname, Token},
    nodes::contract::{AskId, Claim, Order, Owner},
};

/// Longer than an answer of Redis takes.
const SOON: Duration = Duration::from_secs(2);

/// Claims a name for a user of its own at a node.
fn enter(world: &mut World, node: usize, room_name: &str, name: &str, ask: u64) {
    let number = name.bytes().fold(node, |sum, byte| sum * 256 + usize::from(byte));
    let token: Token = format!("{number:032x}").parse().expect("a token");
    let spare = Owner { hash: token.owner_hash(), uid: token.public_id() };
    let name = Nickname::parse(name).expect("a name");
    let claim = Claim { name, avatar: Avatar::default(), owner: None, spare, reserves: false, leaves: None };
    world.order(node, Order::Enter(room(room_name), AskId(ask), Box::new(claim)));
}

/// The users that a node has heard of, by their names.
fn names(world: &World, node: usize, room_name: &str) -> Vec<String> {
    world.nodes[node].chat.rooms[&room(room_name)].users().into_iter().map(|(name, _)| name).collect()
}

/// Nothing was ever said in the room.
#[test]
fn users_who_come_at_once_to_several_nodes_are_known_to_all() {
    for seed in 0..100 {
        let mut world = World::new(seed, 3, bounds());
        (0..3).for_each(|node| world.order(node, Order::Open(room("tea"))));
        let wait = Duration::from_millis(world.rng.below(2000));
        world.run_for(wait);
        for (node, name) in ["ann", "ben", "cat"].into_iter().enumerate() {
            enter(&mut world, node, "tea", name, 1);
            let wait = Duration::from_micros(world.rng.below(3000));
            world.run_for(wait);
        }
        world.run_for(SOON);
        for node in 0..3 {
            assert_eq!(names(&world, node, "tea"), ["ann", "ben", "cat"], "node {node}, seed {seed}");
        }
    }
}

#[test]
fn users_of_a_room_in_which_nothing_was_said_keep_their_names_when_redis_is_emptied() {
    let mut world = World::new(1, 2, bounds());
    open_all(&mut world, &[room("tea")]);
    enter(&mut world, 0, "tea", "ann", 1);
    world.run_for(SOON);
    world.servers[0].redis.flush();
    // The nodes are fenced, and join again.
    world.run_for(LEASE);
    enter(&mut world, 1, "tea", "ann", 1);
    enter(&mut world, 1, "tea", "ben", 2);
    world.run_for(SOON);
    assert!(world.nodes[0].chat.names_lost.is_empty());
    (0..2).for_each(|node| assert_eq!(names(&world, node, "tea"), ["ann", "ben"]));
}
