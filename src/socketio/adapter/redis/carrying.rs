//! The thread, which carries out what the core decides.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::rt;
use futures_util::FutureExt as _;
use log::{info, warn};
use tokio::sync::{mpsc, oneshot};

use super::{
    home::{Connected, Home, NotConnected, connect},
    requests::{Batch, FeedBatch},
    traffic::{Event as TrafficEvent, Traffic},
};
use crate::{
    config::RedisUrl,
    parts::{Panicked, Supervisor},
    redis_client::pauses::Pauses,
    socketio::{
        adapter::{
            figures::Figures,
            settings::RedisOptions,
            traffic::{Decide, FromHere, Input, Local, Output},
        },
        cluster::Order,
    },
};

/// Pause between the first and the second attempt to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long the last requests may take at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Most events that are taken in one turn.
const MOST_AT_ONCE: usize = 1024;

/// About how long a turn may take, if there is more to do: what has come is read between turns.
const LONGEST_TURN: Duration = Duration::from_millis(50);

/// How long connections must last after a loss until the log is told of them.
const BEFORE_TOLD: Duration = Duration::from_secs(1);

/// Most reasons for which one loss is logged.
const MOST_REASONS: usize = 16;

/// What the thread is told.
#[allow(clippy::large_enum_variant, reason = "nearly all are orders")]
pub(super) enum Job {
    Order(Order),
    AreYouThere(oneshot::Sender<()>),
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Connected>, NotConnected>>>>;

/// The connections.
enum Link {
    /// They are being opened to this server.
    Connecting(RedisUrl, Connecting),
    Open(Box<Traffic>),
}

/// What the thread waits for.
enum Event {
    /// `None` when all handles are dropped.
    Job(Option<Job>),
    FromHere(FromHere),
    Connected(Result<Box<Connected>, NotConnected>),
    Traffic(TrafficEvent),
    Wake,
}

pub(super) struct Thread<D, L> {
    decide: D,
    local: L,
    jobs: mpsc::UnboundedReceiver<Job>,
    waiting: Arc<AtomicUsize>,
    replies: mpsc::UnboundedSender<FromHere>,
    replied: mpsc::UnboundedReceiver<FromHere>,
    home: Home,
    pauses: Pauses,
    link: Link,
    figures: Arc<Figures>,
    /// Whether the core knows that there are no connections.
    is_told_down: bool,
    /// Why there were none, as the log was told.
    reasons: BTreeSet<String>,
    /// The address of connections of which the log is to be told once they have lasted.
    untold: Option<(Instant, String)>,
    out: Vec<Output>,
    is_ending: bool,
    /// The part is dead.
    is_dead: bool,
}

impl<D: Decide, L: Local> Thread<D, L> {
    pub(super) fn new(
        options: RedisOptions,
        decide: D,
        local: L,
        (jobs, waiting): (mpsc::UnboundedReceiver<Job>, Arc<AtomicUsize>),
        figures: Arc<Figures>,
    ) -> Self {
        let (replies, replied) = mpsc::unbounded_channel();
        let mut home = Home::new(options);
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let link = connecting(&mut home, &mut pauses);
        Self {
            decide,
            local,
            jobs,
            waiting,
            replies,
            replied,
            home,
            pauses,
            link,
            figures,
            is_told_down: false,
            reasons: BTreeSet::new(),
            untold: None,
            out: Vec::new(),
            is_ending: false,
            is_dead: false,
        }
    }

    pub(super) async fn run(mut self, supervisor: &Supervisor) {
        while !self.is_ending && !self.is_dead {
            let event = self.event().await;
            supervisor.wait_while_stalled();
            let began = Instant::now();
            self.take(event, supervisor);
            self.take_more(began + LONGEST_TURN, supervisor);
            self.carry_out(supervisor);
            if began.elapsed() >= LONGEST_TURN {
                tokio::task::yield_now().await;
            }
        }
        if !self.is_dead {
            self.flush().await;
        }
        self.figures.is_up.store(false, Ordering::Relaxed);
    }

    // ----- what happens -----

    /// The next event. Orders come first: what this server has ordered before something came is known when it is handled.
    async fn event(&mut self) -> Event {
        let wake = self.decide.next_wake();
        tokio::select! {
            biased;
            job = self.jobs.recv() => Event::Job(job),
            event = other_event(&mut self.replied, &mut self.link, wake) => event,
        }
    }

    /// Takes what else has happened, so that it goes to Redis in one write.
    fn take_more(&mut self, until: Instant, supervisor: &Supervisor) {
        self.take_jobs(supervisor);
        for _ in 0..MOST_AT_ONCE {
            if self.is_ending || self.is_dead || Instant::now() >= until {
                return;
            }
            let wake = self.decide.next_wake();
            let Some(event) = other_event(&mut self.replied, &mut self.link, wake).now_or_never() else {
                return;
            };
            self.take_jobs(supervisor);
            self.take(event, supervisor);
        }
    }

    /// Takes what this server has ordered up to now.
    fn take_jobs(&mut self, supervisor: &Supervisor) {
        for _ in 0..self.jobs.len() {
            match self.jobs.try_recv() {
                Ok(job) if !self.is_ending && !self.is_dead => self.take(Event::Job(Some(job)), supervisor),
                _ => return,
            }
        }
    }

    fn take(&mut self, event: Event, supervisor: &Supervisor) {
        match event {
            Event::Job(Some(Job::Order(order))) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                self.handle(Input::Order(order), supervisor);
            }
            // The caller may not wait any more.
            Event::Job(Some(Job::AreYouThere(answer))) => _ = answer.send(()),
            Event::Job(None) => self.is_ending = true,
            Event::FromHere(reply) => _ = self.handle(Input::FromHere(reply), supervisor),
            Event::Connected(Ok(connected)) => self.connected(*connected, supervisor),
            Event::Connected(Err(why)) => {
                let place = match &self.link {
                    Link::Connecting(url, _) => url.to_string(),
                    Link::Open(_) => String::new(),
                };
                self.lose(format!("{place} {why}"), supervisor);
            }
            Event::Traffic(event) => self.take_traffic(event, supervisor),
            Event::Wake => _ = self.handle(Input::Wake, supervisor),
        }
    }

    fn take_traffic(&mut self, event: TrafficEvent, supervisor: &Supervisor) {
        self.tell_of_connection();
        let Link::Open(traffic) = &mut self.link else { return };
        let mut inputs = Vec::new();
        let taken = traffic.take(event, &mut inputs);
        for input in inputs {
            // A panic has ended the connections, and what came by them is of no use.
            if !self.handle(input, supervisor) {
                return;
            }
        }
        if let Err(why) = taken {
            self.lose(why, supervisor);
        }
    }

    fn connected(&mut self, connected: Connected, supervisor: &Supervisor) {
        // A server that refuses the subscriptions ends the connections at once, again and again.
        let lasts_at = if self.reasons.is_empty() { Instant::now() } else { Instant::now() + BEFORE_TOLD };
        self.untold = Some((lasts_at, connected.url.to_string()));
        self.tell_of_connection();
        self.home.found(&connected.ranges);
        let options = self.home.options();
        let traffic = Traffic::new(connected, options, Arc::clone(&self.figures), Instant::now());
        self.link = Link::Open(Box::new(traffic));
        self.is_told_down = false;
        self.figures.is_up.store(true, Ordering::Relaxed);
        self.handle(Input::Up, supervisor);
    }

    /// Tells the log of connections that have lasted.
    fn tell_of_connection(&mut self) {
        if let Some((_, url)) = self.untold.take_if(|(lasts_at, _)| *lasts_at <= Instant::now()) {
            let options = self.home.options();
            let (format, key) = (options.format, &options.home_key);
            info!("Socket.IO is shared by way of the Redis at {url}: format {format}, key {key}");
            self.reasons.clear();
        }
    }

    /// Gives the connections up, and makes new ones.
    fn lose(&mut self, why: String, supervisor: &Supervisor) {
        self.disconnect();
        self.untold = None;
        if self.reasons.len() < MOST_REASONS && self.reasons.insert(why.clone()) {
            warn!("Socket.IO is not shared: {why}");
        }
        if !std::mem::replace(&mut self.is_told_down, true) {
            self.handle(Input::Down(why), supervisor);
        }
    }

    /// Drops the connections, and begins to make new ones.
    fn disconnect(&mut self) {
        if matches!(self.link, Link::Open(_)) {
            self.figures.losses.fetch_add(1, Ordering::Relaxed);
        }
        self.figures.is_up.store(false, Ordering::Relaxed);
        self.link = connecting(&mut self.home, &mut self.pauses);
    }

    // ----- the core -----

    /// Tells the core something. Returns whether it did not panic.
    fn handle(&mut self, input: Input, supervisor: &Supervisor) -> bool {
        let known = self.out.len();
        let (decide, out) = (&mut self.decide, &mut self.out);
        match supervisor.attempt(|| decide.handle(Instant::now(), input, out)) {
            Ok(()) => {
                self.is_ending |= self.out[known..].iter().any(|output| matches!(output, Output::End));
                true
            }
            Err(panicked) => {
                self.out.truncate(known);
                self.begin_again(panicked, supervisor);
                false
            }
        }
    }

    /// Goes on after a panic of the core.
    fn begin_again(&mut self, mut panicked: Panicked, supervisor: &Supervisor) {
        // What was decided before is done.
        self.carry_out(supervisor);
        self.disconnect();
        self.is_told_down = false;
        while panicked == Panicked::BeginAgain {
            let (decide, out) = (&mut self.decide, &mut self.out);
            match supervisor.attempt(|| decide.begin_again(out)) {
                Ok(()) => return,
                Err(again) => panicked = again,
            }
            self.out.clear();
        }
        self.is_dead = true;
    }

    /// Carries out what the core wants done. Without connections, what is for Redis is dropped.
    fn carry_out(&mut self, supervisor: &Supervisor) {
        // The core may want something done about a loss that is noticed here.
        while !self.out.is_empty() && !self.is_dead {
            let (mut batch, mut feed) = (Batch::default(), FeedBatch::default());
            for output in std::mem::take(&mut self.out) {
                self.carry_out_one(output, &mut batch, &mut feed, supervisor);
            }
            if let Link::Open(traffic) = &mut self.link
                && let Err(why) = traffic.send(batch, feed)
            {
                self.lose(why, supervisor);
            }
        }
    }

    fn carry_out_one(
        &mut self,
        output: Output,
        batch: &mut Batch,
        feed: &mut FeedBatch,
        supervisor: &Supervisor,
    ) {
        let output = match output {
            Output::Here(here) => {
                let (local, replies) = (&mut self.local, &self.replies);
                self.is_dead |= is_dead_after(supervisor, || local.perform(here, replies));
                return;
            }
            Output::Deliver(deliver, offset) => {
                self.is_dead |= is_dead_after(supervisor, || deliver.now(offset));
                return;
            }
            Output::Restore(restore, restored) => {
                self.is_dead |= is_dead_after(supervisor, || restore.with(restored));
                return;
            }
            output => output,
        };
        let Link::Open(traffic) = &mut self.link else { return };
        match output {
            Output::Subscribe(channel) => feed.subscribe(&channel),
            Output::Unsubscribe(channel) => traffic.unsubscribe(channel, feed),
            Output::Publish { channel, is_sharded, body } => batch.publish(&channel, is_sharded, &body),
            Output::Append { stream, fields, max_len } => batch.append(&stream, &fields, max_len),
            Output::Store { key, value, expires_in } => traffic.store(&key, &value, expires_in, batch),
            Output::Query(id, query) => traffic.query(id, query, batch),
            Output::Read { stream, after } => traffic.read(stream, after),
            Output::Here(_) | Output::Deliver(..) | Output::Restore(..) | Output::End => {}
        }
    }

    /// Waits until Redis has answered all requests, but not for long.
    async fn flush(&mut self) {
        let Link::Open(traffic) = &mut self.link else { return };
        let answered = async {
            let mut inputs = Vec::new();
            while !traffic.is_idle() {
                let event = traffic.event().await;
                traffic.take(event, &mut inputs)?;
                inputs.clear();
            }
            Ok::<_, String>(())
        };
        let flushed = rt::time::timeout(LAST_PATIENCE, answered).await;
        if !matches!(flushed, Ok(Ok(()))) {
            warn!("Socket.IO could not tell the other servers all before the end: Redis has not answered");
        }
    }
}

/// The next event that is no job.
async fn other_event(
    replied: &mut mpsc::UnboundedReceiver<FromHere>,
    link: &mut Link,
    wake: Option<Instant>,
) -> Event {
    let wake = async move {
        match wake {
            Some(time) => rt::time::sleep_until(time.into()).await,
            None => std::future::pending().await,
        }
    };
    let link = async {
        match link {
            Link::Connecting(_, connecting) => Event::Connected(connecting.await),
            Link::Open(traffic) => Event::Traffic(traffic.event().await),
        }
    };
    tokio::select! {
        biased;
        Some(reply) = replied.recv() => Event::FromHere(reply),
        event = link => event,
        () = wake => Event::Wake,
    }
}

/// Does something on this server. A panic ends what is done; returns whether there were too many.
fn is_dead_after(supervisor: &Supervisor, act: impl FnOnce()) -> bool {
    supervisor.attempt(act) == Err(Panicked::TooOften)
}

/// Begins to connect, after a pause.
fn connecting(home: &mut Home, pauses: &mut Pauses) -> Link {
    let (url, options, pause) = (home.next(), home.options().clone(), pauses.next(Instant::now()));
    let place = url.clone();
    Link::Connecting(
        place,
        Box::pin(async move {
            rt::time::sleep(pause).await;
            connect(url, options).await.map(Box::new)
        }),
    )
}
