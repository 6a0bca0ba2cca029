//! How many sessions a node has in each room.

use std::{collections::HashMap, time::Duration};

use super::{
    bounds, room,
    world::{LEASE, World},
};
use crate::nodes::contract::Order;

/// The node tells its sizes, as it does every second.
fn tell(world: &mut World, node: usize, sizes: &[(&str, u64)]) {
    let sizes: HashMap<_, _> = sizes.iter().map(|(name, size)| (room(name), *size)).collect();
    for _ in 0..2 {
        world.order(node, Order::Sizes(sizes.clone()));
        world.run_for(Duration::from_secs(1));
    }
}

fn sessions(world: &World) -> [u64; 3] {
    ["tea", "milk", "lobby"].map(|name| world.servers[0].redis.sessions_in(&room(name)))
}

#[test]
fn redis_knows_the_last_sizes_of_all_nodes_whatever_happens_to_connections_and_data() {
    for seed in 0..10 {
        let mut world = World::new(seed, 2, bounds());
        world.run_for(Duration::from_secs(2));
        tell(&mut world, 0, &[("tea", 2), ("milk", 1)]);
        tell(&mut world, 1, &[("tea", 1)]);
        assert_eq!(sessions(&world), [3, 1, 0]);
        tell(&mut world, 0, &[("tea", 5), ("lobby", 7)]);
        assert_eq!(sessions(&world), [6, 0, 7]);
        // Redis may have heard of it, or not.
        world.order(0, Order::Sizes(HashMap::from([(room("milk"), 4)])));
        world.cut(0);
        world.run_for(Duration::from_secs(2));
        tell(&mut world, 0, &[("lobby", 6)]);
        assert_eq!(sessions(&world), [1, 0, 6], "seed {seed}");
        // The node is fenced, and comes back as another one.
        world.freeze(0, LEASE * 2);
        world.run_for(LEASE * 4);
        tell(&mut world, 0, &[("lobby", 6)]);
        assert_eq!(sessions(&world), [1, 0, 6], "seed {seed}");
        world.servers[0].redis.flush();
        world.run_for(LEASE * 2);
        tell(&mut world, 0, &[("lobby", 6)]);
        tell(&mut world, 1, &[("tea", 1)]);
        assert_eq!(sessions(&world), [1, 0, 6], "seed {seed}");
        world.kill(1);
        world.run_for(LEASE * 3);
        assert_eq!(sessions(&world), [0, 0, 6], "seed {seed}");
    }
}
