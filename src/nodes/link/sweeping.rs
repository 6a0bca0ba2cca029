//! Sweeping: every node asks for it, and Redis has one of them do it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::turn::{About, Turn};
use crate::nodes::{
    Partition,
    commands::{Command, Swept},
};

/// How often a node asks. Redis has one node sweep in a little less.
const SWEEP: Duration = Duration::from_secs(30);

/// When to sweep, and what there was the last time.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    next: Option<Instant>,
    swept: HashMap<Partition, Swept>,
}

impl Sweeping {
    /// The node has joined.
    pub(super) fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now + SWEEP);
    }

    /// When the next one is due; `None` before the node has joined.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.next
    }

    /// What there is in all partitions of the link.
    pub(super) fn all(&self) -> Swept {
        self.swept.values().copied().sum()
    }

    /// Asks for it, if it is due and the node is in. `others` is what there is in the partitions of other links.
    pub(super) fn look_after(&mut self, others: Swept, turn: &mut Turn<'_>) {
        if self.next.take_if(|next| *next <= turn.now).is_none() {
            return;
        }
        self.next = Some(turn.now + SWEEP);
        let all = [self.all(), others].into_iter().sum();
        for partition in turn.open.iter() {
            turn.call(About::Sweep(partition), Command::Sweep { partition, node: turn.node, all });
        }
    }

    /// What there is in a partition.
    pub(super) fn swept(&mut self, partition: Partition, swept: Swept) {
        self.swept.insert(partition, swept);
    }
}
