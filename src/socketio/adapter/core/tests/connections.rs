//! Connections that are lost and come back.

use std::time::Duration;

use tokio::sync::oneshot;

use super::world::{Done, FORMATS, Way, World, event, to};
use crate::socketio::{
    adapter::{
        settings::RedisFormat,
        traffic::{Here, Input, Output},
    },
    cluster::{Opts, Order, Session},
};

/// The numbers of what a server has done of its own.
fn own(world: &mut World, server: usize) -> Vec<u64> {
    let own = world.done(server).into_iter().filter_map(|done| match done {
        Done::Own(number, offset) => {
            assert_eq!(offset, None);
            Some(number)
        }
        _ => None,
    });
    own.collect()
}

#[test]
fn a_lost_link_does_all_that_waits_at_once_and_in_order() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        for number in [1, 2] {
            world.say(0, event(number, Opts::default()), number);
            world.do_in_turn(0, 10 + number);
        }
        assert!(own(&mut world, 0).is_empty());
        world.down(0);
        assert_eq!(own(&mut world, 0), [1, 11, 2, 12], "{format}");
        // What is said from now on is done here at once, and counted.
        world.say(0, event(3, Opts::default()), 3);
        world.do_in_turn(0, 4);
        assert_eq!(own(&mut world, 0), [3, 4], "{format}");
        assert_eq!((world.servers[0].only_here(), world.servers[0].commands.len()), (1, 0), "{format}");
    }
}

#[test]
fn nothing_is_said_before_all_subscriptions_are_confirmed_again_and_what_is_held_is_said_then() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        world.occupy(0, "room");
        world.settle();
        for round in [1, 2, 3] {
            world.down(0);
            world.up(0);
            world.say(0, event(round, to("room")), round);
            let mut confirmed = 0;
            while !world.servers[0].subscriptions.is_empty() {
                assert!(said(&world).is_empty(), "{format}: {confirmed} subscriptions are confirmed");
                world.step(0, Way::Subscription);
                world.step(0, Way::Push);
                confirmed += 1;
            }
            assert_eq!(confirmed, world.redis.subscriptions(0).len(), "{format}: each is made again");
            if format == RedisFormat::Streams {
                assert!(said(&world).is_empty(), "{format}: the stream is not read");
                world.step(0, Way::Command);
                world.step(0, Way::Reply);
            }
            assert_eq!(said(&world).len(), 1, "{format}");
            assert!(world.done(1).is_empty());
            world.settle();
            assert!(
                world.done(0).iter().any(|done| matches!(done, Done::Own(number, _) if *number == round)),
                "{format}: it is heard"
            );
            let is_event = |done: &&Done| matches!(done, Done::Here(Here::Emit { .. }));
            // In the sharded format, the other server has not asked for the room.
            let expected = usize::from(format == RedisFormat::Streams);
            assert_eq!(world.done(1).iter().filter(is_event).count(), expected, "{format}");
        }
    }
}

/// What is on its way to other servers from the first one.
fn said(world: &World) -> Vec<&Output> {
    let is_said = |output: &&Output| matches!(output, Output::Publish { .. } | Output::Append { .. });
    world.servers[0].commands.iter().filter(is_said).collect()
}

#[test]
fn no_more_is_held_than_the_bound_and_the_rest_is_done_here_and_counted() {
    for format in FORMATS {
        let mut world = World::without_connections(format, 2);
        for number in 1..=6 {
            world.say(0, event(number, Opts::default()), number);
        }
        // The bound is in bytes: some of them fit.
        let only_here = world.servers[0].only_here();
        assert!((1..6).contains(&only_here), "{format}: {only_here}");
        (0..2).for_each(|server| world.up(server));
        world.settle();
        let own: Vec<_> = world
            .done(0)
            .into_iter()
            .filter_map(|done| if let Done::Own(number, _) = done { Some(number) } else { None })
            .collect();
        assert_eq!(own, [1, 2, 3, 4, 5, 6], "{format}");
    }
}

#[test]
fn what_is_held_is_done_and_counted_if_there_is_no_connection() {
    for format in FORMATS {
        let mut world = World::without_connections(format, 1);
        world.say(0, event(1, Opts::default()), 1);
        world.do_in_turn(0, 2);
        assert!(own(&mut world, 0).is_empty());
        world.down(0);
        assert_eq!(own(&mut world, 0), [1, 2], "{format}");
        assert_eq!(world.servers[0].only_here(), 1, "{format}");
        world.up(0);
        world.settle();
        assert!(world.done(0).iter().all(|done| matches!(done, Done::Here(Here::Position(_)))), "{format}");
    }
}

#[test]
fn what_redis_refuses_is_done_here_with_what_waits_behind_it() {
    for format in FORMATS {
        let mut world = World::new(format, 1);
        world.say(0, event(1, Opts::default()), 1);
        world.do_in_turn(0, 2);
        assert!(own(&mut world, 0).is_empty());
        world.give(0, Input::Refused);
        assert_eq!(own(&mut world, 0), [1, 2], "{format}");
    }
}

#[test]
fn a_server_reads_what_others_said_while_it_was_away() {
    let mut world = World::new(RedisFormat::Streams, 2);
    world.tell(1, event(1, Opts::default()));
    world.settle();
    world.down(0);
    (2..=4).for_each(|number| world.tell(1, event(number, Opts::default())));
    world.settle();
    world.up(0);
    world.settle();
    let events = world.done(0).into_iter().filter(|done| matches!(done, Done::Here(Here::Emit { .. })));
    assert_eq!(events.count(), 4);
}

#[test]
fn questions_end_with_the_connection_and_all_known_servers_are_missing() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        let first = world.fetch(0);
        world.settle();
        (1..3).for_each(|server| _ = world.obey(server));
        world.settle();
        drop(first);
        let mut asked = world.fetch(0);
        world.settle();
        world.obey(1);
        world.settle();
        world.down(0);
        let found = asked.try_recv().expect("it is over");
        assert_eq!((found.sockets.len(), found.missing), (1, 1), "{format}");
        let found = world.fetch(0).try_recv().expect("there is no connection");
        assert_eq!((found.sockets.len(), found.missing), (0, 2), "{format}");
    }
}

#[test]
fn after_a_panic_a_server_goes_on() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        world.say(0, event(1, Opts::default()), 1);
        let mut asked = world.fetch(0);
        world.begin_again(0);
        assert_eq!(own(&mut world, 0), [1], "{format}: what has waited is done");
        asked.try_recv().expect("it is over");
        world.up(0);
        world.settle();
        drop((world.done(0), world.done(1)));
        let mut asked = world.fetch(0);
        world.say(0, event(2, Opts::default()), 2);
        world.settle();
        assert!(world.done(0).iter().any(|done| matches!(done, Done::Own(2, _))), "{format}: it is heard");
        assert_eq!(world.obey(1), 1, "{format}");
        world.settle();
        assert_eq!(asked.try_recv().expect("all have answered").missing, 0, "{format}");
    }
}

#[test]
fn all_that_was_ordered_is_on_its_way_before_the_end() {
    for format in FORMATS {
        let mut world = World::without_connections(format, 1);
        world.say(0, event(1, Opts::default()), 1);
        let (done, mut ended) = oneshot::channel();
        world.order(0, Order::Stop { done });
        assert!(world.servers[0].has_ended && ended.try_recv().is_err());
        assert_eq!(said(&world).len(), 1, "{format}");
    }
}

#[test]
fn a_lost_socket_is_kept_for_its_time_if_the_format_keeps_any() {
    for format in FORMATS {
        let mut world = World::new(format, 1);
        let session = Session { sid: "sid".into(), pid: "pid".into(), ..Session::default() };
        world.order(0, Order::KeepSession { session });
        world.settle();
        let kept = (format == RedisFormat::Streams).then_some(Duration::from_secs(120));
        assert_eq!(world.redis.lasts(world.now, "sio:session:pid"), kept, "{format}");
    }
}
