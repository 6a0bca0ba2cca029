//! Namespaces of Socket.IO: the rooms of their sockets, and the order of their events.
//!
//! One [`Hub`] serves all workers, as the [`ChatServer`](crate::chat::ChatServer) does for the chat, and
//! shares the code of its rooms, broadcasts and fan-outs. All events of a namespace have one order, whichever
//! of its rooms they are for: a broadcast belongs to a namespace, and its lines are aimed at rooms.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{
    Actor, Addr, AsyncContext as _, Context, Handler,
    fut::{ActorFutureExt as _, wrap_future},
};
use bytestring::ByteString;

use self::messages::{
    Answer, Connect, Disconnect, Emit, EmitWithAck, EnterRoom, Guarantee, Keep, QuitRoom, Recover, SocketNews,
};
use self::{
    namespace::{Namespace, RoomKey, SocketRoom},
    recovery::{Recovery, RecoveryLimits},
    stay::Stay,
};
use crate::{
    broadcast::{
        AddWorker, Attach, FanOut, FanOutBroadcast, Found, Recipients, Rooms, Subscribe, Tell, TurnLength,
        Unsubscribe, WhenMailboxIsEmpty, yield_now,
    },
    connection::Budget,
    domain::{SessionId, WorkerId},
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

/// The bounds of a hub.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Rooms at a time, in all namespaces together.
    pub max_rooms: usize,
    /// The bounds of recovery in each namespace.
    pub recovery: RecoveryLimits,
}

/// Keeps the rooms of each socket and the order of all events. One for all workers.
pub struct Hub {
    limits: HubLimits,
    budget: Arc<Budget>,
    rooms: Rooms<SocketRoom>,
    sockets: HashMap<SessionId, Place>,
    namespaces: Vec<Namespace>,
    by_name: HashMap<ByteString, usize>,
    workers: HashMap<WorkerId, Addr<FanOut>>,
    acks: acks::Acks,
    turn: TurnLength,
}

/// The namespace of a socket, and what recovery keeps of the socket.
#[derive(Debug)]
struct Place {
    namespace: usize,
    /// The secret for recovery; `None` if the client cannot come back.
    pid: Option<ByteString>,
    /// What recovery restores.
    stay: Stay,
}

impl Hub {
    /// A hub without sockets; the events that wait for clients are charged to `budget`.
    pub fn new(limits: HubLimits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            budget,
            rooms: Rooms::new(limits.max_rooms),
            sockets: HashMap::new(),
            namespaces: Vec::new(),
            by_name: HashMap::new(),
            workers: HashMap::new(),
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
        self.namespaces.push(Namespace::new());
        self.by_name.insert(name.clone(), self.namespaces.len() - 1);
        self.namespaces.len() - 1
    }

    fn fanout_of(&self, session: SessionId) -> Option<&Addr<FanOut>> {
        self.workers.get(&self.rooms.member(session)?.worker)
    }

    fn connect(&mut self, connect: Connect) {
        let Connect { session, worker, seat, namespace, sid, pid, foreign } = connect;
        let index = self.namespace(&namespace);
        self.end_round(index);
        let (limits, namespace) = (self.limits.recovery, &mut self.namespaces[index]);
        let encoding = seat.encoding;
        namespace.audience.add(worker, encoding);
        namespace.sids.insert(sid.clone(), session);
        if let Some(pid) = &pid {
            namespace.pids.insert(pid.clone(), session);
            namespace.recovery.get_or_insert_with(|| Recovery::new(limits));
        }
        self.rooms.register(session, worker, encoding, None);
        self.rooms.set_subscribed(session, true);
        if let Some(fanout) = self.workers.get(&worker) {
            fanout.do_send(Attach { session, seat });
            fanout.do_send(Subscribe { session, room: namespace.room, encoding });
        }
        let stay = Stay { sid, began: namespace.last_offset(), foreign, ..Stay::default() };
        self.sockets.insert(session, Place { namespace: index, pid, stay });
    }

    fn tell(&self, session: SessionId, news: SocketNews) {
        if let Some(fanout) = self.fanout_of(session) {
            fanout.do_send(Tell(vec![(session, Box::new(news))]));
        }
    }

    /// Puts a socket into a room, and notes that for recovery. False if the socket is gone or there are too
    /// many rooms.
    fn enter(&mut self, session: SessionId, room: &ByteString) -> bool {
        let Some(index) = self.sockets.get(&session).map(|place| place.namespace) else {
            return false;
        };
        if !self.put(session, index, room) {
            return false;
        }
        let last = self.namespaces[index].last_offset();
        if let Some(place) = self.sockets.get_mut(&session).filter(|place| place.pid.is_some())
            && !place.stay.rooms.iter().any(|(its, _)| its == room)
        {
            place.stay.rooms.push((room.clone(), last));
        }
        true
    }

    /// Puts a socket into a room and subscribes it. False if there are too many rooms.
    fn put(&mut self, session: SessionId, index: usize, room: &ByteString) -> bool {
        // Rooms of a namespace have no history, so a new one never replaces another one.
        let Ok(Found { id, .. }) = self.rooms.find_or_make(&RoomKey { namespace: index, room: room.clone() })
        else {
            return false;
        };
        self.end_round(index);
        self.rooms.put(session, id);
        if let Some(member) = self.rooms.member(session)
            && let Some(fanout) = self.workers.get(&member.worker)
        {
            fanout.do_send(Subscribe { session, room: id, encoding: member.encoding });
        }
        true
    }

    fn quit(&mut self, session: SessionId, room: ByteString) {
        let Some(place) = self.sockets.get_mut(&session) else {
            return;
        };
        place.stay.rooms.retain(|(its, _)| *its != room);
        let index = place.namespace;
        let Some(id) = self.rooms.find(&RoomKey { namespace: index, room }) else {
            return;
        };
        self.end_round(index);
        if self.rooms.take_out(session, id)
            && let Some(fanout) = self.fanout_of(session)
        {
            fanout.do_send(Unsubscribe { session, room: id });
        }
        self.rooms.retire(id);
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
        let is_volatile = guarantee == Guarantee::Volatile;
        if is_volatile {
            self.end_round(index);
        }
        let open = self.namespaces[index].open_round();
        open.push(&emission, reach, None);
        accepted.into_iter().for_each(|accepted| open.hold(accepted));
        let is_full = open.is_full();
        if is_volatile {
            self.end_round_for(index, Recipients::Volatile);
        } else if is_full {
            self.end_round(index);
        }
    }

    fn end_round(&mut self, index: usize) {
        self.end_round_for(index, Recipients::Room);
    }

    /// Sends the broadcast of a namespace to the workers that have sockets in it.
    fn end_round_for(&mut self, index: usize, hearers: Recipients) {
        let namespace = &mut self.namespaces[index];
        let Some(open) = namespace.open.take() else {
            return;
        };
        let (room, round) = (namespace.room, Arc::new(open.finish(hearers, &self.budget)));
        for fanout in namespace.audience.workers().filter_map(|worker| self.workers.get(&worker)) {
            fanout.do_send(FanOutBroadcast { room, broadcast: Arc::clone(&round) });
        }
    }

    fn end_turn(&mut self, _: &mut Context<Self>) {
        for index in 0..self.namespaces.len() {
            self.end_round(index);
        }
        self.turn.end();
    }

    fn count_turn(&mut self, ctx: &mut Context<Self>) {
        if self.turn.is_over() {
            self.end_turn(ctx);
            ctx.wait(wrap_future(yield_now()).map(|(), _, _| ()));
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(WhenMailboxIsEmpty(Self::end_turn));
        ctx.run_interval(SWEEP, |hub, _| hub.apply_recovery_bounds());
    }
}

impl Handler<AddWorker> for Hub {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.workers.insert(worker, fanout);
    }
}

impl Handler<Connect> for Hub {
    type Result = ();

    fn handle(&mut self, connect: Connect, ctx: &mut Self::Context) {
        self.connect(connect);
        self.count_turn(ctx);
    }
}

impl Handler<Recover> for Hub {
    type Result = ();

    fn handle(&mut self, recover: Recover, ctx: &mut Self::Context) {
        self.recover(recover);
        self.count_turn(ctx);
    }
}

impl Handler<Disconnect> for Hub {
    type Result = ();

    fn handle(&mut self, Disconnect { session, may_return }: Disconnect, ctx: &mut Self::Context) {
        self.disconnect(session, may_return);
        self.count_turn(ctx);
    }
}

impl Handler<Keep> for Hub {
    type Result = ();

    fn handle(&mut self, Keep { session, kept }: Keep, ctx: &mut Self::Context) {
        if let Some(place) = self.sockets.get_mut(&session) {
            place.stay.kept = kept;
        }
        self.count_turn(ctx);
    }
}

impl Handler<EnterRoom> for Hub {
    type Result = ();

    fn handle(&mut self, message: EnterRoom, ctx: &mut Self::Context) {
        let EnterRoom { session, room } = message;
        let is_in = self.enter(session, &room);
        self.tell(session, SocketNews::Entered { room, is_in });
        self.count_turn(ctx);
    }
}

impl Handler<QuitRoom> for Hub {
    type Result = ();

    fn handle(&mut self, QuitRoom { session, room }: QuitRoom, ctx: &mut Self::Context) {
        self.quit(session, room);
        self.count_turn(ctx);
    }
}

impl Handler<Emit> for Hub {
    type Result = ();

    fn handle(&mut self, emit: Emit, ctx: &mut Self::Context) {
        self.emit(emit);
        self.count_turn(ctx);
    }
}

impl Handler<EmitWithAck> for Hub {
    type Result = ();

    fn handle(&mut self, message: EmitWithAck, ctx: &mut Self::Context) {
        let timeout = message.timeout;
        if let Some(id) = self.emit_with_ack(message) {
            ctx.run_later(timeout, move |hub, _| hub.acks.give_up(id));
        }
        self.count_turn(ctx);
    }
}

impl Handler<Answer> for Hub {
    type Result = ();

    fn handle(&mut self, answer: Answer, ctx: &mut Self::Context) {
        let Answer { session, id, args, .. } = answer;
        if !self.acks.answered(id, session, args) {
            self.tell(session, SocketNews::NotAsked);
        }
        self.count_turn(ctx);
    }
}
