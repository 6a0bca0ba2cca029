//! How the shared parts are, for `/metrics`.

use std::{fmt, sync::OnceLock};

use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::must;

/// How often each part has begun again, and how many messages wait for each that counts them.
pub(crate) type PartFigures = (Vec<(String, u64)>, Vec<(String, usize)>);

/// The metrics of the shared parts.
pub(super) struct Parts {
    pub(super) restarts: IntCounterVec,
    pub(super) waiting: IntGaugeVec,
    figures: OnceLock<Box<dyn Fn() -> PartFigures + Send + Sync>>,
}

impl Parts {
    pub(super) fn new() -> Self {
        Self {
            restarts: must(IntCounterVec::new(
                Opts::new(
                    "echoroom_restarts_total",
                    "Messages and jobs over which a part has panicked. Each is lost, and the part has begun again.",
                ),
                &["part"],
            )),
            waiting: must(IntGaugeVec::new(
                Opts::new("echoroom_mailbox_messages", "Messages and jobs that wait for a part."),
                &["part"],
            )),
            figures: OnceLock::new(),
        }
    }

    /// Sets where the figures come from. A second call does not replace the first.
    pub(super) fn watch(&self, figures: impl Fn() -> PartFigures + Send + Sync + 'static) {
        self.figures.get_or_init(|| Box::new(figures));
    }

    /// Reads the figures.
    pub(super) fn read(&self) {
        let Some((restarts, waiting)) = self.figures.get().map(|figures| figures()) else {
            return;
        };
        for (part, total) in restarts {
            let counter = self.restarts.with_label_values(&[&part]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        for (part, waiting) in waiting {
            self.waiting.with_label_values(&[&part]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
