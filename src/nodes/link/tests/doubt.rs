//! Users of nodes on a Redis that has lost who was there: none is seen leaving who has not left.

use std::time::Duration;

use super::{
    SEEDS, bounds, fail_over, open_all, room, user,
    world::{LEASE, World},
};
use crate::nodes::{
    contract::{AskId, Leave, Order},
    model::ModelRedis,
};

/// Longer than an answer of Redis takes, and shorter than a lease.
const SOON: Duration = Duration::from_secs(3);

/// When the users of a node that is gone are gone, too, and the nodes have asked for all users.
const LATE: Duration = LEASE.saturating_mul(3);

/// Three nodes with two users each.
fn world(seed: u64) -> World {
    let mut world = World::new(seed, 3, bounds());
    open_all(&mut world, &[room("tea")]);
    for number in 0..6 {
        let claim = user(&format!("user {number}"), number);
        world.order(number as usize % 3, Order::Enter(room("tea"), AskId(number), claim));
    }
    world.run_for(SOON);
    world
}

/// The names that a node knows, and those that it has seen leaving.
fn seen(world: &World, node: usize) -> (usize, Vec<String>) {
    let tea = &world.nodes[node].chat.rooms[&room("tea")];
    (tea.people.len(), tea.left.iter().map(|key| format!("{key:?}")).collect())
}

/// Has Redis lose something, and checks that each node has all users all the time.
fn none_leaves(lose: impl Fn(&mut World)) {
    for seed in SEEDS {
        let mut world = world(seed);
        lose(&mut world);
        for step in 0..60 {
            world.run_for(LATE / 60);
            for node in 0..3 {
                assert_eq!(seen(&world, node), (6, vec![]), "node {node}, step {step}, seed {seed}");
            }
        }
        let uids: Vec<_> = world.nodes.iter().map(|node| node.link.node()).collect();
        for (name, nodes) in world.nodes[0].chat.rooms[&room("tea")].users() {
            assert!(nodes.len() == 1 && uids.contains(&nodes[0]), "{name} is at {nodes:?}, seed {seed}");
        }
    }
}

#[test]
fn none_is_seen_leaving_when_all_data_of_redis_is_deleted() {
    none_leaves(|world| world.servers[0].redis.flush());
}

#[test]
fn none_is_seen_leaving_when_redis_comes_back_without_data() {
    none_leaves(|world| world.restart(0, ModelRedis::new("2")));
}

#[test]
fn none_is_seen_leaving_when_redis_comes_back_after_longer_than_a_lease() {
    none_leaves(|world| {
        let data = world.servers[0].redis.clone();
        world.servers[0].is_up = false;
        world.cut_all(0);
        world.run_for(LEASE * 2);
        world.restart(0, data);
        world.servers[0].is_up = true;
    });
}

#[test]
fn none_is_seen_leaving_when_an_empty_replica_takes_over() {
    none_leaves(|world| fail_over(world, &ModelRedis::new("2")));
}

#[test]
fn users_of_a_node_that_dies_with_the_data_of_redis_leave_after_the_lease() {
    for seed in SEEDS {
        let mut world = world(seed);
        world.kill(2);
        world.servers[0].redis.flush();
        world.run_for(SOON);
        assert_eq!([0, 1].map(|node| seen(&world, node).0), [6, 6], "seed {seed}");
        world.run_for(LATE);
        assert_eq!([0, 1].map(|node| seen(&world, node).0), [4, 4], "seed {seed}");
    }
}

#[test]
fn users_that_leave_while_redis_is_away_are_gone_in_the_end() {
    for seed in SEEDS {
        let mut world = world(seed);
        world.restart(0, ModelRedis::new("2"));
        for number in 0..2 {
            let Some((key, _)) = world.nodes[number].chat.rooms[&room("tea")]
                .people
                .iter()
                .find(|(_, person)| person.name.as_str() == format!("user {number}"))
            else {
                panic!("it is there");
            };
            let leave = Leave { key: key.clone(), holds_name: false, releases: false };
            world.order(number, Order::Leave(room("tea"), leave));
        }
        world.run_for(LATE);
        assert_eq!([0, 1, 2].map(|node| seen(&world, node).0), [4, 4, 4], "seed {seed}");
    }
}

/// The node has closed the room by then, so that it does not compare it.
#[test]
fn users_that_an_older_state_of_redis_gives_back_leave_after_the_lease() {
    for seed in SEEDS {
        let mut world = world(seed);
        let copy = world.servers[0].redis.clone();
        for number in [2, 5] {
            let key = user(&format!("user {number}"), number).name.key();
            let leave = Leave { key, holds_name: false, releases: false };
            world.order(2, Order::Leave(room("tea"), leave));
        }
        world.order(2, Order::Close(room("tea")));
        world.run_for(SOON);
        assert_eq!(seen(&world, 0).0, 4);
        world.restart(0, copy);
        world.run_for(LATE);
        assert_eq!([0, 1].map(|node| seen(&world, node).0), [4, 4], "seed {seed}");
    }
}
