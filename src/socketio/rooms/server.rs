//! The actor round the rooms: hands them what comes, and does what they want done.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message};
use bytestring::ByteString;

use super::core::{Effect, Input, Request, RoomLimits, SocketRooms};
use crate::{
    broadcast::{AddWorker, EndBroadcasts, FanOuts, TurnLength, Turns},
    connection::{Budget, Ending},
    parts::{AreYouThere, Mailbox, Panicked, Supervisor, Waiting},
    socketio::{
        cluster::{Adapter, Deliver, Order, Restore, Session, StreamId},
        rooms::messages::{Info, Recall},
    },
};

/// How often the bounds of recovery are applied.
const SWEEP: Duration = Duration::from_secs(5);

/// The cluster that a room server is part of.
#[derive(Clone)]
pub(crate) struct InCluster {
    /// Tells the other servers.
    pub(crate) adapter: Arc<dyn Adapter>,
    /// JSON of the data of a socket.
    pub(crate) show_data: fn(&Info) -> ByteString,
}

/// Something that another server wants done, or whose turn in the order of the cluster has come.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct InTurn {
    request: Request,
    offset: Option<StreamId>,
}

impl InTurn {
    /// With the offset of an event, if the cluster keeps it.
    pub(in crate::socketio) fn new(request: impl Into<Request>, offset: Option<StreamId>) -> Self {
        Self { request: request.into(), offset }
    }
}

/// Events of the cluster go on behind this offset.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Position(pub(crate) StreamId);

/// Keeps the rooms of each socket and the order of all events. One for all workers.
pub(crate) struct RoomServer {
    rooms: SocketRooms,
    supervisor: Supervisor,
    waiting: Waiting,
    cluster: Option<InCluster>,
    fanouts: FanOuts,
    turn: TurnLength,
    /// The time at which the turn began; `None` before its first message.
    now: Option<Instant>,
    /// Empty between two inputs.
    effects: Vec<Effect>,
}

impl RoomServer {
    /// A room server without sockets; the events that wait for clients are charged to `budget`.
    pub(crate) fn new(
        limits: RoomLimits,
        budget: Arc<Budget>,
        supervisor: Supervisor,
        waiting: Waiting,
        cluster: Option<InCluster>,
    ) -> Self {
        let adapter = cluster.as_ref().map(|cluster| Arc::clone(&cluster.adapter));
        Self {
            rooms: SocketRooms::new(limits, budget, Instant::now()).in_cluster(adapter),
            supervisor,
            waiting,
            cluster,
            fanouts: FanOuts::default(),
            turn: TurnLength::default(),
            now: None,
            effects: Vec::new(),
        }
    }

    /// Has the rooms handle an input, and does what they want done. Rooms that panic begin again.
    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        let now = *self.now.get_or_insert_with(Instant::now);
        let (rooms, effects) = (&mut self.rooms, &mut self.effects);
        let lost = rooms.lost_with(&input);
        if let Err(panicked) = self.supervisor.attempt(|| rooms.handle(now, input, effects)) {
            if panicked == Panicked::TooOften {
                return ctx.terminate();
            }
            // What is not known as a whole did not happen.
            effects.clear();
            rooms.begin_again(now, lost, effects);
        }
        self.carry_out(ctx);
    }

    /// Has the rooms handle what did not come by the mailbox: it is a turn of its own.
    fn feed_alone(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.now = None;
        self.feed(input, ctx);
        self.fanouts.send_all();
    }

    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(worker, message) => self.fanouts.collect(worker, message),
                Effect::Deliver(session, delivery) => session.do_send(delivery),
                Effect::SendAway(member) => self.fanouts.dismiss(member, &Ending::Restart),
                Effect::Order(_)
                | Effect::Tell { .. }
                | Effect::Ask { .. }
                | Effect::Keep { .. }
                | Effect::Restore(_) => self.order(effect, ctx),
                Effect::GiveUpAfter(timeout, id) => {
                    ctx.run_later(timeout, move |server, ctx| server.feed_alone(Input::GiveUp(id), ctx));
                }
            }
        }
        // Empty again, with its memory.
        self.effects = effects;
    }

    /// Hands an order to the adapter.
    fn order(&self, effect: Effect, ctx: &mut Context<Self>) {
        let Some(InCluster { adapter, show_data }) = &self.cluster else {
            return;
        };
        let here = || Mailbox::new(ctx.address(), self.waiting.clone());
        let deliver = |request: Request| {
            let here = here();
            Deliver::new(move |offset| here.do_send(InTurn { request, offset }))
        };
        adapter.order(match effect {
            Effect::Order(order) => order,
            Effect::Tell { namespace, message, back } => {
                Order::Tell { namespace, message, deliver: back.map(deliver) }
            }
            Effect::Ask { namespace, args, opts, timeout, answers, back } => {
                Order::Ask { namespace, args, opts, timeout, answers, deliver: back.map(deliver) }
            }
            Effect::Keep { session, info } => {
                let session = Session { data: show_data(&info), ..session };
                Order::KeepSession { session }
            }
            Effect::Restore(recover) => {
                let (namespace, pid, offset) =
                    (recover.namespace.clone(), recover.pid.clone(), recover.offset.clone());
                let here = here();
                let to = Restore::new(move |restored| here.do_send(Recall { recover: *recover, restored }));
                Order::Restore { namespace, pid, offset, to }
            }
            // Not for the adapter.
            Effect::Send(..) | Effect::Deliver(..) | Effect::SendAway(_) | Effect::GiveUpAfter(..) => return,
        });
    }
}

impl Turns for RoomServer {
    fn turn(&mut self) -> &mut TurnLength {
        &mut self.turn
    }

    fn end_turn(&mut self, ctx: &mut Context<Self>) {
        if self.now.is_some() {
            self.feed(Input::TurnEnded, ctx);
            self.fanouts.send_all();
            self.now = None;
        }
    }
}

impl fmt::Debug for RoomServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomServer").field("rooms", &self.rooms).finish_non_exhaustive()
    }
}

impl Actor for RoomServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Self::start_turns(ctx);
        ctx.run_interval(SWEEP, |server, ctx| server.feed_alone(Input::Sweep, ctx));
    }
}

impl Handler<AddWorker> for RoomServer {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.waiting.taken();
        self.fanouts.add(worker, fanout);
    }
}

/// The requests of sockets and emitters, and from outside.
impl<M: Message<Result = ()> + Into<Request>> Handler<M> for RoomServer {
    type Result = ();

    fn handle(&mut self, request: M, ctx: &mut Self::Context) {
        self.waiting.taken();
        self.feed(Input::Request(request.into()), ctx);
        self.count_turn(ctx);
    }
}

impl Handler<InTurn> for RoomServer {
    type Result = ();

    fn handle(&mut self, InTurn { request, offset }: InTurn, ctx: &mut Context<Self>) {
        self.waiting.taken();
        self.feed(Input::InTurn(request, offset), ctx);
        self.count_turn(ctx);
    }
}

impl Handler<Position> for RoomServer {
    type Result = ();

    fn handle(&mut self, Position(position): Position, ctx: &mut Context<Self>) {
        self.waiting.taken();
        self.feed(Input::Position(position), ctx);
        self.count_turn(ctx);
    }
}

/// Answered, so not counted among what waits.
impl Handler<EndBroadcasts> for RoomServer {
    type Result = ();

    fn handle(&mut self, _: EndBroadcasts, ctx: &mut Self::Context) {
        self.end_turn(ctx);
    }
}

impl Handler<AreYouThere> for RoomServer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}
