//! The actor round the chat: hands it what comes, and does what it wants done.

use std::{fmt, mem, pin::Pin, sync::Arc, time::Instant};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, ResponseActFuture,
    ResponseFuture,
    fut::{ActorFutureExt as _, wrap_future},
};
use tokio::sync::oneshot;

use super::{
    alarms::{Bell, Ringing},
    common::{Common, ShardId},
    core::{Counts, Lost},
    effects::{Done, Effect, Input, Job, Now},
    handing::{Decided, Decisions},
    messages::{
        CloseJournal, ForgetRoom, ListRooms, MayEnter, Rejected, Request, RoomList, Stop, Summarize, Summary,
        UntilIdle,
    },
    shard::{Figures, Shard},
    transfer::{Peers, ToShard},
};
use crate::{
    broadcast::{AddWorker, Delivery, DismissAll, FanOuts, TurnLength, Turns},
    domain::RoomName,
    journal::{Journal, JournalError, Pending, now_millis},
    metrics::Metrics,
    parts::{AreYouThere, Panicked, Supervisor, Waiting},
};

/// One shard of the chat: keeps members, order, broadcasts and presence of its rooms, and has the journal keep
/// what is said there. Each room is in one shard, by its name.
///
/// What is to be kept goes to the journal, one batch at a time; senders get their ack when it is durable, the
/// other members do not wait for that.
pub(crate) struct ChatServer {
    shard: Shard,
    supervisor: Supervisor,
    waiting: Waiting,
    bell: Bell,
    peers: Arc<dyn Peers>,
    fanouts: FanOuts,
    /// What goes to other shards at the end of the turn.
    forwards: Vec<(ShardId, ToShard)>,
    journal: Arc<dyn Journal>,
    metrics: Arc<Metrics>,
    turn: TurnLength,
    /// The time at which the turn began; `None` before its first message.
    now: Option<Now>,
    /// Empty between two inputs.
    effects: Vec<Effect>,
    /// To answer when the shard has nothing to do.
    until_idle: Vec<oneshot::Sender<()>>,
    /// Rooms to forget, each once what was said in it before is durable.
    to_forget: Vec<ToForget>,
    /// What the journal is being asked.
    asked: usize,
    /// Whether the journal is to be closed once it has answered.
    is_close_due: bool,
    /// To answer when the journal is closed.
    closing: Vec<oneshot::Sender<()>>,
    is_closed: bool,
    /// The figures that are in the metrics.
    shown: Figures,
    has_fault: bool,
}

/// A room to forget.
struct ToForget {
    room: RoomName,
    /// The last message that was said before; `None` if it is durable.
    last: Option<u64>,
    is_durable: oneshot::Sender<Result<(), JournalError>>,
}

/// Takes decisions on private messages to a shard, from any thread.
#[derive(Debug)]
struct ToServer {
    peers: Arc<dyn Peers>,
    id: ShardId,
}

impl Decisions for ToServer {
    fn decided(&self, decided: Decided) {
        self.peers.decided(self.id, decided);
    }
}

impl Message for Decided {
    type Result = ();
}

impl ChatServer {
    /// Shard `id`, which keeps history in `journal` and figures in `metrics`.
    pub(super) fn new(
        common: Arc<Common>,
        peers: Arc<dyn Peers>,
        id: ShardId,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
        supervisor: Supervisor,
        waiting: Waiting,
    ) -> Self {
        let decisions = Arc::new(ToServer { peers: Arc::clone(&peers), id });
        Self {
            shard: Shard::new(common, id, decisions, Now::read()),
            peers,
            supervisor,
            waiting,
            bell: Bell::default(),
            fanouts: FanOuts::default(),
            forwards: Vec::new(),
            journal,
            metrics,
            turn: TurnLength::default(),
            now: None,
            effects: Vec::new(),
            until_idle: Vec::new(),
            to_forget: Vec::new(),
            asked: 0,
            is_close_due: false,
            closing: Vec::new(),
            is_closed: false,
            shown: Figures::default(),
            has_fault: false,
        }
    }

    /// The time of this turn.
    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(Now::read)
    }

    /// Has the chat handle an input, and does what it wants done. A chat that panics begins again.
    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        let (now, lost) = (self.now(), Lost::of(&input));
        let (shard, effects) = (&mut self.shard, &mut self.effects);
        if let Err(panicked) = self.supervisor.attempt(|| shard.handle(now, input, effects)) {
            if panicked == Panicked::TooOften {
                return ctx.terminate();
            }
            shard.begin_again(now, lost, effects);
        }
        self.carry_out(ctx);
    }

    /// Has the chat handle what did not come by the mailbox: it is a turn of its own.
    fn feed_alone(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.now = None;
        self.feed(input, ctx);
        self.send();
        // The next turn has a time of its own.
        self.now = None;
        self.bell.look_again(self.shard.next_wake());
    }

    /// Does what the chat wants done.
    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(worker, message) => self.fanouts.collect(worker, message),
                Effect::TurnAway(seat, ending) => seat.deliveries.do_send(Delivery::Dismissed(ending)),
                Effect::Forward(to, message) => self.forwards.push((to, message)),
                Effect::Ask(job) => self.ask(job, ctx),
            }
        }
        // Empty again, with its memory.
        self.effects = effects;
    }

    /// Asks the journal, and hands its answer to the chat.
    fn ask(&mut self, job: Job, ctx: &mut Context<Self>) {
        let is_awaited = matches!(job, Job::Rooms { is_awaited: true });
        let committing = match &job {
            Job::Append(batch) => {
                Some((batch.iter().map(|append| u64::from(append.record.count)).sum(), Instant::now()))
            }
            _ => None,
        };
        if matches!(job, Job::Close) && self.asked > 0 {
            // Jobs may reach the journal in another order than they were made in.
            self.is_close_due = true;
            return;
        }
        if matches!(job, Job::Close) && !self.peers.is_last_to_close() {
            // Another shard still needs the journal.
            return self.answered(Done::Closed(Ok(())), ctx);
        }
        self.asked += 1;
        let answer = wrap_future(job.ask(&*self.journal)).map(move |done, server: &mut Self, ctx| {
            if let (Done::Appended(Ok(())), Some((messages, begun))) = (&done, committing) {
                server.metrics.committed(messages, begun.elapsed());
            }
            server.asked -= 1;
            server.answered(done, ctx);
            if server.asked == 0 && mem::take(&mut server.is_close_due) {
                server.ask(Job::Close, ctx);
            }
        });
        if is_awaited {
            ctx.wait(answer);
        } else {
            ctx.spawn(answer);
        }
    }

    fn answered(&mut self, done: Done, ctx: &mut Context<Self>) {
        if matches!(done, Done::Checked(_) | Done::Opened(..)) {
            self.metrics.set_journal_damage(self.journal.damage().map_or(0, |damage| damage.found));
        }
        if matches!(done, Done::Closed(_)) {
            self.is_closed = true;
            // The receivers may be gone.
            self.closing.drain(..).for_each(|closed| _ = closed.send(()));
        }
        self.feed_alone(Input::Done(done), ctx);
    }

    /// Sends what the chat has for the fan-outs, then what it has for other shards, and publishes its figures.
    fn send(&mut self) {
        self.fanouts.send_all();
        for (to, message) in self.forwards.drain(..) {
            self.peers.send(to, message);
        }
        let figures = self.shard.figures();
        if figures != self.shown {
            let (now, former) = (figures.gauges(), self.shown.gauges());
            self.metrics.chat_changed([0, 1, 2].map(|gauge: usize| now[gauge] - former[gauge]));
            self.shown = figures;
        }
        let Counts { not_kept, forgotten_rooms } = self.shard.take_counts();
        self.metrics.not_kept(not_kept);
        self.metrics.forgot_rooms(forgotten_rooms);
        if !self.until_idle.is_empty() && self.shard.is_idle() {
            // The receivers may be gone.
            self.until_idle.drain(..).for_each(|idle| _ = idle.send(()));
        }
        let has_fault = self.shard.fault().is_some();
        self.answer_forgetting();
        if has_fault != mem::replace(&mut self.has_fault, has_fault) {
            self.metrics.journal_failed(has_fault);
        }
    }
}

impl ChatServer {
    /// Answers the requests to forget a room in which all that was said before is durable, or cannot become so now.
    fn answer_forgetting(&mut self) {
        let (shard, fault) = (&self.shard, self.shard.fault());
        let is_unkept = |due: &ToForget| due.last.is_some_and(|last| shard.is_unkept(&due.room, last));
        for due in self.to_forget.extract_if(.., |due| fault.is_some() || !is_unkept(due)) {
            let fault = fault.filter(|_| is_unkept(&due)).cloned();
            // The receiver may be gone.
            let _ = due.is_durable.send(fault.map_or(Ok(()), Err));
        }
    }
}

impl Now {
    /// The time by the clocks of this machine.
    fn read() -> Self {
        Self { at: Instant::now(), millis: now_millis() }
    }
}

impl Job {
    /// Asks the journal.
    fn ask(self, journal: &dyn Journal) -> Pin<Box<dyn Future<Output = Done>>> {
        fn then<T: 'static>(
            pending: Pending<T>,
            done: impl FnOnce(Result<T, JournalError>) -> Done + 'static,
        ) -> Pin<Box<dyn Future<Output = Done>>> {
            Box::pin(async move { done(pending.await) })
        }
        match self {
            Self::Rooms { .. } => then(journal.rooms(), Done::Rooms),
            Self::Open(id, room) => then(journal.open(room), move |answer| Done::Opened(id, answer)),
            Self::Append(batch) => then(journal.append(batch), Done::Appended),
            Self::Check => then(journal.check(), Done::Checked),
            Self::Sweep => {
                let asked_at = now_millis();
                then(journal.sweep(), move |answer| Done::Swept(asked_at, answer))
            }
            Self::Forget(room) => {
                then(journal.forget(room.clone()), move |answer| Done::Forgot(room, answer))
            }
            Self::Reserve(room, names) => then(journal.reserve(room, names), Done::Reserved),
            Self::Close => then(journal.close(), Done::Closed),
        }
    }
}

impl Turns for ChatServer {
    fn turn(&mut self) -> &mut TurnLength {
        &mut self.turn
    }

    fn end_turn(&mut self, ctx: &mut Context<Self>) {
        if self.now.is_some() {
            self.feed(Input::TurnEnded, ctx);
            self.send();
            self.now = None;
        }
    }
}

impl fmt::Debug for ChatServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatServer").field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl Actor for ChatServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Self::start_turns(ctx);
        ctx.spawn(Ringing::new(
            self.bell.clone(),
            |server: &Self| server.shard.next_wake(),
            |server, ctx| server.feed_alone(Input::Wake, ctx),
        ));
        self.shard.start(&mut self.effects);
        self.carry_out(ctx);
    }
}

impl Handler<AddWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.waiting.taken();
        self.fanouts.add(worker, fanout);
    }
}

impl Handler<Request> for ChatServer {
    type Result = ();

    fn handle(&mut self, request: Request, ctx: &mut Self::Context) {
        self.waiting.taken();
        self.feed(Input::Request(request), ctx);
        self.count_turn(ctx);
    }
}

impl Handler<ToShard> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: ToShard, ctx: &mut Self::Context) {
        self.waiting.taken();
        self.feed(Input::FromShard(message), ctx);
        self.count_turn(ctx);
    }
}

impl Handler<Decided> for ChatServer {
    type Result = ();

    fn handle(&mut self, decided: Decided, ctx: &mut Self::Context) {
        self.waiting.taken();
        self.feed(Input::Decided(decided), ctx);
        self.count_turn(ctx);
    }
}

impl Handler<MayEnter> for ChatServer {
    type Result = Result<(), Rejected>;

    fn handle(&mut self, MayEnter { room, address }: MayEnter, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        self.shard.may_enter(now, &room, address)
    }
}

impl Handler<DismissAll> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: DismissAll, _: &mut Self::Context) {
        self.waiting.taken();
        self.fanouts.dismiss_all(&message);
    }
}

impl Handler<Stop> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.feed(Input::Stop, ctx);
        self.send();
    }
}

impl Handler<UntilIdle> for ChatServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: UntilIdle, ctx: &mut Self::Context) -> Self::Result {
        let (idle, wait) = oneshot::channel();
        self.until_idle.push(idle);
        self.shard.hurry();
        self.feed(Input::TurnEnded, ctx);
        self.send();
        Box::pin(async move { wait.await.unwrap_or_default() })
    }
}

impl Handler<CloseJournal> for ChatServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: CloseJournal, ctx: &mut Self::Context) -> Self::Result {
        if self.is_closed {
            return Box::pin(async {});
        }
        let (closed, wait) = oneshot::channel();
        self.closing.push(closed);
        self.feed(Input::Close, ctx);
        Box::pin(async move { wait.await.unwrap_or_default() })
    }
}

impl Handler<ForgetRoom> for ChatServer {
    type Result = ResponseActFuture<Self, Result<(), JournalError>>;

    fn handle(&mut self, ForgetRoom { room }: ForgetRoom, ctx: &mut Self::Context) -> Self::Result {
        // What was said before this request must not be stored behind it.
        self.shard.hurry();
        let (is_durable, wait) = oneshot::channel();
        self.feed(Input::TurnEnded, ctx);
        let last = self.shard.last_unkept(&room);
        self.to_forget.push(ToForget { room: room.clone(), last, is_durable });
        self.send();
        let (journal, name) = (Arc::clone(&self.journal), room.clone());
        let asked = wrap_future(async move {
            wait.await.unwrap_or(Ok(()))?;
            journal.forget(name).await
        });
        Box::pin(asked.map(move |answer, server: &mut Self, ctx| {
            if answer.is_ok() {
                server.feed_alone(Input::Done(Done::Forgot(room, Ok(()))), ctx);
            }
            answer
        }))
    }
}

impl Handler<ListRooms> for ChatServer {
    type Result = RoomList;

    fn handle(&mut self, ListRooms { asked }: ListRooms, _: &mut Self::Context) -> RoomList {
        let now = self.now();
        self.shard.list_rooms(now, asked)
    }
}

impl Handler<Summarize> for ChatServer {
    type Result = Summary;

    fn handle(&mut self, _: Summarize, _: &mut Self::Context) -> Summary {
        let Figures { rooms, kept_rooms, members, .. } = self.shard.figures();
        Summary {
            rooms,
            kept_rooms,
            members,
            journal_fault: self.shard.fault().cloned(),
            journal_damage: self.journal.damage(),
        }
    }
}

impl Handler<AreYouThere> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}
