//! The records of a room.

use std::collections::BTreeMap;

use crate::{
    journal::{Epoch, EpochId, Keyed},
    nodes::{
        Bounds, NodeUid,
        bounds::{MOST_PUBLISHED, MOST_SHED, READ_BYTES},
        commands::{Append, Appended, Heal, MOST_EPOCHS, Published, Relation, Stored},
    },
};

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub epochs: Vec<Epoch>,
    pub head: u64,
    records: Vec<Stored>,
    /// The number and the first offset of the last round of each run of a node.
    last: BTreeMap<NodeUid, (u64, u64)>,
}

fn size(record: &Stored) -> u64 {
    record.entries.as_ref().map_or(0, |entries| entries.len() as u64)
}

/// What is published of a record.
pub(super) fn published(mut record: Stored) -> Published {
    if size(&record) > MOST_PUBLISHED {
        record.entries = None;
    }
    Published::Said(Box::new(record))
}

/// How a room compares with what a node knows.
pub(super) fn relation(log: &Log, known: Option<(EpochId, u64)>) -> Relation {
    let Some((epoch, known)) = known.filter(|(_, known)| *known > 0) else {
        return Relation::Ahead;
    };
    match log.epochs.iter().position(|other| other.id == epoch) {
        None if log.epochs.is_empty() => Relation::Behind,
        None => Relation::Diverged,
        Some(at) => match log.epochs.get(at + 1) {
            Some(following) if following.starts > known => Relation::Ahead,
            Some(_) => Relation::Diverged,
            None if log.head >= known => Relation::Ahead,
            None => Relation::Behind,
        },
    }
}

impl Log {
    /// What became of a round that is known, or is older than one that is.
    pub(super) fn known_round(&self, round: &Append) -> Option<Appended> {
        let (seq, first) = self.last.get(&round.run)?;
        match round.seq.cmp(seq) {
            std::cmp::Ordering::Less => Some(Appended::Old),
            std::cmp::Ordering::Equal => Some(Appended::At(*first)),
            std::cmp::Ordering::Greater => None,
        }
    }

    pub(super) fn append(
        &mut self,
        round: &Append,
        number: u64,
        bounds: &Bounds,
    ) -> Result<Stored, Appended> {
        match relation(self, round.known) {
            Relation::Ahead => {}
            other => return Err(Appended::Not(other)),
        }
        let repeated = self.repeated(round);
        if !repeated.is_empty() {
            return Err(Appended::Repeated(repeated));
        }
        let first = self.head + 1;
        let epoch = match self.epochs.last() {
            Some(last) if last.id.number == number => last.id,
            _ => {
                let id = EpochId { random: round.nonce, number };
                self.epochs.push(Epoch { id, starts: first });
                self.epochs.drain(..self.epochs.len().saturating_sub(MOST_EPOCHS));
                id
            }
        };
        let record = Stored {
            first,
            count: round.count,
            at: round.at,
            epoch,
            run: round.run,
            seq: round.seq,
            keys: round.keys.clone(),
            entries: Some(round.entries.clone()),
        };
        self.push(record.clone(), bounds);
        Ok(record)
    }

    /// Messages of the round that were said behind what the node has looked at.
    fn repeated(&self, round: &Append) -> Vec<(u16, u64)> {
        let since: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.last() > round.looked_to)
            .flat_map(Stored::keyed)
            .collect();
        let place = |key: [u8; 16]| since.iter().find(|said| said.key == key).map(|said| said.offset);
        round.keys.iter().filter_map(|key| Some((key.index, place(key.key)?))).collect()
    }

    fn push(&mut self, record: Stored, bounds: &Bounds) {
        self.head = record.last();
        let last = self.last.entry(record.run).or_default();
        *last = (*last).max((record.seq, record.first));
        self.records.push(record);
        let oldest = (self.head + 1).saturating_sub(bounds.history.max(1));
        self.records.retain(|record| record.last() >= oldest);
        for _ in 0..MOST_SHED {
            if self.records.len() > 1 && self.records.iter().map(size).sum::<u64>() > bounds.history_bytes {
                self.records.remove(0);
            }
        }
    }

    /// The records that were taken; `None` if they do not belong to the room.
    pub(super) fn heal(&mut self, heal: &Heal, bounds: &Bounds) -> Option<Vec<Stored>> {
        let Some(begins) = heal.records.first().map(|record| record.first) else {
            return Some(Vec::new());
        };
        let begun: Vec<_> = heal.epochs.iter().filter(|epoch| epoch.starts <= begins).copied().collect();
        match self.epochs.last() {
            None if begun.is_empty() => return None,
            None => (self.epochs, self.head) = (begun, begins - 1),
            Some(own) => {
                let place = heal.epochs.iter().position(|epoch| epoch.id == own.id)?;
                if heal.epochs.get(place + 1).is_some_and(|next| self.head >= next.starts) {
                    return None;
                }
                if heal.over_gap && begins > self.head + 1 {
                    if begun.is_empty() {
                        return None;
                    }
                    self.records.clear();
                    (self.epochs, self.head) = (begun, begins - 1);
                }
            }
        }
        let mut taken = Vec::new();
        for record in &heal.records {
            if record.first == self.head + 1 {
                if self.epochs.last().is_none_or(|epoch| epoch.id != record.epoch) {
                    self.epochs.push(Epoch { id: record.epoch, starts: record.first });
                    self.epochs.drain(..self.epochs.len().saturating_sub(MOST_EPOCHS));
                }
                self.push(record.clone(), bounds);
                taken.push(record.clone());
            }
        }
        Some(taken)
    }

    /// The keys of all messages.
    pub(super) fn keys(&self) -> Vec<Keyed> {
        self.records.iter().flat_map(Stored::keyed).collect()
    }

    pub(super) fn read(&self, after: u64) -> Vec<Stored> {
        let mut bytes = 0;
        let mut records = Vec::new();
        for record in self.records.iter().filter(|record| record.last() > after) {
            bytes += size(record);
            records.push(record.clone());
            if bytes >= READ_BYTES as u64 {
                break;
            }
        }
        records
    }

    /// Forgets all messages. The offset of the last one, if there was any.
    pub(super) fn forget(&mut self) -> Option<u64> {
        let had = !std::mem::take(&mut self.records).is_empty();
        had.then_some(self.head)
    }
}
