//! The link to other nodes, for `/metrics`.

use std::{fmt, sync::OnceLock};

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts};

use super::must;

/// How the link is.
#[derive(Clone, Debug)]
pub(crate) struct RedisFigures {
    /// The name of the node.
    pub node: String,
    /// Whether Redis can be reached.
    pub is_up: bool,
    /// The number of partitions for which it can be reached.
    pub partitions: u8,
    /// How often the connection was lost.
    pub losses: u64,
}

/// The metrics of the link. They are zero without `--redis`.
pub(super) struct Redis {
    pub(super) node: IntGaugeVec,
    pub(super) is_up: IntGauge,
    pub(super) partitions: IntGauge,
    pub(super) losses: IntCounter,
    figures: OnceLock<Box<dyn Fn() -> RedisFigures + Send + Sync>>,
}

impl Redis {
    pub(super) fn new() -> Self {
        Self {
            node: must(IntGaugeVec::new(
                Opts::new(
                    "echoroom_node_info",
                    "1, with the name of this node, if it shares its rooms with others.",
                ),
                &["node"],
            )),
            is_up: must(IntGauge::new(
                "echoroom_redis_up",
                "Whether Redis can be reached; 0 without --redis.",
            )),
            partitions: must(IntGauge::new(
                "echoroom_redis_partitions",
                "Parts of the rooms, of 64, for which Redis can be reached; 0 without --redis.",
            )),
            losses: must(IntCounter::new(
                "echoroom_redis_losses_total",
                "How often the connection to Redis was lost, or given up.",
            )),
            figures: OnceLock::new(),
        }
    }

    /// Sets where the figures come from. A second call does not replace the first.
    pub(super) fn watch(&self, figures: impl Fn() -> RedisFigures + Send + Sync + 'static) {
        self.figures.get_or_init(|| Box::new(figures));
    }

    /// Reads the figures.
    pub(super) fn read(&self) {
        if let Some(RedisFigures { node, is_up, partitions, losses }) =
            self.figures.get().map(|figures| figures())
        {
            self.node.with_label_values(&[&node]).set(1);
            self.is_up.set(i64::from(is_up));
            self.partitions.set(i64::from(partitions));
            self.losses.inc_by(losses.saturating_sub(self.losses.get()));
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
