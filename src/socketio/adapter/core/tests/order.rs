//! Events, and the order in which servers do what is said.

use super::world::{Done, FORMATS, Random, Way, World, args, event, number_of, to, ways};
use crate::{
    protocol::socketio::Args,
    socketio::{
        adapter::{settings::RedisFormat, traffic::Here},
        cluster::{Message, Opts, Target},
    },
};

/// The events and changes of a server by their numbers, in the order in which it does them.
fn numbers(done: Vec<Done>) -> Vec<u64> {
    let number = |done| match done {
        Done::Own(number, _) => Some(number),
        Done::Here(Here::Emit { args, .. }) => Some(number_of(&args)),
        Done::Here(Here::Join { rooms, .. } | Here::Leave { rooms, .. }) => {
            Some(rooms[0].parse().expect("a number"))
        }
        _ => None,
    };
    done.into_iter().filter_map(number).collect()
}

#[test]
fn an_event_reaches_each_other_server_once_in_each_format() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        (0..3).for_each(|server| world.occupy(server, "room"));
        world.settle();
        let target = Target { to: vec!["room".into(), "x".into()], except: vec!["y".into(), "z".into()] };
        let mut volatile = to("room");
        volatile.flags.volatile = true;
        let attachments = vec![vec![0, 255].into(), vec![].into()];
        let json = r#"["event",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#.into();
        let said = [
            (args(1), Opts::default()),
            (args(2), to("room")),
            (args(3), Opts { target, ..Opts::default() }),
            (Args { json, attachments }, to("room")),
            (args(4), volatile),
        ];
        for (args, opts) in &said {
            world.tell(0, Message::Broadcast { args: args.clone(), opts: opts.clone() });
        }
        world.settle();
        assert!(world.done(0).is_empty(), "{format}: it has done that itself");
        for server in [1, 2] {
            let done = world.done(server).into_iter().map(|done| match done {
                Done::Here(Here::Emit { namespace, args, opts, offset }) => {
                    assert_eq!((&*namespace, offset.is_some()), ("/", format == RedisFormat::Streams));
                    (args, opts)
                }
                other => panic!("{format}: {other:?}"),
            });
            assert_eq!(done.collect::<Vec<_>>(), said, "{format}: server {server}");
        }
    }
}

#[test]
fn what_a_server_says_in_order_is_done_when_it_is_heard_behind_what_others_said_before() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        (0..2).for_each(|server| world.occupy(server, "room"));
        world.settle();
        world.say(0, event(1, to("room")), 1);
        world.do_in_turn(0, 2);
        world.say(1, event(3, Opts::default()), 3);
        assert!(world.done(0).is_empty(), "{format}: it is not heard yet");
        // Redis takes that of the other server first.
        while world.step(1, Way::Command) {}
        while world.step(0, Way::Command) {}
        assert!(world.done(0).is_empty(), "{format}: it is not heard yet");
        world.settle();
        assert_eq!(numbers(world.done(0)), [3, 1, 2], "{format}");
        assert_eq!(numbers(world.done(1)), [3, 1], "{format}");
        // Nothing is waited for.
        world.do_in_turn(0, 4);
        assert_eq!(numbers(world.done(0)), [4], "{format}");
    }
}

#[test]
fn what_a_server_says_twice_is_done_twice() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        for number in [1, 2, 3] {
            world.say(0, event(7, Opts::default()), number);
        }
        world.settle();
        assert_eq!(numbers(world.done(0)), [1, 2, 3], "{format}");
        assert_eq!(numbers(world.done(1)), [7, 7, 7], "{format}");
    }
}

#[test]
fn what_is_not_heard_in_time_is_done_once_all_the_same() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        world.say(0, event(1, Opts::default()), 1);
        world.pass(std::time::Duration::from_secs(1));
        assert!(world.done(0).is_empty(), "{format}");
        world.pass(std::time::Duration::from_secs(1));
        assert_eq!(numbers(world.done(0)), [1], "{format}");
        world.settle();
        assert!(world.done(0).is_empty(), "{format}: it is heard late, and has been done");
        assert_eq!(numbers(world.done(1)), [1], "{format}");
    }
}

/// Something with a number: an event, or a change of rooms.
fn message(random: &mut Random, number: u64) -> Message {
    let opts = if random.one_in(2) { to("room") } else { Opts::default() };
    let rooms = vec![number.to_string().into()];
    match random.below(6) {
        0 => Message::Join { opts, rooms, request: None },
        1 => Message::Leave { opts, rooms, request: None },
        _ => event(number, opts),
    }
}

#[test]
fn servers_that_do_things_in_order_agree_on_one_order_whatever_arrives_first() {
    for format in FORMATS {
        for seed in 0..150 {
            let mut random = Random::new(seed);
            let mut world = World::new(format, 3);
            (0..3).for_each(|server| world.occupy(server, "room"));
            world.settle();
            let mut said = 0;
            for _ in 0..200 {
                let server = random.below(3);
                if random.one_in(6) {
                    said += 1;
                    let message = message(&mut random, said);
                    world.say(server, message, said);
                } else {
                    let count = 1 + random.below(3);
                    world.step(server, random.one_of(&ways(count)));
                }
            }
            world.settle();
            let [first, second, third] = [0, 1, 2].map(|server| numbers(world.done(server)));
            assert_eq!(first, second, "{format}, seed {seed}");
            assert_eq!(first, third, "{format}, seed {seed}");
            let mut sorted = first;
            sorted.sort_unstable();
            assert_eq!(sorted, (1..=said).collect::<Vec<_>>(), "{format}, seed {seed}");
        }
    }
}
