//! Rooms in which a server has sockets.

use super::world::{Done, World, event, number_of, to};
use crate::socketio::{
    adapter::{
        settings::RedisFormat,
        traffic::{Channel, Here, Output},
    },
    cluster::{Opts, Order, Target},
};

/// The numbers of the events of others.
fn heard(world: &mut World, server: usize) -> Vec<u64> {
    let numbers = world.done(server).into_iter().filter_map(|done| match done {
        Done::Here(Here::Emit { args, .. }) => Some(number_of(&args)),
        _ => None,
    });
    numbers.collect()
}

#[test]
fn in_the_sharded_format_an_event_for_a_room_reaches_only_the_servers_that_have_the_room() {
    let mut world = World::new(RedisFormat::Sharded, 3);
    world.occupy(1, "room");
    world.settle();
    let channel = Channel::Shard("socket.io#/#room#".into());
    assert_eq!([0, 1, 2].map(|i| world.redis.subscriptions(i).contains(&channel)), [false, true, false]);
    world.tell(0, event(1, to("room")));
    let two = Target { to: vec!["room".into(), "other".into()], except: Vec::new() };
    world.tell(0, event(2, Opts { target: two, ..Opts::default() }));
    world.tell(0, event(3, to("a room of a socket 20")));
    world.tell(0, event(4, to("12345678901234567890")));
    world.settle();
    assert_eq!(heard(&mut world, 1), [1, 2, 4]);
    // An event for several rooms, or for one socket, goes to all.
    assert_eq!(heard(&mut world, 2), [2, 4]);
    // What this server says to a room that it has too is done once.
    world.say(1, event(5, to("room")), 5);
    world.settle();
    assert!(matches!(*world.done(1), [Done::Own(5, None)]));
}

#[test]
fn a_vacant_room_is_unsubscribed_and_a_room_that_is_entered_again_is_subscribed_again() {
    let mut world = World::new(RedisFormat::Sharded, 2);
    let subscriptions = |world: &World| world.redis.subscriptions(0).len();
    assert_eq!(subscriptions(&world), 2);
    for round in 1..=3 {
        world.occupy(0, "room");
        world.occupy(0, "other");
        world.settle();
        assert_eq!(subscriptions(&world), 4);
        world.tell(1, event(round, to("room")));
        world.settle();
        assert_eq!(heard(&mut world, 0), [round]);
        for room in ["room", "other"] {
            world.order(0, Order::Vacant { namespace: "/".into(), room: room.into() });
        }
        world.settle();
        assert_eq!(subscriptions(&world), 2);
        world.tell(1, event(round, to("room")));
        world.settle();
        assert!(heard(&mut world, 0).is_empty());
    }
    // Nor is it subscribed to after the next connection.
    world.down(0);
    world.up(0);
    world.settle();
    assert_eq!(subscriptions(&world), 2);
}

#[test]
fn a_room_that_becomes_vacant_before_its_subscription_is_confirmed_holds_nothing_up() {
    let mut world = World::new(RedisFormat::Sharded, 2);
    world.down(0);
    world.occupy(0, "room");
    world.up(0);
    world.say(0, event(1, Opts::default()), 1);
    // Its confirmation does not come.
    let channel = Channel::Shard("socket.io#/#room#".into());
    let is_other = |output: &Output| !matches!(output, Output::Subscribe(its) if *its == channel);
    world.servers[0].subscriptions.retain(is_other);
    world.settle();
    assert!(heard(&mut world, 1).is_empty());
    world.order(0, Order::Vacant { namespace: "/".into(), room: "room".into() });
    world.settle();
    assert_eq!(heard(&mut world, 1), [1]);
    assert!(matches!(*world.done(0), [Done::Own(1, None)]));
}

#[test]
fn in_the_classic_format_an_event_for_a_room_without_sockets_is_not_read() {
    let mut world = World::new(RedisFormat::Classic, 2);
    world.occupy(1, "room");
    for (number, room) in [(1, "room"), (2, "other"), (3, "room#1")] {
        world.tell(0, event(number, to(room)));
    }
    world.settle();
    assert_eq!(heard(&mut world, 1), [1]);
    world.occupy(1, "room#1");
    world.order(1, Order::Vacant { namespace: "/".into(), room: "room".into() });
    for (number, room) in [(4, "room"), (5, "room#1")] {
        world.tell(0, event(number, to(room)));
    }
    world.settle();
    assert_eq!(heard(&mut world, 1), [5]);
}
