//! What servers ask each other.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{
    mpsc::{self, UnboundedReceiver},
    oneshot,
};

use super::world::{Done, FORMATS, TIMEOUT, World, args, to};
use crate::{
    protocol::socketio::Args,
    socketio::{
        adapter::{
            settings::RedisFormat,
            traffic::{Channel, FromHere, Here, HereId, Input},
        },
        cluster::{Answered, NoAck, Order},
    },
};

#[test]
fn a_server_that_does_not_answer_is_missing_and_what_came_is_given() {
    for format in FORMATS {
        let mut world = World::new(format, 4);
        let mut sockets = world.fetch(0);
        let (to, mut rooms) = oneshot::channel();
        world.order(0, Order::ListRooms { namespace: "/".into(), to });
        let (to, mut answers) = oneshot::channel();
        let answers_to = Some(to);
        let order = Order::ServerEvent { namespace: "/".into(), args: args(1), answers: answers_to };
        world.order(0, order);
        world.settle();
        assert_eq!([1, 2].map(|server| world.obey(server)), [3, 3], "{format}");
        world.settle();
        world.pass(TIMEOUT - Duration::from_millis(1));
        assert!(sockets.try_recv().is_err(), "{format}: the time is not over");
        world.pass(Duration::from_millis(1));
        let found = sockets.try_recv().expect("the time is over");
        let ids: Vec<_> = found.sockets.iter().map(|socket| &*socket.id).collect();
        assert_eq!((ids, found.missing), (vec!["socket 1", "socket 2"], 1), "{format}");
        let found = rooms.try_recv().expect("the time is over");
        assert_eq!((found.rooms, found.missing), (vec!["socket 1".into(), "socket 2".into()], 1), "{format}");
        let found = answers.try_recv().expect("the time is over");
        let answers: Vec<_> = found.answers.iter().map(|answer| &*answer.json).collect();
        assert_eq!((answers, found.missing), (vec!["[1]", "[2]"], 1), "{format}");
        // The late answers harm nothing.
        world.obey(3);
        world.settle();
        assert!(world.done(0).is_empty() && world.servers[0].junk() == 0, "{format}");
    }
}

#[test]
fn answers_of_all_end_a_question_at_once() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        for _ in 0..3 {
            let mut sockets = world.fetch(0);
            world.settle();
            (1..3).for_each(|server| assert_eq!(world.obey(server), 1, "{format}"));
            world.settle();
            let found = sockets.try_recv().expect("all have answered");
            assert_eq!((found.sockets.len(), found.missing), (2, 0), "{format}");
        }
        // There is no other server.
        let mut alone = World::new(format, 1);
        let mut sockets = alone.fetch(0);
        alone.settle();
        let found = sockets.try_recv().expect("there is no server to wait for");
        assert_eq!((found.sockets.len(), found.missing), (0, 0), "{format}");
    }
}

/// Asks for acks for a second.
fn ask(world: &mut World, server: usize) -> UnboundedReceiver<Answered> {
    let (answers, answered) = mpsc::unbounded_channel();
    let timeout = Duration::from_secs(1);
    let (namespace, args, mut opts) = ("/".into(), args(1), to("room"));
    opts.flags.timeout = Some(1000);
    world.order(server, Order::Ask { namespace, args, opts, timeout, answers, deliver: None });
    answered
}

/// The question for acks that a server was asked.
fn question(world: &mut World, server: usize) -> HereId {
    match world.done(server).pop() {
        Some(Done::Here(Here::Ask { id, opts, .. })) => {
            assert_eq!((opts.target, opts.flags.timeout), (to("room").target, Some(1000)));
            id
        }
        other => panic!("{other:?}"),
    }
}

fn answer(world: &mut World, server: usize, id: HereId, answered: Option<Answered>) {
    world.give(server, Input::FromHere(FromHere::Answered(id, answered)));
}

fn ack(json: &'static str) -> Answered {
    Answered::Of { sid: "".into(), args: Args { json: json.into(), attachments: Vec::new() } }
}

fn all(answered: &mut UnboundedReceiver<Answered>) -> Vec<Answered> {
    std::iter::from_fn(|| answered.try_recv().ok()).collect()
}

#[test]
fn acks_that_are_owed_are_missing_at_the_timeout_and_silent_servers_are_counted() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        let mut answered = ask(&mut world, 0);
        world.settle();
        let id = question(&mut world, 1);
        answer(&mut world, 1, id, Some(Answered::Expecting(3)));
        answer(&mut world, 1, id, Some(ack("[1]")));
        world.settle();
        assert_eq!(all(&mut answered), [Answered::ExpectingElsewhere(3), ack("[1]")], "{format}");
        world.pass(Duration::from_millis(999));
        assert!(all(&mut answered).is_empty() && !answered.is_closed(), "{format}");
        world.pass(Duration::from_millis(1));
        let missing = Answered::Missing { sid: "".into(), why: NoAck::TimedOut };
        let rest = [missing.clone(), missing, Answered::SilentServers(1)];
        assert_eq!(all(&mut answered), rest, "{format}");
        assert!(answered.is_closed(), "{format}: no more is to come");
    }
}

#[test]
fn a_server_that_tells_of_more_clients_than_there_can_be_costs_no_more_than_the_bound() {
    let mut world = World::new(RedisFormat::Classic, 2);
    let mut answered = ask(&mut world, 0);
    world.settle();
    let id = question(&mut world, 1);
    for _ in 0..3 {
        answer(&mut world, 1, id, Some(Answered::Expecting(usize::MAX >> 12)));
    }
    world.settle();
    let expected = [1_000_000, 0, 0].map(Answered::ExpectingElsewhere);
    assert_eq!(all(&mut answered), expected);
    world.pass(Duration::from_secs(1));
    assert_eq!(all(&mut answered).len(), 1_000_000);
    assert!(answered.is_closed());
}

#[test]
fn acks_of_all_end_the_wait() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        let mut answered = ask(&mut world, 0);
        world.settle();
        for server in [1, 2] {
            assert!(!answered.is_closed(), "{format}");
            let id = question(&mut world, server);
            // In classic, the ack may come before the number of those who are asked.
            answer(&mut world, server, id, Some(Answered::Expecting(1)));
            answer(&mut world, server, id, Some(ack("[7]")));
            answer(&mut world, server, id, None);
            // Behind the last, nothing is sent.
            answer(&mut world, server, id, Some(ack("[8]")));
            world.settle();
        }
        let expected = [Answered::ExpectingElsewhere(1), ack("[7]")];
        assert_eq!(all(&mut answered), [expected.clone(), expected].concat(), "{format}");
        assert!(answered.is_closed(), "{format}");
    }
}

#[test]
fn a_question_of_one_server_is_not_answered_to_another_one() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        let (mut first, mut second) = (world.fetch(0), world.fetch(1));
        world.settle();
        for server in 0..3 {
            world.obey(server);
        }
        world.settle();
        for (found, others) in
            [(&mut first, ["socket 1", "socket 2"]), (&mut second, ["socket 0", "socket 2"])]
        {
            let found = found.try_recv().expect("all have answered");
            let ids: Vec<_> = found.sockets.iter().map(|socket| &*socket.id).collect();
            assert_eq!((ids, found.missing), (others.to_vec(), 0), "{format}");
        }
    }
}

#[test]
fn an_answer_to_another_question_is_not_taken() {
    let mut world = World::new(RedisFormat::Classic, 2);
    let mut found = world.fetch(0);
    world.settle();
    for body in [
        r#"{"requestId":"uid0001","rooms":["a"]}"#,
        r#"{"requestId":"uid0001","type":6,"data":1}"#,
        r#"{"requestId":"uid0001"}"#,
        r#"{"type":8,"requestId":"uid0001","clientCount":1}"#,
        r#"{"requestId":"uid0012","sockets":[]}"#,
        r#"{"requestId":"uid0002","sockets":[]}"#,
    ] {
        let channel = "socket.io-response#/#";
        let by = Channel::Plain(channel.into());
        let body = Bytes::from_static(body.as_bytes());
        world.give(0, Input::Published { by, channel: channel.into(), body });
        assert!(found.try_recv().is_err(), "{body:?}", body = found);
    }
    world.obey(1);
    world.settle();
    let found = found.try_recv().expect("the right answer has come");
    assert_eq!((found.sockets.len(), found.missing), (1, 0));
}

#[test]
fn requests_beyond_the_bound_are_junk() {
    for format in FORMATS {
        let mut world = World::new(format, 2);
        for round in 1..=2 {
            let mut asked: Vec<_> = (0..5).map(|_| world.fetch(0)).collect();
            world.settle();
            assert_eq!(world.servers[1].junk(), 2 * round, "{format}");
            assert_eq!(world.obey(1), 3, "{format}");
            world.settle();
            world.pass(TIMEOUT);
            let missing: Vec<_> =
                asked.iter_mut().map(|found| found.try_recv().expect("it is over").missing).collect();
            assert_eq!(missing, [0, 0, 0, 1, 1], "{format}");
        }
    }
}

#[test]
fn a_question_that_nothing_answers_makes_room_for_others() {
    let mut world = World::new(RedisFormat::Classic, 2);
    let _asked: Vec<_> = (0..3).map(|_| world.fetch(0)).collect();
    world.settle();
    world.done(1);
    world.pass(Duration::from_secs(60));
    let mut found = world.fetch(0);
    world.settle();
    assert_eq!(world.obey(1), 1);
    world.settle();
    assert_eq!(found.try_recv().expect("it is answered").missing, 0);
}

fn count(world: &mut World, server: usize) -> usize {
    let (to, mut count) = oneshot::channel();
    world.order(server, Order::CountServers { namespace: "/".into(), to });
    world.settle();
    count.try_recv().expect("Redis has answered")
}

#[test]
fn servers_are_counted_with_the_one_that_asks_while_they_serve_the_namespace() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        assert_eq!([0, 1, 2].map(|server| count(&mut world, server)), [3; 3], "{format}");
        world.down(2);
        assert_eq!([0, 1].map(|server| count(&mut world, server)), [2; 2], "{format}");
        let (to, mut unknown) = oneshot::channel();
        world.order(2, Order::CountServers { namespace: "/".into(), to });
        assert_eq!(unknown.try_recv(), Err(oneshot::error::TryRecvError::Closed), "{format}");
        world.up(2);
        world.settle();
        assert_eq!(count(&mut world, 2), 3, "{format}");
    }
}

#[test]
fn a_server_that_does_not_serve_a_namespace_is_not_counted_and_not_asked() {
    for format in FORMATS {
        let mut world = World::new(format, 3);
        world.order(2, Order::Unserve { namespace: "/".into() });
        world.settle();
        assert_eq!(count(&mut world, 0), 2, "{format}");
        assert!(world.redis.subscriptions(2).is_empty(), "{format}");
        let mut sockets = world.fetch(0);
        world.tell(0, super::world::event(1, to("room")));
        world.settle();
        assert!(world.done(2).is_empty(), "{format}");
        world.obey(1);
        world.settle();
        let found = sockets.try_recv().expect("all that serve it have answered");
        assert_eq!((found.sockets.len(), found.missing), (1, 0), "{format}");
        world.order(2, Order::Serve { namespace: "/".into() });
        world.settle();
        assert_eq!(count(&mut world, 0), 3, "{format}");
    }
}
