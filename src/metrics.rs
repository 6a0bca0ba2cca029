//! The metrics of the process, in Prometheus' format.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub(crate) use self::{parts::PartFigures, redis::RedisFigures, usage::Usage};
use self::{parts::Parts, redis::Redis, usage::Gauges};

mod parts;
mod redis;
mod usage;

/// Upper bounds of the relay histogram, in seconds.
const RELAY_BUCKETS: [f64; 11] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Upper bounds of the commit histogram, in seconds.
const COMMIT_BUCKETS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Counters shared by all workers, each with its line in `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    registry: Registry,
    rooms: IntGauge,
    kept_rooms: IntGauge,
    gauges: Gauges,
    used: IntGaugeVec,
    bounds: IntGaugeVec,
    sessions: IntGaugeVec,
    messages_in: IntCounterVec,
    deliveries: IntCounter,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    closes: IntCounterVec,
    socketio_closes: IntCounterVec,
    evictions: IntCounter,
    refusals: IntCounterVec,
    relay: Histogram,
    rooms_forgotten: IntCounter,
    journal_available: IntGauge,
    journal_damage: IntGauge,
    unkept: IntGauge,
    /// Number of shards of the chat whose journal has a fault.
    shards_without_journal: AtomicUsize,
    parts: Parts,
    redis: Redis,
    kept: IntCounter,
    not_kept: IntCounter,
    commits: Histogram,
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
    /// Creates metrics that are all zero; the uptime starts here.
    pub fn new() -> Self {
        let registry = Registry::new();
        // A process may have several nodes, each with its own registry, so a name is never registered twice.
        let metrics = Self {
            started: Instant::now(),
            rooms: must(IntGauge::new("echoroom_rooms", "Rooms with members.")),
            kept_rooms: must(IntGauge::new(
                "echoroom_rooms_kept",
                "Rooms that count against --max-rooms: those with members or history.",
            )),
            gauges: Gauges::default(),
            used: must(IntGaugeVec::new(
                Opts::new("echoroom_used", "How much of what a setting bounds is used: things, or bytes."),
                &["what"],
            )),
            bounds: must(IntGaugeVec::new(
                Opts::new("echoroom_bound", "How much of it may be used."),
                &["what"],
            )),
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
            closes: must(IntCounterVec::new(
                Opts::new(
                    "echoroom_closes_total",
                    "Sessions of all doors but Socket.IO ended, by close code; 1006 is a lost connection.",
                ),
                &["code"],
            )),
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
            rooms_forgotten: must(IntCounter::new(
                "echoroom_rooms_forgotten_total",
                "Rooms that lost their history to make place for other rooms.",
            )),
            journal_available: must(IntGauge::new(
                "echoroom_journal_available",
                "1 while the journal takes messages, 0 while it does not.",
            )),
            journal_damage: must(IntGauge::new(
                "echoroom_journal_damage",
                "How often something in the journal was met that is not what was written.",
            )),
            shards_without_journal: AtomicUsize::new(0),
            unkept: must(IntGauge::new(
                "echoroom_journal_unkept_messages",
                "Messages that have been accepted and are not durable yet.",
            )),
            parts: Parts::new(),
            redis: Redis::new(),
            kept: must(IntCounter::new(
                "echoroom_journal_messages_total",
                "Messages made durable, or accepted by Redis.",
            )),
            not_kept: must(IntCounter::new(
                "echoroom_journal_refusals_total",
                "Messages refused because the journal did not take them.",
            )),
            commits: must(Histogram::with_opts(
                HistogramOpts::new(
                    "echoroom_journal_commit_seconds",
                    "How long a batch took to become durable.",
                )
                .buckets(COMMIT_BUCKETS.to_vec()),
            )),
            registry,
        };
        metrics.register_all();
        metrics
    }

    fn register_all(&self) {
        let collectors: [Box<dyn prometheus::core::Collector>; 27] = [
            Box::new(self.rooms.clone()),
            Box::new(self.kept_rooms.clone()),
            Box::new(self.used.clone()),
            Box::new(self.bounds.clone()),
            Box::new(self.sessions.clone()),
            Box::new(self.messages_in.clone()),
            Box::new(self.deliveries.clone()),
            Box::new(self.bytes_in.clone()),
            Box::new(self.bytes_out.clone()),
            Box::new(self.closes.clone()),
            Box::new(self.socketio_closes.clone()),
            Box::new(self.evictions.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.relay.clone()),
            Box::new(self.rooms_forgotten.clone()),
            Box::new(self.journal_available.clone()),
            Box::new(self.journal_damage.clone()),
            Box::new(self.unkept.clone()),
            Box::new(self.kept.clone()),
            Box::new(self.not_kept.clone()),
            Box::new(self.commits.clone()),
            Box::new(self.parts.restarts.clone()),
            Box::new(self.parts.waiting.clone()),
            Box::new(self.redis.node.clone()),
            Box::new(self.redis.is_up.clone()),
            Box::new(self.redis.partitions.clone()),
            Box::new(self.redis.losses.clone()),
        ];
        for collector in collectors {
            must(self.registry.register(collector));
        }
        // CPU and memory come from /proc.
        #[cfg(target_os = "linux")]
        must(self.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())));
    }

    /// The time since the node was created.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
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

    /// Counts the end of a session by its close code. Private codes are counted by range: a client must not
    /// be able to create labels.
    pub fn closed(&self, code: u16) {
        let label = match code {
            3000..=3999 => "3xxx".to_owned(),
            4000..=4999 => "4xxx".to_owned(),
            code => code.to_string(),
        };
        self.closes.with_label_values(&[&label]).inc();
    }

    /// Counts the end of a Socket.IO session. `reason` must be one of a fixed set.
    pub fn socketio_closed(&self, reason: &str) {
        self.socketio_closes.with_label_values(&[reason]).inc();
    }

    /// Counts a rejected handshake. `reason` must be one of a fixed set.
    pub fn refused(&self, reason: &str) {
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// Counts a room forgotten to make place for another.
    pub fn forgot_rooms(&self, rooms: u64) {
        self.rooms_forgotten.inc_by(rooms);
    }

    /// Adds a bounded resource, whose usage `/metrics` and `/health` show.
    pub fn watch(&self, gauge: impl Fn() -> Usage + Send + Sync + 'static) {
        self.gauges.add(gauge);
    }

    /// The current usage of each bounded resource.
    pub fn usage(&self) -> Vec<Usage> {
        self.gauges.read()
    }

    /// Has `/metrics` show the shared parts.
    pub fn watch_parts(&self, figures: impl Fn() -> PartFigures + Send + Sync + 'static) {
        self.parts.watch(figures);
    }

    /// Has `/metrics` show the link to other nodes.
    pub(crate) fn watch_redis(&self, figures: impl Fn() -> RedisFigures + Send + Sync + 'static) {
        self.redis.watch(figures);
    }

    /// The gauge of rooms that count against the bound on rooms.
    pub fn kept_rooms_gauge(&self) -> IntGauge {
        self.kept_rooms.clone()
    }

    /// The chat's numbers of rooms with members, of rooms with members or history, and of messages that were
    /// broadcast and are not durable have changed by so much.
    pub fn chat_changed(&self, [rooms, kept_rooms, unkept]: [i64; 3]) {
        self.rooms.add(rooms);
        self.kept_rooms.add(kept_rooms);
        self.unkept.add(unkept);
    }

    /// A shard of the chat cannot store messages, or can again.
    pub fn journal_failed(&self, has_failed: bool) {
        let change = if has_failed { 1 } else { usize::MAX };
        self.shards_without_journal.fetch_add(change, Ordering::SeqCst);
    }

    /// Sets how often damage was found in the journal.
    pub fn set_journal_damage(&self, found: u64) {
        self.journal_damage.set(i64::try_from(found).unwrap_or(i64::MAX));
    }

    /// The number of messages that were broadcast and are not durable yet.
    pub fn unkept(&self) -> u64 {
        self.unkept.get().unsigned_abs()
    }

    /// Counts a batch of durable messages, and observes the duration of its commit.
    pub fn committed(&self, messages: u64, delay: Duration) {
        self.kept.inc_by(messages);
        self.commits.observe(delay.as_secs_f64());
    }

    /// Counts messages that Redis has accepted.
    pub fn accepted(&self, messages: u64) {
        self.kept.inc_by(messages);
    }

    /// Counts messages rejected because the journal does not accept them.
    pub fn not_kept(&self, messages: u64) {
        self.not_kept.inc_by(messages);
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// A metric cannot be encoded, which is a bug.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        for Usage { what, used, bound, .. } in self.usage() {
            self.used.with_label_values(&[what]).set(i64::try_from(used).unwrap_or(i64::MAX));
            self.bounds.with_label_values(&[what]).set(i64::try_from(bound).unwrap_or(i64::MAX));
        }
        self.journal_available.set((self.shards_without_journal.load(Ordering::SeqCst) == 0).into());
        self.parts.read();
        self.redis.read();
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
