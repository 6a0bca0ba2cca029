//! Compares a room with what Redis has of it: reads what this node lacks, gives back what Redis lacks, or begins anew.

use std::{mem, time::Duration};

use super::{Phase, Room};
use crate::{
    domain::NicknameKey,
    nodes::{
        commands::{Command, Heal, Position, Relation, Stored},
        contract::{Heard, Opened},
        link::turn::{RoomCall, Turn},
    },
};

/// Bytes of records that are given back in one call.
const HEAL_BYTES: usize = 1024 * 1024;

impl Room {
    /// Redis has told where the room stands.
    pub(in crate::nodes::link) fn position(&mut self, position: Position, turn: &mut Turn<'_>) {
        if self.phase != Phase::Asking {
            return;
        }
        let version = position.version;
        // There are no users before the first version, also if that is the one that this node knows.
        let people = position.people.clone().or_else(|| (version == 0).then(Vec::new));
        let begins = !self.has_begun();
        if begins {
            self.begin(position, turn);
        } else {
            match Relation::of(&position.epochs, position.head, &self.epochs, self.head) {
                Relation::Ahead if position.head > self.head => self.read(position.head, turn),
                Relation::Ahead => self.phase = Phase::Live,
                Relation::Behind => self.heal(position.head, position.wait, turn),
                Relation::Diverged => return self.reset(turn),
            }
        }
        if let Some(people) = people {
            let saying = &self.saying;
            let is_saying = |author: &NicknameKey| saying.is_saying(author);
            let listed = self.people.listed(version, &people, is_saying, turn);
            if !begins {
                turn.tell(Heard::People(self.name.clone(), people, listed));
            }
        }
        self.go_on(turn);
    }

    /// Begins with a room of which nothing was known.
    fn begin(&mut self, position: Position, turn: &mut Turn<'_>) {
        let Position { epochs, head, keys, people, .. } = position;
        (self.epochs, self.head, self.is_told) = (epochs.clone(), head, true);
        let reset = mem::take(&mut self.is_reset);
        let is_at_end = |newest: &Stored| {
            newest.last() == head && self.epochs.last().is_some_and(|epoch| epoch.id == newest.epoch)
        };
        if reset || !self.tail.newest().is_some_and(is_at_end) {
            self.tail.clear();
        }
        self.saying.begun(head, &keys);
        let people = people.unwrap_or_default();
        let opened = Opened { epochs, head, keys, people, reset };
        turn.tell(Heard::Opened(self.name.clone(), Box::new(opened)));
        self.phase = Phase::Live;
    }

    /// Something else was said at offsets that members have heard, or what they miss is gone: begins anew.
    fn reset(&mut self, turn: &mut Turn<'_>) {
        self.is_reset = true;
        self.saying.unheard();
        self.phase = Phase::Off;
        self.ask(turn);
    }

    fn read(&mut self, to: u64, turn: &mut Turn<'_>) {
        self.phase = Phase::Reading(to);
        let read = Command::Read { room: self.name.clone(), after: self.head };
        turn.call_of(&self.name, RoomCall::Read, read);
    }

    /// Redis has read records.
    pub(in crate::nodes::link) fn records(&mut self, records: Vec<Stored>, turn: &mut Turn<'_>) {
        let Phase::Reading(to) = self.phase else {
            return;
        };
        let is_at_end = records.is_empty();
        for record in records {
            if record.first > self.head + 1 {
                // What was said meanwhile is more than Redis keeps.
                return self.reset(turn);
            }
            if record.first == self.head + 1 {
                self.apply(record, turn);
            }
        }
        if self.head < to && !is_at_end {
            return self.read(to, turn);
        }
        if self.head < to {
            // Redis has lost something since.
            return self.ask(turn);
        }
        self.phase = Phase::Live;
        self.go_on(turn);
    }

    /// Gives Redis what it lacks after `head`, if this node has it.
    fn heal(&mut self, head: u64, wait: Duration, turn: &mut Turn<'_>) {
        // A Redis that has nothing takes no record of an epoch that it is not told of.
        let head = head.max(self.epochs.first().map_or(0, |oldest| oldest.starts.saturating_sub(1)));
        let has_all = self.tail.reaches(head);
        if !has_all && !wait.is_zero() {
            self.phase = Phase::Waiting;
            return;
        }
        if self.tail.is_empty() {
            // No node has it: what members have heard is not part of the room any more.
            return self.reset(turn);
        }
        self.phase = Phase::Healing;
        let heal = Heal {
            room: self.name.clone(),
            node: turn.node,
            epochs: self.epochs.clone(),
            records: self.tail.after(head, HEAL_BYTES),
            over_gap: !has_all,
        };
        turn.call_of(&self.name, RoomCall::Heal, Command::Heal(Box::new(heal)));
    }

    /// Redis has taken what it lacked, or not: compares again.
    pub(in crate::nodes::link) fn healed(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Healing {
            self.ask(turn);
        }
    }

    /// A call about where the room stands was refused for now.
    pub(in crate::nodes::link) fn refused(&mut self) {
        if matches!(self.phase, Phase::Asking | Phase::Reading(_) | Phase::Healing) {
            self.phase = Phase::Waiting;
        }
    }
}
