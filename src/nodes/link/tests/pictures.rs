//! Avatar pictures on their way to Redis.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    bounds,
    world::{LEASE, World},
};
use crate::{domain::Picture, nodes::contract::Order};

fn picture(number: u8) -> Arc<Picture> {
    Arc::new(Picture::stored("image/png", Bytes::from(vec![number; 9])).expect("a type"))
}

#[test]
fn each_picture_is_kept_once_redis_can_be_reached_also_if_the_node_was_fenced_meanwhile() {
    for seed in 0..10 {
        let mut world = World::new(seed, 2, bounds());
        world.run_for(Duration::from_secs(2));
        world.order(0, Order::KeepPicture(picture(1)));
        // Redis may not have heard of it.
        world.cut(0);
        world.order(0, Order::KeepPicture(picture(2)));
        world.run_for(Duration::from_secs(2));
        world.freeze(0, LEASE * 2);
        world.order(0, Order::KeepPicture(picture(3)));
        world.run_for(LEASE * 4);
        for number in 1..=3 {
            assert!(world.servers[0].redis.has_picture(&picture(number).id()), "{number}, seed {seed}");
        }
    }
}
