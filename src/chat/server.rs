//! The one actor that knows who is in which room and puts what is said there into one order.

use std::{collections::HashMap, sync::Arc};

use actix::{
    Actor, Addr, AsyncContext as _, Context, Handler,
    fut::{ActorFutureExt as _, wrap_future},
};

use super::{
    fanout::FanOut,
    messages::{
        AddWorker, Attach, Delivery, Detach, DismissAll, Dismissal, FanOutRound, Join, Leave, MayEnter,
        Publish, Summarize, Summary,
    },
    rooms::{RoomId, Rooms},
    round::OpenRound,
    turn::{WhenMailboxIsEmpty, yield_now},
};
use crate::{
    domain::WorkerId,
    metrics::Metrics,
    protocol::websocket::deflate::{Deflater, FULL_WINDOW},
};

/// After this many messages without a pause the actor lets the other tasks of its thread run.
const MESSAGES_PER_TURN: usize = 1024;

/// Membership, order, rounds. One per process, on the first worker's thread.
///
/// A room's round ends when the mailbox is empty, when the round is full, or when somebody joins or leaves that
/// room: so each member hears all that is said from the point where it joined to the point where it left.
#[derive(Debug)]
pub struct ChatServer {
    rooms: Rooms,
    metrics: Arc<Metrics>,
    open: HashMap<RoomId, OpenRound>,
    workers: HashMap<WorkerId, Addr<FanOut>>,
    /// Made with the first message that is worth it.
    deflater: Option<Deflater>,
    handled_this_turn: usize,
    /// The server stops: who joins now is dismissed as the others were.
    is_stopping: bool,
}

impl ChatServer {
    /// A chat server with at most `max_rooms` rooms at a time, whose number it keeps in `metrics`.
    pub fn new(max_rooms: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            rooms: Rooms::new(max_rooms),
            metrics,
            open: HashMap::new(),
            workers: HashMap::new(),
            deflater: None,
            handled_this_turn: 0,
            is_stopping: false,
        }
    }

    fn end_round(&mut self, room: RoomId) {
        if let Some(open) = self.open.remove(&room) {
            self.fan_out(room, open);
        }
    }

    fn end_all_rounds(&mut self) {
        for (room, open) in std::mem::take(&mut self.open) {
            self.fan_out(room, open);
        }
        self.handled_this_turn = 0;
    }

    fn fan_out(&self, room: RoomId, open: OpenRound) {
        let round = Arc::new(open.finish());
        for worker in self.rooms.workers_of(room) {
            if let Some(fanout) = self.workers.get(&worker) {
                fanout.do_send(FanOutRound { room, round: Arc::clone(&round) });
            }
        }
    }

    /// Actix empties a mailbox before it lets anything else run. Other threads can refill this one as fast as it
    /// empties, so after a while we stop by ourselves.
    fn count_turn(&mut self, ctx: &mut Context<Self>) {
        self.handled_this_turn += 1;
        if self.handled_this_turn == MESSAGES_PER_TURN {
            self.end_all_rounds();
            ctx.wait(wrap_future(yield_now()).map(|(), _, _| ()));
        }
    }
}

impl Actor for ChatServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(WhenMailboxIsEmpty(Self::end_all_rounds));
    }
}

impl Handler<AddWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: AddWorker, _: &mut Self::Context) {
        self.workers.insert(message.worker, message.fanout);
    }
}

impl Handler<MayEnter> for ChatServer {
    type Result = bool;

    fn handle(&mut self, MayEnter { room }: MayEnter, _: &mut Self::Context) -> bool {
        self.rooms.may_enter(&room)
    }
}

impl Handler<Join> for ChatServer {
    type Result = ();

    fn handle(&mut self, Join { session, room, worker, seat }: Join, _: &mut Self::Context) {
        if self.is_stopping {
            seat.deliveries.do_send(Delivery::Dismissed(Dismissal::Restart));
            return;
        }
        let Ok(room) = self.rooms.join(session, room, worker, seat.encoding) else {
            seat.deliveries.do_send(Delivery::Dismissed(Dismissal::TooManyRooms));
            return;
        };
        self.metrics.set_rooms(self.rooms.count());
        if let Some(room) = room {
            self.end_round(room);
        }
        if let Some(fanout) = self.workers.get(&worker) {
            fanout.do_send(Attach { session, room, seat });
        }
    }
}

impl Handler<Leave> for ChatServer {
    type Result = ();

    fn handle(&mut self, Leave { session }: Leave, _: &mut Self::Context) {
        let Some(room) = self.rooms.room_of(session) else {
            return;
        };
        // While it is still a member: its own last lines go to the others, their last lines to it.
        self.end_round(room);
        if let Some(left) = self.rooms.leave(session)
            && let Some(fanout) = self.workers.get(&left.worker)
        {
            fanout.do_send(Detach { session });
        }
        self.metrics.set_rooms(self.rooms.count());
    }
}

impl Handler<Publish> for ChatServer {
    type Result = ();

    fn handle(&mut self, publish: Publish, ctx: &mut Self::Context) {
        let Some(room) = self.rooms.room_of(publish.session) else {
            return;
        };
        let deflater = self
            .rooms
            .has_deflating(room)
            .then(|| self.deflater.get_or_insert_with(|| Deflater::new(FULL_WINDOW)));
        let open = self.open.entry(room).or_default();
        open.push(publish, deflater);
        if open.is_full() {
            self.end_round(room);
        }
        self.count_turn(ctx);
    }
}

impl Handler<DismissAll> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: DismissAll, _: &mut Self::Context) {
        self.is_stopping = true;
        self.end_all_rounds();
        for fanout in self.workers.values() {
            fanout.do_send(message);
        }
    }
}

impl Handler<Summarize> for ChatServer {
    type Result = Summary;

    fn handle(&mut self, _: Summarize, _: &mut Self::Context) -> Summary {
        Summary { rooms: self.rooms.count(), members: self.rooms.member_count() }
    }
}
