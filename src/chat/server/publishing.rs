//! The figures of a shard in the metrics.

use std::mem;

use crate::{
    chat::{
        core::Counts,
        shard::{Figures, Shard},
    },
    metrics::Metrics,
};

/// What the metrics have of a shard.
#[derive(Debug, Default)]
pub(super) struct Published {
    figures: Figures,
    has_fault: bool,
}

impl Published {
    /// Tells the metrics what has changed.
    pub(super) fn publish(&mut self, shard: &mut Shard, metrics: &Metrics) {
        let figures = shard.figures();
        if figures != self.figures {
            let (now, former) = (figures.gauges(), self.figures.gauges());
            metrics.chat_changed([0, 1, 2].map(|gauge: usize| now[gauge] - former[gauge]));
            self.figures = figures;
        }
        let Counts { not_kept, accepted, forgotten_rooms } = shard.take_counts();
        metrics.not_kept(not_kept);
        metrics.accepted(accepted);
        metrics.forgot_rooms(forgotten_rooms);
        let has_fault = shard.fault().is_some();
        if has_fault != mem::replace(&mut self.has_fault, has_fault) {
            metrics.journal_failed(has_fault);
        }
    }
}
