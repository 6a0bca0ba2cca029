//! The thread that has the connections to Redis, and carries out what the link decides.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::rt;
use log::{info, warn};
use tokio::sync::{mpsc, oneshot};

use super::{
    connecting::{Connected, NotConnected, Options, connect},
    questions::Question,
    traffic::{Batch, Traffic},
};
use crate::{
    nodes::{
        Bounds,
        contract::{Away, Heard, Listener, Order},
        link::{Input, Link, Output},
    },
    parts::{Parts, Supervisor},
};

/// The name of the part.
const PART: &str = "redis";

/// First pause between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the link may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Most orders that are taken at once.
const MOST_AT_ONCE: usize = 1024;

/// Decides what is asked of Redis, and when: [`Link`], or a test's.
pub trait Decide: Send + 'static {
    /// Takes an input, and appends to `out` what is to be done.
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>);

    /// When it wants to be woken.
    fn next_wake(&self) -> Option<Instant>;
}

impl Decide for Link {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        Self::handle(self, now, input, out);
    }

    fn next_wake(&self) -> Option<Instant> {
        Self::next_wake(self)
    }
}

/// What the thread is told.
enum Job {
    Order(Order),
    Ask(Question),
    AreYouThere(oneshot::Sender<()>),
    Stop,
}

/// Whether Redis can be reached, and what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it can be reached.
    pub is_up: bool,
    /// What it promises; if it cannot be reached, why. Without its address.
    pub words: String,
    /// How often the connection was lost, or given up.
    pub losses: u64,
}

/// What the threads share.
struct Shared {
    waiting: AtomicUsize,
    status: Mutex<Status>,
}

/// The link to Redis, for all threads. It ends when the last one of these is dropped.
#[derive(Clone)]
pub struct RedisLink {
    jobs: mpsc::UnboundedSender<Job>,
    shared: Arc<Shared>,
}

impl RedisLink {
    /// Starts the thread. It connects, and connects anew whenever the connection is lost, until it is stopped.
    ///
    /// A panic of `link` or `listener` ends the part, as one outside of any step. The link has what no other part can give
    /// a new one: which names are whose, and which messages are under way. Other nodes go on as after the death of this
    /// one.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(
        parts: &Arc<Parts>,
        options: Options,
        bounds: Bounds,
        link: impl Decide,
        listener: impl Listener,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let status = Status { is_up: false, words: "not connected yet".to_owned(), losses: 0 };
        let shared = Arc::new(Shared { waiting: AtomicUsize::new(0), status: Mutex::new(status) });
        let for_thread = Arc::clone(&shared);
        parts.spawn(PART, move |supervisor| {
            let thread = LinkThread::new(options, bounds, link, listener, receiver, for_thread);
            runtime.block_on(thread.run(supervisor));
        })?;
        let started = Self { jobs, shared };
        started.watch(parts);
        Ok(started)
    }

    fn watch(&self, parts: &Parts) {
        let (asked, counted) = (self.jobs.downgrade(), self.jobs.downgrade());
        parts.watch(PART, move || {
            let jobs = asked.upgrade()?;
            let (answer, answered) = oneshot::channel();
            Some(Box::pin(
                async move { jobs.send(Job::AreYouThere(answer)).is_ok() && answered.await.is_ok() },
            ))
        });
        let shared = Arc::clone(&self.shared);
        parts.count(PART, move || counted.upgrade().map(|_| shared.waiting.load(Ordering::Relaxed)));
    }

    /// Asks for something. Orders are taken in the order in which one thread gives them.
    pub fn order(&self, order: Order) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        // If the thread has ended, the process is about to.
        let _ = self.jobs.send(Job::Order(order));
    }

    /// Asks a question past the link. If the thread has ended, the question is dropped.
    pub(super) fn ask(&self, question: Question) {
        let _ = self.jobs.send(Job::Ask(question));
    }

    /// Has the link end: it says what it still has to, and leaves the other nodes.
    pub fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
    }

    /// Waits until the thread has ended.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Whether Redis can be reached, and what it promises.
    pub fn status(&self) -> Status {
        self.shared.status().clone()
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisLink").field(&self.status()).finish()
    }
}

impl Shared {
    fn set_status(&self, is_up: bool, words: String) {
        let mut status = self.status();
        (status.is_up, status.words) = (is_up, words);
    }

    fn status(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to Redis.
enum Way {
    Connecting(Pin<Box<dyn Future<Output = Result<Connected, NotConnected>>>>),
    Open(Box<Traffic>),
}

/// What the thread waits for.
enum Event {
    Job(Option<Job>),
    Connected(Result<Connected, NotConnected>),
    Traffic(Result<(), Away>),
    Wake,
    /// The link has not ended in time.
    TooLate,
}

struct LinkThread<D, L> {
    options: Options,
    bounds: Arc<Bounds>,
    link: D,
    listener: L,
    jobs: mpsc::UnboundedReceiver<Job>,
    shared: Arc<Shared>,
    way: Way,
    pause: Duration,
    /// Why Redis cannot be reached, as the log and the link were told; `None` before, and while it can be.
    told: Option<String>,
    /// Whether Redis takes nothing although it can be reached, as the log was told.
    is_refused: bool,
    inputs: Vec<Input>,
    out: Vec<Output>,
    stops_at: Option<Instant>,
    is_done: bool,
}

impl<D: Decide, L: Listener> LinkThread<D, L> {
    fn new(
        options: Options,
        bounds: Bounds,
        link: D,
        listener: L,
        jobs: mpsc::UnboundedReceiver<Job>,
        shared: Arc<Shared>,
    ) -> Self {
        let way = Way::Connecting(connecting(&options, Duration::ZERO));
        Self {
            options,
            bounds: Arc::new(bounds),
            link,
            listener,
            jobs,
            shared,
            way,
            pause: FIRST_PAUSE,
            told: None,
            is_refused: false,
            inputs: Vec::new(),
            out: Vec::new(),
            stops_at: None,
            is_done: false,
        }
    }

    async fn run(mut self, supervisor: &Supervisor) {
        while !self.is_done {
            let event = self.event().await;
            supervisor.wait_while_stalled();
            supervisor.panic_if_poisoned();
            self.take(event);
            self.take_more_jobs();
            self.turn();
        }
    }

    async fn event(&mut self) -> Event {
        let at = |time: Option<Instant>| async move {
            match time {
                Some(time) => rt::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        let (wake, stop) = (at(self.link.next_wake()), at(self.stops_at));
        let (way, inputs, is_stopping) = (&mut self.way, &mut self.inputs, self.stops_at.is_some());
        let traffic = async {
            match way {
                Way::Connecting(connecting) => Event::Connected(connecting.as_mut().await),
                Way::Open(traffic) => Event::Traffic(traffic.next(inputs).await),
            }
        };
        tokio::select! {
            event = traffic => event,
            // A queue that is closed was heard of once.
            job = self.jobs.recv(), if !is_stopping || !self.jobs.is_closed() => Event::Job(job),
            () = wake => Event::Wake,
            () = stop => Event::TooLate,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Job(job) => self.take_job(job),
            Event::Connected(Ok(connected)) => self.connected(connected),
            Event::Connected(Err(why)) => self.lose(&format!("Redis {why}")),
            Event::Traffic(Ok(())) => {}
            Event::Traffic(Err(Away(why))) => self.lose(&why),
            Event::Wake => self.inputs.push(Input::Wake),
            Event::TooLate => {
                warn!("the link to Redis could not be ended in time");
                self.is_done = true;
            }
        }
    }

    fn take_job(&mut self, job: Option<Job>) {
        match job {
            Some(Job::Order(order)) => {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                self.inputs.push(Input::Order(order));
            }
            Some(Job::Ask(question)) => self.ask(question),
            // The caller may not wait any more.
            Some(Job::AreYouThere(answer)) => _ = answer.send(()),
            Some(Job::Stop) | None if self.stops_at.is_none() => {
                self.stops_at = Some(Instant::now() + STOP_PATIENCE);
                self.inputs.push(Input::Stop);
            }
            Some(Job::Stop) | None => {}
        }
    }

    /// Asks a question past the link.
    fn ask(&mut self, question: Question) {
        match &mut self.way {
            Way::Open(traffic) => traffic.ask(question),
            Way::Connecting(_) => {
                question.refuse(self.told.clone().unwrap_or_else(|| "Redis is not connected yet".to_owned()));
            }
        }
    }

    /// Takes what else waits, so that it goes to Redis in one write.
    fn take_more_jobs(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            match self.jobs.try_recv() {
                Ok(job) => self.take_job(Some(job)),
                Err(_) => return,
            }
        }
    }

    /// Hands all inputs to the link, and carries out what it wants.
    fn turn(&mut self) {
        let now = Instant::now();
        let mut batch = Batch::default();
        loop {
            for input in self.inputs.drain(..) {
                self.link.handle(now, input, &mut self.out);
            }
            if self.out.is_empty() {
                break;
            }
            for output in std::mem::take(&mut self.out) {
                self.carry_out(output, &mut batch);
            }
        }
        if let Way::Open(traffic) = &mut self.way {
            traffic.send(batch);
        }
    }

    fn carry_out(&mut self, output: Output, batch: &mut Batch) {
        match (output, &mut self.way) {
            (Output::Tell(heard), _) => {
                self.log(&heard);
                self.listener.heard(heard);
            }
            (Output::Left, _) => self.is_done = true,
            (Output::Call(id, command), Way::Open(traffic)) => traffic.call(id, command, batch),
            (Output::Subscribe(room), Way::Open(traffic)) => traffic.subscribe(room, batch),
            (Output::Unsubscribe(room), Way::Open(traffic)) => traffic.unsubscribe(&room, batch),
            (Output::SubscribeNode(partition, node), Way::Open(traffic)) => {
                traffic.subscribe_node(partition, node, batch);
            }
            // The link is told that Redis cannot be reached, and asks again once it can be.
            (_, Way::Connecting(_)) => {}
        }
    }

    /// Logs that Redis, which can be reached, takes nothing, and that it does again.
    fn log(&mut self, heard: &Heard) {
        let is_open = matches!(self.way, Way::Open(_));
        match heard {
            Heard::Down(_, why) if is_open && !std::mem::replace(&mut self.is_refused, true) => {
                warn!("Redis at {} takes no messages now: {why}", self.options.url);
            }
            Heard::Up(_) if std::mem::take(&mut self.is_refused) => {
                info!("Redis at {} takes messages again", self.options.url);
            }
            _ => {}
        }
    }

    fn connected(&mut self, connected: Connected) {
        let (url, words) = (&self.options.url, &connected.terms.words);
        if connected.terms.is_hollow {
            warn!("connected to Redis at {url}; {words}");
        } else {
            info!("connected to Redis at {url}; {words}");
        }
        self.shared.set_status(true, words.clone());
        self.inputs.push(Input::Up { server: connected.server.clone() });
        (self.pause, self.told) = (FIRST_PAUSE, None);
        let (acks, bounds) = (self.options.acks, Arc::clone(&self.bounds));
        self.way = Way::Open(Box::new(Traffic::new(connected, acks, bounds, Instant::now())));
    }

    /// Gives the connections up, tells so once, and connects anew after a pause.
    fn lose(&mut self, why: &str) {
        let was_open = matches!(self.way, Way::Open(_));
        self.way = Way::Connecting(connecting(&self.options, shortened(self.pause)));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.is_refused = false;
        if self.told.as_deref() != Some(why) {
            warn!("Redis at {}: {why}; trying again", self.options.url);
            self.shared.set_status(false, why.to_owned());
        }
        if was_open {
            self.shared.status().losses += 1;
        }
        if was_open || self.told.is_none() {
            self.inputs.push(Input::Down(Away(why.to_owned())));
        }
        self.told = Some(why.to_owned());
    }
}

/// Connects after a pause.
fn connecting(
    options: &Options,
    pause: Duration,
) -> Pin<Box<dyn Future<Output = Result<Connected, NotConnected>>>> {
    let options = options.clone();
    Box::pin(async move {
        rt::time::sleep(pause).await;
        connect(&options).await
    })
}

/// Between half of a pause and all of it, so that nodes do not come back all at once.
fn shortened(pause: Duration) -> Duration {
    let random = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_shortened_by_half_at_most() {
        for _ in 0..1000 {
            let pause = shortened(LONGEST_PAUSE);
            assert!(pause >= LONGEST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{pause:?}");
        }
    }
}
