//! The metrics of the process, in Prometheus' format.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use self::socketio_redis::SocketIoRedis;
pub(crate) use self::socketio_redis::SocketIoRedisFigures;
#[cfg(feature = "program")]
pub(crate) use self::{redis::RedisFigures, usage::Usage};

#[cfg(feature = "program")]
mod parts;
#[cfg(feature = "program")]
mod program;
#[cfg(feature = "program")]
mod redis;
mod socketio_redis;
#[cfg(feature = "program")]
mod usage;

/// Upper bounds of the relay histogram, in seconds.
const RELAY_BUCKETS: [f64; 11] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Counters shared by all workers, each with its line in `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sessions: IntGaugeVec,
    messages_in: IntCounterVec,
    deliveries: IntCounter,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    socketio_closes: IntCounterVec,
    evictions: IntCounter,
    refusals: IntCounterVec,
    relay: Histogram,
    socketio_redis: SocketIoRedis,
    #[cfg(feature = "program")]
    program: program::Program,
}

/// The counters of one protocol; a session looks them up once.
#[derive(Clone, Debug)]
pub struct ProtocolMetrics {
    /// Sessions open now.
    pub sessions: IntGauge,
    /// Messages received.
    pub messages_in: IntCounter,
    /// Bytes received, of all protocols.
    pub bytes_in: IntCounter,
    /// Bytes queued for sending, of all protocols.
    pub bytes_out: IntCounter,
}

impl Metrics {
    /// Creates metrics that are all zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        // A process may have several nodes, each with its own registry, so a name is never registered twice.
        let metrics = Self {
            sessions: must(IntGaugeVec::new(
                Opts::new("echoroom_sessions", "Sessions open now, by protocol."),
                &["protocol"],
            )),
            messages_in: must(IntCounterVec::new(
                Opts::new("echoroom_messages_received_total", "Messages received from clients, by protocol."),
                &["protocol"],
            )),
            deliveries: must(IntCounter::new("echoroom_deliveries_total", "Messages handed to subscribers.")),
            bytes_in: must(IntCounter::new("echoroom_bytes_received_total", "Bytes received by sessions.")),
            bytes_out: must(IntCounter::new("echoroom_bytes_sent_total", "Bytes queued for sessions.")),
            socketio_closes: must(IntCounterVec::new(
                Opts::new("echoroom_socketio_closes_total", "Socket.IO sessions ended, by reason."),
                &["reason"],
            )),
            evictions: must(IntCounter::new(
                "echoroom_evictions_total",
                "Sessions evicted as slow consumers.",
            )),
            refusals: must(IntCounterVec::new(
                Opts::new(
                    "echoroom_refusals_total",
                    "Requests that were refused, by reason; without those on connections over a bound.",
                ),
                &["reason"],
            )),
            relay: must(Histogram::with_opts(
                HistogramOpts::new(
                    "echoroom_relay_seconds",
                    "From a broadcast's first message to its delivery to a worker's sessions.",
                )
                .buckets(RELAY_BUCKETS.to_vec()),
            )),
            socketio_redis: SocketIoRedis::new(),
            #[cfg(feature = "program")]
            program: program::Program::new(),
            registry,
        };
        metrics.register_all();
        metrics
    }

    fn register_all(&self) {
        let own: [Box<dyn Collector>; 9] = [
            Box::new(self.sessions.clone()),
            Box::new(self.messages_in.clone()),
            Box::new(self.deliveries.clone()),
            Box::new(self.bytes_in.clone()),
            Box::new(self.bytes_out.clone()),
            Box::new(self.socketio_closes.clone()),
            Box::new(self.evictions.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.relay.clone()),
        ];
        let collectors = own.into_iter().chain(self.socketio_redis.collectors());
        #[cfg(feature = "program")]
        let collectors = collectors.chain(self.program.collectors());
        for collector in collectors {
            must(self.registry.register(collector));
        }
    }

    /// The counters of the sessions of `protocol`.
    pub fn protocol(&self, protocol: &str) -> ProtocolMetrics {
        ProtocolMetrics {
            sessions: self.sessions.with_label_values(&[protocol]),
            messages_in: self.messages_in.with_label_values(&[protocol]),
            bytes_in: self.bytes_in.clone(),
            bytes_out: self.bytes_out.clone(),
        }
    }

    /// The counter of bytes sent.
    pub fn bytes_sent(&self) -> IntCounter {
        self.bytes_out.clone()
    }

    /// Counts messages delivered to sessions of one worker, and their bytes.
    pub fn delivered(&self, messages: usize, bytes: usize) {
        self.deliveries.inc_by(messages as u64);
        self.bytes_out.inc_by(bytes as u64);
    }

    /// Observes the time from the first message of a broadcast to its delivery to one worker's sessions.
    pub fn relayed_after(&self, delay: Duration) {
        self.relay.observe(delay.as_secs_f64());
    }

    /// Counts the eviction of a slow consumer.
    pub fn evicted(&self) {
        self.evictions.inc();
    }

    /// Counts the end of a Socket.IO session. `reason` must be one of a fixed set.
    pub fn socketio_closed(&self, reason: &str) {
        self.socketio_closes.with_label_values(&[reason]).inc();
    }

    /// Counts a rejected handshake. `reason` must be one of a fixed set.
    pub fn refused(&self, reason: &str) {
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// Has the metrics show the sharing of Socket.IO namespaces.
    pub(crate) fn watch_socketio_redis(
        &self,
        figures: impl Fn() -> SocketIoRedisFigures + Send + Sync + 'static,
    ) {
        self.socketio_redis.watch(figures);
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// A metric cannot be encoded, which is a bug.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.socketio_redis.read();
        #[cfg(feature = "program")]
        self.program.read();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Metrics are created from constants: an invalid one fails every test.
fn must<T>(made: prometheus::Result<T>) -> T {
    made.expect("a metric's name and labels are valid and its name is new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered() {
        let metrics = Metrics::new();
        metrics.protocol("plain").sessions.inc();
        metrics.delivered(3, 30);
        metrics.chat_changed([2, 3, 0]);
        metrics.closed(1013);
        metrics.closed(4001);
        metrics.closed(4999);
        metrics.socketio_closed("ping timeout");
        metrics.refused("origin");
        metrics.relayed_after(Duration::from_micros(200));
        let text = metrics.render().expect("encodes");
        for line in [
            "echoroom_rooms 2",
            "echoroom_sessions{protocol=\"plain\"} 1",
            "echoroom_deliveries_total 3",
            "echoroom_bytes_sent_total 30",
            "echoroom_closes_total{code=\"1013\"} 1",
            "echoroom_closes_total{code=\"4xxx\"} 2",
            "echoroom_refusals_total{reason=\"origin\"} 1",
            "echoroom_socketio_closes_total{reason=\"ping timeout\"} 1",
            "echoroom_relay_seconds_bucket{le=\"0.00025\"} 1",
            "echoroom_evictions_total 0",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_journal_is_available_while_no_shard_has_a_fault_also_at_the_start() {
        let metrics = Metrics::new();
        let shows = |number: u8| {
            let text = metrics.render().expect("encodes");
            assert!(text.contains(&format!("echoroom_journal_available {number}\n")), "{text}");
        };
        shows(1);
        metrics.journal_failed(true);
        metrics.journal_failed(true);
        metrics.journal_failed(false);
        shows(0);
        metrics.journal_failed(false);
        shows(1);
    }

    #[test]
    fn two_nodes_in_one_process_do_not_meet() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.evicted();
        assert!(two.render().expect("encodes").contains("echoroom_evictions_total 0"));
    }
}
