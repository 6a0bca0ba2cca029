//! The sharing of Socket.IO namespaces by way of Redis, for `/metrics`.

use std::{fmt, sync::OnceLock};

use prometheus::{IntCounter, IntGauge, core::Collector};

use super::must;

/// How the sharing is. All but the first are totals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketIoRedisFigures {
    /// Whether Redis can be reached.
    pub is_up: bool,
    /// Publications and entries that Redis has taken.
    pub published: u64,
    /// Publications and entries that were heard.
    pub heard: u64,
    /// Publications, entries and keys that Redis has refused.
    pub refused: u64,
    /// Losses of the connections.
    pub losses: u64,
    /// Bodies that are not messages.
    pub junk: u64,
    /// Events that only sockets of this server got, because Redis was away.
    pub only_here: u64,
}

/// The metrics of the sharing. They are zero without `--redis`.
pub(super) struct SocketIoRedis {
    is_up: IntGauge,
    published: IntCounter,
    heard: IntCounter,
    refused: IntCounter,
    losses: IntCounter,
    junk: IntCounter,
    only_here: IntCounter,
    figures: OnceLock<Box<dyn Fn() -> SocketIoRedisFigures + Send + Sync>>,
}

impl SocketIoRedis {
    pub(super) fn new() -> Self {
        let counter = |name: &str, help: &str| must(IntCounter::new(name, help));
        Self {
            is_up: must(IntGauge::new(
                "echoroom_socketio_redis_up",
                "Whether Socket.IO reaches Redis; 0 without --redis.",
            )),
            published: counter(
                "echoroom_socketio_redis_published_total",
                "Messages to other servers of Socket.IO that Redis has taken.",
            ),
            heard: counter(
                "echoroom_socketio_redis_heard_total",
                "Messages of servers of Socket.IO that came from Redis, those of this server too.",
            ),
            refused: counter(
                "echoroom_socketio_redis_refused_total",
                "Messages to other servers of Socket.IO, and kept sockets, that Redis has refused.",
            ),
            losses: counter(
                "echoroom_socketio_redis_losses_total",
                "How often the connections of Socket.IO to Redis were lost, or given up.",
            ),
            junk: counter(
                "echoroom_socketio_redis_junk_total",
                "Bodies from Redis that are not messages of Socket.IO.",
            ),
            only_here: counter(
                "echoroom_socketio_redis_only_here_total",
                "Events that only clients of this server got, because Redis was away.",
            ),
            figures: OnceLock::new(),
        }
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 7] {
        [
            Box::new(self.is_up.clone()),
            Box::new(self.published.clone()),
            Box::new(self.heard.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.losses.clone()),
            Box::new(self.junk.clone()),
            Box::new(self.only_here.clone()),
        ]
    }

    /// Sets where the figures come from. A second call does not replace the first.
    pub(super) fn watch(&self, figures: impl Fn() -> SocketIoRedisFigures + Send + Sync + 'static) {
        self.figures.get_or_init(|| Box::new(figures));
    }

    /// Reads the figures.
    pub(super) fn read(&self) {
        let Some(figures) = self.figures.get().map(|figures| figures()) else { return };
        self.is_up.set(i64::from(figures.is_up));
        for (counter, total) in [
            (&self.published, figures.published),
            (&self.heard, figures.heard),
            (&self.refused, figures.refused),
            (&self.losses, figures.losses),
            (&self.junk, figures.junk),
            (&self.only_here, figures.only_here),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}

impl fmt::Debug for SocketIoRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoRedis").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn the_sharing_of_namespaces_is_shown_once_it_is_watched() {
        let metrics = Metrics::new();
        let shows = |line: &str| {
            let text = metrics.render().expect("encodes");
            assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
        };
        shows("echoroom_socketio_redis_up 0");
        let figures = SocketIoRedisFigures {
            is_up: true,
            published: 1,
            heard: 2,
            refused: 3,
            losses: 4,
            junk: 5,
            only_here: 6,
        };
        metrics.watch_socketio_redis(move || figures);
        for _ in 0..3 {
            shows("echoroom_socketio_redis_up 1");
            shows("echoroom_socketio_redis_published_total 1");
            shows("echoroom_socketio_redis_heard_total 2");
            shows("echoroom_socketio_redis_refused_total 3");
            shows("echoroom_socketio_redis_losses_total 4");
            shows("echoroom_socketio_redis_junk_total 5");
            shows("echoroom_socketio_redis_only_here_total 6");
        }
    }
}
