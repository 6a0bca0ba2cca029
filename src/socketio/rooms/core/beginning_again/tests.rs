//! Rooms that have panicked, without their actor: the test does what they want done.

use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient};
use tokio::sync::oneshot;

use super::*;
use crate::{
    broadcast::{Cutter, Encoding, ForFanOut},
    connection::{Backlog, Budget},
    domain::{SocketId, WorkerId},
    protocol::socketio::{Args, Offset},
    socketio::rooms::{
        core::{RoomLimits, recovery::RecoveryLimits},
        messages::{Answer, Answers, EVENTS, Emit, EmitWithAck, Guarantee, SocketNews, Target},
    },
};

const LIMITS: RoomLimits = RoomLimits {
    max_rooms: 2,
    recovery: RecoveryLimits { window: Duration::from_secs(60), bytes: 1 << 20, sockets: 9 },
};

/// A session that ignores what it is sent.
struct Session;

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<Delivery> for Session {
    type Result = ();

    fn handle(&mut self, _: Delivery, _: &mut Self::Context) {}
}

struct Stage {
    rooms: SocketRooms,
    now: Instant,
    session: Recipient<Delivery>,
}

impl Stage {
    fn new() -> Self {
        let now = Instant::now();
        let rooms = SocketRooms::new(LIMITS, Budget::new(1 << 20), now);
        Self { rooms, now, session: Session.start().recipient() }
    }

    fn seat(&self) -> Seat {
        Seat {
            deliveries: self.session.clone(),
            backlog: Backlog::new(1 << 20),
            encoding: Encoding { dialect: EVENTS, deflated: false },
            cutter: Cutter::new(|_| {}),
        }
    }

    fn ask(&mut self, request: impl Into<Request>) -> Vec<Effect> {
        self.feed(Input::Request(request.into()))
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.rooms.handle(self.now, input, &mut effects);
        effects
    }

    /// The rooms panic over a request.
    fn panic(&mut self, request: impl Into<Request>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let lost = self.rooms.lost_with(&Input::Request(request.into()));
        self.rooms.begin_again(self.now, lost, &mut effects);
        effects
    }

    fn connect(&self, socket: SocketId, sid: &'static str) -> Connect {
        Connect {
            socket,
            worker: WorkerId(0),
            seat: self.seat(),
            namespace: "/".into(),
            sid: sid.into(),
            pid: Some(format!("secret of {sid}").into()),
            foreign: None,
        }
    }

    /// A socket in these rooms.
    fn socket(&mut self, sid: &'static str, rooms: &[&'static str]) -> SocketId {
        let socket = SocketId::next();
        self.ask(self.connect(socket, sid));
        for room in rooms {
            self.ask(EnterRoom { socket, room: (*room).into() });
        }
        socket
    }

    /// What a client is told that comes back.
    fn come_back(&mut self, sid: &str, offset: &str) -> Option<usize> {
        let recover = Recover {
            socket: SocketId::next(),
            worker: WorkerId(0),
            seat: self.seat(),
            namespace: "/".into(),
            pid: format!("secret of {sid}").into(),
            offset: Offset::Text(offset.into()),
        };
        let news = self.ask(recover).into_iter().find_map(|effect| match effect {
            Effect::Deliver(_, Delivery::News { news, .. }) => news.downcast().ok(),
            Effect::Send(_, ForFanOut::Tell(tell)) => tell.news.downcast().ok(),
            _ => None,
        });
        match *news.expect("an answer") {
            SocketNews::Recovered(state) => state.map(|state| state.missed.len()),
            other => panic!("{other:?}"),
        }
    }

    /// Emits to a room. Returns the workers that get the event.
    fn emit(&mut self, room: &'static str) -> usize {
        self.ask(emission(room));
        let is_event = |effect: &Effect| matches!(effect, Effect::Send(_, ForFanOut::Broadcast(_)));
        self.feed(Input::TurnEnded).iter().filter(|effect| is_event(effect)).count()
    }
}

fn emission(room: &'static str) -> Emit {
    Emit {
        namespace: "/".into(),
        target: Target { to: vec![room.into()], except: vec![] },
        args: Args { json: "[\"event\"]".into(), attachments: vec![] },
        guarantee: Guarantee::Kept,
        accepted: None,
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
    let before = stage.rooms.namespaces[0].last_offset();
    stage.panic(emission("red"));
    assert_eq!(stage.come_back("gone", "2"), None, "its memory is lost");
    let late = stage.socket("late", &["red"]);
    stage.emit("red");
    let after = stage.rooms.namespaces[0].last_offset();
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
    let (answers, mut answered) = oneshot::channel();
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
    assert_eq!(answered.try_recv(), Ok(Answers { answers: vec![args], missing: 1 }));
    let (answers, _) = oneshot::channel();
    let effects = stage.ask(EmitWithAck { emit: emission("red"), timeout, answers });
    assert!(effects.iter().find_map(asked) > Some(id), "no id is given out again");
}
