//! What is asked about many sockets, and namespaces that come and go.

use std::{any::Any, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::{
    broadcast::{Delivery, ForFanOut},
    domain::SocketId,
    socketio::rooms::{
        core::{
            effects::{Effect, Input},
            testing::{LIMITS, Stage, emission},
        },
        messages::{
            Answered, Barrier, Connect, Disconnect, EmitWithAck, EnterRoom, NoAck, QuitRoom, Recover,
            Recovered,
        },
    },
};

fn names(names: &[&str]) -> Vec<ByteString> {
    names.iter().map(|name| ByteString::from(*name)).collect()
}

fn target(to: &[&str], except: &[&str]) -> Target {
    Target { to: names(to), except: names(except) }
}

impl Stage {
    /// The sockets of `/` that are found, as sids with rooms.
    fn found(&mut self, target: Target) -> Vec<Vec<ByteString>> {
        self.look(target).into_iter().map(|SocketFound { rooms, .. }| rooms).collect()
    }

    fn look(&mut self, target: Target) -> Vec<SocketFound> {
        let (to, mut found) = oneshot::channel();
        self.ask(Look { namespace: "/".into(), target, to, elsewhere: None });
        found.try_recv().expect("a reply")
    }

    fn rooms_of(&mut self, namespace: &'static str) -> Vec<(ByteString, usize)> {
        let (to, mut rooms) = oneshot::channel();
        self.ask(LookRooms { namespace: namespace.into(), with_sids: false, to, elsewhere: None });
        rooms.try_recv().expect("a reply")
    }

    fn connect_to(&mut self, namespace: &'static str, sid: &'static str) -> SocketId {
        let socket = SocketId::next();
        let connect = Connect { namespace: namespace.into(), ..self.connect(socket, sid) };
        self.ask(connect);
        socket
    }

    /// Lets time pass, and applies the bounds of recovery.
    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.feed(Input::Sweep);
    }

    /// The number of namespaces that are kept.
    fn namespaces(&self) -> usize {
        self.rooms.namespaces.len()
    }
}

/// What the sockets are told, each by its member, in order, with the events before it and the end of the socket.
fn told(effects: &[Effect]) -> Vec<String> {
    let news = |effect: &Effect| match effect {
        Effect::Send(_, ForFanOut::Tell(tell)) => {
            Some(format!("{} {:?}", tell.member, tell.news.downcast_ref::<SocketNews>()?))
        }
        Effect::Send(_, ForFanOut::Detach(detach)) => Some(format!("{} detached", detach.member)),
        Effect::Send(_, ForFanOut::Broadcast(_)) => Some("broadcast".to_owned()),
        _ => None,
    };
    effects.iter().filter_map(news).collect()
}

#[actix_web::test]
async fn sockets_are_found_by_room_and_by_sid_with_their_rooms_and_what_is_kept_of_them() {
    let mut stage = Stage::new();
    for (sid, rooms) in [("a", &["red"][..]), ("b", &["red", "blue"]), ("c", &[])] {
        stage.socket(sid, rooms);
    }
    stage.connect_to("/other", "d");
    let [a, b, c] = [&["a", "red"][..], &["b", "red", "blue"], &["c"]].map(names);
    for (to, except, found) in [
        (&[][..], &[][..], vec![&a, &b, &c]),
        (&["red"], &[], vec![&a, &b]),
        (&["blue", "c"], &[], vec![&b, &c]),
        (&["c", "a", "c"], &["b"], vec![&a, &c]),
        (&["red"], &["a"], vec![&b]),
        (&[], &["blue"], vec![&a, &c]),
        (&["d"], &[], vec![]),
        (&["nowhere"], &[], vec![]),
    ] {
        let sockets = stage.found(target(to, except));
        assert_eq!(sockets.iter().collect::<Vec<_>>(), found, "{to:?} {except:?}");
    }
    let infos = stage.look(Target::default());
    let infos: Vec<_> =
        infos.iter().map(|found| *found.info.downcast_ref::<&str>().expect("its sid")).collect();
    assert_eq!(infos, ["a", "b", "c"]);
}

#[actix_web::test]
async fn rooms_are_listed_with_the_number_of_their_sockets_and_without_those_of_one_sid() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["red"]);
    stage.socket("b", &["red", "a"]);
    assert_eq!(stage.rooms_of("/"), [("a".into(), 2), ("red".into(), 2)]);
    stage.ask(QuitRoom { socket: a, room: "red".into() });
    assert_eq!(stage.rooms_of("/"), [("a".into(), 2), ("red".into(), 1)]);
    assert_eq!(stage.rooms_of("/nowhere"), []);
}

#[actix_web::test]
async fn a_socket_is_in_the_room_of_its_sid_and_takes_no_place_for_it() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["a"]);
    assert_eq!((stage.found(Target::default()), stage.rooms_of("/")), (vec![names(&["a"])], vec![]));
    stage.ask(QuitRoom { socket: a, room: "a".into() });
    assert_eq!((stage.found(Target::default()), stage.emit("a")), (vec![names(&["a"])], 1));
}

#[actix_web::test]
async fn sockets_that_were_put_into_a_room_get_the_next_event_for_it() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["red"]);
    stage.socket("b", &[]);
    let enter = EnterMany {
        namespace: "/".into(),
        target: target(&["red"], &[]),
        rooms: names(&["blue"]),
        is_local: false,
    };
    let effects = stage.ask(enter);
    assert_eq!(told(&effects), [format!("{} PutInto {{ rooms: [\"blue\"] }}", a.member())]);
    assert_eq!(stage.found(target(&["blue"], &[])), [names(&["a", "red", "blue"])]);
    assert_eq!(stage.emit("blue"), 1);
    // The room itself may say who leaves it.
    let quit = QuitMany {
        namespace: "/".into(),
        target: target(&["blue"], &[]),
        rooms: names(&["blue", "red"]),
        is_local: false,
    };
    let effects = stage.ask(quit);
    assert_eq!(told(&effects), [format!("{} TakenOut {{ rooms: [\"blue\", \"red\"] }}", a.member())]);
    assert_eq!((stage.emit("blue"), stage.rooms_of("/")), (0, vec![]));
}

#[actix_web::test]
async fn rooms_beyond_the_limit_are_not_entered_and_sockets_are_told_only_of_the_others() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["red"]);
    let rooms = names(&["red", "blue", "green"]);
    assert_eq!(LIMITS.max_rooms, 2);
    let effects =
        stage.ask(EnterMany { namespace: "/".into(), target: Target::default(), rooms, is_local: false });
    assert_eq!(told(&effects), [format!("{} PutInto {{ rooms: [\"red\", \"blue\"] }}", a.member())]);
    let effects = stage.ask(EnterMany {
        namespace: "/".into(),
        target: Target::default(),
        rooms: names(&["x"]),
        is_local: false,
    });
    assert!(told(&effects).is_empty());
}

#[actix_web::test]
async fn recovery_knows_what_is_kept_of_a_socket_and_the_rooms_that_others_put_it_into() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["red"]);
    let everyone = || ("/".into(), Target::default());
    let (namespace, target) = everyone();
    stage.ask(EnterMany { namespace, target, rooms: names(&["blue"]), is_local: false });
    let (namespace, target) = everyone();
    stage.ask(QuitMany { namespace, target, rooms: names(&["red"]), is_local: false });
    stage.ask(Disconnect { socket: a, may_return: true });
    stage.emit("blue");
    stage.emit("red");
    let recovered = stage.recovered("a", "0").expect("it is kept");
    let Recovered { sid, rooms, info, missed } = &*recovered;
    assert_eq!((&**sid, rooms, missed.len()), ("a", &names(&["blue"]), 1));
    assert_eq!(info.downcast_ref(), Some(&"a"));
    // The new socket has it too.
    let found = stage.look(Target::default());
    assert_eq!(found[0].info.downcast_ref(), Some(&"a"));
}

#[actix_web::test]
async fn sockets_that_are_sent_away_get_what_was_emitted_before_and_nothing_after() {
    let mut stage = Stage::new();
    let [a, b] = ["a", "b"].map(|sid| stage.socket(sid, &["red"]).member());
    stage.socket("c", &[]);
    stage.ask(emission("red"));
    let effects = stage.ask(DisconnectMany {
        namespace: "/".into(),
        target: target(&["red"], &[]),
        close: true,
        is_local: false,
    });
    let end =
        |member: &MemberId| [format!("{member} SentAway {{ close: true }}"), format!("{member} detached")];
    let mut expected = vec!["broadcast".to_owned()];
    expected.extend([a, b].iter().flat_map(end));
    assert_eq!(told(&effects), expected);
    assert_eq!((stage.emit("red"), stage.found(Target::default())), (0, vec![names(&["c"])]));
    assert_eq!(stage.come_back("a", "1"), None, "it is not kept");
}

#[actix_web::test]
async fn a_barrier_comes_back_behind_the_events_before_it_and_only_to_its_socket() {
    let mut stage = Stage::new();
    let [a, _] = ["a", "b"].map(|sid| stage.socket(sid, &["red"]));
    stage.ask(emission("red"));
    let effects = stage.ask(Barrier { socket: a });
    assert_eq!(told(&effects), ["broadcast".to_owned(), format!("{} Barrier", a.member())]);
    stage.ask(Disconnect { socket: a, may_return: false });
    assert!(told(&stage.ask(Barrier { socket: a })).is_empty(), "it has left");
}

#[actix_web::test]
async fn a_socket_that_is_sent_away_is_missing_among_the_acks_at_once() {
    let mut stage = Stage::new();
    stage.socket("a", &["red"]);
    let (answers, mut answered) = mpsc::unbounded_channel();
    stage.ask(EmitWithAck { emit: emission("red"), timeout: Duration::from_secs(9), answers });
    stage.ask(DisconnectMany {
        namespace: "/".into(),
        target: Target::default(),
        close: false,
        is_local: false,
    });
    assert_eq!(answered.try_recv(), Ok(Answered::Expecting(1)));
    let missing = Answered::Missing { sid: "a".into(), why: NoAck::Left };
    assert_eq!(answered.try_recv(), Ok(missing));
}

#[actix_web::test]
async fn a_namespace_without_sockets_and_without_lost_ones_is_not_kept() {
    let mut stage = Stage::new();
    let last = stage.connect_to("/a", "last");
    let lost = stage.connect_to("/b", "lost");
    stage.ask(EnterRoom { socket: lost, room: "red".into() });
    assert_eq!(stage.namespaces(), 2);
    stage.ask(Disconnect { socket: last, may_return: false });
    assert_eq!(stage.namespaces(), 1);
    stage.ask(Disconnect { socket: lost, may_return: true });
    stage.wait(LIMITS.recovery.window / 2);
    assert_eq!(stage.namespaces(), 1, "a client may come back");
    stage.wait(LIMITS.recovery.window);
    assert_eq!((stage.namespaces(), stage.rooms.broadcaster.rooms.loaded()), (0, 0));
}

#[actix_web::test]
async fn what_is_emitted_to_a_namespace_without_sockets_keeps_nothing() {
    let mut stage = Stage::new();
    stage.ask(emission("red"));
    let (answers, mut answered) = mpsc::unbounded_channel();
    let effects = stage.ask(EmitWithAck { emit: emission("red"), timeout: Duration::ZERO, answers });
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(answered.try_recv(), Ok(Answered::Expecting(0)));
    let recover = Recover { namespace: "/unknown".into(), ..stage.recover("a", "0") };
    stage.ask(recover);
    assert_eq!((stage.namespaces(), stage.rooms.broadcaster.rooms.loaded()), (0, 0));
}

#[actix_web::test]
async fn a_namespace_that_begins_anew_has_nothing_of_the_former_one() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &["red"]);
    // An event is on its way when the last socket leaves.
    stage.ask(emission("red"));
    stage.ask(Disconnect { socket: a, may_return: false });
    assert_eq!((stage.namespaces(), stage.rooms.broadcaster.rooms.loaded()), (0, 0));
    stage.socket("b", &["blue"]);
    stage.connect_to("/other", "a");
    assert_eq!((stage.emit("red"), stage.emit("a"), stage.emit("blue")), (0, 0, 1));
    assert_eq!(stage.rooms_of("/"), [("blue".into(), 1)]);
}

#[actix_web::test]
async fn a_namespace_that_is_removed_sends_all_its_sockets_away_and_keeps_no_lost_ones() {
    let mut stage = Stage::new();
    let [a, b] = ["a", "b"].map(|sid| stage.socket(sid, &[]));
    let other = stage.connect_to("/other", "c");
    stage.ask(Disconnect { socket: a, may_return: true });
    let effects = stage.ask(RemoveNamespace { namespace: "/".into() });
    let member = b.member();
    assert_eq!(
        told(&effects),
        [format!("{member} SentAway {{ close: false }}"), format!("{member} detached")]
    );
    assert_eq!((stage.come_back("a", "0"), stage.namespaces()), (None, 1));
    assert!(stage.ask(RemoveNamespace { namespace: "/nowhere".into() }).is_empty());
    stage.ask(Disconnect { socket: other, may_return: false });
    assert_eq!(stage.namespaces(), 0);
}

#[actix_web::test]
async fn a_lost_socket_that_cannot_be_recovered_does_not_hold_its_namespace() {
    let mut stage = Stage::new();
    let a = stage.socket("a", &[]);
    stage.ask(Disconnect { socket: a, may_return: true });
    let recover = stage.recover("a", "7");
    let effects = stage.ask(recover);
    let is_refused = effects.iter().any(|effect| {
        let Effect::Deliver(_, Delivery::News { news, .. }) = effect else {
            return false;
        };
        let news: &dyn Any = &**news;
        matches!(news.downcast_ref(), Some(SocketNews::Recovered(None)))
    });
    assert!(is_refused, "the offset is from elsewhere: {effects:?}");
    assert_eq!(stage.namespaces(), 0);
}
