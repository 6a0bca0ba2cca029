//! The actor round a shard: hands it what comes, and does what it wants done.
//!
//! [`handlers`] has what comes by the mailbox, [`asking`] the journal, [`answers`] the callers, and [`publishing`] the
//! metrics.

use std::{fmt, mem, sync::Arc, time::Instant};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context,
    fut::{ActorFutureExt as _, wrap_future},
};

use self::{
    answers::Answers,
    asking::{Asked, Asking},
    publishing::Published,
};
use super::{
    alarms::{Bell, Ringing},
    common::{Common, ShardId},
    core::Lost,
    effects::{Done, Effect, Input, Job, Now},
    handing::{Decided, Decisions},
    shard::Shard,
    transfer::{Peers, ToShard},
};
use crate::{
    broadcast::{Delivery, FanOuts, TurnLength, Turns},
    journal::{Journal, now_millis},
    metrics::Metrics,
    nodes::contract::Link,
    parts::{Panicked, Supervisor, Waiting},
};

mod answers;
mod asking;
mod handlers;
mod publishing;

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
    /// The way to other nodes, if the rooms are shared with those.
    link: Option<Arc<dyn Link>>,
    fanouts: FanOuts,
    /// What goes to other shards at the end of the turn.
    forwards: Vec<(ShardId, ToShard)>,
    asking: Asking,
    answers: Answers,
    metrics: Arc<Metrics>,
    published: Published,
    turn: TurnLength,
    /// The time at which the turn began; `None` before its first message.
    now: Option<Now>,
    /// Empty between two inputs.
    effects: Vec<Effect>,
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

impl ChatServer {
    /// Shard `id`, which keeps history in `journal` and figures in `metrics`. `link` goes to other nodes, if `common` is
    /// shared with those.
    #[allow(clippy::too_many_arguments, reason = "what a shard is made of")]
    pub(super) fn new(
        common: Arc<Common>,
        peers: Arc<dyn Peers>,
        link: Option<Arc<dyn Link>>,
        id: ShardId,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
        supervisor: Supervisor,
        waiting: Waiting,
    ) -> Self {
        let decisions = Arc::new(ToServer { peers: Arc::clone(&peers), id });
        Self {
            shard: Shard::new(common, id, decisions, Now::read()),
            supervisor,
            waiting,
            bell: Bell::default(),
            peers,
            link,
            fanouts: FanOuts::default(),
            forwards: Vec::new(),
            asking: Asking::new(journal, Arc::clone(&metrics)),
            answers: Answers::default(),
            metrics,
            published: Published::default(),
            turn: TurnLength::default(),
            now: None,
            effects: Vec::new(),
        }
    }

    /// The time of this turn.
    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(Now::read)
    }

    /// Has the shard handle an input, and does what it wants done. A shard that panics begins again.
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

    /// Has the shard handle what did not come by the mailbox: it is a turn of its own.
    fn feed_alone(&mut self, input: Input, ctx: &mut Context<Self>) {
        self.now = None;
        self.feed(input, ctx);
        self.send();
        // The next turn has a time of its own.
        self.now = None;
        self.bell.look_again(self.shard.next_wake());
    }

    /// Does what the shard wants done.
    fn carry_out(&mut self, ctx: &mut Context<Self>) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(worker, message) => self.fanouts.collect(worker, message),
                Effect::TurnAway(seat, ending) => seat.deliveries.do_send(Delivery::Dismissed(ending)),
                Effect::Forward(to, message) => self.forwards.push((to, message)),
                Effect::Ask(job) => self.ask(job, ctx),
                Effect::Answer(call, answer) => self.answers.note(call, answer),
                Effect::Order(order) => {
                    if let Some(link) = &self.link {
                        link.order(order);
                    }
                }
            }
        }
        // Empty again, with its memory.
        self.effects = effects;
    }

    /// Asks the journal, and hands its answer to the shard.
    fn ask(&mut self, job: Job, ctx: &mut Context<Self>) {
        if self.asking.must_wait(&job) {
            return;
        }
        if matches!(job, Job::Close) && !self.peers.is_last_to_close() {
            // Another shard still needs the journal.
            return self.feed_alone(Input::Done(Done::Closed(Ok(()))), ctx);
        }
        let is_awaited = matches!(job, Job::Rooms { is_awaited: true });
        let Asked { answer, messages } = self.asking.ask(job);
        let answer = wrap_future(answer).map(move |done, server: &mut Self, ctx| {
            let next = server.asking.answered(&done, messages);
            server.feed_alone(Input::Done(done), ctx);
            next.into_iter().for_each(|job| server.ask(job, ctx));
        });
        if is_awaited {
            ctx.wait(answer);
        } else {
            ctx.spawn(answer);
        }
    }

    /// Sends what the shard has for the fan-outs, then what it has for other shards, publishes its figures, and
    /// answers calls: a caller that asks another shard next finds there what this one has sent.
    fn send(&mut self) {
        self.fanouts.send_all();
        for (to, message) in self.forwards.drain(..) {
            self.peers.send(to, message);
        }
        self.published.publish(&mut self.shard, &self.metrics);
        self.answers.give();
    }
}

impl Now {
    /// The time by the clocks of this machine.
    fn read() -> Self {
        Self { at: Instant::now(), millis: now_millis() }
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

impl fmt::Debug for ChatServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatServer").field("shard", &self.shard).finish_non_exhaustive()
    }
}
