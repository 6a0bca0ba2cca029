//! Lost sockets that are found again, with what their clients have missed.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use super::world::{Done, Way, World, args, event, number_of, to};
use crate::{
    protocol::socketio::{Args, Offset},
    socketio::{
        adapter::{
            settings::RedisFormat,
            traffic::{Channel, Decide as _, Here, Input},
        },
        cluster::{Message, Opts, Order, Session},
    },
};

/// A world with a kept session in the room `a`, whose client has seen the entry `1000-1` of four.
fn with_session() -> World {
    let mut world = World::new(RedisFormat::Streams, 2);
    for number in 0..4 {
        world.say(0, event(number, to("a")), number);
    }
    keep(&mut world, 0, "1000-0", "1000-0");
    world.settle();
    (0..2).for_each(|server| drop(world.done(server)));
    world
}

fn keep(world: &mut World, server: usize, began: &str, entered: &str) {
    let (sid, pid) = (ByteString::from("sid"), "pid".into());
    let rooms = vec![sid.clone(), "a".into()];
    let since = rooms.iter().cloned().zip([began.into(), entered.into()]).collect();
    world
        .order(server, Order::KeepSession { session: Session { sid, pid, rooms, data: "{}".into(), since } });
}

/// The numbers of the events that the client has missed, if it is recovered.
fn missed(world: &mut World, server: usize, offset: Offset) -> Option<Vec<u64>> {
    world.restore(server, 1, "pid", offset);
    world.settle();
    for _ in 0..5 {
        world.pass(Duration::from_millis(50));
        world.settle();
    }
    restored(world, server).expect("an outcome")
}

/// The outcome of the only search, once it is there.
fn restored(world: &mut World, server: usize) -> Option<Option<Vec<u64>>> {
    let mut outcomes = world.done(server).into_iter().filter_map(|done| match done {
        Done::Restored(_, restored) => {
            Some(restored.map(|restored| restored.missed.iter().map(|(_, args)| number_of(args)).collect()))
        }
        _ => None,
    });
    let outcome = outcomes.next();
    assert!(outcomes.next().is_none(), "there is one outcome");
    outcome
}

fn seen(offset: &'static str) -> Offset {
    Offset::Text(offset.into())
}

#[test]
fn a_session_is_found_once() {
    for server in [0, 1] {
        let mut world = with_session();
        assert_eq!(missed(&mut world, server, seen("1000-1")), Some(vec![2, 3]));
        assert_eq!(missed(&mut world, server, seen("1000-1")), None);
    }
}

#[test]
fn a_client_that_has_seen_no_event_misses_all_since_it_connected() {
    assert_eq!(missed(&mut with_session(), 1, Offset::Missing), Some(vec![1, 2, 3]));
}

#[test]
fn volatile_events_and_those_before_a_room_was_entered_are_not_repeated() {
    let mut world = with_session();
    let mut volatile = to("a");
    volatile.flags.volatile = true;
    world.tell(1, event(4, volatile));
    world.tell(1, event(5, to("sid")));
    keep(&mut world, 0, "1000-0", "1000-2");
    world.settle();
    assert_eq!(missed(&mut world, 0, seen("1000-1")), Some(vec![3, 5]));
}

#[test]
fn an_offset_that_is_gone_or_is_none_recovers_nothing() {
    for offset in ["", "x", "7", "1-1", "1000-77", "99999-0"] {
        assert_eq!(missed(&mut with_session(), 1, seen(offset)), None, "{offset:?}");
    }
    assert_eq!(missed(&mut with_session(), 1, Offset::Other), None);
    let mut world = with_session();
    world.redis.trim(2);
    assert_eq!(missed(&mut world, 1, seen("1000-1")), None, "what it has missed may be trimmed");
    let mut world = with_session();
    world.pass(Duration::from_secs(120));
    assert_eq!(missed(&mut world, 1, seen("1000-1")), None, "its time is over");
}

#[test]
fn more_missed_bytes_than_the_bound_recover_nothing() {
    for (len, is_recovered) in [(4_000, true), (5_000, false)] {
        let mut world = with_session();
        let long = Args { json: format!("[\"event\",{}]", "1".repeat(len)).into(), attachments: Vec::new() };
        // One before the search begins, and one after.
        let message = Message::Broadcast { args: long, opts: to("a") };
        world.tell(0, message.clone());
        world.settle();
        world.restore(1, 1, "pid", seen("1000-1"));
        world.tell(0, message);
        // The entry is read before the replies of the search come.
        while world.step(0, Way::Command) {}
        while world.step(1, Way::Entries(1)) {}
        world.settle();
        let found = world.done(1).into_iter().find_map(|done| match done {
            Done::Restored(_, restored) => Some(restored.map(|restored| restored.missed.len())),
            _ => None,
        });
        assert_eq!(found, Some(is_recovered.then_some(4)), "{len}");
    }
}

#[test]
fn entries_that_are_trimmed_between_two_pages_are_not_passed_over() {
    for (left, is_recovered) in [(8, true), (2, false)] {
        let mut world = with_session();
        for number in 4..12 {
            world.tell(0, event(number, to("a")));
        }
        world.settle();
        world.restore(1, 1, "pid", seen("1000-1"));
        // The session, the entry that was seen last, and the first page.
        for _ in 0..3 {
            world.step(1, Way::Command);
            world.step(1, Way::Reply);
        }
        world.redis.trim(left);
        world.settle();
        assert_eq!(restored(&mut world, 1), Some(is_recovered.then(|| (2..12).collect())), "{left}");
    }
}

#[test]
fn a_session_that_is_stored_late_is_found_by_the_next_tries() {
    let mut world = with_session();
    // The first one takes it away.
    assert!(missed(&mut world, 0, seen("1000-1")).is_some());
    for (tries, is_found) in [(4, true), (5, false)] {
        world.restore(1, 1, "pid", seen("1000-1"));
        world.settle();
        for _ in 0..tries {
            world.pass(Duration::from_millis(50));
            world.settle();
        }
        keep(&mut world, 0, "1000-0", "1000-0");
        world.settle();
        world.pass(Duration::from_millis(50));
        world.settle();
        assert_eq!(restored(&mut world, 1), Some(is_found.then_some(vec![2, 3])), "{tries}");
    }
}

/// The secrets of the sockets that a server was told to release.
fn released(world: &mut World, server: usize) -> Vec<ByteString> {
    let released = world.done(server).into_iter().filter_map(|done| match done {
        Done::Here(Here::Release { namespace, pid }) => {
            assert_eq!(namespace, "/");
            Some(pid)
        }
        _ => None,
    });
    released.collect()
}

#[test]
fn a_session_that_is_not_kept_yet_is_claimed_once_and_found_when_it_is() {
    let mut world = with_session();
    // The first one takes it away.
    assert!(missed(&mut world, 1, seen("1000-1")).is_some());
    assert!(released(&mut world, 0).is_empty(), "it was there");
    world.restore(1, 1, "pid", seen("1000-1"));
    world.settle();
    for _ in 0..3 {
        world.pass(Duration::from_millis(50));
        world.settle();
    }
    assert_eq!(released(&mut world, 0), ["pid"]);
    assert!(world.done(1).is_empty(), "a server does not heed its own claim");
    keep(&mut world, 0, "1000-0", "1000-0");
    world.settle();
    world.pass(Duration::from_millis(50));
    world.settle();
    assert_eq!(restored(&mut world, 1), Some(Some(vec![2, 3])));
}

#[test]
fn where_a_socket_is_kept_while_it_lives_it_is_always_claimed_and_once() {
    for is_kept in [true, false] {
        let mut world = World::keeping_changes(2);
        world.say(0, event(1, to("a")), 1);
        if is_kept {
            keep(&mut world, 0, "1000-0", "1000-0");
        }
        world.settle();
        world.restore(1, 1, "pid", seen("1000-0"));
        world.settle();
        for _ in 0..5 {
            world.pass(Duration::from_millis(50));
            world.settle();
        }
        assert_eq!(released(&mut world, 0), ["pid"]);
        assert_eq!(restored(&mut world, 1), Some(is_kept.then(Vec::new)));
    }
}

#[test]
fn a_claim_is_junk_where_no_sessions_are_kept() {
    let mut world = World::new(RedisFormat::Sharded, 1);
    let body = Bytes::from_static(b"{\"type\":100,\"data\":{\"pid\":\"p\"},\"uid\":\"x\",\"nsp\":\"/\"}");
    let channel = ByteString::from("socket.io#/#");
    world.give(0, Input::Published { by: Channel::Shard(channel.clone()), channel, body });
    assert!(world.done(0).is_empty() && world.servers[0].junk() == 1);
}

#[test]
fn a_search_ends_without_success_when_the_connection_is_lost() {
    let mut world = with_session();
    // One waits for Redis, one for its next try.
    world.restore(1, 1, "no pid", seen("1000-1"));
    world.settle();
    world.restore(1, 2, "pid", seen("1000-1"));
    world.down(1);
    let outcomes = world.done(1);
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert!(matches!(outcome, Done::Restored(_, None)));
    }
    world.restore(1, 3, "pid", seen("1000-1"));
    assert!(matches!(*world.done(1), [Done::Restored(3, None)]), "there is no connection");
    assert!(world.servers[1].core.next_wake().is_none(), "nothing is waited for");
}

#[test]
fn a_secret_that_no_server_has_given_out_is_not_looked_for() {
    let mut world = with_session();
    world.restore(1, 1, &"p".repeat(65), seen("1000-1"));
    assert!(matches!(*world.done(1), [Done::Restored(1, None)]));
    assert!(world.servers[1].commands.is_empty());
    world.restore(1, 2, &"p".repeat(64), seen("1000-1"));
    assert_eq!(world.servers[1].commands.len(), 1);
}

#[test]
fn other_formats_keep_no_sessions() {
    for format in [RedisFormat::Classic, RedisFormat::Sharded] {
        let mut world = World::new(format, 1);
        world.restore(0, 1, "pid", Offset::Missing);
        assert!(matches!(*world.done(0), [Done::Restored(1, None)]), "{format}");
    }
}

#[test]
fn an_event_of_another_namespace_is_not_handed_to_the_client() {
    let mut world = with_session();
    for server in [0, 1] {
        world.order(server, Order::Serve { namespace: "/other".into() });
    }
    world.settle();
    let message = Message::Broadcast { args: args(9), opts: Opts::default() };
    let tell = |message| Order::Tell { namespace: "/other".into(), message: Some(message), deliver: None };
    world.order(0, tell(message.clone()));
    world.settle();
    world.restore(1, 1, "pid", seen("1000-1"));
    world.order(0, tell(message));
    while world.step(0, Way::Command) {}
    while world.step(1, Way::Entries(1)) {}
    world.settle();
    assert_eq!(restored(&mut world, 1), Some(Some(vec![2, 3])));
}
