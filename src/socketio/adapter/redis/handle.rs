//! The thread as other threads have it.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};

use super::carrying::{Job, Thread};
use crate::{
    parts::Parts,
    socketio::{
        adapter::{
            figures::Figures,
            settings::RedisOptions,
            traffic::{Decide, Local},
        },
        cluster::Order,
    },
};

/// The name of the part.
const PART: &str = "socketio-redis";

/// The thread with the connections to Redis, for all threads. It ends behind [`Output::End`], or when the last one of these is
/// dropped.
///
/// [`Output::End`]: crate::socketio::adapter::traffic::Output::End
#[derive(Clone)]
pub(crate) struct RedisAdapterHandle {
    jobs: mpsc::UnboundedSender<Job>,
    /// Orders that were not taken yet.
    waiting: Arc<AtomicUsize>,
    figures: Arc<Figures>,
}

/// Starts the thread. It connects, and connects anew whenever a connection is lost. A panic of `decide` ends the connections; a
/// panic of `local` ends what it was to do.
///
/// # Errors
/// The system cannot start a thread.
pub(crate) fn start(
    parts: &Arc<Parts>,
    options: RedisOptions,
    figures: Arc<Figures>,
    decide: impl Decide,
    local: impl Local,
) -> io::Result<RedisAdapterHandle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (jobs, receiver) = mpsc::unbounded_channel();
    let handle = RedisAdapterHandle { jobs, waiting: Arc::default(), figures };
    let (figures, waiting) = (Arc::clone(&handle.figures), Arc::clone(&handle.waiting));
    parts.spawn(PART, move |supervisor| {
        let thread = Thread::new(options, decide, local, (receiver, waiting), figures);
        LocalSet::new().block_on(&runtime, thread.run(supervisor));
    })?;
    handle.watch(parts);
    Ok(handle)
}

impl RedisAdapterHandle {
    /// Gives an order. Orders of one thread are taken in the order in which it gives them. Never waits.
    pub(crate) fn order(&self, order: Order) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // A thread that has ended takes none: the caller finds the sender of its answer dropped.
        let _ = self.jobs.send(Job::Order(order));
    }

    /// Waits until the thread has ended. A server waits for the end of the core instead, which the thread drops then.
    #[cfg(test)]
    pub(crate) async fn ended(&self) {
        self.jobs.closed().await;
    }

    fn watch(&self, parts: &Parts) {
        let (asked, counted) = (self.jobs.downgrade(), self.jobs.downgrade());
        parts.watch(PART, move || {
            let jobs = asked.upgrade().filter(|jobs| !jobs.is_closed())?;
            let (answer, answered) = oneshot::channel();
            Some(Box::pin(
                async move { jobs.send(Job::AreYouThere(answer)).is_ok() && answered.await.is_ok() },
            ))
        });
        let waiting = Arc::clone(&self.waiting);
        parts.count(PART, move || {
            let jobs = counted.upgrade().filter(|jobs| !jobs.is_closed());
            jobs.map(|_| waiting.load(Ordering::Relaxed))
        });
    }
}

impl fmt::Debug for RedisAdapterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisAdapterHandle").field(&self.figures).finish()
    }
}
