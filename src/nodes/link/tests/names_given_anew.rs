//! Names that Redis gives after it has lost who had them.

use std::time::Duration;

use super::{SEEDS, bounds, open_all, room, world::World};
use crate::{
    domain::{Avatar, Nickname, Token},
    nodes::contract::{AskId, Claim, NotEntered, Order, Owner},
};

fn claim(name: &str, number: u64) -> Box<Claim> {
    let token: Token = format!("{number:032x}").parse().expect("a token");
    let owner = Owner { hash: token.owner_hash(), uid: token.public_id() };
    Box::new(Claim {
        name: Nickname::parse(name).expect("a legal name"),
        avatar: Avatar::default(),
        owner: Some(owner),
        spare: owner,
        reserves: false,
        leaves: None,
    })
}

#[test]
fn users_that_enter_a_room_in_which_nothing_was_said_are_known_at_all_nodes() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = World::new(seed, 2, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        for (number, name) in ["ann", "ben", "cleo"].iter().enumerate() {
            let number = number as u64;
            world.order(0, Order::Enter(tea.clone(), AskId(number), claim(name, number)));
        }
        world.run_for(Duration::from_secs(2));
        for node in &world.nodes {
            let users = node.chat.rooms[&tea].users();
            let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["ann", "ben", "cleo"], "seed {seed}");
        }
    }
}

#[test]
fn a_user_has_its_name_again_before_another_one_of_its_node_gets_it() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = World::new(seed, 2, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        world.order(0, Order::Enter(tea.clone(), AskId(1), claim("ann", 1)));
        world.run_for(Duration::from_secs(1));
        world.servers[0].redis.flush();
        let other = claim("ann", 2);
        world.order(0, Order::Enter(tea.clone(), AskId(2), other));
        world.run_for(Duration::from_secs(2));
        let chat = &world.nodes[0].chat;
        assert!(chat.names_lost.is_empty(), "seed {seed}");
        assert_eq!(chat.entered.get(&AskId(2)), Some(&Err(NotEntered::Taken)), "seed {seed}");
    }
}

#[test]
fn the_only_user_of_a_room_has_its_name_again_after_redis_is_flushed() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = World::new(seed, 2, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        world.order(0, Order::Enter(tea.clone(), AskId(1), claim("ann", 1)));
        world.run_for(Duration::from_secs(1));
        world.servers[0].redis.flush();
        world.run_for(Duration::from_secs(20));
        for node in &world.nodes {
            let users = node.chat.rooms[&tea].users();
            assert_eq!(users.len(), 1, "seed {seed}: {users:?}");
        }
    }
}
