//! Private messages whose fate depends on other nodes. Callers pass the time.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    chat::handing::Fate,
    nodes::{NodeUid, contract::AskId},
};

/// How long answers of other nodes are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The messages that are on their way.
#[derive(Debug, Default)]
pub(super) struct Whispers {
    by_ask: HashMap<AskId, Whispering>,
    /// When each is given up, the earliest first. Some are decided already.
    ends: VecDeque<(Instant, AskId)>,
}

#[derive(Debug)]
struct Whispering {
    fate: Arc<Fate>,
    /// Nodes that have not answered.
    nodes: Vec<NodeUid>,
    /// Whether sessions of this node may be handed it.
    is_part_open: bool,
}

impl Whispers {
    /// A message is on its way to these nodes, and to sessions of this one if `has_part`.
    pub(super) fn add(
        &mut self,
        ask: AskId,
        fate: Arc<Fate>,
        nodes: Vec<NodeUid>,
        has_part: bool,
        now: Instant,
    ) {
        self.by_ask.insert(ask, Whispering { fate, nodes, is_part_open: has_part });
        self.ends.push_back((now + PATIENCE, ask));
    }

    /// A node has answered whether a session of the reader was handed a message there, which was said at `at`. Returns the message if its fate is
    /// known by that, and its fate.
    pub(super) fn answered(
        &mut self,
        ask: AskId,
        node: NodeUid,
        is_handed: bool,
        at: u64,
    ) -> Option<(Arc<Fate>, bool)> {
        let Whispering { fate, nodes, .. } = self.by_ask.get_mut(&ask)?;
        let place = nodes.iter().position(|other| *other == node)?;
        nodes.swap_remove(place);
        if is_handed {
            fate.was_said_at(at);
        }
        self.decide(ask, is_handed)
    }

    /// Like [`answered`](Self::answered), for the sessions of this node.
    pub(super) fn part_decided(&mut self, ask: AskId, is_handed: bool) -> Option<(Arc<Fate>, bool)> {
        self.by_ask.get_mut(&ask)?.is_part_open = false;
        self.decide(ask, is_handed)
    }

    fn decide(&mut self, ask: AskId, is_handed: bool) -> Option<(Arc<Fate>, bool)> {
        let Whispering { nodes, is_part_open, .. } = self.by_ask.get(&ask)?;
        let is_last = nodes.is_empty() && !is_part_open;
        let decided = if is_handed || is_last { self.by_ask.remove(&ask) } else { None };
        decided.map(|decided| (decided.fate, is_handed))
    }

    /// A message for which no answer is waited any more.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Arc<Fate>> {
        while let Some((_, ask)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            if let Some(due) = self.by_ask.remove(&ask) {
                return Some(due.fate);
            }
        }
        None
    }

    /// When [`take_due`](Self::take_due) is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeUid {
        NodeUid::new("node".parse().expect("a name"), [number; 12])
    }

    fn fate() -> Arc<Fate> {
        Arc::new(Fate::undelivered(1))
    }

    #[test]
    fn a_message_is_delivered_when_one_node_has_handed_it_over() {
        let (mut whispers, now) = (Whispers::default(), Instant::now());
        whispers.add(AskId(1), fate(), vec![node(1), node(2)], true, now);
        assert!(whispers.part_decided(AskId(1), false).is_none());
        assert!(whispers.answered(AskId(1), node(9), true, 1).is_none(), "it was not asked");
        let decided = whispers.answered(AskId(1), node(2), true, 1).map(|(_, delivered)| delivered);
        assert_eq!(decided, Some(true));
        assert!(whispers.answered(AskId(1), node(1), true, 1).is_none(), "it is known already");
    }

    #[test]
    fn a_message_is_not_delivered_when_all_have_said_so_or_the_time_is_over() {
        let (mut whispers, now) = (Whispers::default(), Instant::now());
        whispers.add(AskId(1), fate(), vec![node(1)], false, now);
        whispers.add(AskId(2), fate(), vec![node(1)], true, now);
        let decided = whispers.answered(AskId(1), node(1), false, 1).map(|(_, delivered)| delivered);
        assert_eq!((decided, whispers.next()), (Some(false), Some(now + PATIENCE)));
        assert!(whispers.take_due(now).is_none());
        assert!(whispers.take_due(now + PATIENCE).is_some());
        assert!(whispers.take_due(now + PATIENCE).is_none() && whispers.next().is_none());
    }
}
