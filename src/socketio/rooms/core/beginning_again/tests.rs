//! Rooms that have panicked.

use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::mpsc::{self, error::TryRecvError};

use super::*;
use crate::{
    broadcast::ForFanOut,
    connection::Budget,
    domain::{SocketId, WorkerId},
    protocol::socketio::{Args, Offset},
    socketio::rooms::{
        core::testing::{Stage, emission},
        messages::{Answer, Answered, EmitWithAck, NoAck, SocketNews},
    },
};

impl Stage {
    /// The rooms panic over a request.
    fn panic(&mut self, request: impl Into<Request>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let lost = self.rooms.lost_with(&Input::Request(request.into()));
        self.rooms.begin_again(self.now, lost, &mut effects);
        effects
    }

    fn last_offset(&self) -> u64 {
        let id = self.rooms.namespaces.find(&"/".into()).expect("it has sockets");
        self.rooms.namespaces.get(id).expect("it has sockets").last_offset()
    }
}

fn sent_away(effects: &[Effect]) -> Vec<MemberId> {
    let member = |effect: &Effect| match effect {
        Effect::Send(_, ForFanOut::Dismiss(dismiss)) => Some(dismiss.member),
        Effect::SendAway(member) => Some(*member),
        _ => None,
    };
    effects.iter().filter_map(member).collect()
}

#[actix_web::test]
async fn who_is_in_which_room_goes_on_after_a_panic() {
    let mut stage = Stage::new();
    let red = stage.socket("a", &["red"]);
    stage.socket("b", &["blue"]);
    let effects = stage.panic(emission("red"));
    assert!(sent_away(&effects).is_empty(), "{effects:?}");
    assert_eq!((stage.emit("red"), stage.emit("blue"), stage.emit("green")), (1, 1, 0));
    stage.ask(QuitRoom { socket: red, room: "red".into() });
    assert_eq!(stage.emit("red"), 0);
    // The bound counts the rooms as before: one has become free.
    let is_in = |effects: Vec<Effect>| {
        effects.into_iter().any(|effect| {
            let Effect::Send(_, ForFanOut::Tell(tell)) = effect else {
                return false;
            };
            matches!(tell.news.downcast_ref(), Some(SocketNews::Entered { is_in: true, .. }))
        })
    };
    assert!(is_in(stage.ask(EnterRoom { socket: red, room: "green".into() })));
    assert!(!is_in(stage.ask(EnterRoom { socket: red, room: "yellow".into() })));
}

#[actix_web::test]
async fn a_socket_whose_place_is_not_certain_is_sent_away_and_no_other() {
    let mut stage = Stage::new();
    let (first, second) = (stage.socket("a", &["red"]), stage.socket("b", &["red"]));
    let effects = stage.panic(EnterRoom { socket: first, room: "blue".into() });
    assert_eq!(sent_away(&effects), [first.member()]);
    assert_eq!(stage.emit("a"), 0, "it is gone");
    assert_eq!(stage.emit("b"), 1);
    // The panic came after the rooms had forgotten the socket, and before its fan-out had.
    stage.ask(Disconnect { socket: second, may_return: true });
    let effects = stage.panic(Disconnect { socket: second, may_return: true });
    assert_eq!(sent_away(&effects), [second.member()]);
}

#[actix_web::test]
async fn sockets_that_others_were_moving_are_sent_away_and_no_other() {
    let mut stage = Stage::new();
    let [a, b] = ["a", "b"].map(|sid| stage.socket(sid, &["red"]).member());
    let c = stage.socket("c", &[]).member();
    let (namespace, target) = (ByteString::from("/"), emission("red").target);
    let rooms = vec!["blue".into()];
    let enter = EnterMany { namespace: namespace.clone(), target, rooms, is_local: false };
    assert_eq!(sent_away(&stage.panic(enter)), [a, b]);
    assert_eq!((stage.emit("a"), stage.emit("c")), (0, 1));
    let effects = stage.panic(RemoveNamespace { namespace });
    assert_eq!(sent_away(&effects), [c]);
    assert_eq!(stage.rooms.namespaces.len(), 0);
}

#[actix_web::test]
async fn a_newcomer_is_turned_away_with_the_socket_that_it_was_to_replace() {
    let mut stage = Stage::new();
    let former = stage.socket("a", &["red"]);
    let turned_away = |effects: &[Effect]| {
        let is_dismissal =
            |effect: &&Effect| matches!(effect, Effect::Deliver(_, Delivery::Dismissed(Ending::Restart)));
        effects.iter().filter(is_dismissal).count()
    };
    let newcomer = stage.connect(SocketId::next(), "b");
    let effects = stage.panic(newcomer);
    assert_eq!((turned_away(&effects), sent_away(&effects).len()), (1, 0));
    let recover = Recover {
        socket: SocketId::next(),
        worker: WorkerId(0),
        seat: stage.seat(),
        namespace: "/".into(),
        pid: "secret of a".into(),
        offset: Offset::Missing,
        info: None,
        revive: None,
    };
    let effects = stage.panic(recover);
    assert_eq!((turned_away(&effects), sent_away(&effects)), (1, vec![former.member()]));
}

#[actix_web::test]
async fn an_offset_from_before_a_panic_recovers_nothing_and_none_is_given_out_twice() {
    let mut stage = Stage::new();
    let gone = stage.socket("gone", &["red"]);
    let stays = stage.socket("stays", &["red"]);
    stage.emit("red");
    stage.emit("red");
    stage.ask(Disconnect { socket: gone, may_return: true });
    let before = stage.last_offset();
    stage.panic(emission("red"));
    assert_eq!(stage.come_back("gone", "2"), None, "its memory is lost");
    let late = stage.socket("late", &["red"]);
    stage.emit("red");
    let after = stage.last_offset();
    assert!(after > before + 1, "an offset may have been on its way: {before}, {after}");
    stage.ask(Disconnect { socket: stays, may_return: true });
    assert_eq!(stage.come_back("stays", "2"), None, "events may be lost");
    stage.ask(Disconnect { socket: late, may_return: true });
    stage.emit("red");
    assert_eq!(stage.come_back("late", &after.to_string()), Some(1));
}

#[actix_web::test]
async fn emitters_that_wait_for_acks_are_answered_after_a_panic() {
    let mut stage = Stage::new();
    let (first, second) = (stage.socket("a", &["red"]), stage.socket("b", &["red"]));
    let (answers, mut answered) = mpsc::unbounded_channel();
    let timeout = Duration::from_secs(9);
    let effects = stage.ask(EmitWithAck { emit: emission("red"), timeout, answers });
    let asked = |effect: &Effect| match effect {
        Effect::GiveUpAfter(_, id) => Some(*id),
        _ => None,
    };
    let id = effects.iter().find_map(asked).expect("a timer");
    let args = Args { json: "[1]".into(), attachments: vec![] };
    let accepted = crate::connection::Intake::new(1 << 20, Budget::new(1 << 20)).accept(1);
    stage.ask(Answer { socket: first, id, args: args.clone(), accepted });
    stage.panic(QuitRoom { socket: second, room: "red".into() });
    let items = [
        Answered::Expecting(2),
        Answered::Of { sid: "a".into(), args },
        Answered::Missing { sid: "b".into(), why: NoAck::TimedOut },
    ];
    for item in items {
        assert_eq!(answered.try_recv(), Ok(item));
    }
    assert_eq!(answered.try_recv(), Err(TryRecvError::Disconnected));
    let (answers, _unread) = mpsc::unbounded_channel();
    let effects = stage.ask(EmitWithAck { emit: emission("red"), timeout, answers });
    assert!(effects.iter().find_map(asked) > Some(id), "no id is given out again");
}
