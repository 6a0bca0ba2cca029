//! Metrics of the program: the chat, its journal, its nodes, and what its settings bound.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, core::Collector,
};

use super::{
    Metrics, must,
    parts::{PartFigures, Parts},
    redis::{Redis, RedisFigures},
    usage::{Gauges, Usage},
};

/// Upper bounds of the commit histogram, in seconds.
const COMMIT_BUCKETS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// The counters of the program; the uptime starts when they are made.
#[derive(Debug)]
pub(super) struct Program {
    started: Instant,
    rooms: IntGauge,
    kept_rooms: IntGauge,
    gauges: Gauges,
    used: IntGaugeVec,
    bounds: IntGaugeVec,
    closes: IntCounterVec,
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

impl Program {
    /// Counters that are all zero.
    pub(super) fn new() -> Self {
        Self {
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
            closes: must(IntCounterVec::new(
                Opts::new(
                    "echoroom_closes_total",
                    "Sessions of all doors but Socket.IO ended, by close code; 1006 is a lost connection.",
                ),
                &["code"],
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
        }
    }

    /// What the registry shows.
    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.rooms.clone()),
            Box::new(self.kept_rooms.clone()),
            Box::new(self.used.clone()),
            Box::new(self.bounds.clone()),
            Box::new(self.closes.clone()),
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
            // CPU and memory come from /proc.
            #[cfg(target_os = "linux")]
            Box::new(prometheus::process_collector::ProcessCollector::for_self()),
        ]
    }

    /// Reads what is known only when it is asked for.
    pub(super) fn read(&self) {
        for Usage { what, used, bound, .. } in self.gauges.read() {
            self.used.with_label_values(&[what]).set(i64::try_from(used).unwrap_or(i64::MAX));
            self.bounds.with_label_values(&[what]).set(i64::try_from(bound).unwrap_or(i64::MAX));
        }
        self.journal_available.set((self.shards_without_journal.load(Ordering::SeqCst) == 0).into());
        self.parts.read();
        self.redis.read();
    }
}

impl Metrics {
    /// The time since the node was created.
    pub fn uptime(&self) -> Duration {
        self.program.started.elapsed()
    }

    /// Counts the end of a session by its close code. Private codes are counted by range: a client must not
    /// be able to create labels.
    pub fn closed(&self, code: u16) {
        let label = match code {
            3000..=3999 => "3xxx".to_owned(),
            4000..=4999 => "4xxx".to_owned(),
            code => code.to_string(),
        };
        self.program.closes.with_label_values(&[&label]).inc();
    }

    /// Counts a room forgotten to make place for another.
    pub fn forgot_rooms(&self, rooms: u64) {
        self.program.rooms_forgotten.inc_by(rooms);
    }

    /// Adds a bounded resource, whose usage `/metrics` and `/health` show.
    pub fn watch(&self, gauge: impl Fn() -> Usage + Send + Sync + 'static) {
        self.program.gauges.add(gauge);
    }

    /// The current usage of each bounded resource.
    pub fn usage(&self) -> Vec<Usage> {
        self.program.gauges.read()
    }

    /// Has `/metrics` show the shared parts.
    pub fn watch_parts(&self, figures: impl Fn() -> PartFigures + Send + Sync + 'static) {
        self.program.parts.watch(figures);
    }

    /// Has `/metrics` show the link to other nodes.
    pub(crate) fn watch_redis(&self, figures: impl Fn() -> RedisFigures + Send + Sync + 'static) {
        self.program.redis.watch(figures);
    }

    /// The gauge of rooms that count against the bound on rooms.
    pub fn kept_rooms_gauge(&self) -> IntGauge {
        self.program.kept_rooms.clone()
    }

    /// The chat's numbers of rooms with members, of rooms with members or history, and of messages that were
    /// broadcast and are not durable have changed by so much.
    pub fn chat_changed(&self, [rooms, kept_rooms, unkept]: [i64; 3]) {
        self.program.rooms.add(rooms);
        self.program.kept_rooms.add(kept_rooms);
        self.program.unkept.add(unkept);
    }

    /// A shard of the chat cannot store messages, or can again.
    pub fn journal_failed(&self, has_failed: bool) {
        let change = if has_failed { 1 } else { usize::MAX };
        self.program.shards_without_journal.fetch_add(change, Ordering::SeqCst);
    }

    /// Sets how often damage was found in the journal.
    pub fn set_journal_damage(&self, found: u64) {
        self.program.journal_damage.set(i64::try_from(found).unwrap_or(i64::MAX));
    }

    /// The number of messages that were broadcast and are not durable yet.
    pub fn unkept(&self) -> u64 {
        self.program.unkept.get().unsigned_abs()
    }

    /// Counts a batch of durable messages, and observes the duration of its commit.
    pub fn committed(&self, messages: u64, delay: Duration) {
        self.program.kept.inc_by(messages);
        self.program.commits.observe(delay.as_secs_f64());
    }

    /// Counts messages that Redis has accepted.
    pub fn accepted(&self, messages: u64) {
        self.program.kept.inc_by(messages);
    }

    /// Counts messages rejected because the journal does not accept them.
    pub fn not_kept(&self, messages: u64) {
        self.program.not_kept.inc_by(messages);
    }
}
