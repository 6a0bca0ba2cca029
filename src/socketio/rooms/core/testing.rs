//! Rooms without their actor, for tests: the test does what they want done.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler, Recipient};

use super::{
    RoomLimits, SocketRooms,
    effects::{Effect, Input, Request},
    recovery::RecoveryLimits,
};
use crate::{
    broadcast::{Cutter, Delivery, Encoding, ForFanOut, Seat},
    connection::{Backlog, Budget},
    domain::{SocketId, WorkerId},
    protocol::socketio::{Args, Offset},
    socketio::rooms::messages::{
        Connect, EVENTS, Emit, EnterRoom, Guarantee, Recover, Recovered, SocketNews, Target,
    },
};

pub(super) const LIMITS: RoomLimits = RoomLimits {
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

pub(super) struct Stage {
    pub(super) rooms: SocketRooms,
    pub(super) now: Instant,
    session: Recipient<Delivery>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let rooms = SocketRooms::new(LIMITS, Budget::new(1 << 20), now);
        Self { rooms, now, session: Session.start().recipient() }
    }

    pub(super) fn seat(&self) -> Seat {
        Seat {
            deliveries: self.session.clone(),
            backlog: Backlog::new(1 << 20),
            encoding: Encoding { dialect: EVENTS, deflated: false },
            cutter: Cutter::new(|_| {}),
        }
    }

    pub(super) fn ask(&mut self, request: impl Into<Request>) -> Vec<Effect> {
        self.feed(Input::Request(request.into()))
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.rooms.handle(self.now, input, &mut effects);
        effects
    }

    pub(super) fn connect(&self, socket: SocketId, sid: &'static str) -> Connect {
        Connect {
            socket,
            worker: WorkerId(0),
            seat: self.seat(),
            namespace: "/".into(),
            sid: sid.into(),
            pid: Some(format!("secret of {sid}").into()),
            foreign: None,
            info: Arc::new(sid),
        }
    }

    /// A socket in these rooms.
    pub(super) fn socket(&mut self, sid: &'static str, rooms: &[&'static str]) -> SocketId {
        let socket = SocketId::next();
        self.ask(self.connect(socket, sid));
        for room in rooms {
            self.ask(EnterRoom { socket, room: (*room).into() });
        }
        socket
    }

    /// The request of a client that comes back.
    pub(super) fn recover(&self, sid: &str, offset: &str) -> Recover {
        Recover {
            socket: SocketId::next(),
            worker: WorkerId(0),
            seat: self.seat(),
            namespace: "/".into(),
            pid: format!("secret of {sid}").into(),
            offset: Offset::Text(offset.into()),
            info: None,
            revive: None,
        }
    }

    /// What a client is told that comes back.
    pub(super) fn recovered(&mut self, sid: &str, offset: &str) -> Option<Arc<Recovered>> {
        let recover = self.recover(sid, offset);
        let news = self.ask(recover).into_iter().find_map(|effect| match effect {
            Effect::Deliver(_, Delivery::News { news, .. }) => news.downcast().ok(),
            Effect::Send(_, ForFanOut::Tell(tell)) => tell.news.downcast().ok(),
            _ => None,
        });
        match *news.expect("an answer") {
            SocketNews::Recovered(state) => state,
            other => panic!("{other:?}"),
        }
    }

    /// The number of events that a client is given that comes back.
    pub(super) fn come_back(&mut self, sid: &str, offset: &str) -> Option<usize> {
        self.recovered(sid, offset).map(|state| state.missed.len())
    }

    /// Emits to a room. Returns the workers that get the event.
    pub(super) fn emit(&mut self, room: &'static str) -> usize {
        self.ask(emission(room));
        let is_event = |effect: &Effect| matches!(effect, Effect::Send(_, ForFanOut::Broadcast(_)));
        self.feed(Input::TurnEnded).iter().filter(|effect| is_event(effect)).count()
    }
}

/// An event for a room.
pub(super) fn emission(room: &'static str) -> Emit {
    Emit {
        namespace: "/".into(),
        target: Target { to: vec![room.into()], except: vec![] },
        args: Args { json: "[\"event\"]".into(), attachments: vec![] },
        guarantee: Guarantee::Kept,
        compress: true,
        accepted: None,
        is_local: false,
        is_direct: false,
    }
}
