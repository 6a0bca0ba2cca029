//! Namespaces of Socket.IO: which sockets are in which rooms, and in which order events reach them.
//!
//! One [`Hub`] serves all workers, as the [`ChatServer`](crate::chat::ChatServer) does for the chat, with the same rooms,
//! rounds and fan-outs. All events of a namespace are one order, whichever of its rooms they are for: a round is a
//! namespace's, and its lines are aimed at rooms.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, Addr, AsyncContext as _, Context, Handler,
    fut::{ActorFutureExt as _, wrap_future},
};
use bytestring::ByteString;

use self::{
    namespace::{Namespace, RoomKey, SocketRoom},
    recovery::{Absent, Recovery, RecoveryLimits},
};
use super::{
    budget::Budget,
    fanout::FanOut,
    line::Line,
    messages::{
        AddWorker, Answer, Attach, Connect, Delivery, Detach, Disconnect, Emission, Emit, EmitWithAck,
        EnterRoom, FanOutRound, Hear, HubReply, Ignore, Keep, QuitRoom, Recover, Recovered, Tell,
    },
    rooms::{AnyRoom as _, Found, Rooms},
    round::Hearers,
    turn::{TurnLength, WhenMailboxIsEmpty, yield_now},
};
use crate::{
    domain::{SessionId, WorkerId},
    protocol::socketio::{Args, ServerPacket},
};

pub use self::acks::FIRST_SHARED_ACK;

mod acks;
mod namespace;
pub mod recovery;

/// How often what is kept for clients that were lost is looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// The bounds of a hub.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Rooms at a time, of all namespaces.
    pub max_rooms: usize,
    /// What each namespace keeps for clients that were lost, if they may come back.
    pub recovery: RecoveryLimits,
}

/// Where each socket is, and the order of what is emitted. One for all workers.
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

/// Where a socket is.
#[derive(Debug)]
struct Place {
    namespace: usize,
    sid: ByteString,
    pid: Option<ByteString>,
    /// What is kept with it.
    kept: ByteString,
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

    /// The number of a namespace. Who may connect to which is for sessions to decide, so there are not many.
    fn namespace(&mut self, name: &ByteString) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        self.namespaces.push(Namespace::new());
        self.by_name.insert(name.clone(), self.namespaces.len() - 1);
        self.namespaces.len() - 1
    }

    fn fanout_of(&self, session: SessionId) -> Option<&Addr<FanOut>> {
        self.workers.get(&self.rooms.membership(session)?.worker)
    }

    fn connect(&mut self, connect: Connect) {
        let Connect { session, worker, seat, namespace, sid, pid } = connect;
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
        self.rooms.set_hears(session, true);
        if let Some(fanout) = self.workers.get(&worker) {
            fanout.do_send(Attach { session, seat });
            fanout.do_send(Hear { session, room: namespace.room, encoding });
        }
        self.sockets.insert(session, Place { namespace: index, sid, pid, kept: ByteString::default() });
    }

    /// The one way out, harmless for a socket that is not there.
    fn disconnect(&mut self, session: SessionId, may_return: bool) {
        let Some(Place { namespace: index, sid, pid, kept }) = self.sockets.remove(&session) else {
            return;
        };
        // No round ends for it: it hears nothing more, and very many may go at once.
        let Some(member) = self.rooms.membership(session).cloned() else {
            return;
        };
        let mut rooms = Vec::new();
        for id in member.rooms {
            rooms.extend(self.rooms.get(id).map(|room| room.name().room.clone()));
            self.rooms.take_out(session, id);
            self.rooms.retire(id);
        }
        if let Some(fanout) = self.fanout_of(session) {
            fanout.do_send(Detach { session });
        }
        self.rooms.remove(session);
        self.acks.gone(session);
        let namespace = &mut self.namespaces[index];
        namespace.audience.remove(member.worker, member.encoding);
        namespace.sids.remove(&sid);
        if let Some(pid) = pid {
            namespace.pids.remove(&pid);
            if let Some(recovery) = namespace.recovery.as_mut().filter(|_| may_return) {
                recovery.keep(pid, Absent { sid, rooms, kept, since: Instant::now() });
            }
        }
    }

    /// A client is back. Its former connection may not have been missed yet: then that ends here.
    fn recover(&mut self, recover: Recover) {
        let Recover { session, worker, seat, namespace: name, pid, offset } = recover;
        let index = self.namespace(&name);
        if let Some(former) = self.namespaces[index].pids.get(&pid).copied() {
            self.tell(former, Delivery::Hub(HubReply::Replaced { session: former }));
            self.disconnect(former, true);
        }
        self.end_round(index);
        let recovery = self.namespaces[index].recovery.as_mut();
        let taken = recovery.and_then(|recovery| recovery.take(&pid, &offset, Instant::now()));
        let Some((Absent { sid, rooms, kept, .. }, missed)) = taken else {
            let reply = HubReply::Recovered { session, state: None };
            return seat.deliveries.do_send(Delivery::Hub(reply));
        };
        self.connect(Connect { session, worker, seat, namespace: name, sid: sid.clone(), pid: Some(pid) });
        if let Some(place) = self.sockets.get_mut(&session) {
            place.kept = kept.clone();
        }
        // Before it hears anything new. A room that would be one too many by now is one that it has left.
        let rooms = rooms.into_iter().filter(|room| self.enter(session, room)).collect();
        let state = Some(Arc::new(Recovered { sid, rooms, kept, missed }));
        self.tell(session, Delivery::Hub(HubReply::Recovered { session, state }));
    }

    fn tell(&self, session: SessionId, delivery: Delivery) {
        if let Some(fanout) = self.fanout_of(session) {
            fanout.do_send(Tell(vec![(session, delivery)]));
        }
    }

    /// Puts a socket into a room, if there may be that room.
    fn enter(&mut self, session: SessionId, room: &ByteString) -> bool {
        let Some(index) = self.sockets.get(&session).map(|place| place.namespace) else {
            return false;
        };
        // No room of a namespace has history, so none has to give way.
        let Ok(Found { id, .. }) = self.rooms.find_or_make(&RoomKey { namespace: index, room: room.clone() })
        else {
            return false;
        };
        self.end_round(index);
        self.rooms.put(session, id);
        if let Some(member) = self.rooms.membership(session)
            && let Some(fanout) = self.workers.get(&member.worker)
        {
            fanout.do_send(Hear { session, room: id, encoding: member.encoding });
        }
        true
    }

    fn quit(&mut self, session: SessionId, room: ByteString) {
        let Some(index) = self.sockets.get(&session).map(|place| place.namespace) else {
            return;
        };
        let Some(id) = self.rooms.find(&RoomKey { namespace: index, room }) else {
            return;
        };
        self.end_round(index);
        if self.rooms.take_out(session, id)
            && let Some(fanout) = self.fanout_of(session)
        {
            fanout.do_send(Ignore { session, room: id });
        }
        self.rooms.retire(id);
    }

    /// Adds an event to its namespace's round.
    fn emit(&mut self, emit: Emit) {
        let Emit { namespace: name, target, args, is_volatile, accepted } = emit;
        let index = self.namespace(&name);
        let reach = self.reach(index, &target);
        let namespace = &mut self.namespaces[index];
        let recovery = namespace.recovery.as_mut().filter(|_| !is_volatile);
        let offset = recovery.as_ref().map(|recovery| recovery.next_offset());
        let emission = emission(&name, args, offset, None);
        if let Some(recovery) = recovery {
            recovery.log(target, emission.clone(), Instant::now());
        }
        // Nobody is there to hear it, or nobody yet.
        let Some(reach) = reach else {
            return;
        };
        if is_volatile {
            self.end_round(index);
        }
        let namespace = &mut self.namespaces[index];
        let open = namespace.open_round();
        open.push(&Line::Emitted(&emission.packet, &emission.attachments), reach, None);
        accepted.into_iter().for_each(|accepted| open.hold(accepted));
        let is_full = open.is_full();
        if is_volatile {
            self.end_round_for(index, Hearers::Idle);
        } else if is_full {
            self.end_round(index);
        }
    }

    fn end_round(&mut self, index: usize) {
        self.end_round_for(index, Hearers::Room);
    }

    /// A namespace's round goes to the workers that have sockets in it.
    fn end_round_for(&mut self, index: usize, hearers: Hearers) {
        let namespace = &mut self.namespaces[index];
        let Some(open) = namespace.open.take() else {
            return;
        };
        let (room, round) = (namespace.room, Arc::new(open.finish(hearers, &self.budget).0));
        for fanout in namespace.audience.workers().filter_map(|worker| self.workers.get(&worker)) {
            fanout.do_send(FanOutRound { room, round: Arc::clone(&round) });
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

/// An event as it goes to the clients of a namespace. What can be recovered has its offset as one more argument.
fn emission(namespace: &str, args: Args, offset: Option<u64>, ack: Option<u64>) -> Emission {
    let Args { mut json, attachments } = args;
    if let Some(offset) = offset
        && let Some(open) = json.trim_end().strip_suffix(']')
    {
        json = format!("{open},\"{offset}\"]").into();
    }
    let packet = ServerPacket::Event { json: &json, attachments: attachments.len(), id: ack };
    Emission { packet: packet.to_message(namespace).into(), attachments }
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
        ctx.run_interval(SWEEP, |hub, _| {
            let recoveries = hub.namespaces.iter_mut().filter_map(|namespace| namespace.recovery.as_mut());
            recoveries.for_each(|recovery| recovery.expire(Instant::now()));
        });
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

    fn handle(&mut self, connect: Connect, _: &mut Self::Context) {
        self.connect(connect);
    }
}

impl Handler<Recover> for Hub {
    type Result = ();

    fn handle(&mut self, recover: Recover, _: &mut Self::Context) {
        self.recover(recover);
    }
}

impl Handler<Disconnect> for Hub {
    type Result = ();

    fn handle(&mut self, Disconnect { session, may_return }: Disconnect, _: &mut Self::Context) {
        self.disconnect(session, may_return);
    }
}

impl Handler<Keep> for Hub {
    type Result = ();

    fn handle(&mut self, Keep { session, kept }: Keep, _: &mut Self::Context) {
        if let Some(place) = self.sockets.get_mut(&session) {
            place.kept = kept;
        }
    }
}

impl Handler<EnterRoom> for Hub {
    type Result = ();

    fn handle(&mut self, message: EnterRoom, _: &mut Self::Context) {
        let EnterRoom { session, room } = message;
        let is_in = self.enter(session, &room);
        self.tell(session, Delivery::Hub(HubReply::Entered { session, room, is_in }));
    }
}

impl Handler<QuitRoom> for Hub {
    type Result = ();

    fn handle(&mut self, QuitRoom { session, room }: QuitRoom, _: &mut Self::Context) {
        self.quit(session, room);
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
    }
}

impl Handler<Answer> for Hub {
    type Result = ();

    fn handle(&mut self, Answer { session, id, args }: Answer, _: &mut Self::Context) {
        self.acks.answered(id, session, args);
    }
}
