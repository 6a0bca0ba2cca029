//! What is on its way into the journal: one batch at a time, and behind it the next. A plain struct.
//!
//! A batch that fails stays and is tried again; its senders are told. While the journal is known to be bad, nothing
//! new is taken.

use std::sync::Arc;

use super::{log::Place, rooms::RoomId, round::Round};
use crate::{
    domain::SessionId,
    journal::{Append, JournalError},
};

/// A round on its way into the journal.
#[derive(Debug)]
pub struct Commit {
    /// Its room.
    pub room: RoomId,
    /// What is stored.
    pub append: Append,
    /// Who waits to hear that it is.
    pub receipts: Vec<Receipt>,
    /// Held until the journal has it, so that what waits for a slow disk stays within the intake bounds.
    pub round: Arc<Round>,
}

/// A session that waits for its message to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The session.
    pub session: SessionId,
    /// Its own number for the message.
    pub ticket: u64,
    /// The message's place.
    pub place: Place,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Commits {
    in_flight: Vec<Commit>,
    next: Vec<Commit>,
    /// Whether the journal has the batch in flight; not so between two attempts.
    is_under_way: bool,
    /// Messages of both.
    unkept: u64,
    fault: Option<JournalError>,
}

impl Commits {
    /// A round has ended.
    pub fn push(&mut self, commit: Commit) {
        self.unkept += u64::from(commit.append.record.count);
        self.next.push(commit);
    }

    /// The batch to give to the journal now, if there is one and the journal has none.
    pub fn begin(&mut self) -> Option<Vec<Append>> {
        if self.is_under_way || self.fault.is_some() {
            return None;
        }
        self.give()
    }

    /// The same after a failure.
    pub fn retry(&mut self) -> Option<Vec<Append>> {
        if self.is_under_way { None } else { self.give() }
    }

    fn give(&mut self) -> Option<Vec<Append>> {
        if self.in_flight.is_empty() {
            self.in_flight = std::mem::take(&mut self.next);
        }
        if self.in_flight.is_empty() {
            return None;
        }
        self.is_under_way = true;
        Some(self.in_flight.iter().map(|commit| commit.append.clone()).collect())
    }

    /// The journal has made the batch durable: here it is.
    pub fn done(&mut self) -> Vec<Commit> {
        self.is_under_way = false;
        self.fault = None;
        let done = std::mem::take(&mut self.in_flight);
        self.unkept -= done.iter().map(|commit| u64::from(commit.append.record.count)).sum::<u64>();
        done
    }

    /// Messages that have been relayed and are not durable yet.
    pub fn unkept(&self) -> u64 {
        self.unkept
    }

    /// The journal has failed. All who wait are to be told; their messages stay.
    pub fn failed(&mut self, error: JournalError) -> Vec<Receipt> {
        self.is_under_way = false;
        self.fault = Some(error);
        let waiting = self.in_flight.iter_mut().chain(&mut self.next);
        waiting.flat_map(|commit| std::mem::take(&mut commit.receipts)).collect()
    }

    /// The journal does not answer, though it has no batch to fail.
    pub fn suspect(&mut self, error: JournalError) {
        self.fault.get_or_insert(error);
    }

    /// The journal answers again, though it had no batch.
    pub fn recovered(&mut self) {
        self.fault = None;
    }

    /// Somebody else waits for a message that is on its way already. False if it is not: it waits in an open round.
    pub fn attach(&mut self, room: RoomId, receipt: Receipt) -> bool {
        let holds = |commit: &&mut Commit| {
            let record = &commit.append.record;
            commit.room == room && (record.first..=record.last()).contains(&receipt.place.offset)
        };
        match self.in_flight.iter_mut().chain(&mut self.next).find(holds) {
            Some(commit) => commit.receipts.push(receipt),
            None => return false,
        }
        true
    }

    /// What is wrong with the journal, if it is known to be bad.
    pub fn fault(&self) -> Option<&JournalError> {
        self.fault.as_ref()
    }

    /// Whether nothing waits.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.next.is_empty()
    }
}
