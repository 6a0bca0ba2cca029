//! Names that Redis gives after it has lost who had them.

use std::time::Duration;

use super::{
    SEEDS, bounds, open_all, room, user,
    world::{LEASE, World},
};
use crate::{
    domain::RoomName,
    nodes::{
        commands::Command,
        contract::{AskId, Claim, Leave, NotEntered, Order},
    },
};

/// Two nodes with an open room, and a user of the first one in it.
fn with_ann(seed: u64, room: &RoomName) -> World {
    let mut world = World::new(seed, 2, bounds());
    open_all(&mut world, std::slice::from_ref(room));
    world.order(0, Order::Enter(room.clone(), AskId(1), user("ann", 1)));
    world.run_for(Duration::from_secs(1));
    world
}

#[test]
fn users_that_enter_a_room_in_which_nothing_was_said_are_known_at_all_nodes() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = World::new(seed, 2, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        for (number, name) in ["ann", "ben", "cleo"].iter().enumerate() {
            let number = number as u64;
            world.order(0, Order::Enter(tea.clone(), AskId(number), user(name, number)));
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
        let mut world = with_ann(seed, &tea);
        world.servers[0].redis.flush();
        let other = user("ann", 2);
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
        let mut world = with_ann(seed, &tea);
        world.servers[0].redis.flush();
        world.run_for(Duration::from_secs(20));
        for node in &world.nodes {
            let users = node.chat.rooms[&tea].users();
            assert_eq!(users.len(), 1, "seed {seed}: {users:?}");
        }
    }
}

/// The node learns by one list that it is fenced and that its user's name is gone, while the user asks for another one.
#[test]
fn a_user_whose_new_name_is_refused_keeps_the_one_that_it_has() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = World::new(seed, 2, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        world.order(0, Order::Enter(tea.clone(), AskId(1), user("ann", 1)));
        world.order(1, Order::Enter(tea.clone(), AskId(2), user("ben", 2)));
        world.run_for(Duration::from_secs(1));
        world.pause(0, LEASE * 2);
        world.run_for(LEASE * 2);
        world.resume();
        let other = Claim { leaves: Some(user("ann", 1).name.key()), ..*user("ben", 1) };
        world.order(0, Order::Enter(tea.clone(), AskId(3), Box::new(other)));
        world.run_for(LEASE);
        assert_eq!(world.nodes[0].chat.entered.get(&AskId(3)), Some(&Err(NotEntered::Taken)), "seed {seed}");
        for node in &world.nodes {
            let users = node.chat.rooms[&tea].users();
            let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["ann", "ben"], "seed {seed}");
        }
    }
}

#[test]
fn what_was_stuck_in_an_old_connection_changes_no_user() {
    let tea = room("tea");
    for seed in SEEDS {
        let mut world = with_ann(seed, &tea);
        let node = world.nodes[0].link.node();
        let leave = Leave { key: user("ann", 1).name.key(), holds_name: false, releases: false };
        world.carry_out_late(0, &Command::Leave { room: tea.clone(), node, leave });
        let ben = Command::Enter { room: tea.clone(), node, ask: None, claim: user("ben", 2) };
        world.carry_out_late(0, &ben);
        world.run_for(Duration::from_secs(1));
        for at in &world.nodes {
            assert_eq!(at.chat.rooms[&tea].users(), [("ann".to_owned(), vec![node])], "seed {seed}");
        }
    }
}

/// Members have seen the user by then.
#[test]
fn a_name_whose_claim_was_heard_is_given_though_the_answer_is_lost() {
    let tea = room("tea");
    let mut given = 0;
    for seed in 0..60 {
        let mut world = World::new(seed, 1, bounds());
        open_all(&mut world, std::slice::from_ref(&tea));
        world.order(0, Order::Enter(tea.clone(), AskId(1), user("ann", 1)));
        let wait = Duration::from_micros(world.rng.below(1000));
        world.run_for(wait);
        let is_heard = !world.nodes[0].chat.rooms[&tea].people.is_empty();
        world.cut(0);
        let is_given = matches!(world.nodes[0].chat.entered.get(&AskId(1)), Some(Ok(_)));
        assert_eq!(is_given, is_heard, "seed {seed}");
        given += u64::from(is_given);
    }
    assert!((1..60).contains(&given), "{given}");
}
