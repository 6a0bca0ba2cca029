//! The link to Redis as all threads have it, and the thread behind it.

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    carrying::{Job, LinkThread},
    connecting::Options,
    links::Links,
    places::Places,
    questions::Question,
    servers::Servers,
    start::Cluster,
    status::Shared,
};
use crate::{
    config::RedisUrl,
    nodes::{
        Bounds, Partition,
        contract::{Listener, Order, Partitions},
    },
    parts::Parts,
};

pub use super::{links::Decide, status::Status};

/// The name of the part.
const PART: &str = "redis";

/// The link to Redis, for all threads. It ends when the last one of these is dropped.
#[derive(Clone)]
pub struct RedisLink {
    jobs: mpsc::UnboundedSender<Job>,
    shared: Arc<Shared>,
}

impl RedisLink {
    /// Starts the thread for a single Redis. It connects, and connects anew whenever the connection is lost, until it is
    /// stopped.
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
        Self::spawn(parts, (options, None), bounds, Links::one(link), listener)
    }

    /// Starts the thread for a Redis Cluster, as [`RedisLink::start`] does for a single Redis. Each partition has a link
    /// that `link` makes, so that it can go from one server to another one by itself.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn on_cluster<D: Decide>(
        parts: &Arc<Parts>,
        cluster: Cluster,
        bounds: Bounds,
        mut link: impl FnMut(Partitions) -> D,
        listener: impl Listener,
    ) -> io::Result<Self> {
        let Cluster { options, servers } = cluster;
        let links = Links::each(Partition::all().map(|partition| link([partition].into_iter().collect())));
        Self::spawn(parts, (options, Some(servers)), bounds, links, listener)
    }

    /// Starts the thread, with the servers of a Redis Cluster.
    fn spawn<D: Decide, L: Listener>(
        parts: &Arc<Parts>,
        (options, cluster): (Options, Option<Vec<RedisUrl>>),
        bounds: Bounds,
        links: Links<D>,
        listener: L,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new());
        let for_thread = Arc::clone(&shared);
        parts.spawn(PART, move |supervisor| {
            let places = Places::new(options.url.clone(), cluster);
            let servers = Servers::new(options, bounds);
            let thread = LinkThread::new(servers, places, links, listener, receiver, for_thread);
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
