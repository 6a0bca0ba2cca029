//! Namespaces of Socket.IO: the rooms of their sockets, and the order of their events.
//!
//! One [`RoomServer`] serves all workers, as the [`ChatServer`](crate::chat::ChatServer) does for the chat.
//! Both own a [`Broadcaster`]. All events of a namespace have one order, whichever of its rooms they are for:
//! all its sockets are in one room, whose broadcasts have all events, and their lines are aimed at the others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext as _, Context, Handler};
use bytestring::ByteString;

use self::messages::{
    Answer, Connect, Disconnect, Emission, Emit, EmitWithAck, EnterRoom, Guarantee, Keep, QuitRoom, Recover,
    SocketNews,
};
use self::{
    namespace::{Namespace, RoomKey, SocketRoom},
    recovery::{Recovery, RecoveryLimits},
    stay::Stay,
};
use crate::{
    broadcast::{AddWorker, Broadcaster, EndBroadcasts, FanOuts, Found, Reach, RoomBound, TurnLength, Turns},
    connection::{Accepted, Budget},
    domain::MemberId,
};

pub use self::acks::FIRST_SHARED_ACK;

mod acks;
mod coming_back;
mod gone;
pub mod messages;
mod namespace;
pub mod recovery;
mod stay;

/// How often the bounds of recovery are applied.
const SWEEP: Duration = Duration::from_secs(5);

/// The bounds of a room server.
#[derive(Clone, Copy, Debug)]
pub struct RoomLimits {
    /// Rooms at a time, in all namespaces together.
    pub max_rooms: usize,
    /// The bounds of recovery in each namespace.
    pub recovery: RecoveryLimits,
}

/// Keeps the rooms of each socket and the order of all events. One for all workers. Recovery keeps an event
/// when it is emitted, so broadcasts that have ended are dropped here.
pub struct RoomServer {
    limits: RoomLimits,
    broadcaster: Broadcaster<SocketRoom>,
    fanouts: FanOuts,
    namespaces: Vec<Namespace>,
    by_name: HashMap<ByteString, usize>,
    acks: acks::Acks,
    turn: TurnLength,
}

/// The namespace of a socket, and what recovery keeps of the socket.
#[derive(Debug)]
pub(crate) struct Place {
    namespace: usize,
    /// The secret for recovery; `None` if the client cannot come back.
    pid: Option<ByteString>,
    /// What recovery restores.
    stay: Stay,
}

impl RoomServer {
    /// A room server without sockets; the events that wait for clients are charged to `budget`.
    pub fn new(limits: RoomLimits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            broadcaster: Broadcaster::new(RoomBound::new(limits.max_rooms), budget),
            fanouts: FanOuts::default(),
            namespaces: Vec::new(),
            by_name: HashMap::new(),
            acks: acks::Acks::default(),
            turn: TurnLength::default(),
        }
    }

    /// The index of a namespace, which is added if it is new. Sessions check which namespaces a client may
    /// connect to, so there are few.
    fn namespace(&mut self, name: &ByteString) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.namespaces.len();
        let room = self.broadcaster.rooms.make_uncounted(&RoomKey::of_all(index));
        self.namespaces.push(Namespace::new(room));
        self.by_name.insert(name.clone(), index);
        index
    }

    fn place(&mut self, member_id: MemberId) -> Option<&mut Place> {
        self.broadcaster.rooms.own_of(member_id)
    }

    fn connect(&mut self, connect: Connect) {
        let Connect { socket, worker, seat, namespace, sid, pid, foreign } = connect;
        let member_id = socket.member();
        let index = self.namespace(&namespace);
        let (limits, namespace) = (self.limits.recovery, &mut self.namespaces[index]);
        let budget = self.broadcaster.budget();
        namespace.sids.insert(sid.clone(), member_id);
        if let Some(pid) = &pid {
            namespace.pids.insert(pid.clone(), member_id);
            namespace.recovery.get_or_insert_with(|| Recovery::new(limits, Arc::clone(budget)));
        }
        let stay = Stay { sid, began: namespace.last_offset(), foreign, ..Stay::default() };
        self.broadcaster.register(member_id, worker, seat, Place { namespace: index, pid, stay });
        drop(self.broadcaster.subscribe(member_id));
        drop(self.broadcaster.enter(member_id, namespace.room));
    }

    /// Puts a socket into a room, and notes that for recovery. False if the socket is gone or there are too
    /// many rooms.
    fn enter(&mut self, member_id: MemberId, room: &ByteString) -> bool {
        let Some(index) = self.place(member_id).map(|place| place.namespace) else {
            return false;
        };
        if !self.put(member_id, index, room) {
            return false;
        }
        let last = self.namespaces[index].last_offset();
        if let Some(place) = self.place(member_id).filter(|place| place.pid.is_some())
            && !place.stay.rooms.iter().any(|(its, _)| its == room)
        {
            place.stay.rooms.push((room.clone(), last));
        }
        true
    }

    /// Puts a socket into a room. False if there are too many rooms.
    fn put(&mut self, member_id: MemberId, index: usize, room: &ByteString) -> bool {
        // Rooms of a namespace have no history, so a new one never replaces another one.
        let Ok(Found { id, .. }) = self.broadcaster.rooms.find_or_make(&RoomKey::new(index, room)) else {
            return false;
        };
        drop(self.broadcaster.enter(member_id, id));
        true
    }

    fn quit(&mut self, member_id: MemberId, room: &ByteString) {
        let Some(place) = self.place(member_id) else {
            return;
        };
        place.stay.rooms.retain(|(its, _)| its != room);
        let key = RoomKey::new(place.namespace, room);
        if let Some(id) = self.broadcaster.rooms.find(&key) {
            drop(self.broadcaster.leave(member_id, id));
            self.broadcaster.rooms.retire(id);
        }
    }

    /// Adds an event to the broadcast of its namespace. A volatile event is a broadcast of its own.
    fn emit(&mut self, emit: Emit) {
        let Emit { namespace: name, target, args, guarantee, accepted } = emit;
        let index = self.namespace(&name);
        let reach = self.reach(index, &target);
        let emission = self.namespaces[index].record(&name, args, target, guarantee);
        // Kept for recovery, but no socket gets it now.
        let Some(reach) = reach else {
            return;
        };
        if guarantee == Guarantee::Volatile {
            let room = self.namespaces[index].room;
            drop(self.broadcaster.send_volatile(room, &emission, reach, accepted));
        } else {
            self.push(index, &emission, reach, accepted);
        }
    }

    /// Adds an event to the broadcast of its namespace.
    fn push(&mut self, index: usize, emission: &Emission, reach: Reach, accepted: Option<Accepted>) {
        let room = self.namespaces[index].room;
        drop(self.broadcaster.push(room, emission, reach, accepted));
    }
}

impl Turns for RoomServer {
    fn turn(&mut self) -> &mut TurnLength {
        &mut self.turn
    }

    fn end_turn(&mut self, _: &mut Context<Self>) {
        drop(self.broadcaster.end_all());
        for (worker, message) in self.broadcaster.outgoing() {
            self.fanouts.collect(worker, message);
        }
        self.fanouts.send_all();
    }
}

impl std::fmt::Debug for RoomServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomServer")
            .field("sockets", &self.broadcaster.rooms.member_count())
            .finish_non_exhaustive()
    }
}

impl Actor for RoomServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Self::start_turns(ctx);
        ctx.run_interval(SWEEP, |server, _| server.apply_recovery_bounds());
    }
}

impl Handler<AddWorker> for RoomServer {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.fanouts.add(worker, fanout);
    }
}

impl Handler<EndBroadcasts> for RoomServer {
    type Result = ();

    fn handle(&mut self, _: EndBroadcasts, ctx: &mut Self::Context) {
        self.end_turn(ctx);
    }
}

impl Handler<Connect> for RoomServer {
    type Result = ();

    fn handle(&mut self, connect: Connect, ctx: &mut Self::Context) {
        self.connect(connect);
        self.count_turn(ctx);
    }
}

impl Handler<Recover> for RoomServer {
    type Result = ();

    fn handle(&mut self, recover: Recover, ctx: &mut Self::Context) {
        self.recover(recover);
        self.count_turn(ctx);
    }
}

impl Handler<Disconnect> for RoomServer {
    type Result = ();

    fn handle(&mut self, Disconnect { socket, may_return }: Disconnect, ctx: &mut Self::Context) {
        self.disconnect(socket.member(), may_return);
        self.count_turn(ctx);
    }
}

impl Handler<Keep> for RoomServer {
    type Result = ();

    fn handle(&mut self, Keep { socket, kept }: Keep, ctx: &mut Self::Context) {
        if let Some(place) = self.place(socket.member()) {
            place.stay.kept = kept;
        }
        self.count_turn(ctx);
    }
}

impl Handler<EnterRoom> for RoomServer {
    type Result = ();

    fn handle(&mut self, message: EnterRoom, ctx: &mut Self::Context) {
        let EnterRoom { socket, room } = message;
        let member_id = socket.member();
        let is_in = self.enter(member_id, &room);
        self.broadcaster.tell(member_id, SocketNews::Entered { room, is_in });
        self.count_turn(ctx);
    }
}

impl Handler<QuitRoom> for RoomServer {
    type Result = ();

    fn handle(&mut self, QuitRoom { socket, room }: QuitRoom, ctx: &mut Self::Context) {
        self.quit(socket.member(), &room);
        self.count_turn(ctx);
    }
}

impl Handler<Emit> for RoomServer {
    type Result = ();

    fn handle(&mut self, emit: Emit, ctx: &mut Self::Context) {
        self.emit(emit);
        self.count_turn(ctx);
    }
}

impl Handler<EmitWithAck> for RoomServer {
    type Result = ();

    fn handle(&mut self, message: EmitWithAck, ctx: &mut Self::Context) {
        let timeout = message.timeout;
        if let Some(id) = self.emit_with_ack(message) {
            ctx.run_later(timeout, move |server, _| server.acks.give_up(id));
        }
        self.count_turn(ctx);
    }
}

impl Handler<Answer> for RoomServer {
    type Result = ();

    fn handle(&mut self, answer: Answer, ctx: &mut Self::Context) {
        let Answer { socket, id, args, .. } = answer;
        let member_id = socket.member();
        if !self.acks.answered(id, member_id, args) {
            self.broadcaster.tell(member_id, SocketNews::NotAsked);
        }
        self.count_turn(ctx);
    }
}
